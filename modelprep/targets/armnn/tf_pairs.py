"""The operations of Arm NN's TensorFlow parser that combine two tensors: sums, products, comparisons, matrices.

Operands of unequal rank are reshaped onto one axis, and only their first dimension counts for that.
Source: ``src/armnnTfParser/TfParser.cpp`` at tag v19.02.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelprep.targets.armnn.arithmetic import u32
from modelprep.targets.armnn.network import BUS_ERROR, DType, Info, Shape, Slot, Stop, crash
from modelprep.targets.armnn.tf_parser import Operation, Operator, TfParser, attribute, check_format, text


def _laid_on(parser: TfParser, node: Any, guide: Slot, slot: Slot, *, last: bool = True) -> Slot:
    """Reshape an operand so that its first dimension lies on one axis of another: the last, or the third from last."""
    axis = len(guide.shape) - (1 if last else 3)
    if axis < 0:
        raise crash("", "TF21", status=BUS_ERROR)
    sizes = [1] * len(guide.shape)
    sizes[axis] = slot.shape[0]
    return parser.reshaped(node, Shape(sizes), slot).slots[0]


def _pair(parser: TfParser, node: Any) -> tuple[Slot, Slot]:
    first, second = parser.inputs(node, 2)
    return first.slot, second.slot


def _larger(first: Slot, second: Slot, dtype: DType | None = None) -> Info:
    """Return the shape of which each size is the larger of two."""
    sizes = [max(size, second.shape.at(axis)) for axis, size in enumerate(first.shape)]
    return Info(Shape(sizes), dtype or first.dtype)


def _strict(parser: TfParser, node: Any, first: Slot, second: Slot, called: str) -> tuple[Slot, Slot]:
    """Broadcast where the parser allows one dimension with four only."""
    ranks = len(first.shape), len(second.shape)
    if ranks == (1, 4):
        first = _laid_on(parser, node, second, first)
    elif ranks == (4, 1):
        second = _laid_on(parser, node, first, second)
    elif ranks[0] != ranks[1]:
        raise Stop(f"Unsupported broadcast configuration for {called} operation {node.name}", "TF19")
    return first, second


def _compared(kind: str) -> Operator:
    def operator(parser: TfParser, node: Any) -> Operation:
        first, second = _strict(parser, node, *_pair(parser, node), kind)
        return parser.layer(kind, node, _larger(first, second, "bool"), first, second)

    return operator


def _minimum(parser: TfParser, node: Any) -> Operation:
    first, second = _strict(parser, node, *_pair(parser, node), "Minimum")
    return parser.layer("Minimum", node, _larger(first, second), first, second)


def _by_rank(parser: TfParser, node: Any) -> tuple[Slot, Slot, bool]:
    """Lay the operand of lower rank on the last axis of the other; say whether that was the first one."""
    first, second = _pair(parser, node)
    lower = len(first.shape) < len(second.shape)
    if lower:
        first = _laid_on(parser, node, second, first)
    elif len(second.shape) < len(first.shape):
        second = _laid_on(parser, node, first, second)
    return first, second, lower


def _scaled(kind: str) -> Operator:
    """Make Mul and RealDiv, which have the shape of the operand of higher rank (or the first)."""

    def operator(parser: TfParser, node: Any) -> Operation:
        first, second, lower = _by_rank(parser, node)
        return parser.layer(kind, node, (second if lower else first).noted, first, second)

    return operator


def _mul(parser: TfParser, node: Any) -> Operation:
    return Operation(node, make=lambda: _scaled("Multiplication")(parser, node).slots)


def _maximum(parser: TfParser, node: Any) -> Operation:
    first, second = parser.inputs(node, 2)
    for one, other in ((first, second), (second, first)):
        for alpha in (0, 1):
            slope = _leaky(parser, one.operation.node, alpha, other.operation.node)
            if slope is not None:
                info = Info(other.slot.shape, other.slot.dtype)
                return parser.layer("Activation", node, info, other.slot, function="LeakyReLu", a=slope)
    left, right, _ = _by_rank(parser, node)
    return parser.layer("Maximum", node, _larger(left, right), left, right)


def _leaky(parser: TfParser, node: Any, alpha: int, other: Any) -> float | None:
    """Return the slope where a node multiplies another one by a single constant number."""
    if node.op != "Mul":
        return None
    inputs = parser.inputs(node, 2)
    if inputs[1 - alpha].name != other.name:
        return None
    factor = inputs[alpha].operation.held("float32")
    return None if factor is None or factor.shape.elements != 1 else float(factor.values().reshape(-1)[0])


def _sub(parser: TfParser, node: Any) -> Operation:
    first, second = _pair(parser, node)
    flat, flat_second = len(first.shape) == 1, len(second.shape) == 1
    if flat:
        first = _laid_on(parser, node, second, first)
    if flat_second:
        second = _laid_on(parser, node, first, second)
    return parser.layer("Subtraction", node, (second if flat else first).noted, first, second)


def _add(parser: TfParser, node: Any) -> Operation:
    first, second = (taken.operation for taken in parser.inputs(node, 2))
    for product, bias in ((first, second), (second, first)):
        if product.node.op == "MatMul" and bias.held("float32") is not None:
            return _dense(parser, product.node, node)
    return _sum(parser, node)


def _sum(parser: TfParser, node: Any) -> Operation:
    first, second = own_first, own_second = _pair(parser, node)
    if len(own_first.shape) == 1:
        first = _laid_on(parser, node, second, first)
    if len(own_second.shape) == 1:
        second = _laid_on(parser, node, first, second)
    if len(own_first.shape) == len(own_second.shape):
        info = _larger(own_first, own_second)
    else:
        info = (second if len(own_first.shape) == 1 else first).noted
    return parser.layer("Addition", node, info, first, second)


def _bias_add(parser: TfParser, node: Any) -> Operation:
    left, right = parser.inputs(node, 2)
    first, second = left.slot, right.slot
    if len(second.shape) != 1:
        raise Stop(f"Unsupported bias for BiasAdd. It should be a 1D vector. Got {len(second.shape)} dimensions for "
                   f"input {right.name}. Node {node.name}", "TF21")  # fmt: skip
    layout = check_format(node, text(node, "data_format", "TF11"), "BiasAdd")
    info = _larger(first, second) if len(first.shape) == 1 else first.noted
    laid = _laid_on(parser, node, first, second, last=layout == "NHWC")
    return parser.layer("Addition", node, info, first, laid)


def _add_n(parser: TfParser, node: Any) -> Operation:
    count = u32(attribute(node, "N", "i", "TF34"))
    if count < 2:
        raise Stop("boost::bad_format_string: format-string is ill-formed", "TF34", speaker="std")
    if count == 2:
        return _sum(parser, node)
    inputs = parser.inputs(node, count)

    def added(first: Slot, second: Slot, called: str) -> Slot:
        first, second = _strict(parser, node, first, second, called)
        return parser.layer("Addition", node, _larger(first, second), first, second).slots[0]

    number = 0
    sums: list[Slot] = []
    for left, right in zip(inputs[::2], inputs[1::2], strict=False):
        number += 1
        sums.append(added(left.slot, right.slot, f"{node.name}_addN_{number}"))
    while len(sums) > 1:
        odd_or_more = count % 2 or len(sums) != 2
        pairs = list(zip(sums[::2], sums[1::2], strict=False))
        sums = []
        for first, second in pairs:
            number += 1
            sums.append(added(first, second, f"{node.name}_addN_{number}" if odd_or_more else node.name))
    last = sums[0]
    if count % 2:
        last = added(inputs[-1].slot, last, node.name)
    return Operation(node, [last])


# -- matrices ------------------------------------------------------------------------------------------------------


def _mat_mul(parser: TfParser, node: Any) -> Operation:
    return Operation(node, make=lambda: _dense(parser, node, None).slots)


def _dense(parser: TfParser, product: Any, total: Any) -> Operation:
    """Make a MatMul, with a following Add of a constant where there is one, a fully connected layer."""
    sums = [] if total is None else parser.inputs(total, 2)
    bias = next((held for t in sums if (held := t.operation.held("float32")) is not None), None)
    first, second = parser.inputs(product, 2)
    weights, taken = first.operation.held("float32"), second
    if weights is None:
        weights, taken = second.operation.held("float32"), first
    if weights is None:
        raise Stop("ArmNN only supports fully connected layers with constant weights. Inputs "
                   f"{first.name} and {second.name}. MatMulNode {product.name}", "TF17",
                   f"{product.name} ({product.op})")  # fmt: skip
    constants = {"weights": weights}
    if bias is not None:
        if weights.shape.at(1) != bias.shape[0]:
            raise Stop(f"Shape of matmul weights and bias do not match. AddNode {total.name}. MatMulNode "
                       f"{product.name}", "TF17")  # fmt: skip
        constants["bias"] = bias
    node = product if total is None else total
    layer = parser.network.add("FullyConnected", node.name, constants=constants, transpose=False)
    slot = taken.slot  # which may only now become a layer
    slot.connect(layer)
    layer.out.info = Info(Shape((slot.shape[0], weights.shape.at(1))))
    return Operation(node, layer.outputs)


PAIRS: Mapping[str, Operator] = {
    "Add": _add,
    "AddN": _add_n,
    "BiasAdd": _bias_add,
    "Equal": _compared("Equal"),
    "Greater": _compared("Greater"),
    "MatMul": _mat_mul,
    "Maximum": _maximum,
    "Minimum": _minimum,
    "Mul": _mul,
    "RealDiv": _scaled("Division"),
    "Sub": _sub,
}
