"""Pictures drawn by code, and a quantised TensorFlow Lite network that knows them.

The network has MobileNet's inputs and outputs, a mean over squares and one convolution: each of the three classes that
the board's test asks for is a filter matched to its picture. It tells these three apart and nothing else.
"""

from __future__ import annotations

import struct

from demo import flatbuffer, pictures
from demo.families import Made
from demo.flatbuffer import Table, Vector

_BLOCKS = 28  # of 8x8 pixels: 224, the size that the network wants
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
        Made("mobilenet-v1-quant", model()),
        Made("tflite-labels", labels()),
    ]


def labels() -> bytes:
    """Give 1001 lines; the classes that the pictures have carry the picture's name."""
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


def _filters() -> bytes:
    """Give the convolution's weights, uint8 around 128: (1001, 7, 7, 3)."""
    blank = bytes([128]) * (_CELLS * _CELLS * 3)
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
        weights[number] = bytes(max(0, min(255, 128 + round(40 * (value - mean) / norm))) for value in cells)
    return b"".join(weights)


def model() -> bytes:
    """Write the model. Field numbers: tensorflow/lite/schema/schema.fbs, version 3."""
    uint8, int32 = 3, 2
    tensors: list[Table] = []
    buffers: list[Table] = [Table()]  # buffer 0 is empty by convention

    def tensor(
        name: str, shape: tuple[int, ...], scale: float, zero: int, type_: int = uint8, data: bytes = b""
    ) -> int:
        number = 0
        if data:
            number = len(buffers)
            buffers.append(Table({0: Vector("B", data, align=16)}))
        quantisation = Table({2: Vector("f", [scale]), 3: Vector("q", [zero], align=8)}) if scale else Table()
        tensors.append(Table({0: Vector("i", shape), 1: ("b", type_), 2: ("I", number), 3: name, 4: quantisation}))
        return len(tensors) - 1

    def operator(code: int, inputs: list[int], output: int, options: int, table: Table) -> Table:
        return Table({0: ("I", code), 1: Vector("i", inputs), 2: Vector("i", [output]), 3: ("B", options), 4: table})

    input_scale, weight_scale, score_scale = 1 / 128, 1 / 64, 0.5
    given = tensor("input", (1, 224, 224, 3), input_scale, 128)
    cells = tensor("cells", (1, _CELLS, _CELLS, 3), input_scale, 128)
    weights = tensor("filters", (_CLASSES, _CELLS, _CELLS, 3), weight_scale, 128, data=_filters())
    zeros = struct.pack(f"<{_CLASSES}i", *[0] * _CLASSES)
    bias = tensor("bias", (_CLASSES,), input_scale * weight_scale, 0, int32, zeros)
    scores = tensor("scores", (1, 1, 1, _CLASSES), score_scale, 128)
    shape = tensor("shape", (2,), 0.0, 0, int32, struct.pack("<2i", 1, _CLASSES))
    flat = tensor("logits", (1, _CLASSES), score_scale, 128)
    answer = tensor("MobilenetV1/Predictions/Reshape_1", (1, _CLASSES), 1 / 256, 0)
    square = 224 // _CELLS
    valid = 1
    operators = [
        operator(0, [given], cells, 5, Table({0: ("b", valid), 1: ("i", square), 2: ("i", square), 3: ("i", square),
                                              4: ("i", square)})),
        operator(1, [cells, weights, bias], scores, 1, Table({0: ("b", valid), 1: ("i", 1), 2: ("i", 1)})),
        operator(2, [scores, shape], flat, 17, Table({0: Vector("i", [1, _CLASSES])})),
        operator(3, [flat], answer, 9, Table({0: ("f", 1.0)})),
    ]  # fmt: skip
    average_pool, conv, reshape, softmax = 1, 3, 22, 25
    codes = [Table({0: ("b", code), 2: ("i", 1), 3: ("i", code)}) for code in (average_pool, conv, reshape, softmax)]
    graph = Table({0: tensors, 1: Vector("i", [given]), 2: Vector("i", [answer]), 3: operators})
    return flatbuffer.write(Table({0: ("I", 3), 1: codes, 2: [graph], 3: "modelprep stand-in", 4: buffers}), b"TFL3")
