"""What is known of a graph's shapes without running it.

A size that is left open is a symbol (:mod:`~modelprep.formats.tensorflow.size_values`): a flattened ``[N, 4, 4, 16]``
is ``[N, 256]``. What cannot be told is None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from modelprep.formats.tensorflow.attrs import small_numbers
from modelprep.formats.tensorflow.graphdef import Graph, Node, input_name
from modelprep.formats.tensorflow.size_values import INT32, RULES, Shape, Size, Symbol, Value, numbers, over, times

_T = TypeVar("_T")


class Known:
    """Shapes and values of a graph's nodes, of the first output each."""

    def __init__(self, graph: Graph) -> None:
        self.nodes: Mapping[str, Node] = graph.by_name()
        self.shapes: dict[str, Shape] = {}
        self.values: dict[str, Value | None] = {}
        for node in ordered(graph):
            self.values[node.name] = self._value(node)
            self.shapes[node.name] = self._shape(node)

    def shape(self, reference: str) -> Shape:
        """Return the shape of what a reference names; None for other outputs than the first of most operations."""
        name, _, port = reference.partition(":")
        node = self.nodes.get(name)
        if port not in ("", "0") and (node is None or node.op != "Split"):
            return None
        return self.shapes.get(name)

    def value(self, reference: str) -> Value | None:
        """Return the value of what a reference names."""
        name, _, port = reference.partition(":")
        return self.values.get(name) if port in ("", "0") else None

    def _data(self, node: Node) -> list[str]:
        return [reference for reference in node.inputs if not reference.startswith("^")]

    def ints(self, reference: str) -> list[int] | None:
        """Return the value of what a reference names where all of it is known."""
        value = self.value(reference)
        if value is None or not all(isinstance(item, int) for item in value.items):
            return None
        return [item for item in value.items if isinstance(item, int)]

    # -- values ----------------------------------------------------------------------------------------------------

    def _value(self, node: Node) -> Value | None:
        data = self._data(node)
        if node.op == "Const":
            return numbers(node)
        if node.op == "Shape" and data:
            shape = self.shape(data[0])
            return None if shape is None else Value(shape)
        rule = RULES.get(node.op)
        given = [self.value(reference) for reference in data]
        if rule is None or not given or any(value is None for value in given):
            return None
        return rule(node, [value for value in given if value is not None])

    # -- shapes ----------------------------------------------------------------------------------------------------

    def _shape(self, node: Node) -> Shape:
        data = self._data(node)
        if node.op in ("Placeholder", "PlaceholderWithDefault"):
            own = node.shape("shape")
            if not own:
                return self.shape(data[0]) if data else None
            return tuple(Symbol(1, (f"{node.name}:{i}",)) if size < 0 else size for i, size in enumerate(own))
        if node.op == "Const":
            head = node.tensor()
            return None if head is None else head.shape
        if (value := self.values.get(node.name)) is not None:
            return () if value.scalar else (len(value.items),)
        rule = _SHAPES.get(node.op)
        try:
            return rule(_Taken(self, node, data)) if rule is not None and data else None
        except _Unknown:
            return None


class _Unknown(Exception):
    """A size or shape that a rule needs cannot be told."""


def _sure(value: _T | None) -> _T:
    if value is None:
        raise _Unknown
    return value


class _Taken:
    """A node, and what is known of its inputs; raises _Unknown for what is not known or not there."""

    def __init__(self, known: Known, node: Node, data: list[str]) -> None:
        self.known, self.node, self.data = known, node, data

    def _reference(self, place: int) -> str:
        return self.data[place] if place < len(self.data) else ""

    def shape(self, place: int = 0, rank: int | None = None) -> tuple[Size, ...]:
        """Return the shape of an input, which must have `rank` dimensions if that is given."""
        shape = _sure(self.known.shape(self._reference(place)))
        return _sure(shape if rank in (None, len(shape)) else None)

    def value(self, place: int) -> Value:
        """Return the value of an input."""
        return _sure(self.known.value(self._reference(place)))

    def ints(self, place: int) -> list[int]:
        """Return the numbers of an input."""
        return _sure(self.known.ints(self._reference(place)))

    def axis(self, place: int, rank: int) -> int:
        """Return the axis that an input names."""
        axis = self.ints(place)
        return _sure(axis[0] % rank if axis and rank else None)


def ordered(graph: Graph) -> list[Node]:
    """Return the nodes with those that they take values from before them; what is in a ring is left out."""
    nodes = graph.by_name()
    waiting: dict[str, set[str]] = {}
    takers: dict[str, list[str]] = {}
    for node in graph.nodes:
        sources = {input_name(reference) for reference in node.inputs} & nodes.keys()
        waiting[node.name] = sources
        for source in sources:
            takers.setdefault(source, []).append(node.name)
    ready = [name for name, sources in waiting.items() if not sources]
    found = []
    while ready:
        name = ready.pop()
        found.append(nodes[name])
        for taker in takers.get(name, ()):
            waiting[taker].discard(name)
            if not waiting[taker]:
                ready.append(taker)
    return found


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """Return the shape that operands of these shapes have together."""
    if any(shape is None for shape in shapes):
        return None
    known = [shape for shape in shapes if shape is not None]
    result: list[Size] = []
    for place in range(1, max(map(len, known)) + 1):
        sizes = {shape[-place] for shape in known if len(shape) >= place} - {1}
        result.append(1 if not sizes else sizes.pop() if len(sizes) == 1 else None)
    return tuple(reversed(result))


def reshaped(shape: Shape, wanted: Value) -> Shape:
    """Return the shape after a Reshape; a -1 is worked out where the sizes allow it."""
    if -1 not in wanted.items:
        return wanted.items
    rest = times([size for size in wanted.items if size != -1])
    hole = None if shape is None else over(times(shape), rest)
    return tuple(hole if size == -1 else size for size in wanted.items)


#: Operations whose result has the shape of the first input.
_SAME = ((
    "Identity", "Relu", "Relu6", "Elu", "Selu", "LeakyRelu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Softmax",
    "Rsqrt", "LogSoftmax", "Sqrt", "Square", "Exp", "Log", "Neg", "Abs", "Floor", "Cast", "BiasAdd", "LRN",
    "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "StopGradient", "PreventGradient",
    "CheckNumerics", "Snapshot",
))  # fmt: skip
_BROADCAST = ((
    "Add", "AddV2", "Sub", "Mul", "RealDiv", "Div", "Maximum", "Minimum", "GreaterEqual", "Greater", "Less",
    "LessEqual", "SelectV2", "SquaredDifference",
))  # fmt: skip


def _window(at: _Taken, kernel: Sequence[Size], channels: Size) -> Shape:
    """Return a picture's shape after a window has gone over it; `channels`: None for those of the input."""
    node, shape = at.node, at.shape(rank=4)
    strides, dilations = node.numbers("strides"), node.numbers("dilations") or [1] * 4
    if len(strides) != 4 or len(dilations) != 4:
        return None
    nchw = node.string("data_format") == b"NCHW"
    first, padding = 2 if nchw else 1, node.string("padding")
    spatial: list[Size] = []
    for axis, size in enumerate(kernel, first):
        have, step = shape[axis], strides[axis]
        if not isinstance(have, int) or not isinstance(size, int) or step < 1 or padding not in (b"SAME", b"VALID"):
            spatial.append(None)
        else:
            reach = 0 if padding == b"SAME" else (size - 1) * dilations[axis]
            spatial.append(max(0, math.ceil((have - reach) / step)))
    return (shape[0], channels, *spatial) if nchw else (shape[0], *spatial, channels)


def _convolution(at: _Taken) -> Shape:
    kernel = at.shape(1, rank=4)
    return _window(at, kernel[:2], times(kernel[2:]) if at.node.op == "DepthwiseConv2dNative" else kernel[3])


def _pool(at: _Taken) -> Shape:
    sizes, nchw = at.node.numbers("ksize"), at.node.string("data_format") == b"NCHW"
    if len(sizes) != 4:
        return None
    return _window(at, sizes[2:] if nchw else sizes[1:3], at.shape(rank=4)[1 if nchw else 3])


def _matmul(at: _Taken) -> Shape:
    shapes = [at.known.shape(reference) for reference in at.data]
    places = (int(at.node.flag("transpose_a")), int(not at.node.flag("transpose_b")))
    rows, columns = (
        shape[place] if shape is not None and len(shape) == 2 else None
        for shape, place in zip([*shapes, None][:2], places, strict=True)
    )
    return (rows, columns)


def _reshape(at: _Taken) -> Shape:
    return reshaped(at.known.shape(at.data[0]), at.value(1))


def _squeeze(at: _Taken) -> Shape:
    shape = at.shape()
    axes = {axis % len(shape) for axis in at.node.numbers("squeeze_dims") if shape}
    if not axes and not all(isinstance(size, int) for size in shape):
        return None
    return tuple(size for i, size in enumerate(shape) if (i not in axes if axes else size != 1))


def _expand(at: _Taken) -> Shape:
    shape, axis = at.shape(), at.ints(1)
    if not axis:
        return None
    place = axis[0] + len(shape) + 1 if axis[0] < 0 else axis[0]
    return (*shape[:place], 1, *shape[place:])


def _reduce(at: _Taken) -> Shape:
    shape, axes = at.shape(), at.ints(1)
    gone = {axis % len(shape) for axis in axes if shape}
    keep = at.node.flag("keep_dims")
    return tuple(1 if i in gone else size for i, size in enumerate(shape) if keep or i not in gone)


def _concat(at: _Taken) -> Shape:
    first = at.shape()
    place = at.axis(-1, len(first))
    sizes = [at.shape(number, len(first))[place] for number in range(len(at.data) - 1)]
    total = sum(size for size in sizes if isinstance(size, int)) if all(isinstance(s, int) for s in sizes) else None
    return tuple(total if i == place else size for i, size in enumerate(first))


def _pad(at: _Taken) -> Shape:
    shape, source = at.shape(), at.known.nodes.get(input_name(at.data[1])) if len(at.data) > 1 else None
    pads = small_numbers(source.tensor(), INT32) if source is not None else None
    if pads is None:
        return None
    pads += [pads[-1] if pads else 0] * (2 * len(shape) - len(pads))
    more = [before + after for before, after in zip(pads[::2], pads[1::2], strict=False)]
    return tuple(
        size + add if isinstance(size, int) else None if add else size for size, add in zip(shape, more, strict=False)
    )


def _transpose(at: _Taken) -> Shape:
    shape, order = at.shape(), at.ints(1)
    return tuple(shape[axis] for axis in order) if sorted(order) == list(range(len(shape))) else None


def _split(at: _Taken) -> Shape:
    shape = at.shape(1)
    place = at.axis(0, len(shape))
    return tuple(over(size, at.node.number("num_split") or 1) if i == place else size for i, size in enumerate(shape))


def _resize(at: _Taken) -> Shape:
    shape, size = at.shape(rank=4), at.value(1)
    return (shape[0], *size.items, shape[3]) if len(size.items) == 2 else None


def _filled(at: _Taken) -> Shape:
    value = at.value(0)
    return None if value.scalar else value.items


_SHAPES: Mapping[str, Callable[[_Taken], Shape]] = {
    **dict.fromkeys(_SAME, _Taken.shape),
    **dict.fromkeys(_BROADCAST, lambda at: broadcast([at.known.shape(reference) for reference in at.data])),
    "Conv2D": _convolution, "DepthwiseConv2dNative": _convolution, "MaxPool": _pool, "AvgPool": _pool,
    "MatMul": _matmul, "Reshape": _reshape, "Squeeze": _squeeze, "ExpandDims": _expand,
    **dict.fromkeys(("Mean", "Sum", "Max", "Min", "Prod"), _reduce),
    "ConcatV2": _concat, "Pad": _pad, "PadV2": _pad, "Transpose": _transpose, "Split": _split,
    "ResizeBilinear": _resize, "ResizeNearestNeighbor": _resize,
    **dict.fromkeys(("RandomUniform", "RandomStandardNormal", "Fill"), _filled),
    "Select": lambda at: at.shape(1),
}  # fmt: skip
