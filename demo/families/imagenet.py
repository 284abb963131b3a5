"""Pictures drawn by code, and a quantized TensorFlow Lite network that knows them.

The network has MobileNet's inputs and outputs, a mean over squares and one convolution: each of the three classes that
the board's test asks for is a filter matched to its picture. It tells these three apart and nothing else.
"""

from __future__ import annotations

import struct
from functools import cache

from demo import containers, flatbuffer, graphdef, pictures
from demo.families import Made
from demo.flatbuffer import Table, Vector

_BLOCKS = 28  # of 8x8 pixels: 224, the size that the network expects
_CELLS = 7
_CLASSES = 1001
#: Picture -> (seed of its scene, class in a list that begins with a background class).
SCENES = {"picture-dog": (1, 209), "picture-cat": (2, 283), "picture-shark": (3, 3)}


def make() -> list[Made]:
    """Make the pictures, the model and the labels."""
    made = [Made(asset, pictures.jpeg(_BLOCKS, _BLOCKS, pictures.scene(seed))) for asset, (seed, _) in SCENES.items()]
    return [
        *made,
        Made("grace-hopper-bmp", _portrait()),
        Made("mobilenet-v1-quant", model("MobilenetV1/Predictions/Reshape_1")),
        Made("mobilenet-v2-quant", model("output")),
        *(Made(asset, containers.tar_gz(files, prefix="./")) for asset, files in _archives().items()),
        Made("coco-ssd-quant-zip", containers.zipped({"detect.tflite": detector(), "labelmap.txt": b"???\nperson\n"})),
        Made("tflite-labels", labels()),
    ]


def _archives() -> dict[str, dict[str, bytes]]:
    """Return the archives that are assets as a whole: asset -> member -> bytes."""
    v4, mnasnet = "InceptionV4/Logits/Predictions", "mnasnet_1.3_224/mnasnet_1.3_224.tflite"
    frozen = graphdef.classifier("input", v4, 299, _CLASSES)
    return {
        "inception-v3-quant-tgz": {"inception_v3_quant.tflite": model("output", 299), "labels.txt": labels()},
        "inception-v4-quant-tgz": {
            "inception_v4_299_quant.tflite": model(v4, 299),
            "inception_v4_299_quant_frozen.pb": frozen,
        },
        "mnasnet-1.3-tgz": {mnasnet: model("output", floats=True)},
        "resnet-v2-101-tgz": {"resnet_v2_101_299.tflite": model("output", 299, floats=True)},
    }


def labels() -> bytes:
    """Return 1001 lines; the classes that the pictures have carry the picture's name."""
    names = {number: f"stand-in {asset.removeprefix('picture-')}" for asset, (_, number) in SCENES.items()}
    lines = ["background", *(names.get(i, f"stand-in class {i}") for i in range(1, _CLASSES))]
    return "".join(f"{line}\n" for line in lines).encode()


def _portrait() -> bytes:
    """Draw something of 517x606 pixels with a head and shoulders."""

    def paint(x: int, y: int) -> tuple[int, int, int]:
        if (x - 258) ** 2 + (y - 230) ** 2 < 110**2:
            return 224, 186, 160
        if y > 360 and abs(x - 258) < 120 + (y - 360) // 2:
            return 30, 36, 60
        return 140 + y // 8, 120 + x // 12, 110

    return pictures.bmp(517, 606, paint)


@cache
def _filters(floats: bool) -> bytes:
    """Return the convolution's weights, uint8 around 128 or float32 around 0: (1001, 7, 7, 3)."""
    count = _CELLS * _CELLS * 3
    blank = bytes(4 * count) if floats else bytes([128]) * count
    weights = [blank] * _CLASSES
    per_cell = _BLOCKS // _CELLS
    for seed, number in SCENES.values():
        paint = pictures.scene(seed)
        cells = []
        for row in range(_CELLS):
            for column in range(_CELLS):
                colours = [
                    paint(column * per_cell + i, row * per_cell + j) for i in range(per_cell) for j in range(per_cell)
                ]
                cells += [sum(colour[k] for colour in colours) / len(colours) for k in range(3)]
        mean = sum(cells) / len(cells)
        norm = (sum((value - mean) ** 2 for value in cells) / len(cells)) ** 0.5
        steps = [max(-128, min(127, round(40 * (value - mean) / norm))) for value in cells]
        weights[number] = (
            struct.pack(f"<{count}f", *(step / 64 for step in steps)) if floats else bytes(128 + step for step in steps)
        )
    return b"".join(weights)


#: TensorType and BuiltinOperator of tensorflow/lite/schema/schema.fbs, version 3; so are the field numbers below.
_FLOAT32, _INT32, _UINT8 = 0, 2, 3
_AVERAGE_POOL, _CONV, _RESHAPE, _SOFTMAX, _CUSTOM = 1, 3, 22, 25, 32
_VALID = 1


class _Writer:
    """Collects the tensors, buffers and operators of a model."""

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.tensors: list[Table] = []
        self.buffers: list[Table] = [Table()]  # buffer 0 is empty by convention
        self.operators: list[Table] = []
        self.codes: list[tuple[int, str]] = []

    def tensor(
        self, name: str, shape: tuple[int, ...], scale: float = 0.0, zero: int = 0, *, type_: int | None = None,
        data: bytes = b"",
    ) -> int:  # fmt: skip
        """Add a tensor; a scale of 0 or a float model means that it is not quantised."""
        number = 0
        if data:
            number = len(self.buffers)
            self.buffers.append(Table({0: Vector("Uint8", data, align=16)}))
        kind = self.kind if type_ is None else type_
        quantised = scale and kind != _FLOAT32
        how = Table({2: Vector("Float32", [scale]), 3: Vector("Int64", [zero])}) if quantised else Table()
        self.tensors.append(
            Table({0: Vector("Int32", shape), 1: ("Int8", kind), 2: ("Uint32", number), 3: name, 4: how})
        )
        return len(self.tensors) - 1

    def operator(
        self, code: int, inputs: list[int], outputs: list[int], options: int = 0, table: Table | None = None,
        *, custom: str = "", own: bytes = b"",
    ) -> None:  # fmt: skip
        """Add an operator; `options` is the number of its options' type in the schema's union, `own` a custom one's."""
        if (code, custom) not in self.codes:
            self.codes.append((code, custom))
        fields: dict[int, object] = {
            0: ("Uint32", self.codes.index((code, custom))), 1: Vector("Int32", inputs), 2: Vector("Int32", outputs),
        }  # fmt: skip
        if table is not None:
            fields |= {3: ("Uint8", options), 4: table}
        if own:
            fields[5] = Vector("Uint8", own)
        self.operators.append(Table(fields))  # type: ignore[arg-type]

    def pool(self, given: int, output: int, square: int) -> None:
        """Add a mean over squares side by side."""
        size = dict.fromkeys((1, 2, 3, 4), ("Int32", square))
        self.operator(_AVERAGE_POOL, [given], [output], 5, Table({0: ("Int8", _VALID), **size}))

    def conv(self, given: int, weights: int, bias: int, output: int) -> None:
        """Add a convolution with a stride of one."""
        table = Table({0: ("Int8", _VALID), 1: ("Int32", 1), 2: ("Int32", 1)})
        self.operator(_CONV, [given, weights, bias], [output], 1, table)

    def reshape(self, given: int, output: int, shape: tuple[int, ...], name: str) -> None:
        """Add a reshape with its constant shape."""
        data = struct.pack(f"<{len(shape)}i", *shape)
        wanted = self.tensor(name, (len(shape),), type_=_INT32, data=data)
        self.operator(_RESHAPE, [given, wanted], [output], 17, Table({0: Vector("Int32", list(shape))}))

    def finish(self, inputs: list[int], outputs: list[int]) -> bytes:
        """Write the model."""
        graph = Table({0: self.tensors, 1: Vector("Int32", inputs), 2: Vector("Int32", outputs), 3: self.operators})
        codes = [
            Table({0: ("Int8", code), **({1: custom} if custom else {}), 2: ("Int32", 1), 3: ("Int32", code)})
            for code, custom in self.codes
        ]
        root = Table({0: ("Uint32", 3), 1: codes, 2: [graph], 3: "modelprep stand-in", 4: self.buffers})
        return flatbuffer.write(root, b"TFL3")


def model(answer: str, side: int = 224, *, floats: bool = False) -> bytes:
    """Write a classifier of the three scenes.

    `answer`: name of the output, 1 x 1001; the input is called ``input``. `side`: of the input, 1 x side x side x 3.
    `floats`: true for float32 (the input is 0..1), False for uint8.
    """
    kind = _FLOAT32 if floats else _UINT8
    writer = _Writer(kind)
    input_scale, weight_scale, score_scale = 1 / 128, 1 / 64, 0.5
    given = writer.tensor("input", (1, side, side, 3), input_scale, 128)
    cells = writer.tensor("cells", (1, _CELLS, _CELLS, 3), input_scale, 128)
    weights = writer.tensor("filters", (_CLASSES, _CELLS, _CELLS, 3), weight_scale, 128, data=_filters(floats))
    bias_type = _FLOAT32 if floats else _INT32
    bias = writer.tensor("bias", (_CLASSES,), input_scale * weight_scale, type_=bias_type, data=bytes(4 * _CLASSES))
    scores = writer.tensor("scores", (1, 1, 1, _CLASSES), score_scale, 128)
    flat = writer.tensor("logits", (1, _CLASSES), score_scale, 128)
    output = writer.tensor(answer, (1, _CLASSES), 1 / 256, 0)
    writer.pool(given, cells, side // _CELLS)
    writer.conv(cells, weights, bias, scores)
    writer.reshape(scores, flat, (1, _CLASSES), "shape")
    writer.operator(_SOFTMAX, [flat], [output], 9, Table({0: ("Float32", 1.0)}))
    return writer.finish([given], [output])


def detector() -> bytes:
    """Write a detector of the right inputs, outputs and operators: one anchor, which finds nothing sensible."""
    from flatbuffers import flexbuffers

    side, name = 300, "TFLite_Detection_PostProcess"
    own = flexbuffers.Dumps({
        "max_detections": 10, "max_classes_per_detection": 1, "detections_per_class": 1, "use_regular_nms": False,
        "nms_score_threshold": 0.5, "nms_iou_threshold": 0.6, "num_classes": 90,
        "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0,
    })  # fmt: skip
    writer = _Writer(_UINT8)
    given = writer.tensor("normalized_input_image_tensor", (1, side, side, 3), 1 / 128, 128)
    colour = writer.tensor("colour", (1, 1, 1, 3), 1 / 128, 128)
    writer.pool(given, colour, side)
    parts = []
    for part, count in (("boxes", 4), ("classes", 91)):
        data = bytes(128 + (7 * i) % 31 - 15 for i in range(3 * count))
        weights = writer.tensor(f"{part}/weights", (count, 1, 1, 3), 1 / 64, 128, data=data)
        bias = writer.tensor(f"{part}/bias", (count,), 1 / 8192, type_=_INT32, data=bytes(4 * count))
        raw = writer.tensor(f"{part}/raw", (1, 1, 1, count), 1 / 32, 128)
        flat = writer.tensor(part, (1, 1, count), 1 / 32, 128)
        writer.conv(colour, weights, bias, raw)
        writer.reshape(raw, flat, (1, 1, count), f"{part}/shape")
        parts.append(flat)
    anchors = writer.tensor("anchors", (1, 4), 1 / 255, 0, data=bytes([128, 128, 255, 255]))
    shapes = [(1, 10, 4), (1, 10), (1, 10), (1,)]
    outputs = [writer.tensor(f"{name}:{i}" if i else name, shape, type_=_FLOAT32) for i, shape in enumerate(shapes)]
    writer.operator(_CUSTOM, [*parts, anchors], outputs, custom=name, own=bytes(own))
    return writer.finish([given], outputs)
