"""Follow the batch of an ONNX model through its nodes when it changes from one number to another.

A model that was exported for one batch spells the number out: in the shapes of Reshape and Expand, in constants that
are as long as the batch, in what ConstantOfShape and Tile make. Each value's batch axis is followed from the inputs,
numbers on the way are rewritten, and a node that takes the batch apart or mixes its samples is named: there is no other
number that would mean the same. Sizes that the file does not state are asked of onnx's inference (extra ``onnx``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from modelprep.formats.onnx.batch_follower import KEEP, Follower
from modelprep.formats.onnx.initializers import constant_value
from modelprep.formats.onnx.model import Model
from modelprep.formats.onnx.order import reachable

#: Operators that broadcast their inputs.
_BROADCAST = frozenset({
    "Add", "And", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater", "GreaterOrEqual", "Less",
    "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor",
})  # fmt: skip
#: Operators that work on pictures: samples first in, samples first out.
_FIRST = frozenset({
    "AveragePool", "Conv", "ConvInteger", "ConvTranspose", "DepthToSpace", "GlobalAveragePool", "GlobalLpPool",
    "GlobalMaxPool", "GridSample", "LpPool", "MaxPool", "QLinearConv", "SpaceToDepth",
})  # fmt: skip
_REDUCE = frozenset({
    "ArgMax", "ArgMin", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare",
})  # fmt: skip
_END = 2**63 - 1
_ACROSS = "it works across the batch"
_PAIRS = "the batch is another axis of each of its inputs"


def follow(model: Model, inputs: list[str], old: int, new: int) -> list[str]:
    """Return everything that depends on a batch its new number; the inputs themselves are the caller's.

    `model`: the model, changed in place; its nodes are in order, and its inputs have their old dimensions. Raises
    StepError: a node stops it; it is named; MissingTool: a size must be inferred, and onnx is not installed.
    """
    at = Follower(model, old, new, dict.fromkeys(inputs, 0), model.initializers(), reachable(model))
    _walk(at, model.graph)
    _settle(at, model.graph.output)
    return at.done + [f"output {value.name}: batch is {new}" for value in model.graph.output if value.name in at.axes]


def _walk(at: Follower, graph: Any) -> None:
    for node in graph.node:
        at.makers.update(dict.fromkeys(node.output, node))
        if node.op_type == "Constant" and (tensor := constant_value(node)) is not None:
            tensor.name = node.output[0]
            at.constants[tensor.name] = tensor
    for node in graph.node:
        at.node = node
        if any(attribute.HasField("g") for attribute in node.attribute):
            _nested(at)
        elif tracked := [place for place, name in enumerate(node.input) if name in at.axes]:
            _apply(at, tracked)


def _nested(at: Follower) -> None:
    """Follow into the graphs of If and Loop."""
    node = at.node
    bodies = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    carried = [place for place, name in enumerate(node.input) if name in at.axes]
    if node.op_type not in ("If", "Loop") and carried:
        raise at.stop("it runs a graph over what it is given")
    for body in bodies:
        for tensor in body.initializer:
            at.constants.setdefault(tensor.name, tensor)
        for place, value in enumerate(body.input):
            if place in carried and place >= 2:
                at.axes[value.name] = at.axes[node.input[place]]
        _walk(at, body)
        at.node = node
        _settle(at, (*body.input, *body.output, *body.value_info))
        first = 0 if node.op_type == "If" else 1
        states = len(node.input) - 2 if node.op_type == "Loop" else len(body.output)
        for index, value in enumerate(list(body.output)[first:]):
            if value.name in at.axes and index < len(node.output):  # what a Loop collects has a new first axis
                at.axes[node.output[index]] = at.axes[value.name] + (index >= states)


def _settle(at: Follower, values: Any) -> None:
    """Write the new batch into declared shapes."""
    for value in values:
        axis, dims = at.axes.get(value.name), value.type.tensor_type.shape.dim
        if axis is None or axis >= len(dims) or not dims[axis].HasField("dim_value"):
            continue
        size = int(dims[axis].dim_value)
        if size > 0 and size % at.old == 0:
            dims[axis].dim_value = size // at.old * at.new


def _apply(at: Follower, tracked: list[int]) -> None:
    """Follow the batch through the node at hand, whose inputs at the places `tracked` have one."""
    op = at.node.op_type
    if op in ("Shape", "Size"):
        return
    if op in KEEP and 0 in tracked:
        at.put(at.axis(), outputs=1)
    elif op in _BROADCAST:
        _broadcast(at, tracked)
    elif op in _OPERATORS and 0 in tracked:
        _OPERATORS[op](at)
    elif op == "Concat":
        _concat(at, tracked)
    else:
        _other(at, tracked)


def _broadcast(at: Follower, tracked: list[int]) -> None:
    ranks = [len(at.shape(name)) if name else 0 for name in at.node.input] if len(at.node.input) > 1 else [0]
    rank = max(ranks)
    axes = {at.axes[at.node.input[place]] + rank - ranks[place] for place in tracked}
    if len(axes) > 1:
        raise at.stop(_PAIRS)
    (axis,) = axes
    for place, name in enumerate(at.node.input):
        own = axis - (rank - ranks[place])
        if place not in tracked and name and own >= 0 and (size := at.shape(name)[own]) != 1 and size % at.old == 0:
            at.lengthen(place, own)
    at.put(axis)


def _concat(at: Follower, tracked: list[int]) -> None:
    axis = at.axes[at.node.input[tracked[0]]]
    rank = len(at.shape(at.node.input[tracked[0]]))
    along = at.integer("axis", 1)
    if (along + rank if along < 0 else along) == axis:
        raise at.stop("it joins along the batch")
    for place, name in enumerate(at.node.input):
        if place not in tracked and name:
            at.lengthen(place, axis)
        elif at.axes[name] != axis:
            raise at.stop(_PAIRS)
    at.put(axis)


def _first(at: Follower) -> None:
    if at.axis():
        raise at.stop(f"the batch is its axis {at.axis()}")
    at.put(0)


def _reduce(at: Follower) -> None:
    every = range(at.rank())
    arg = at.node.op_type in ("ArgMax", "ArgMin")
    gone = at.positive(([at.integer("axis", 0)] if arg else at.numbers(1, "axes")) or every)
    if at.axis() in gone:
        raise at.stop(_ACROSS)
    at.put(at.axis() if at.integer("keepdims", 1) else at.axis() - sum(each < at.axis() for each in gone))


def _transpose(at: Follower) -> None:
    order = at.numbers(9, "perm") or list(reversed(range(at.rank())))
    at.put(order.index(at.axis()))


def _flatten(at: Follower) -> None:
    at.put(0 if at.axis() < at.positive([at.integer("axis", 1)])[0] else 1)


def _reshape(at: Follower) -> None:
    values = at.numbers(1, "shape")
    axis = at.axis()
    if values is not None and axis == 0 and values and (values[0] in (0, -1) or values[0] == at.old):
        if values[0] == at.old != at.new:
            at.write(1, "shape", [at.new, *values[1:]])
        at.put(0)
        return
    if values is None and axis == 0 and at.node.input[1] in at.reached and not at.knows(at.node.output[0]):
        at.put(0)  # a view of each sample, as far as can be seen; numbers are compared in the end
        return
    before = at.shape(at.node.input[0])
    after = at.shape(at.node.output[0])
    ahead, inside = math.prod(before[:axis]), 1
    for place, size in enumerate(after):
        # The axis that holds what lies `ahead` elements deep; one that is 1 long holds nothing.
        if inside * size > ahead or (inside == ahead and size % at.old == 0 and (size > 1 or at.old == 1)):
            if size % at.old or ahead % inside:
                break
            if values is not None and values[place] > 0:
                values[place] = size // at.old * at.new
                at.write(1, "shape", values)
            at.put(place)
            return
        inside *= size
    raise at.stop(f"it makes {after} of {before}")


def _slice(at: Follower) -> None:
    starts, ends = at.numbers(1, "starts"), at.numbers(2, "ends")
    axes, steps = at.numbers(3, "axes"), at.numbers(4)
    if starts is None or ends is None:
        raise at.stop("which part it takes is computed")
    axes = at.positive(axes or range(len(starts)))
    if at.axis() in axes:
        place = axes.index(at.axis())
        size = at.shape(at.node.input[0])[at.axis()]
        if starts[place] not in (0, -size) or ends[place] < size or (steps or [1] * len(starts))[place] != 1:
            raise at.stop("it takes a part of the batch")
        if ends[place] < _END:
            ends[place] = _END
            at.write(2, "ends", ends)
    at.put(at.axis())


def _gather(at: Follower) -> None:
    (along,) = at.positive([at.integer("axis", 0)])
    if along == at.axis():
        raise at.stop("it takes samples out of the batch")
    indices = len(at.shape(at.node.input[1])) if at.node.op_type == "Gather" else 1
    at.put(at.axis() + (indices - 1 if along < at.axis() else 0))


def _squeeze(at: Follower) -> None:
    axes, shape = at.numbers(1, "axes"), at.shape(at.node.input[0])
    axes = [place for place, size in enumerate(shape) if size == 1] if axes is None else axes
    gone = at.positive(axes)
    if at.axis() in gone:
        raise at.stop("it takes the axis of the batch away")
    if at.new == 1 and at.numbers(1, "axes") is None and shape[at.axis()] == at.old:
        raise at.stop("with a batch of 1 it would take the axis of the batch away")
    at.put(at.axis() - sum(each < at.axis() for each in gone))


def _unsqueeze(at: Follower) -> None:
    axes = at.numbers(1, "axes") or []
    rank = at.rank() + len(axes)
    new = {each + rank if each < 0 else each for each in axes}
    at.put([place for place in range(rank) if place not in new][at.axis()])


def _expand(at: Follower) -> None:
    values, rank = at.numbers(1), at.rank()
    if values is None:
        at.put(at.axis())
        return
    axis = at.axis() + max(len(values) - rank, 0)
    place = axis - max(rank - len(values), 0)
    if place >= 0 and values[place] != 1 and values[place] % at.old == 0:
        values[place] = values[place] // at.old * at.new
        at.write(1, "", values)
    at.put(axis)


def _tile(at: Follower) -> None:
    values = at.numbers(1)
    if values is not None and values[at.axis()] != 1:
        raise at.stop("it repeats the batch")
    at.put(at.axis())


def _pad(at: Follower) -> None:
    pads = at.numbers(1, "pads")
    if pads is not None and len(at.node.input) < 4 and (pads[at.axis()] or pads[at.axis() + len(pads) // 2]):
        raise at.stop("it pads the batch")
    at.put(at.axis())


def _normalize(at: Follower) -> None:
    """Normalize from an axis to the end."""
    if at.axis() >= at.positive([at.integer("axis", -1)])[0]:
        raise at.stop(_ACROSS)
    at.put(at.axis(), outputs=1)


def _along(at: Follower) -> None:
    """Work along one axis, which an input or an attribute names."""
    axes = at.numbers(1) if at.node.op_type == "CumSum" else [at.integer("axis", -1)]
    if axes is None:
        raise at.stop(_ACROSS)
    at.keep(*axes)


def _gemm(at: Follower) -> None:
    if at.axis() != at.integer("transA", 0) or at.node.input[1] in at.axes:
        raise at.stop(_ACROSS)
    if len(at.node.input) > 2 and at.node.input[2]:
        sizes = at.shape(at.node.input[2])
        if len(sizes) == 2 and sizes[0] != 1 and sizes[0] % at.old == 0:
            at.lengthen(2, 0)
    at.put(0)


def _matmul(at: Follower) -> None:
    shape, other = at.shape(at.node.input[0]), at.shape(at.node.input[1])
    axis = at.axis()
    if axis == len(shape) - 1:
        raise at.stop(_ACROSS)
    if at.axes.get(at.node.input[1], -1 - len(other)) >= len(other) - 2:
        raise at.stop("it sums over the samples of its second operand, or computes with pairs of samples")
    own = axis - (len(shape) - len(other))
    alone = at.node.input[1] not in at.axes
    if alone and axis < len(shape) - 2 and 0 <= own < len(other) - 2 and other[own] != 1:
        at.lengthen(1, own)
    at.put(axis + max(len(other) - len(shape), 0))


def _resize(at: Follower) -> None:
    _first(at)
    sizes = at.numbers(3)
    if sizes and sizes[0] == at.old and at.attribute("axes") is None:
        at.write(3, "", [at.new, *sizes[1:]])


def _recurrent(at: Follower) -> None:
    if at.axis() != 1 - at.integer("layout", 0):
        raise at.stop("the batch is the axis of its steps")
    if at.integer("layout", 0):
        raise at.stop("its samples come first (layout 1)")
    for place, axis in ((4, 0), (5, 1), (6, 1)):
        if place < len(at.node.input) and (name := at.node.input[place]) and name not in at.axes:
            at.lengthen(place, axis)
    for place, name in enumerate(at.node.output):
        if name:
            at.axes[name] = 1 if place else 2


def _other(at: Follower, tracked: list[int]) -> None:
    """Keep the batch of an operator without a rule where its outputs have the same axis of the same length."""
    axes = {at.axes[at.node.input[place]] for place in tracked}
    if at.node.op_type == "Gather" and tracked == [1]:
        at.put(at.integer("axis", 0) + at.axes[at.node.input[1]])
        return
    if at.node.op_type == "MatMul" and tracked == [1]:
        raise at.stop("its second operand is computed of samples and its first is not")
    for name in filter(None, at.node.output):
        shape = at.shape(name)
        same = [axis for axis in axes if axis < len(shape) and shape[axis] % at.old == 0]
        if len(axes) > 1 or not same:
            raise at.stop("it is not known what becomes of the batch in it")
        at.axes[name] = same[0]


_OPERATORS: Mapping[str, Callable[[Follower], None]] = {
    **dict.fromkeys(_FIRST, _first), **dict.fromkeys(_REDUCE, _reduce),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), _recurrent),
    **dict.fromkeys(
        ("Hardmax", "LogSoftmax", "Softmax"),
        lambda at: at.keep(at.integer("axis", 1 if at.model.opset() < 13 else -1)),
    ),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), _normalize),
    **dict.fromkeys(("CumSum", "LpNormalization", "TopK"), _along),
    "Expand": _expand, "Flatten": _flatten, "Gather": _gather, "Gemm": _gemm, "MatMul": _matmul,
    "MeanVarianceNormalization": lambda at: at.keep(*(at.numbers(9, "axes") or [0, 2, 3])),
    "Pad": _pad, "Reshape": _reshape, "Resize": _resize, "Slice": _slice,
    "Split": lambda at: at.keep(at.integer("axis", 0), reason="it takes the batch apart"),
    "Squeeze": _squeeze, "Tile": _tile, "Transpose": _transpose, "Trilu": lambda at: at.keep(-2, -1),
    "Unsqueeze": _unsqueeze, "Upsample": _resize,
}  # fmt: skip
