"""The operations of Arm NN's TensorFlow parser, by name, and those that hold constants or move elements about.

Source: ``src/armnnTfParser/TfParser.cpp`` at tag v19.02. Attributes are asked for in the parser's order; those that it
does not read (transposition, dilations of a depthwise convolution) are not read here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelprep.targets.armnn.arithmetic import i32, u32
from modelprep.targets.armnn.network import DIVIDED, Constant, DType, Info, Shape, Slot, Stop, crash
from modelprep.targets.armnn.optimizer import left_open
from modelprep.targets.armnn.tf_pairs import PAIRS
from modelprep.targets.armnn.tf_parser import (  # fmt: skip
    FLOAT,
    INT32,
    Operation,
    Operator,
    TfParser,
    attribute,
    type_name,
    whole_numbers,
)
from modelprep.targets.armnn.tf_windows import WINDOWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TYPES: Mapping[int, DType] = {FLOAT: "float32", INT32: "int32"}


# -- constants and inputs ----------------------------------------------------------------------------------------------


def _const(parser: TfParser, node: Any) -> Operation:
    if "value" not in node.attr:
        raise Stop(f"Value not found for Const node - {node.name}", "TF05")
    tensor = node.attr["value"].tensor
    number = attribute(node, "dtype", "type", "TF05")
    sizes = [u32(dim.size) for dim in tensor.tensor_shape.dim]
    dtype = _TYPES.get(number)
    if dtype is None:
        raise Stop(f"Unknown DataType {type_name(number)} for node {node.name}", "TF05")
    count = u32(math.prod(sizes)) if sizes else 0
    content = tensor.tensor_content
    listed = tensor.float_val if dtype == "float32" else tensor.int_val
    if content:
        if not count:
            raise Stop(f"No tensor shape found for Const node - {node.name}", "TF05")
        held = len(content)
    else:
        held = 4 * max(len(listed), count) if listed else 0
        if not count:
            sizes.append(len(listed))
    if not held:
        raise Stop(f"No tensor data found for Const node - {node.name}", "TF05")
    shape = Shape(sizes)
    if held > u32(4 * shape.elements):
        raise Stop(f"Number of elements ({held // 4}) should be less than or equal to the number of elements implied "
                   f"by the shape argument ({shape.elements}) for Const node - {node.name}", "TF05")  # fmt: skip

    def values() -> NDArray[Any]:
        import numpy as np

        code = "<f4" if dtype == "float32" else "<i4"
        if content:
            # What lies behind content that is too short is unknown; zeros stand for it.
            return np.frombuffer(content.ljust(4 * shape.elements, b"\0"), code).reshape(shape)
        given = np.array(listed, code)
        return np.concatenate([given, np.full(shape.elements - len(given), given[-1], code)]).reshape(shape)

    return _constant(parser, node, Constant(Info(shape, dtype), values))


def _constant(parser: TfParser, node: Any, constant: Constant) -> Operation:
    def make() -> list[Slot]:
        layer = parser.network.add("Constant", node.name, inputs=0, constants={"output": constant})
        layer.out.info = constant.info
        return layer.outputs

    return Operation(node, make=make, constant=constant)


def _placeholder(parser: TfParser, node: Any) -> Operation:
    parser.inputs(node, 0)
    if node.name not in parser.shapes:
        raise Stop(f"Missing input shape for Placeholder '{node.name}'", "TF07")
    number = len(parser.network.inputs)
    info = Info(Shape(parser.shapes[node.name]))
    layer = parser.network.add("Input", node.name, inputs=0, id=number)
    layer.out.info = info
    parser.network.inputs[node.name] = (number, info)
    return Operation(node, layer.outputs)


def _identity(parser: TfParser, node: Any) -> Operation:
    # Which of its source's outputs it takes is forgotten: whoever takes it gets the first.
    return parser.inputs(node, 1)[0].operation


def _shape(parser: TfParser, node: Any) -> Operation:
    number = attribute(node, "out_type", "type", "TF26")
    if number != INT32:
        raise Stop(f"Armnn only supports DT_INT32 as out_type. Got {type_name(number)} for Node {node.name}", "TF26")
    sizes = parser.inputs(node, 1)[0].slot.shape

    def values() -> NDArray[Any]:
        import numpy as np

        return np.array(sizes, "<u4").view("<i4")

    return _constant(parser, node, Constant(Info(Shape((len(sizes),)), "int32"), values))


# -- moving elements about -------------------------------------------------------------------------------------------


def _reshape(parser: TfParser, node: Any) -> Operation:
    taken, wanted = parser.inputs(node, 2)
    if wanted.operation.held("int32") is None:
        raise Stop(f"ArmNN only supports Reshape layers with constant shapes. Input {wanted.name} Node {node.name}",
                   "TF25")  # fmt: skip
    slot = taken.slot
    sizes = [int(size) for size in wanted.operation.numbers]
    if -1 in sizes:
        if sizes.count(-1) > 1:
            raise Stop("At most one component of shape can be -1", "TF25")
        sizes[sizes.index(-1)] = left_open(sizes, slot.shape, "TF25")
    return parser.reshaped(node, Shape(sizes), slot)


def _squeeze(parser: TfParser, node: Any) -> Operation:
    slot = parser.inputs(node, 1)[0].slot
    number = attribute(node, "T", "type", "TF28")
    dtype = _TYPES.get(number)
    if dtype is None:
        raise Stop(f"Unsupported DataType {type_name(number)} for Squeeze operation {node.name}", "TF28")
    axes = whole_numbers(node, "squeeze_dims", "TF28", required=False) or [0, 1, 2, 3]
    target = Shape(size for axis, size in enumerate(slot.shape) if size != 1 or axis not in axes)
    return parser.layer("Reshape", node, Info(target, dtype), slot, target=target)


def _expand_dims(parser: TfParser, node: Any) -> Operation:
    slot = parser.inputs(node, 1)[0].slot
    axis = i32(attribute(node, "Tdim", "i", "TF31"))
    sizes = list(slot.shape)
    if not -1 - len(sizes) <= axis <= len(sizes):
        raise Stop(f"Cannot expand dimension {axis} in input tensor with {len(sizes)} dimension", "TF31")
    sizes.insert(axis if axis >= 0 else len(sizes) + 1 + axis, 1)
    if len(sizes) > 4:
        text = f"Unsupported number of dimensions: {len(sizes)} for output shape for ExpandDims {node.name}"
        raise Stop(text, "TF31")
    return parser.reshaped(node, Shape(sizes), slot)


def _constant_axis(parser: TfParser, node: Any, rule: str) -> tuple[list[Any], int, int]:
    """Find the first input that is a constant of whole numbers, and its first number."""
    inputs = parser.inputs(node)
    for index, taken in enumerate(inputs):
        if taken.operation.held("int32") is not None:
            return inputs, index, u32(int(taken.operation.numbers[0]))
    raise Stop("ArmNN only supports operators with constant axis.", rule)


def _concat(parser: TfParser, node: Any) -> Operation:
    inputs, _, axis = _constant_axis(parser, node, "TF23")
    if axis in (0, 2):
        raise Stop(f"Dimension {axis} for concatenation is not supported by Armnn. Node {node.name}", "TF23")
    sizes, at = [0, 0, 0, 0], 0
    origins: list[Sequence[int]] = []
    for taken in inputs[:-1]:
        shape = taken.slot.shape
        if len(shape) != 4:
            raise Stop(f"The number of dimensions: {len(shape)} for input tensors of the concatenation op should be 4",
                       "TF23")  # fmt: skip
        origins.append([at if axis == d else 0 for d in range(4)])
        sizes = list(shape)
        at = u32(at + shape.at(axis))
    Shape(sizes).at(axis)
    sizes[axis] = at
    slots = [taken.slot for taken in inputs[:-1]]
    return parser.layer("Merger", node, Info(Shape(sizes)), *slots, origins=origins, rank=4, axis=axis)


def _split(parser: TfParser, node: Any) -> Operation:
    inputs, index, axis = _constant_axis(parser, node, "TF24")
    if axis in (0, 2):
        raise Stop(f"Dimension {axis} for split is not supported by Armnn. Node {node.name}", "TF24")
    count = u32(attribute(node, "num_split", "i", "TF24"))
    if len(inputs) < 2 or index > 1:
        raise crash("", "TF24")
    slot = inputs[1 - index].slot
    if len(slot.shape) != 4:
        raise Stop(f"The number of dimensions: {len(slot.shape)} for input tensors of the split op should be 4", "TF24")
    if axis > 5:
        raise crash("", "TF24")
    if count == 0:
        raise crash("", "TF24", status=DIVIDED)
    sizes = list(slot.shape)
    if axis < 4:  # the two numbers behind the fourth are 0, which splits evenly, and split nothing
        if sizes[axis] % count:
            raise Stop("Number of splits must evenly divide the dimension", "TF24")
        sizes[axis] //= count
    view = Shape(sizes)
    layer = parser.network.add("Splitter", node.name, outputs=count)
    origins = [[view[d] * part if d == axis else 0 for d in range(4)] for part in range(count)]
    layer.params = {"origins": origins, "views": [view] * count}
    slot.connect(layer)
    for out in layer.outputs:
        out.info = Info(view, slot.dtype)
    return Operation(node, layer.outputs)


def _pad(parser: TfParser, node: Any) -> Operation:
    taken, wanted = parser.inputs(node, 2)
    slot = taken.slot
    constant = wanted.operation.held("int32")
    if constant is None:
        raise Stop(f"ArmNN only supports Pad with constant padding. Input {wanted.name}. Node {node.name}", "TF29")
    shape, sizes = constant.shape, slot.shape
    # The parser's own messages for these three are ill-formed: formatting them fails.
    ill = Stop("boost::bad_format_string: format-string is ill-formed", "TF29", speaker="std")
    if shape[0] != len(sizes) or shape.at(1) != 2:
        raise ill
    numbers = [int(number) for number in wanted.operation.numbers]
    if min(numbers) < 0:
        raise ill
    pads = list(zip(numbers[::2], numbers[1::2], strict=True))
    padded = Shape(size + before + after for size, (before, after) in zip(sizes, pads, strict=True))
    return parser.layer("Pad", node, Info(padded, slot.dtype), slot, pads=pads)


def _mean(parser: TfParser, node: Any) -> Operation:
    taken, over = parser.inputs(node, 2)
    slot = taken.slot
    keep = bool(attribute(node, "keep_dims", "b", "TF30"))
    rank = len(slot.shape)
    # What is no constant is taken for one without being asked; it turned out to hold no axes.
    numbers = [] if over.operation.constant is None else over.operation.numbers
    axes = sorted({u32(int(math.fmod(int(axis) + rank, rank))) for axis in numbers})
    if keep:
        shape = Shape(1 if axis in axes else size for axis, size in enumerate(slot.shape))
    else:
        shape = Shape((math.prod(size for axis, size in enumerate(slot.shape) if axis not in axes),))
    reduced = axes if rank > len(axes) else []
    return parser.layer("Mean", node, Info(shape, slot.dtype), slot, keep_dims=keep, axes=reduced)


def _gather(parser: TfParser, node: Any) -> Operation:
    params, indices = (taken.slot for taken in parser.inputs(node, 2))
    info = Info(Shape((*indices.shape, *params.shape[1:])), params.dtype)
    return parser.layer("Gather", node, info, params, indices)


# -- one in, one out -------------------------------------------------------------------------------------------------


def _unary(kind: str, **params: Any) -> Operator:
    def operator(parser: TfParser, node: Any) -> Operation:
        slot = parser.inputs(node, 1)[0].slot
        return parser.layer(kind, node, Info(slot.shape, slot.dtype), slot, **params)

    return operator


OPERATORS: Mapping[str, Operator] = {
    "ConcatV2": _concat,
    "Const": _const,
    "ExpandDims": _expand_dims,
    "Gather": _gather,
    "Identity": _identity,
    "Mean": _mean,
    "Pad": _pad,
    "Placeholder": _placeholder,
    "Relu": _unary("Activation", function="ReLu"),
    "Relu6": _unary("Activation", function="BoundedReLu", a=6.0, b=0.0),
    "Reshape": _reshape,
    "Rsqrt": _unary("Rsqrt"),
    "Shape": _shape,
    "Sigmoid": _unary("Activation", function="Sigmoid"),
    "Softmax": _unary("Softmax", beta=1.0),
    "Softplus": _unary("Activation", function="SoftReLu"),
    "Split": _split,
    "Squeeze": _squeeze,
    "Tanh": _unary("Activation", function="TanH", a=1.0, b=1.0),
    **PAIRS,
    **WINDOWS,
}
