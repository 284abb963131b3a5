"""Small detection models, written with the schema that LiteRT ships."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pytest

from modelprep.check.postprocess import OPERATOR, Options


def options_of(options: Options, leave_out: Collection[str] = ()) -> bytes:
    """The operator's own options as TensorFlow's converter writes them."""
    flexbuffers = pytest.importorskip("flatbuffers.flexbuffers", reason="comes with LiteRT, of the check extra")
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
