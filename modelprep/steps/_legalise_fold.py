"""Fold what a frozen graph computes from constants and its own shapes, with unchanged values.

Three things that exported graphs often have and that no parser of a board accepts:

- ``Shape``, ``StridedSlice``, ``Pack`` and their kin before a Reshape or a resize (``tf.layers.flatten``,
  ``slim.flatten``): the shape becomes a constant, with -1 for a batch that is left open;
- dropout, if its keep probability is a constant that drops nothing: it is removed;
- ``Switch`` and ``Merge`` of a constant condition (``is_training``): only the branch that is taken stays.

The caller names the placeholders that are constants, with their values (``--constant keep_prob=1``).
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelprep.errors import StepError
from modelprep.formats.names import free_name
from modelprep.formats.tensorflow.attrs import attr_type, constant_attrs
from modelprep.formats.tensorflow.graphdef import Graph, Node, input_name
from modelprep.formats.tensorflow.rewire import require, subgraph
from modelprep.formats.tensorflow.size_values import INT32, INT64, Shape, Size, Symbol, over, times
from modelprep.formats.tensorflow.sizes import Known, broadcast, ordered
from modelprep.formats.tensorflow.tensor import DTYPES, Tensor, dtype_name, element_count
from modelprep.steps._legalise_ranges import BOOL, FLOAT, HANDS_ON, Range, range_of

#: Operations of shapes, whose results may become constants.
_OF_SHAPES = frozenset((
    "Shape", "StridedSlice", "Slice", "Gather", "GatherV2", "Pack", "ConcatV2", "Prod", "ExpandDims", "Squeeze", "Mul",
    "FloorDiv", "Add", "AddV2", "Sub", "Maximum", "Minimum", "Cast", "Reshape", "Identity",
))  # fmt: skip


@dataclass
class Folded:
    """What was folded: nodes removed, by their purpose; constants; warnings."""

    removed: Counter[str] = field(default_factory=Counter)
    constants: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def fold(graph: Graph, outputs: Sequence[str], constants: Mapping[str, object]) -> Folded:
    """Fold a graph in place.

    `constants`: placeholders that become constants: name -> number, truth value, or list of numbers. Raises StepError:
    a name is not a placeholder, or its value has another type or shape.
    """
    result = Folded()
    for name, value in constants.items():
        _set(graph, name, value)
        result.constants.append(name)
    before = len(graph.nodes)
    graph.nodes = subgraph(graph, outputs, colocations=False)
    if before > len(graph.nodes):
        result.removed["not needed"] = before - len(graph.nodes)
    given = {*constants, *_defaults(graph, result)}
    _branches(graph, result)
    graph.nodes = subgraph(graph, outputs, colocations=False)
    _neutral(graph, set(outputs), given, result)
    graph.nodes = subgraph(graph, outputs, colocations=False)
    _shapes(graph, set(outputs), result)
    graph.nodes = subgraph(graph, outputs, colocations=False)
    return result


# -- constants --------------------------------------------------------------------------------------------------------


def _set(graph: Graph, name: str, value: object) -> None:
    require(graph, [name], "input")
    node = next(node for node in graph.nodes if node.name == name)
    if node.op not in ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault"):
        raise StepError(f"'{name}' is not a placeholder that a constant can replace", where=graph.name, got=node.op)
    dtype = node.dtype("dtype")
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    shape: tuple[int, ...] = (len(values),) if isinstance(value, (list, tuple)) else ()
    declared = node.shape("shape")
    if not shape and declared and min(declared) > 0:
        shape, values = declared, values * element_count(declared)
    kinds = {FLOAT: "f", INT32: "i", INT64: "q", BOOL: "?"}
    try:
        data = struct.pack(f"<{len(values)}{kinds[dtype]}", *(bool(v) if dtype == BOOL else v for v in values))
    except (KeyError, struct.error, OverflowError):
        raise StepError(
            f"the value for '{name}' has the wrong type or shape", where=graph.name, expected=dtype_name(dtype),
            got=str(value),
        ) from None  # fmt: skip
    _become_constant(node, dtype, shape, data)


def _become_constant(node: Node, dtype: int, shape: tuple[int, ...], data: bytes) -> None:
    node.op, node.inputs, node.rest = "Const", [], b""
    node.attrs = constant_attrs(Tensor(DTYPES[dtype], shape, memoryview(data)))


def _defaults(graph: Graph, result: Folded) -> list[str]:
    """Replace placeholders with a default by it if another placeholder is the input; return their names."""
    found: list[str] = []
    if not any(node.op == "Placeholder" for node in graph.nodes):
        return found
    for node in graph.nodes:
        if node.op == "PlaceholderWithDefault" and len(node.inputs) == 1:
            node.op, node.attrs = "Identity", {"T": node.attrs.get("dtype", attr_type(FLOAT))}
            result.warnings.append(f"{node.name} (PlaceholderWithDefault) gets its default")
            found.append(node.name)
    return found


# -- conditions -------------------------------------------------------------------------------------------------------


def _branches(graph: Graph, result: Folded) -> None:
    """Keep only the branch that is taken if a condition is constant."""
    if not any(node.op == "Switch" for node in graph.nodes):
        return
    ranges: dict[str, Range | None] = {}
    instead: dict[str, str] = {}
    dead: set[str] = set()
    for node in ordered(graph):
        given = [_followed(_plain(reference), instead) for reference in node.inputs if not reference.startswith("^")]
        lost = [one for one in given if (one if ":" in one else f"{one}:0") in dead or input_name(one) in dead]
        lost += [reference for reference in node.inputs if reference.startswith("^") and reference[1:] in dead]
        ranges[node.name] = range_of(node, given, ranges)
        if node.op == "Merge":
            alive = [reference for reference in given if reference not in lost]
            if not alive and given:
                dead.add(node.name)
            elif len(alive) == 1 < len(given):
                instead[node.name] = alive[0]
                result.removed["condition"] += 1
            continue
        if lost:
            dead.add(node.name)
            continue
        if node.op == "Switch" and len(given) == 2:
            chosen = ranges.get(input_name(given[1]))
            if chosen is not None and chosen.value is not None:
                # Output 0 is for false; references to a first output have no number.
                instead[f"{node.name}:1" if chosen.value else node.name] = given[0]
                dead.add(f"{node.name}:{int(not chosen.value)}")
                result.removed["condition"] += 1
    _redirect(graph, instead)


def _plain(reference: str) -> str:
    """Return a reference, to a first output without its number."""
    return reference.removesuffix(":0")


def _followed(reference: str, instead: Mapping[str, str]) -> str:
    while reference in instead:
        reference = instead[reference]
    return reference


def _redirect(graph: Graph, instead: Mapping[str, str]) -> None:
    for node in graph.nodes:
        node.inputs = [one if one.startswith("^") else _followed(_plain(one), instead) for one in node.inputs]


# -- dropout ----------------------------------------------------------------------------------------------------------


def _neutral(graph: Graph, keep: set[str], given: set[str], result: Folded) -> None:
    """Remove what does not change a tensor: a factor or divisor of 1, a choice whose condition always holds."""
    nodes = graph.by_name()
    known: Known | None = None
    ranges: dict[str, Range | None] = {}
    moved: set[str] = set()  # computed from a random number or a given constant
    instead: dict[str, str] = {}
    for node in ordered(graph):
        data = [_plain(reference) for reference in node.inputs if not reference.startswith("^")]
        sources = [input_name(reference) for reference in data]
        ranges[node.name] = range_of(node, data, ranges)
        if node.op == "RandomUniform" or node.name in given or moved.intersection(sources):
            moved.add(node.name)
        if node.name in keep or not moved.intersection(sources):
            continue
        other = _unchanged(node, data, ranges, moved)
        if other is None:
            continue
        known = known or Known(graph)
        shape = known.shape(data[other])
        if (shape is not None and broadcast([known.shape(one) for one in data]) == shape) or _shaped_by(
            data, other, nodes
        ):
            instead[node.name] = data[other]
            result.removed["dropout"] += 1
            if input_name(data[other]) not in moved:
                moved.discard(node.name)
    _redirect(graph, instead)


def _unchanged(node: Node, data: list[str], ranges: Mapping[str, Range | None], moved: set[str]) -> int | None:
    """Return the index of the input that a node returns unchanged, or None."""

    def constant(index: int) -> float | None:
        found = ranges.get(input_name(data[index]))
        return found.value if found is not None and input_name(data[index]) in moved else None

    if node.op == "Mul" and len(data) == 2:
        return 0 if constant(1) == 1 else 1 if constant(0) == 1 else None
    if node.op in ("RealDiv", "Div") and len(data) == 2:
        return 0 if constant(1) == 1 else None
    if node.op in ("Select", "SelectV2") and len(data) == 3 and (holds := constant(0)) is not None:
        return 1 if holds else 2
    return None


def _shaped_by(data: list[str], other: int, nodes: Mapping[str, Node]) -> bool:
    """Return whether the random numbers among the other operands have the shape of the unchanged one."""
    wanted = data[other]
    seen: set[str] = set()
    waiting = [input_name(one) for i, one in enumerate(data) if i != other]
    random = 0
    while waiting:
        name = waiting.pop()
        node = nodes.get(name)
        if name in seen or node is None:
            continue
        seen.add(name)
        if node.op == "RandomUniform":
            random += 1
            shape = nodes.get(input_name(node.inputs[0]))
            if shape is None or shape.op != "Shape" or not _same_tensor(shape.inputs[0], wanted, nodes):
                return False
        elif node.op == "Const":
            head = node.tensor()
            if head is None or head.shape:
                return False
        elif name != input_name(wanted):
            waiting += [input_name(one) for one in node.inputs if not one.startswith("^")]
    return random > 0


def _same_tensor(first: str, second: str, nodes: Mapping[str, Node]) -> bool:
    """Return whether two references are one tensor, apart from scalar factors and nodes that pass it on."""
    for _ in range(8):
        if _plain(first) == _plain(second):
            return True
        node = nodes.get(input_name(second))
        if node is None or node.op not in (*HANDS_ON, "RealDiv", "Div", "Mul") or not node.inputs:
            return False
        second = node.inputs[0]
    return False


# -- shapes -----------------------------------------------------------------------------------------------------------


def _shapes(graph: Graph, keep: set[str], result: Folded) -> None:
    """Replace what is computed from shapes by constants."""
    if not any(node.op in ("Shape", "Pack", "StridedSlice") for node in graph.nodes):
        return
    known = Known(graph)
    nodes = dict(known.nodes)
    made: dict[tuple[int, ...], str] = {}
    before: list[Node] = []
    for node in graph.nodes:
        if node.op in _OF_SHAPES and known.values.get(node.name) is not None and node.name not in keep:
            before.append(node)
            continue
        for index, reference in enumerate(node.inputs):
            source = nodes.get(input_name(reference))
            value = known.value(reference) if not reference.startswith("^") else None
            if source is None or value is None or source.op == "Const" or value.scalar:
                continue
            is_shape = node.op == "Reshape" and index == 1
            sizes = _with_hole(value.items, known.shape(node.inputs[0])) if is_shape else value.items
            if sizes is None or not all(isinstance(size, int) for size in sizes):
                continue
            numbers = tuple(size for size in sizes if isinstance(size, int))
            wide = known.nodes[source.name].dtype("T") == INT64 or source.dtype("out_type") == INT64
            if wide and node.op != "Reshape":
                continue
            node.inputs[index] = _constant_of(numbers, node, nodes, made, before)
            if node.op == "Reshape":
                node.attrs["Tshape"] = attr_type(INT32)
            result.removed["shapes"] += 1
        before.append(node)
    graph.nodes = before


def _with_hole(sizes: tuple[Size, ...], shape: Shape) -> tuple[Size, ...] | None:
    """Return the shape of a Reshape with at most one -1, for the open size; None if more sizes are open."""
    if sizes.count(-1) > 1:
        return None
    if -1 in sizes and any(not isinstance(size, int) for size in sizes):
        rest = times([size for size in sizes if size != -1])
        found = None if shape is None else over(times(shape), rest)
        if not isinstance(found, int):
            return None
        sizes = tuple(found if size == -1 else size for size in sizes)
    open_ = [size for size in sizes if not isinstance(size, int)]
    if not open_:
        return sizes
    if len(open_) > 1 or -1 in sizes or not isinstance(open_[0], Symbol):
        return None
    return tuple(-1 if not isinstance(size, int) else size for size in sizes)


def _constant_of(
    numbers: tuple[int, ...], user: Node, nodes: dict[str, Node], made: dict[tuple[int, ...], str], before: list[Node]
) -> str:
    if numbers in made:
        return made[numbers]
    name = made[numbers] = free_name(f"{user.name}/known_shape", nodes)
    node = nodes[name] = Node(name, "Const")
    _become_constant(node, INT32, (len(numbers),), struct.pack(f"<{len(numbers)}i", *numbers))
    before.append(node)
    return name
