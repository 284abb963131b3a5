"""From an ONNX or TensorFlow Lite file to Arm NN's network, reading the bytes as leniently as its parsers do."""

from __future__ import annotations

from pathlib import Path

from modelprep.errors import StepError
from modelprep.targets import armnn_onnx
from modelprep.targets.armnn import onnx_layers, onnx_parser, tf_graph, tflite_operators, tflite_parser
from modelprep.targets.armnn.network import Layer, Network, Stop
from modelprep.targets.armnn_tests import BASE_VERSION

# armnnTfLiteParser/TfLiteParser.cpp, constructor, at v19.02; later versions add.
_TFLITE_19_02 = frozenset({
    "ADD", "AVERAGE_POOL_2D", "BATCH_TO_SPACE_ND", "CONCATENATION", "CONV_2D", "CUSTOM", "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED", "LOGISTIC", "MAX_POOL_2D", "MAXIMUM", "MEAN", "MINIMUM", "MUL", "PAD", "RELU", "RELU6",
    "RESHAPE", "RESIZE_BILINEAR", "SOFTMAX", "SPACE_TO_BATCH_ND", "SQUEEZE", "STRIDED_SLICE", "SUB",
})  # fmt: skip
_TFLITE_ADDED: tuple[tuple[str, frozenset[str]], ...] = (
    ("19.05", frozenset({"SPLIT", "TANH", "UNPACK"})),
    ("19.08", frozenset({"L2_NORMALIZATION", "PACK", "TRANSPOSE_CONV"})),
    ("19.11", frozenset({"SLICE", "TRANSPOSE"})),
)


def tflite_names(version: str) -> frozenset[str]:
    """Return the builtin operators that a version's TF Lite parser has."""
    found = _TFLITE_19_02
    for since, names in _TFLITE_ADDED:
        # Two-digit years and months: as text they sort as they came.
        if version >= since:
            found |= names
    return found


def onnx_network(path: Path, version: str) -> tuple[Network, list[Stop]]:
    """Read an ONNX file; see :func:`modelprep.targets.armnn.onnx_parser.parse`."""
    from modelprep.formats.onnx import model as reader

    payloads = {}
    try:
        model = reader.read_header(path)
        proto, payloads = model.proto, model.payloads
    except StepError:
        proto = tf_graph.parsed(path.read_bytes(), reader.messages("ModelProto"))
        if proto is None:
            return Network(), [Stop("Failed to parse graph file", "ON22", path.name)]
    parser = armnn_onnx.parser_of(version)
    operations = {name: layer for name, layer in onnx_layers.OPERATIONS.items() if name in parser.ops}
    return onnx_parser.parse(proto, operations, raw_data=parser.raw_data, payloads=payloads)


def tflite_network(path: Path, version: str) -> tuple[Network, list[Stop]]:
    """Read a TF Lite file; see :func:`modelprep.targets.armnn.tflite_parser.parse`.

    Raises StepError: it is no FlatBuffer of a model.
    """
    from modelprep.formats.mapped import MappedFile
    from modelprep.formats.tflite import model as reader

    file = MappedFile(path, what=reader.WHAT)
    model = reader.parse(file.view, str(path), lenient=True)
    extents = reader.buffer_extents(file.view, str(path))

    def data(number: int) -> memoryview:
        start, size = extents[number]
        return file.view[start : start + size]

    later: dict[str, tflite_parser.Operation] = dict.fromkeys(tflite_names(version), tflite_operators.later)
    known = {**later, **{name: read for name, read in tflite_operators.OPERATORS.items() if name in later}}
    network, stops = tflite_parser.parse(model, known, data)
    if version == BASE_VERSION:
        for layer in network.layers:
            _as_19_02_computes(layer)
    return network, stops


def _as_19_02_computes(layer: Layer) -> None:
    """Note where the reference workloads of 19.02 take memory for something else than it is.

    Source: ``RefResizeBilinearUint8Workload.cpp`` (no layout is passed on, so the second dimension is the channels) and
    ``RefDetectionPostProcess{Uint8,Float32}Workload.cpp`` (scores and anchors are read as the boxes' type).
    """
    dtypes = [slot.info.dtype for slot in layer.inputs if slot is not None and slot.info is not None]
    if layer.kind == "ResizeBilinear":
        layer.params["by_planes"] = dtypes == ["uint8"]
    elif layer.kind == "DetectionPostProcess":
        dtypes.append(layer.constants["anchors"].info.dtype)
        layer.params["as_boxes"] = len(set(dtypes)) > 1
