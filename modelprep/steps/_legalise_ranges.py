"""Ranges of tensors that are computed from constants and random numbers, as far as dropout needs them."""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from modelprep.formats.tensorflow.attrs import payload_in, small_numbers, varint_in
from modelprep.formats.tensorflow.graphdef import Node

FLOAT, INT32, BOOL = 1, 3, 10
#: Operations that return their input.
HANDS_ON = frozenset(("Identity", "StopGradient", "Snapshot", "CheckNumerics"))
#: What two known values decide.
_DECIDES: Mapping[str, Callable[[float, float], float]] = {
    "Equal": operator.eq, "NotEqual": operator.ne, "Greater": operator.gt, "GreaterEqual": operator.ge,
    "Less": operator.lt, "LessEqual": operator.le, "LogicalAnd": operator.mul, "LogicalOr": max,
}  # fmt: skip


@dataclass(frozen=True)
class Range:
    """The range of a tensor's elements: from `low` to `high`, which is excluded unless both are equal."""

    low: float
    high: float

    @property
    def value(self) -> float | None:
        """The value of all elements; None if they may differ."""
        return self.low if self.low == self.high else None


def range_of(node: Node, data: list[str], ranges: Mapping[str, Range | None]) -> Range | None:
    """Return the range of a node's first output; `data`: its inputs, without ``:0`` for first outputs."""
    if node.op == "Const":
        return _constant(node)
    if node.op == "RandomUniform":
        return Range(0.0, 1.0)  # 1 is never reached, not by rounding to float32 either
    given = [ranges.get(one) for one in data]
    if node.op in ("LogicalAnd", "LogicalOr"):
        decisive = node.op == "LogicalOr"  # of one operand, whatever the other is
        if any(one is not None and one.value == decisive for one in given):
            return _only(decisive)
    if not given or any(one is None for one in given):
        return None
    known = [one for one in given if one is not None]
    first, second = known[0], known[-1]
    if node.op in HANDS_ON or (node.op == "Cast" and node.dtype("DstT") == FLOAT):
        return first
    if node.op in ("Cast", "LogicalNot"):
        make = operator.not_ if node.op == "LogicalNot" else bool if node.dtype("DstT") == BOOL else int
        return None if first.value is None else _only(make(first.value))
    if node.op in _DECIDES and len(known) == 2 and first.value is not None and second.value is not None:
        return _only(_DECIDES[node.op](first.value, second.value))
    if node.op == "Floor":
        least = math.floor(first.low)
        most = least if first.value is not None else math.ceil(first.high) - 1
        return _only(least) if least == most else None
    if node.op in _DECIDES:
        if len(known) != 2 or second.value is None:
            return None
        always = first.low >= second.value if node.op == "GreaterEqual" else first.high <= second.value
        return _only(1) if always and node.op in ("GreaterEqual", "Less") else None
    if len(known) != 2 or (first.value is None and second.value is None):
        return None
    do = {"Add": float.__add__, "AddV2": float.__add__, "Sub": float.__sub__, "Mul": float.__mul__,
          "RealDiv": float.__truediv__, "Div": float.__truediv__}.get(node.op)  # fmt: skip
    if do is None or node.dtype("T") == INT32 or (second.value is None and node.op not in ("Add", "AddV2", "Mul")):
        return None
    try:
        low, high = do(first.low, second.low), do(first.high, second.high)
    except ZeroDivisionError:
        return None
    return Range(low, high) if low <= high else None


def _only(value: float) -> Range:
    return Range(float(value), float(value))


def _constant(node: Node) -> Range | None:
    head = node.tensor()
    if head is None or head.dtype not in (FLOAT, BOOL, INT32) or head.count > 1:
        return None
    if head.dtype == INT32:
        values = small_numbers(head, INT32)
        return _only(values[0]) if values else None
    if head.dtype == BOOL:
        raw = bytes(payload_in(head.proto, 11) or payload_in(head.proto, 4) or b"")
        return _only(raw[:1] not in (b"", b"\0") or bool(varint_in(head.proto, 11)))
    raw = bytes(payload_in(head.proto, 5) or payload_in(head.proto, 4) or b"")
    if len(raw) != 4:
        return None
    (number,) = struct.unpack("<f", raw)
    return _only(number) if math.isfinite(number) else None
