"""Values of the text format: numbers, truths, names of an enumeration, strings, each as its field wants it."""

from __future__ import annotations

import struct
from typing import Any

from modelprep.errors import nearest
from modelprep.formats.caffe import text_bytes
from modelprep.formats.caffe.prototxt import fields, tokens
from modelprep.formats.caffe.prototxt.fields import Field
from modelprep.formats.caffe.prototxt.lexer import Lexer
from modelprep.formats.caffe.prototxt.tokens import IDENTIFIER, NUMBER, STRING

_MAX_FLOAT = 3.4028234663852886e38
_BOOLS = {"true": True, "True": True, "t": True, "false": False, "False": False, "f": False}


def value_of(text: Lexer, one: Field) -> Any:
    """Read the value that stands at `text`, and step behind it.

    Returns what the message takes; the number of a named value of an enumeration. Raises StepError: the field takes no
    such value.
    """
    if one.wanted:
        return _integer(text, one)
    kind = one.type
    if kind in (fields.STRING, fields.BYTES):
        return _string(text, one)
    if kind in (fields.FLOAT, fields.DOUBLE):
        return _float(text, one)
    if kind == fields.ENUM:
        return _enum(text, one)
    # Groups are the only other type, and no schema of ours has any.
    assert kind == fields.BOOL, kind
    return _bool(text, one)


def _minus(text: Lexer) -> bool:
    if text.at("-"):
        text.advance()
        return True
    return False


def _integer(text: Lexer, one: Field) -> int:
    offset = text.offset
    negative = _minus(text)
    value = tokens.integer(text.word) if text.kind == NUMBER else None
    if value is None:
        text.fail(
            f"'{one.name}' takes a whole number",
            offset=offset,
            expected=f"a number of type {one.wanted}",
            got=text.found(),
        )
    value = -value if negative else value
    if not one.low <= value <= one.high:
        shown = str(value) if abs(value) < 1 << 80 else text.found()
        text.fail(
            f"The value of '{one.name}' is out of range",
            offset=offset,
            expected=f"{one.wanted}: {one.low} to {one.high}",
            got=shown,
        )
    text.advance()
    return value


def _float(text: Lexer, one: Field) -> float:
    offset = text.offset
    negative = _minus(text)
    value: float | None = None
    if text.kind == NUMBER:
        value = tokens.decimal(text.word)
    elif text.kind == IDENTIFIER:
        value = {"inf": float("inf"), "infinity": float("inf"), "nan": float("nan")}.get(text.word.lower())
    if value is None:
        text.fail(f"'{one.name}' takes a number", offset=offset, expected="a decimal number", got=text.found())
    if text.kind == NUMBER and (
        value == float("inf") or (one.type == fields.FLOAT and value > _MAX_FLOAT and not _fits_float(value))
    ):
        text.fail(
            f"The value of '{one.name}' is out of range",
            offset=offset,
            expected="at most 3.4028235e+38 (write inf for infinity)"
            if one.type == fields.FLOAT
            else "a finite double",
            got=text.found(),
        )
    if one.type == fields.FLOAT and _MAX_FLOAT < value < float("inf"):
        # It rounds down to the largest float32; protobuf in pure Python would make infinity of it.
        value = _MAX_FLOAT
    text.advance()
    return -value if negative else value


def _bool(text: Lexer, one: Field) -> bool:
    value: bool | None = None
    if text.kind == IDENTIFIER:
        value = _BOOLS.get(text.word)
    elif text.kind == NUMBER:
        number = tokens.integer(text.word)
        value = bool(number) if number in (0, 1) else None
    if value is None:
        lowered = text.word.lower()
        hint = f"did you mean {lowered}?" if lowered in _BOOLS else None
        text.fail(
            f"'{one.name}' is either true or false",
            expected="true, false, t, f, 1 or 0",
            got=text.found(),
            hint=hint,
        )
    text.advance()
    return value


def _enum(text: Lexer, one: Field) -> int:
    offset = text.offset
    if text.kind == IDENTIFIER:
        value = one.values.get(text.word)
        if value is None:
            known = list(one.values)
            hint = nearest(text.word, known) or nearest(text.word.upper(), known) or None
            text.fail(
                f"'{one.name}' has no value '{text.word}'",
                expected=_some(known),
                got=text.word,
                hint=hint,
            )
    else:
        negative = _minus(text)
        number = tokens.integer(text.word) if text.kind == NUMBER else None
        if number is None:
            quoted = text.kind == STRING and text.word[1:-1] in one.values
            hint = f"write it without quotes: {text.word[1:-1]}" if quoted else None
            text.fail(
                f"'{one.name}' takes one of a few names",
                offset=offset,
                expected=_some(list(one.values)),
                got=text.found(),
                hint=hint,
            )
        value = -number if negative else number
        if value not in one.values.values():
            text.fail(
                f"'{one.name}' has no value {value}",
                offset=offset,
                expected=_some([f"{name} ({code})" for name, code in one.values.items()]),
                got=str(value),
            )
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
            parts.append(tokens.unescape(text.word))
        except ValueError as error:
            text.fail(f"The string of '{one.name}' holds a bad escape: {error}")
        text.advance()
    whole = b"".join(parts)
    return whole if one.type == fields.BYTES else text_bytes.decode(whole)


def _fits_float(value: float) -> bool:
    """Say whether a double beyond the largest float32 still rounds down to it."""
    try:
        struct.pack("<f", value)
    except OverflowError:
        return False
    return True


def _some(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:12])}, ... ({len(names)} in all)"
