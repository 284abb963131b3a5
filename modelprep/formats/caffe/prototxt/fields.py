"""What the prototxt reader needs to know of a message's fields, drawn from its descriptor once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelprep.formats.protos import is_repeated

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

# Numbers of FieldDescriptor.type (descriptor.proto).
DOUBLE, FLOAT, BOOL, STRING, MESSAGE, BYTES, ENUM = 1, 2, 8, 9, 11, 12, 14


def _range(bits: int, signed: bool) -> tuple[int, int, str]:
    if signed:
        return -(1 << bits - 1), (1 << bits - 1) - 1, f"int{bits}"
    return 0, (1 << bits) - 1, f"uint{bits}"


_INT32, _INT64, _UINT32, _UINT64 = _range(32, True), _range(64, True), _range(32, False), _range(64, False)
_RANGES = {
    3: _INT64, 16: _INT64, 18: _INT64,
    5: _INT32, 15: _INT32, 17: _INT32, 4: _UINT64, 6: _UINT64, 13: _UINT32, 7: _UINT32,
}  # fmt: skip


@dataclass(slots=True)
class Field:
    """What the parser needs to know of one field."""

    name: str
    type: int
    repeated: bool
    descriptor: Any
    low: int = 0
    high: int = 0
    wanted: str = ""
    values: dict[str, int] = field(default_factory=dict)
    child: Plan | None = None


@dataclass(slots=True)
class Plan:
    """A message's fields by name; children are filled in when first met."""

    descriptor: Any
    fields: dict[str, Field]


# By descriptor, whose pool outlives the process's use of it (schemas are cached).
_PLANS: dict[Any, Plan] = {}


def plan_of(descriptor: Descriptor) -> Plan:
    """Return the fields of a message by name; made once for each type of message."""
    plan = _PLANS.get(descriptor)
    if plan is None:
        plan = Plan(descriptor, {})
        for one in descriptor.fields:
            kind = int(one.type)
            low, high, wanted = _RANGES.get(kind, (0, 0, ""))
            values = {value.name: value.number for value in one.enum_type.values} if one.enum_type is not None else {}
            plan.fields[one.name] = Field(one.name, kind, is_repeated(one), one, low, high, wanted, values)
        _PLANS[descriptor] = plan
    return plan
