"""TensorFlow Lite files before Arm NN's parser (rules TL01 to TL22, C1)."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.check.board import postprocess
from modelprep.check.lint.findings import Finding
from modelprep.check.lint.request import Asked
from modelprep.errors import StepError

if TYPE_CHECKING:
    from modelprep.formats.tflite.model import Model, Operator, Subgraph, Tensor

# src/armnnTfLiteParser/TfLiteParser.cpp, constructor, at v19.02; later versions add.
_OPERATORS_19_02 = frozenset({
    "ADD", "AVERAGE_POOL_2D", "BATCH_TO_SPACE_ND", "CONCATENATION", "CONV_2D", "CUSTOM", "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED", "LOGISTIC", "MAX_POOL_2D", "MAXIMUM", "MEAN", "MINIMUM", "MUL", "PAD", "RELU", "RELU6",
    "RESHAPE", "RESIZE_BILINEAR", "SOFTMAX", "SPACE_TO_BATCH_ND", "SQUEEZE", "STRIDED_SLICE", "SUB",
})  # fmt: skip
_ADDED: tuple[tuple[str, frozenset[str]], ...] = (
    ("19.05", frozenset({"SPLIT", "TANH", "UNPACK"})),
    ("19.08", frozenset({"L2_NORMALIZATION", "PACK", "TRANSPOSE_CONV"})),
    ("19.11", frozenset({"SLICE", "TRANSPOSE"})),
)
_WIDTHS = {"UINT8": 1, "FLOAT32": 4, "INT32": 4}
_NO_SIZE = "the size is not constant"
_TYPES = frozenset({"UINT8", "FLOAT32", "INT32"})
_ACTIVATIONS = frozenset({"NONE", "RELU", "RELU6", "TANH"})


def operators(version: str) -> frozenset[str]:
    """Give the builtin operators that a version's parser has."""
    found = _OPERATORS_19_02
    for since, names in _ADDED:
        # Two-digit years and months: as text they sort as they came.
        if version >= since:
            found |= names
    return found


def examine(path: Path, asked: Asked) -> list[Finding]:
    """Say what the parser will make of a file; see :func:`modelprep.check.lint.lint`."""
    from modelprep.formats.tflite import model as reader

    try:
        model = reader.read(path)
    except StepError as error:
        return [Finding("TL01", path.name, error.looks_like or error.what)]
    # Axes and paddings are judged by what they say; weights stay where they are.
    asking = {i for o in model.main.operators if o.name in ("MEAN", "PAD") for i in o.inputs[1:2] if i >= 0}
    buffers = {model.main.tensors[i].buffer for i in asking}
    return list(_model(model, asked, reader.small_constants(path, buffers) if buffers else {}))


def _model(model: Model, asked: Asked, constants: Mapping[int, bytes]) -> Iterator[Finding]:
    if len(model.subgraphs) != 1:
        yield Finding("TL02", "file", f"{len(model.subgraphs)} subgraphs")
        return
    graph = model.main
    known = operators(asked.version)
    for tensor in graph.tensors:
        yield from _tensor(tensor, _used(graph))
    for operator in graph.operators:
        yield from _operator(operator, graph, known, constants)
    yield from _bindings(graph, asked)


def _used(graph: Subgraph) -> set[int]:
    used = {*graph.inputs, *graph.outputs}
    for operator in graph.operators:
        used.update(operator.inputs, operator.outputs)
    return used


def _tensor(tensor: Tensor, used: set[int]) -> Iterator[Finding]:
    if tensor.index not in used:
        return
    where = f"tensor {tensor.index} '{tensor.name}'"
    if tensor.dtype not in _TYPES:
        yield Finding("TL04", where, tensor.dtype)
    if tensor.quantisation is not None and tensor.quantisation.per_channel:
        yield Finding("TL05", where, f"{len(tensor.quantisation.scale)} scales")
    if any(size < 0 for size in tensor.shape):
        yield Finding("TL06", where, f"shape {list(tensor.shape)}")
    if len(tensor.shape) > 4:
        yield Finding("C1", where, f"{len(tensor.shape)} dimensions")


def _operator(
    operator: Operator, graph: Subgraph, known: frozenset[str], constants: Mapping[int, bytes]
) -> Iterator[Finding]:
    where = f"operator {operator.index} {operator.custom or operator.name}"
    if operator.name not in known:
        yield Finding(
            "TL03", where, operator.name,
            f"Failed to parse operator #{operator.index} within subgraph #0 error: Operator not supported.",
        )  # fmt: skip
        return
    if -1 in operator.inputs:
        yield Finding("TL07", where)
        return
    activation = operator.options.get("fused_activation_function", "NONE")
    if activation not in _ACTIVATIONS:
        yield Finding("TL08", where, str(activation))
    check = _CHECKS.get(operator.name)
    if check is not None:
        tensors = graph.tensors
        inputs, outputs = ([tensors[i] for i in indices] for indices in (operator.inputs, operator.outputs))
        for rule, detail, *said in check(_Place(operator, inputs, outputs, constants)):
            # Resizing by another rule is harmless; resizing to what is not known yet is not done at all.
            yield Finding(rule, where, detail, "".join(said), "reject" if detail == _NO_SIZE else None)


#: Rule and what is there; what the board prints where that depends on it.
_Broken = Iterator[tuple[str, str] | tuple[str, str, str]]


@dataclass(frozen=True)
class _Place:
    """An operator with its tensors, and the small constants by buffer."""

    operator: Operator
    inputs: list[Tensor]
    outputs: list[Tensor]
    constants: Mapping[int, bytes]


def _constant(tensor: Tensor) -> bool:
    return tensor.bytes > 0


def _convolution(at: _Place) -> _Broken:
    operator, inputs, outputs = at.operator, at.inputs, at.outputs
    if len(inputs) not in (2, 3) or len(outputs) != 1:
        yield "TL09", f"{len(inputs)} inputs, {len(outputs)} outputs"
        return
    for tensor in inputs[1:]:
        wanted = math.prod(tensor.shape) * _WIDTHS.get(tensor.dtype, 0)
        if not _constant(tensor):
            yield "TL09", f"'{tensor.name}' is not constant"
        elif wanted and tensor.bytes != wanted:
            yield "TL09", f"'{tensor.name}' has {tensor.bytes} bytes, {wanted} wanted"
    dilation = [operator.options.get(name, 1) for name in ("dilation_h_factor", "dilation_w_factor")]
    if any(value not in (0, 1) for value in dilation):
        yield "TL10", f"dilation {dilation}"
    if operator.name == "DEPTHWISE_CONV_2D" and operator.options.get("depth_multiplier", 1) != 1:
        yield "TL11", f"depth_multiplier {operator.options['depth_multiplier']}"


def _fully_connected(at: _Place) -> _Broken:
    inputs = at.inputs
    if len(inputs) < 2 or not _constant(inputs[1]) or len(inputs[1].shape) != 2:
        yield "TL12", f"weights of shape {list(inputs[1].shape)}" if len(inputs) > 1 else "no weights"


def _reshape(at: _Place) -> _Broken:
    operator, inputs, outputs = at.operator, at.inputs, at.outputs
    shape = operator.options.get("new_shape")
    if not isinstance(shape, tuple) or not shape:
        yield "TL13", "no new_shape in the options"
    elif sum(size == -1 for size in shape) > 1:
        yield "TL13", f"new_shape {list(shape)}"
    elif len(inputs) > 1 and outputs and -1 not in shape and tuple(shape) != outputs[0].shape:
        yield "TL13", f"new_shape {list(shape)}, output {list(outputs[0].shape)}"


def _squeeze(at: _Place) -> _Broken:
    inputs = at.inputs
    if inputs and len(inputs[0].shape) > 4:
        yield "TL14", f"{len(inputs[0].shape)} dimensions"


def _mean(at: _Place) -> _Broken:
    axes = at.inputs[1] if len(at.inputs) > 1 else None
    data = at.constants.get(axes.buffer, b"") if axes is not None else b""
    if axes is None or not _constant(axes):
        yield "TL15", "the axes are not constant"
    elif axes.dtype != "INT32":
        yield "TL15", f"the axes are {axes.dtype}"
    elif any(axis < 0 for (axis,) in struct.iter_unpack("<i", data[: len(data) // 4 * 4])):
        yield "TL15", "an axis is negative"


def _pad(at: _Place) -> _Broken:
    paddings = at.inputs[1] if len(at.inputs) > 1 else None
    if paddings is None or not _constant(paddings):
        yield "TL16", "the paddings are not constant"
    elif paddings.dtype != "INT32":
        yield "TL16", f"the paddings are {paddings.dtype}"


def _resize(at: _Place) -> _Broken:
    if len(at.inputs) < 2 or not _constant(at.inputs[1]):
        yield "TL19", _NO_SIZE
    elif at.operator.options.get("align_corners"):
        yield "TL19", "align_corners"


def _concatenation(at: _Place) -> _Broken:
    inputs = at.inputs
    if len({len(tensor.shape) for tensor in inputs}) > 1:
        yield "TL18", f"ranks {[len(tensor.shape) for tensor in inputs]}"


def _custom(at: _Place) -> _Broken:
    operator, inputs, outputs = at.operator, at.inputs, at.outputs
    # The parser takes every custom operator for the one that it knows.
    if operator.custom != "TFLite_Detection_PostProcess":
        yield "TL20", f"the custom operator '{operator.custom}' is taken for a detection post-process"
    elif len(outputs) != 4:
        yield "TL20", f"{len(outputs)} outputs", f"outputs.size() = {len(outputs)} is not valid, not in {{4}}."
    elif len(inputs) < 3 or not _constant(inputs[2]):
        yield "TL20", "the anchors are not constant"
    else:
        yield from _post_process(at)


def _post_process(at: _Place) -> _Broken:
    try:
        options = postprocess.read_options(at.operator.custom_options)
    except StepError:
        # What is no map has no keys for Arm NN, and a threshold that is not there is 0.
        yield "TL20", "its own options cannot be read", postprocess.IOU_MESSAGE
        return
    if not 0 < options.iou_threshold <= 1:
        yield "TL20", f"nms_iou_threshold {options.iou_threshold:g}", postprocess.IOU_MESSAGE
    scores = at.inputs[1].shape
    if scores and scores[-1] != options.classes + 1:
        detail = f"num_classes {options.classes}, scores of {scores[-1]} columns"
        yield "TL20", detail, postprocess.CLASSES_MESSAGE


_CHECKS: Mapping[str, Callable[[_Place], _Broken]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _fully_connected,
    "RESHAPE": _reshape,
    "SQUEEZE": _squeeze,
    "MEAN": _mean,
    "PAD": _pad,
    "RESIZE_BILINEAR": _resize,
    "CONCATENATION": _concatenation,
    "CUSTOM": _custom,
}


def _bindings(graph: Subgraph, asked: Asked) -> Iterator[Finding]:
    for names, wanted, what in (
        ([graph.tensors[i].name for i in graph.inputs], (asked.input_name,) if asked.input_name else (), "input"),
        ([graph.tensors[i].name for i in graph.outputs], asked.outputs, "output"),
    ):
        for name in wanted:
            if name not in names:
                possible = " ".join(names)
                said = f"No {what} binding found for subgraph:0 and name:{name}. Possible {what}s are: [{possible}]"
                yield Finding("TL21", what, f"'{name}' is asked for, there is {', '.join(names)}", said, "reject")
    for index in graph.inputs:
        tensor = graph.tensors[index]
        if tensor.name == asked.input_name and tuple(tensor.shape) != asked.input_shape:
            detail = f"{list(tensor.shape)} in the file, {list(asked.input_shape)} is fed"
            yield Finding("TL22", f"input '{tensor.name}'", detail, "Input tensor has incorrect size", "reject")
