"""Small detection models, written with the schema that LiteRT ships."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pytest

from modelprep.targets.armnn.detection import OPERATOR, Options

#: As the detectors of the COCO challenge have them, but for the threshold.
SSD_OPTIONS = Options(10, 1, 100, 90, 0.5, 0.6, (10.0, 10.0, 5.0, 5.0), False)


def options_of(options: Options, leave_out: Collection[str] = ()) -> bytes:
    """The operator's own options as TensorFlow's converter writes them."""
    flexbuffers = pytest.importorskip("flatbuffers.flexbuffers", reason="needs NumPy beside flatbuffers")
    y, x, h, w = options.scales
    numbers: dict[str, Any] = {
        "max_detections": options.max_detections,
        "max_classes_per_detection": options.max_classes,
        "detections_per_class": options.detections_per_class,
        "use_regular_nms": options.regular,
        "nms_score_threshold": options.score_threshold,
        "nms_iou_threshold": options.iou_threshold,
        "num_classes": options.classes,
        "y_scale": y,
        "x_scale": x,
        "h_scale": h,
        "w_scale": w,
    }
    return bytes(flexbuffers.Dumps({key: value for key, value in numbers.items() if key not in leave_out}))


class Graph:
    """A TF Lite model under construction: tensors and operators of one subgraph."""

    def __init__(self) -> None:
        self.schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="of the check extra")
        self.model = self.schema.ModelT()
        self.model.version, self.model.description = 3, "made by hand"
        self.model.buffers, self.model.operatorCodes = [self.schema.BufferT()], []
        self.graph = self.schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs, self.graph.outputs = [], []
        self.model.subgraphs = [self.graph]

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        values: Any = None,
        *,
        dtype: str = "FLOAT32",
        scale: float = 0.0,
        zero_point: int = 0,
    ) -> int:
        """Add a tensor, constant where it has values, and give its number."""
        import numpy as np

        one, buffer = self.schema.TensorT(), self.schema.BufferT()
        one.name, one.shape, one.type = name, list(shape), getattr(self.schema.TensorType, dtype)
        one.buffer = len(self.model.buffers)
        if values is not None:
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        if scale:
            one.quantization = self.schema.QuantizationParametersT()
            one.quantization.scale, one.quantization.zeroPoint = [scale], [zero_point]
        self.model.buffers.append(buffer)
        self.graph.tensors.append(one)
        return len(self.graph.tensors) - 1

    def operator(
        self, name: str, inputs: Sequence[int], outputs: Sequence[int], options: Any = None, custom: bytes = b""
    ) -> None:
        """Add an operator: a builtin one by its name, or a custom one whose own options are `custom`."""
        code, one = self.schema.OperatorCodeT(), self.schema.OperatorT()
        builtin = getattr(self.schema.BuiltinOperator, name, self.schema.BuiltinOperator.CUSTOM)
        code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, builtin, 1
        one.opcodeIndex, one.inputs, one.outputs = len(self.model.operatorCodes), list(inputs), list(outputs)
        if custom:
            code.customCode, one.customOptions = name, list(custom)
        if options is not None:
            one.builtinOptions = options
            one.builtinOptionsType = getattr(self.schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.model.operatorCodes.append(code)
        self.graph.operators.append(one)

    def bytes(self) -> bytes:
        """Write the file."""
        import flatbuffers

        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def post_process_model(anchors: Any, options: Options) -> bytes:
    """A model of nothing but the post-process: raw boxes and scores in, detections out."""
    graph, boxes = Graph(), len(anchors)
    inputs = [graph.tensor("encodings", (1, boxes, 4)), graph.tensor("scores", (1, boxes, options.classes + 1))]
    places, classes, values, number = options.sizes
    outputs = [
        graph.tensor("boxes", (1, places // 4, 4)),
        graph.tensor("classes", (1, classes)),
        graph.tensor("values", (1, values)),
        graph.tensor("number", (number,)),
    ]
    graph.operator(
        OPERATOR, [*inputs, graph.tensor("anchors", anchors.shape, anchors)], outputs, custom=options_of(options)
    )
    graph.graph.inputs, graph.graph.outputs = inputs, outputs
    return graph.bytes()


def ssd_model(
    found: Sequence[tuple[int, float, Sequence[float]]],
    *,
    options: Options = SSD_OPTIONS,
    input_scale: float = 0.0078125,
    input_zero: int = 128,
    by_colour: tuple[int, int] | None = None,
    custom: bytes | None = None,
    order: Sequence[int] = (0, 1, 2, 3),
    columns: int | None = None,
    outputs: int = 4,
    real_anchors: bool = False,
) -> bytes:
    """A quantised detector with SSD MobileNet's ends: the picture's mean colour, a dense layer, the post-process.

    Parameters
    ----------
    found
        (class, score, (left, top, right, bottom)) of each of its boxes; the scores are bytes of 256.
    by_colour
        (box, class): that class's score is the picture's mean red.
    order
        In which order the graph lists the operator's four outputs.
    real_anchors
        Anchors in float32 beside the bytes of boxes and scores.
    """
    import numpy as np

    graph, boxes = Graph(), len(found)
    columns = columns or options.classes + 1
    schema = graph.schema
    picture = graph.tensor("normalized_input_image_tensor", (1, 300, 300, 3), dtype="UINT8",
                           scale=input_scale, zero_point=input_zero)  # fmt: skip
    mean = graph.tensor("mean", (1, 1, 1, 3), dtype="UINT8", scale=input_scale, zero_point=input_zero)
    pool = schema.Pool2DOptionsT()
    pool.padding, pool.strideW, pool.strideH = schema.Padding.VALID, 300, 300
    pool.filterWidth, pool.filterHeight = 300, 300
    graph.operator("AVERAGE_POOL_2D", [picture], [mean], pool)
    weights, bias = np.full((boxes * columns, 3), 128, np.uint8), np.zeros(boxes * columns, np.int32)
    anchors = np.zeros((boxes, 4), np.float32)
    for box, (number, score, (left, top, right, bottom)) in enumerate(found):
        bias[box * columns + number + 1] = round(score / (input_scale / 128))
        anchors[box] = ((top + bottom) / 2, (left + right) / 2, bottom - top, right - left)
    if by_colour is not None:
        row = by_colour[0] * columns + by_colour[1] + 1
        weights[row, 0] = 255  # 127/128 of the mean red, which is 0 to 1
    flat = graph.tensor("flat", (1, boxes * columns), dtype="UINT8", scale=1 / 256)
    dense = schema.FullyConnectedOptionsT()
    graph.operator(
        "FULLY_CONNECTED",
        [
            mean,
            graph.tensor("weights", weights.shape, weights, dtype="UINT8", scale=1 / 128, zero_point=128),
            graph.tensor("bias", bias.shape, bias, dtype="INT32", scale=input_scale / 128),
        ],
        [flat],
        dense,
    )
    scores = graph.tensor("scores", (1, boxes, columns), dtype="UINT8", scale=1 / 256)
    reshape = schema.ReshapeOptionsT()
    reshape.newShape = [1, boxes, columns]
    graph.operator("RESHAPE", [flat], [scores], reshape)
    sizes = (*options.sizes, 1)
    shapes = ((1, sizes[0] // 4, 4), (1, sizes[1]), (1, sizes[2]), (1,), (1,))[:outputs]
    names = [OPERATOR, *(f"{OPERATOR}:{place}" for place in range(1, 5))]
    made = [graph.tensor(name, shape) for name, shape in zip(names, shapes, strict=False)]
    offsets = np.full((boxes, 4), 7, np.uint8)
    if real_anchors:
        places = graph.tensor("anchors", anchors.shape, anchors)
    else:
        step = float(anchors.max()) / 255
        stored = np.maximum(np.rint(anchors / step), 1)
        places = graph.tensor("anchors", anchors.shape, stored.astype(np.uint8), dtype="UINT8", scale=step)
        # What the anchors lost in bytes, the boxes' own bytes give back.
        kept = stored * step
        lost = np.hstack([10 * (anchors - kept)[:, :2] / kept[:, 2:], 5 * np.log(anchors[:, 2:] / kept[:, 2:])])
        offsets = np.clip(np.rint(lost / 0.002) + 128, 0, 255).astype(np.uint8)
    encodings = graph.tensor("encodings", (1, boxes, 4), offsets, dtype="UINT8",
                             scale=0.1 if real_anchors else 0.002, zero_point=7 if real_anchors else 128)  # fmt: skip
    graph.operator(
        OPERATOR,
        [encodings, scores, places],
        made,
        custom=options_of(options) if custom is None else custom,
    )
    graph.graph.inputs, graph.graph.outputs = [picture], [made[place] for place in order]
    return graph.bytes()
