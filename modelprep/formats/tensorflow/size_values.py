"""Small tensors of whole numbers that a graph computes from its shapes, evaluated without running it.

A size that the graph leaves open (a placeholder's batch) is a symbol, so that ``Shape``, ``StridedSlice`` and ``Pack``
chains can be followed through it. What cannot be told is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from modelprep.formats.tensorflow.attrs import small_numbers
from modelprep.formats.tensorflow.graphdef import Node

INT32, INT64 = 3, 9


@dataclass(frozen=True)
class Symbol:
    """A size that is not known, times a known one: ``256 * N``."""

    factor: int
    names: tuple[str, ...]


Size = int | Symbol | None
#: A shape; None if not even the number of dimensions is known.
Shape = tuple[Size, ...] | None


@dataclass(frozen=True)
class Value:
    """A small tensor of whole numbers: a scalar (`scalar`) or a list."""

    items: tuple[Size, ...]
    scalar: bool = False


def times(sizes: Sequence[Size]) -> Size:
    """Multiply sizes."""
    factor = 1
    names: list[str] = []
    for size in sizes:
        if size is None:
            return None
        factor *= size if isinstance(size, int) else size.factor
        names += [] if isinstance(size, int) else size.names
    return Symbol(factor, tuple(sorted(names))) if names and factor else factor


def over(size: Size, divisor: Size) -> Size:
    """Divide one size by another, where that leaves no rest."""
    if size is None or divisor is None:
        return None
    top = Symbol(size, ()) if isinstance(size, int) else size
    below = Symbol(divisor, ()) if isinstance(divisor, int) else divisor
    names = list(top.names)
    for name in below.names:
        if name not in names:
            return None
        names.remove(name)
    if not below.factor or top.factor % below.factor:
        return None
    factor = top.factor // below.factor
    return Symbol(factor, tuple(names)) if names else factor


def numbers(node: Node | None) -> Value | None:
    """Read a small constant of whole numbers; None if it is something else."""
    head = node.tensor() if node is not None and node.op == "Const" else None
    values = small_numbers(head, INT32, INT64)
    if head is None or values is None or len(head.shape) > 1:
        return None
    return Value(tuple(values), scalar=not head.shape)


def _vstrided(node: Node, given: list[Value]) -> Value | None:
    source, *where = given
    if (
        source.scalar
        or len(where) != 3
        or any(len(one.items) != 1 or not isinstance(one.items[0], int) for one in where)
    ):
        return None
    if node.number("ellipsis_mask") or node.number("new_axis_mask"):
        return None
    begin, end, step = (cast("int", one.items[0]) for one in where)
    if node.number("shrink_axis_mask") & 1:
        place = begin + len(source.items) if begin < 0 else begin
        return Value((source.items[place],), scalar=True) if 0 <= place < len(source.items) else None
    if not step:
        return None
    picked = slice(None if node.number("begin_mask") & 1 else begin, None if node.number("end_mask") & 1 else end, step)
    return Value(source.items[picked])


def _vslice(_: Node, given: list[Value]) -> Value | None:
    source, *where = given
    whole = [place for one in where for place in one.items if isinstance(place, int)]
    if len(whole) != 2:
        return None
    start, many = whole
    return Value(source.items[start:] if many == -1 else source.items[start : start + many])


def _vgather(_: Node, given: list[Value]) -> Value | None:
    places = given[1].items
    if not all(isinstance(place, int) and -1 < place < len(given[0].items) for place in places):
        return None
    return Value(tuple(given[0].items[place] for place in places if isinstance(place, int)), scalar=given[1].scalar)


def _vconcat(_: Node, given: list[Value]) -> Value | None:
    return None if any(one.scalar for one in given[:-1]) else Value(tuple(i for one in given[:-1] for i in one.items))


def _vreshape(_: Node, given: list[Value]) -> Value | None:
    wanted = given[1].items
    return Value(given[0].items, scalar=not wanted) if len(wanted) < 2 else None


def _pairwise(do: Callable[[Size, Size], Size]) -> Callable[[Node, list[Value]], Value | None]:
    def rule(_: Node, given: list[Value]) -> Value | None:
        if len(given) != 2:
            return None
        many = max(len(one.items) for one in given)
        if any(len(one.items) not in (1, many) for one in given):
            return None
        left, right = (one.items * (many // len(one.items)) for one in given)
        return Value(tuple(map(do, left, right)), scalar=all(one.scalar for one in given))

    return rule


def _of_ints(do: Callable[[int, int], int]) -> Callable[[Size, Size], Size]:
    return lambda a, b: do(a, b) if isinstance(a, int) and isinstance(b, int) else None


#: Operations on such tensors.
RULES: Mapping[str, Callable[[Node, list[Value]], Value | None]] = {
    "Identity": lambda _, given: given[0],
    "Pack": lambda _, given: Value(tuple(one.items[0] for one in given)) if all(one.scalar for one in given) else None,
    "Prod": lambda node, given: Value((times(given[0].items),), scalar=not node.flag("keep_dims")),
    "ExpandDims": lambda _, given: Value(given[0].items) if given[0].scalar else None,
    "Squeeze": lambda _, given: Value(given[0].items, scalar=True) if len(given[0].items) == 1 else None,
    "Cast": lambda node, given: given[0] if node.dtype("DstT") in (INT32, INT64) else None,
    "StridedSlice": _vstrided, "Slice": _vslice, "Gather": _vgather, "GatherV2": _vgather,
    "ConcatV2": _vconcat, "Reshape": _vreshape,
    "Mul": _pairwise(lambda a, b: times((a, b))), "FloorDiv": _pairwise(over),
    **dict.fromkeys(("Add", "AddV2"), _pairwise(_of_ints(lambda a, b: a + b))),
    "Sub": _pairwise(_of_ints(lambda a, b: a - b)),
    "Maximum": _pairwise(_of_ints(max)), "Minimum": _pairwise(_of_ints(min)),
}  # fmt: skip
