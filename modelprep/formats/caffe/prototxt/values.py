"""What a message's fields are and which values each takes: numbers, booleans, names of an enumeration, strings."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from modelprep.errors import nearest
from modelprep.formats.caffe import text_bytes
from modelprep.formats.caffe.prototxt import lexer
from modelprep.formats.caffe.prototxt.lexer import IDENTIFIER, NUMBER, STRING, Lexer
from modelprep.formats.protos import is_repeated
from modelprep.structs import dataclass, field

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

# Numbers of FieldDescriptor.type (descriptor.proto).
DOUBLE, FLOAT, BOOL, TEXT, MESSAGE, BYTES, ENUM = 1, 2, 8, 9, 11, 12, 14


_INT32, _INT64 = ((-(1 << bits - 1), (1 << bits - 1) - 1, f"int{bits}") for bits in (32, 64))
_UINT32, _UINT64 = ((0, (1 << bits) - 1, f"uint{bits}") for bits in (32, 64))
_RANGES = {
    3: _INT64, 16: _INT64, 18: _INT64,
    5: _INT32, 15: _INT32, 17: _INT32, 4: _UINT64, 6: _UINT64, 13: _UINT32, 7: _UINT32,
}  # fmt: skip
_MAX_FLOAT = 3.4028234663852886e38
_BOOLS = {"true": True, "True": True, "t": True, "false": False, "False": False, "f": False}


@dataclass
class Field:
    """One field; `wanted`: the type of a whole number, from `low` to `high`; `values`: of an enumeration."""

    name: str
    type: int
    repeated: bool
    descriptor: Any
    low: int = 0
    high: int = 0
    wanted: str = ""
    values: dict[str, int] = field(default_factory=dict)
    child: Plan | None = None


@dataclass
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


def value_of(text: Lexer, one: Field) -> Any:
    """Read the next value of `text`, as the message takes it; of an enumeration the number.

    Raises StepError: the field takes no such value.
    """
    if one.wanted:
        return _integer(text, one)
    kind = one.type
    if kind in (TEXT, BYTES):
        return _string(text, one)
    if kind in (FLOAT, DOUBLE):
        return _float(text, one)
    if kind == ENUM:
        return _enum(text, one)
    # Groups are the only other type, and no schema of ours has any.
    assert kind == BOOL, kind
    return _bool(text, one)


def _integer(text: Lexer, one: Field) -> int:
    offset = text.offset
    negative = text.take("-")
    value = lexer.integer(text.word) if text.kind == NUMBER else None
    if value is None:
        expected = f"a number of type {one.wanted}"
        text.fail(f"'{one.name}' takes a whole number", offset=offset, expected=expected, got=text.found())
    value = -value if negative else value
    if not one.low <= value <= one.high:
        shown = str(value) if abs(value) < 1 << 80 else text.found()
        expected = f"{one.wanted}: {one.low} to {one.high}"
        text.fail(f"The value of '{one.name}' is out of range", offset=offset, expected=expected, got=shown)
    text.advance()
    return value


def _float(text: Lexer, one: Field) -> float:
    offset = text.offset
    negative = text.take("-")
    value: float | None = None
    if text.kind == NUMBER:
        value = lexer.decimal(text.word)
    elif text.kind == IDENTIFIER:
        value = float(text.word) if text.word.lower() in ("inf", "infinity", "nan") else None
    if value is None:
        text.fail(f"'{one.name}' takes a number", offset=offset, expected="a decimal number", got=text.found())
    if text.kind == NUMBER and (
        value == float("inf") or (one.type == FLOAT and value > _MAX_FLOAT and not _fits_float(value))
    ):
        expected = "at most 3.4028235e+38 (write inf for infinity)" if one.type == FLOAT else "a finite double"
        text.fail(f"The value of '{one.name}' is out of range", offset=offset, expected=expected, got=text.found())
    if one.type == FLOAT and _MAX_FLOAT < value < float("inf"):
        # It rounds down to the largest float32; protobuf in pure Python would make infinity of it.
        value = _MAX_FLOAT
    text.advance()
    return -value if negative else value


def _bool(text: Lexer, one: Field) -> bool:
    value: bool | None = None
    if text.kind == IDENTIFIER:
        value = _BOOLS.get(text.word)
    elif text.kind == NUMBER:
        number = lexer.integer(text.word)
        value = bool(number) if number in (0, 1) else None
    if value is None:
        lowered = text.word.lower()
        hint = f"did you mean {lowered}?" if lowered in _BOOLS else None
        what = f"'{one.name}' is either true or false"
        text.fail(what, expected="true, false, t, f, 1 or 0", got=text.found(), hint=hint)
    text.advance()
    return value


def _enum(text: Lexer, one: Field) -> int:
    offset = text.offset
    if text.kind == IDENTIFIER:
        value = one.values.get(text.word)
        if value is None:
            known = list(one.values)
            hint = nearest(text.word, known) or nearest(text.word.upper(), known) or None
            text.fail(f"'{one.name}' has no value '{text.word}'", expected=_some(known), got=text.word, hint=hint)
    else:
        negative = text.take("-")
        number = lexer.integer(text.word) if text.kind == NUMBER else None
        if number is None:
            quoted = text.kind == STRING and text.word[1:-1] in one.values
            hint = f"write it without quotes: {text.word[1:-1]}" if quoted else None
            what, expected = f"'{one.name}' takes one of a few names", _some(list(one.values))
            text.fail(what, offset=offset, expected=expected, got=text.found(), hint=hint)
        value = -number if negative else number
        if value not in one.values.values():
            expected = _some([f"{name} ({code})" for name, code in one.values.items()])
            text.fail(f"'{one.name}' has no value {value}", offset=offset, expected=expected, got=str(value))
    text.advance()
    return value


def _string(text: Lexer, one: Field) -> str | bytes:
    if text.kind != STRING:
        v1 = one.name == "type" and text.kind == IDENTIFIER and text.word.isupper()
        hint = "quote it; in upper case it is the old form, which goes with 'layers', not 'layer'" if v1 else None
        if hint is None and text.kind == IDENTIFIER:
            hint = f'write it in quotes: {one.name}: "{text.word}"'
        text.fail(f"'{one.name}' takes a quoted string", expected='"..."', got=text.found(), hint=hint)
    parts = []
    while text.kind == STRING:
        try:
            parts.append(lexer.unescape(text.word))
        except ValueError as error:
            text.fail(f"The string of '{one.name}' holds a bad escape: {error}")
        text.advance()
    whole = b"".join(parts)
    return whole if one.type == BYTES else text_bytes.decode(whole)


def _fits_float(value: float) -> bool:
    """Say whether a double beyond the largest float32 still rounds down to it."""
    try:
        struct.pack("<f", value)
    except OverflowError:
        return False
    return True


def _some(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:12])}, ... ({len(names)} in all)"
