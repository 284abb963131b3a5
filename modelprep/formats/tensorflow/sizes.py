"""What is known of a graph's shapes without running it.

A size that is left open is a symbol (:mod:`~modelprep.formats.tensorflow.size_values`): a flattened ``[N, 4, 4, 16]``
is ``[N, 256]``. What cannot be told is None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from modelprep.formats.tensorflow.attrs import small_numbers
from modelprep.formats.tensorflow.graphdef import Graph, Node, input_name
from modelprep.formats.tensorflow.size_values import INT32, RULES, Shape, Size, Symbol, Value, numbers, over, times


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
        shapes = [self.shape(reference) for reference in data]
        if not shapes:
            return None
        if node.op in _SAME:
            return shapes[0]
        if node.op in _BROADCAST:
            return broadcast(shapes)
        rule = _SHAPES.get(node.op)
        return rule(self, node, data, shapes) if rule is not None else None


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


#: The shape of the first input.
_SAME = frozenset((
    "Identity", "Relu", "Relu6", "Elu", "Selu", "LeakyRelu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Softmax",
    "Rsqrt", "LogSoftmax", "Sqrt", "Square", "Exp", "Log", "Neg", "Abs", "Floor", "Cast", "BiasAdd", "LRN",
    "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "StopGradient", "PreventGradient",
    "CheckNumerics", "Snapshot",
))  # fmt: skip
_BROADCAST = frozenset((
    "Add", "AddV2", "Sub", "Mul", "RealDiv", "Div", "Maximum", "Minimum", "GreaterEqual", "Greater", "Less",
    "LessEqual", "SelectV2", "SquaredDifference",
))  # fmt: skip


def _spatial(node: Node, shape: Shape, kernel: Sequence[Size]) -> list[Size] | None:
    """Return height and width after a window has gone over a picture."""
    if shape is None or len(shape) != 4:
        return None
    at = 2 if node.string("data_format") == b"NCHW" else 1
    strides, dilations = node.numbers("strides"), node.numbers("dilations") or [1] * 4
    if len(strides) != 4 or len(dilations) != 4:
        return None
    result: list[Size] = []
    for axis, size in enumerate(kernel):
        have, step = shape[at + axis], strides[at + axis]
        if not isinstance(have, int) or not isinstance(size, int) or step < 1:
            result.append(None)
        elif node.string("padding") == b"SAME":
            result.append(math.ceil(have / step))
        elif node.string("padding") == b"VALID":
            result.append(max(0, math.ceil((have - (size - 1) * dilations[at + axis]) / step)))
        else:
            result.append(None)
    return result


def _picture(node: Node, batch: Size, spatial: Sequence[Size], channels: Size) -> Shape:
    if node.string("data_format") == b"NCHW":
        return (batch, channels, *spatial)
    return (batch, *spatial, channels)


def _convolution(known: Known, node: Node, data: list[str], shapes: list[Shape]) -> Shape:  # noqa: ARG001
    kernel = shapes[1] if len(shapes) > 1 else None
    if shapes[0] is None or kernel is None or len(kernel) != 4:
        return None
    spatial = _spatial(node, shapes[0], kernel[:2])
    channels = times(kernel[2:]) if node.op == "DepthwiseConv2dNative" else kernel[3]
    return None if spatial is None else _picture(node, shapes[0][0], spatial, channels)


def _pool(known: Known, node: Node, data: list[str], shapes: list[Shape]) -> Shape:  # noqa: ARG001
    sizes = node.numbers("ksize")
    if shapes[0] is None or len(sizes) != 4:
        return None
    nchw = node.string("data_format") == b"NCHW"
    spatial = _spatial(node, shapes[0], sizes[2:] if nchw else sizes[1:3])
    return None if spatial is None else _picture(node, shapes[0][0], spatial, shapes[0][1 if nchw else 3])


def _matmul(known: Known, node: Node, data: list[str], shapes: list[Shape]) -> Shape:  # noqa: ARG001
    left, right = shapes[0], shapes[1] if len(shapes) > 1 else None
    rows = None if left is None or len(left) != 2 else left[1 if node.flag("transpose_a") else 0]
    columns = None if right is None or len(right) != 2 else right[0 if node.flag("transpose_b") else 1]
    return (rows, columns)


def _reshape(known: Known, node: Node, data: list[str], shapes: list[Shape]) -> Shape:  # noqa: ARG001
    wanted = known.value(data[1]) if len(data) > 1 else None
    return None if wanted is None else reshaped(shapes[0], wanted)


def _squeeze(known: Known, node: Node, data: list[str], shapes: list[Shape]) -> Shape:  # noqa: ARG001
    if shapes[0] is None:
        return None
    axes = {axis % len(shapes[0]) for axis in node.numbers("squeeze_dims") if shapes[0]}
    if not axes and not all(isinstance(size, int) for size in shapes[0]):
        return None
    return tuple(size for i, size in enumerate(shapes[0]) if (i not in axes if axes else size != 1))


def _expand(known: Known, node: Node, data: list[str], shapes: list[Shape]) -> Shape:  # noqa: ARG001
    axis = known.ints(data[1]) if len(data) > 1 else None
    if shapes[0] is None or not axis:
        return None
    at = axis[0] + len(shapes[0]) + 1 if axis[0] < 0 else axis[0]
    return (*shapes[0][:at], 1, *shapes[0][at:])


def _reduce(known: Known, node: Node, data: list[str], shapes: list[Shape]) -> Shape:
    axes = known.ints(data[1]) if len(data) > 1 else None
    if shapes[0] is None or axes is None:
        return None
    gone = {axis % len(shapes[0]) for axis in axes if shapes[0]}
    keep = node.flag("keep_dims")
    return tuple(1 if i in gone else size for i, size in enumerate(shapes[0]) if keep or i not in gone)


def _concat(known: Known, node: Node, data: list[str], shapes: list[Shape]) -> Shape:  # noqa: ARG001
    axis, first = known.ints(data[-1]), shapes[0]
    if not axis or first is None or any(shape is None or len(shape) != len(first) for shape in shapes[:-1]):
        return None
    at = axis[0] % len(first) if first else 0
    sizes = [shape[at] for shape in shapes[:-1] if shape is not None]
    total = sum(size for size in sizes if isinstance(size, int)) if all(isinstance(s, int) for s in sizes) else None
    return tuple(total if i == at else size for i, size in enumerate(first))


def _pad(known: Known, node: Node, data: list[str], shapes: list[Shape]) -> Shape:  # noqa: ARG001
    head = known.nodes[input_name(data[1])].tensor() if len(data) > 1 and input_name(data[1]) in known.nodes else None
    pads = small_numbers(head, INT32)
    if shapes[0] is None or pads is None:
        return None
    pads += [pads[-1] if pads else 0] * (2 * len(shapes[0]) - len(pads))
    more = [before + after for before, after in zip(pads[::2], pads[1::2], strict=False)]
    return tuple(
        size + add if isinstance(size, int) else None if add else size
        for size, add in zip(shapes[0], more, strict=False)
    )


def _transpose(known: Known, node: Node, data: list[str], shapes: list[Shape]) -> Shape:  # noqa: ARG001
    order = known.ints(data[1]) if len(data) > 1 else None
    if shapes[0] is None or order is None or sorted(order) != list(range(len(shapes[0]))):
        return None
    return tuple(shapes[0][axis] for axis in order)


def _split(known: Known, node: Node, data: list[str], shapes: list[Shape]) -> Shape:
    axis, shape = known.ints(data[0]), shapes[1] if len(shapes) > 1 else None
    if not axis or not shape:
        return None
    at = axis[0] % len(shape)
    return tuple(over(size, node.number("num_split") or 1) if i == at else size for i, size in enumerate(shape))


def _resize(known: Known, node: Node, data: list[str], shapes: list[Shape]) -> Shape:  # noqa: ARG001
    size = known.value(data[1]) if len(data) > 1 else None
    if shapes[0] is None or len(shapes[0]) != 4 or size is None or len(size.items) != 2:
        return None
    return (shapes[0][0], *size.items, shapes[0][3])


def _filled(known: Known, node: Node, data: list[str], shapes: list[Shape]) -> Shape:  # noqa: ARG001
    value = known.value(data[0])
    return None if value is None or value.scalar else value.items


_SHAPES: Mapping[str, Callable[[Known, Node, list[str], list[Shape]], Shape]] = {
    "Conv2D": _convolution, "DepthwiseConv2dNative": _convolution, "MaxPool": _pool, "AvgPool": _pool,
    "MatMul": _matmul, "Reshape": _reshape, "Squeeze": _squeeze, "ExpandDims": _expand,
    **dict.fromkeys(("Mean", "Sum", "Max", "Min", "Prod"), _reduce),
    "ConcatV2": _concat, "Pad": _pad, "PadV2": _pad, "Transpose": _transpose, "Split": _split,
    "ResizeBilinear": _resize, "ResizeNearestNeighbor": _resize,
    **dict.fromkeys(("RandomUniform", "RandomStandardNormal", "Fill"), _filled),
    "Select": lambda known, node, data, shapes: shapes[1] if len(shapes) > 1 else None,  # noqa: ARG005
}  # fmt: skip
