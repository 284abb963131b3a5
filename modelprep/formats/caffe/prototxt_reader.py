"""Read protobuf's text format into a message of a schema of ours.

A parser of our own, and not ``google.protobuf.text_format``: errors carry line, column, the layer they stand in and the
nearest known names, duplicates are refused as Caffe's own reader (C++) refuses them, nesting is bounded, and the
behaviour is the same on every protobuf. See ``docs/decisions/0004-caffe-schema.md``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from modelprep.errors import StepError, nearest
from modelprep.formats.caffe import prototxt_fields as fields
from modelprep.formats.caffe import prototxt_tokens as tokens
from modelprep.formats.caffe.prototxt_fields import Field, Plan, plan_of
from modelprep.formats.caffe.prototxt_tokens import BAD, IDENTIFIER, NUMBER, PUNCTUATION, SPACE, STRING, TOKEN

#: Messages within messages; Caffe's own schema needs five.
MAX_DEPTH = 64
_MAX_FLOAT = 3.4028234663852886e38

_BOOLS = {"true": True, "True": True, "t": True, "false": False, "False": False, "f": False}
_END = 0
_RUNS_ON = re.compile(r"[A-Za-z0-9_.]").match


class Reader:
    """One reading of one text.

    Parameters
    ----------
    text
        The whole text.
    origin
        How to name it in errors (a file name).
    looks_like
        Says what a text is that fails before its first field was read, or an empty string.
    """

    def __init__(self, text: str, origin: str, looks_like: Callable[[str], str]) -> None:
        self._text = text
        self._origin = origin
        self._looks_like = looks_like
        self._matches: Iterator[re.Match[str]] = TOKEN.finditer(text, 1 if text.startswith("\ufeff") else 0)
        self._kind = _END
        self._word = ""
        self._at: re.Match[str] | None = None
        self._stack: list[tuple[str, Any]] = []
        self._fields_read = 0
        self._root: Plan | None = None
        self._advance()

    # --- tokens ---------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        for match in self._matches:
            kind = match.lastindex
            if kind == SPACE:
                continue
            self._at = match
            self._word = match.group()
            self._kind = kind or BAD
            if kind == BAD:
                self._refuse_character()
            if kind == NUMBER and _RUNS_ON(self._text, match.end()):
                self._fail("A number runs into what follows it", expected="a space after it", got=self._found())
            return
        self._at, self._kind, self._word = None, _END, ""

    def _is(self, characters: str) -> bool:
        return self._kind == PUNCTUATION and self._word in characters

    def _refuse_character(self) -> NoReturn:
        character = self._word
        if character in "\"'":
            self._fail("A string has no closing quote on its line", expected=character, got="the end of the line")
        shown = repr(character) if character.isprintable() else f"the character U+{ord(character):04X}"
        self._fail(f"{shown} has no place in a prototxt outside of a string")

    def _found(self) -> str:
        if self._kind == _END:
            return "the end of the text"
        shown = self._word if len(self._word) <= 60 else self._word[:57] + "..."
        return shown if self._kind == STRING else f"'{shown}'"

    # --- errors ---------------------------------------------------------------------------------------------------

    def where(self, offset: int | None = None) -> str:
        """Give ``origin:line:column``, and the layer and message around it."""
        if offset is None:
            offset = self._at.start() if self._at else len(self._text.rstrip())
        line = self._text.count("\n", 0, offset) + 1
        column = offset - self._text.rfind("\n", 0, offset)
        place = f"{self._origin}:{line}:{column}"
        around = []
        for name, message in self._stack:
            if name in ("layer", "layers"):
                title = getattr(message, "name", "")
                around.append(f"{name} '{title}'" if title else name)
            else:
                around.append(name)
        return f"{place} (in {', '.join(around)})" if around else place

    def _fail(
        self,
        what: str,
        *,
        offset: int | None = None,
        expected: str | None = None,
        got: str | None = None,
        hint: str | None = None,
    ) -> NoReturn:
        raise StepError(
            what,
            where=self.where(offset),
            expected=expected,
            got=got,
            hint=hint,
            looks_like=self._looks_like(self._text) or None if self._fields_read == 0 else None,
        )

    # --- grammar --------------------------------------------------------------------------------------------------

    def read(self, message: Any) -> None:
        """Read the whole text into `message`."""
        self._root = plan_of(message.DESCRIPTOR)
        self._fields(message, self._root, "", 0)

    def _fields(self, message: Any, plan: Plan, closing: str, opened: int) -> None:
        seen: set[str] = set()
        while True:
            if self._kind != IDENTIFIER:
                if closing and self._is(closing):
                    self._advance()
                    return
                if self._kind == _END and not closing:
                    return
                self._refuse_field(plan, closing, opened)
            name = self._word
            one = plan.fields.get(name)
            if one is None:
                self._refuse_name(name, plan)
            if not one.repeated:
                if name in seen:
                    self._fail(
                        f"The field '{name}' is written twice in one {plan.descriptor.name}",
                        expected="once (Caffe's own reader refuses a second one too)",
                    )
                seen.add(name)
            self._advance()
            if one.type == fields.MESSAGE:
                if self._is(":"):
                    self._advance()
            else:
                if not self._is(":"):
                    self._fail(f"A ':' is missing after '{name}'", expected=f"{name}: <value>", got=self._found())
                self._advance()
            if one.repeated and self._is("["):
                self._list(message, one)
            elif one.type == fields.MESSAGE:
                self._submessage(message, one)
            elif one.repeated:
                getattr(message, name).append(self._value(one))
            else:
                setattr(message, name, self._value(one))
            self._fields_read += 1
            if self._is(";,"):
                self._advance()

    def _list(self, message: Any, one: Field) -> None:
        self._advance()
        if self._is("]"):
            self._advance()
            return
        values = getattr(message, one.name)
        while True:
            if one.type == fields.MESSAGE:
                self._submessage(message, one)
            else:
                values.append(self._value(one))
            if self._is(","):
                self._advance()
            elif self._is("]"):
                self._advance()
                return
            else:
                self._fail(f"The list of '{one.name}' does not go on", expected="',' or ']'", got=self._found())

    def _submessage(self, message: Any, one: Field) -> None:
        if not self._is("{<"):
            self._fail(
                f"'{one.name}' is a message, so a '{{' follows it",
                expected=f"{one.name} {{ ... }}",
                got=self._found(),
            )
        if len(self._stack) >= MAX_DEPTH:
            self._fail(f"Messages are nested more than {MAX_DEPTH} deep")
        opened = self._at.start() if self._at else 0
        closing = "}" if self._word == "{" else ">"
        if one.child is None:
            one.child = plan_of(one.descriptor.message_type)
        if one.repeated:
            inner = getattr(message, one.name).add()
        else:
            inner = getattr(message, one.name)
            inner.SetInParent()
        self._stack.append((one.name, inner))
        self._advance()
        self._fields(inner, one.child, closing, opened)
        self._stack.pop()

    def _refuse_field(self, plan: Plan, closing: str, opened: int) -> NoReturn:
        if self._kind == _END:
            name = self._stack[-1][0] if self._stack else "?"
            self._fail(
                f"The text ends inside '{name}'; a '{closing}' is missing",
                expected=f"'{closing}' for the one opened at {self._origin}:{self._text.count(chr(10), 0, opened) + 1}",
                got="the end of the text",
                hint="the file may be cut short; fetch it again",
            )
        if self._is("["):
            self._fail("Extensions and Any messages ('[name]') are not part of Caffe's format", got=self._found())
        if self._is("}>"):
            wanted = f"'{closing}'" if closing else "nothing open here"
            self._fail(f"A '{self._word}' closes what is not open", expected=wanted, got=self._found())
        self._fail("A field name was expected here", expected=f"a field of {plan.descriptor.name}", got=self._found())

    def _refuse_name(self, name: str, plan: Plan) -> NoReturn:
        around = next((place for place, known in self._around() if name in known), None)
        holders = [one.name for one in plan.fields.values() if one.type == fields.MESSAGE and name in self._inside(one)]
        if name.lower() in plan.fields:
            hint = f"did you mean {name.lower()}? (names are case-sensitive)"
        elif around:
            hint = f"'{name}' is a field of {around}; is a '}}' missing before it?"
        elif holders:
            hint = f"'{name}' belongs inside {' or '.join(holders[:4])} {{ }}"
        else:
            hint = nearest(name, list(plan.fields))
        self._fail(f"{plan.descriptor.name} has no field '{name}'", got=name, hint=hint or None)

    @staticmethod
    def _inside(one: Field) -> dict[str, Field]:
        return plan_of(one.descriptor.message_type).fields

    def _around(self) -> Iterator[tuple[str, dict[str, Field]]]:
        """Give the messages around the one being read, from the inside out, with their fields."""
        for name, message in reversed(self._stack[:-1]):
            yield name, plan_of(message.DESCRIPTOR).fields
        if self._stack and self._root is not None:
            yield self._root.descriptor.name, self._root.fields

    # --- values ---------------------------------------------------------------------------------------------------

    def _value(self, one: Field) -> Any:
        if one.wanted:
            return self._integer(one)
        kind = one.type
        if kind in (fields.STRING, fields.BYTES):
            return self._string(one)
        if kind in (fields.FLOAT, fields.DOUBLE):
            return self._float(one)
        if kind == fields.ENUM:
            return self._enum(one)
        # Groups are the only other type, and no schema of ours has any.
        assert kind == fields.BOOL, kind
        return self._bool(one)

    def _minus(self) -> bool:
        if self._is("-"):
            self._advance()
            return True
        return False

    def _integer(self, one: Field) -> int:
        offset = self._at.start() if self._at else None
        negative = self._minus()
        value = tokens.integer(self._word) if self._kind == NUMBER else None
        if value is None:
            self._fail(
                f"'{one.name}' takes a whole number",
                offset=offset,
                expected=f"a number of type {one.wanted}",
                got=self._found(),
            )
        value = -value if negative else value
        if not one.low <= value <= one.high:
            shown = str(value) if abs(value) < 1 << 80 else self._found()
            self._fail(
                f"The value of '{one.name}' is out of range",
                offset=offset,
                expected=f"{one.wanted}: {one.low} to {one.high}",
                got=shown,
            )
        self._advance()
        return value

    def _float(self, one: Field) -> float:
        offset = self._at.start() if self._at else None
        negative = self._minus()
        value: float | None = None
        if self._kind == NUMBER:
            value = tokens.decimal(self._word)
        elif self._kind == IDENTIFIER:
            value = {"inf": float("inf"), "infinity": float("inf"), "nan": float("nan")}.get(self._word.lower())
        if value is None:
            self._fail(f"'{one.name}' takes a number", offset=offset, expected="a decimal number", got=self._found())
        if self._kind == NUMBER and (
            value == float("inf") or (one.type == fields.FLOAT and value > _MAX_FLOAT and not _fits_float(value))
        ):
            self._fail(
                f"The value of '{one.name}' is out of range",
                offset=offset,
                expected="at most 3.4028235e+38 (write inf for infinity)"
                if one.type == fields.FLOAT
                else "a finite double",
                got=self._found(),
            )
        if one.type == fields.FLOAT and _MAX_FLOAT < value < float("inf"):
            # It rounds down to the largest float32; protobuf in pure Python would make infinity of it.
            value = _MAX_FLOAT
        self._advance()
        return -value if negative else value

    def _bool(self, one: Field) -> bool:
        value: bool | None = None
        if self._kind == IDENTIFIER:
            value = _BOOLS.get(self._word)
        elif self._kind == NUMBER:
            number = tokens.integer(self._word)
            value = bool(number) if number in (0, 1) else None
        if value is None:
            lowered = self._word.lower()
            hint = f"did you mean {lowered}?" if lowered in _BOOLS else None
            self._fail(
                f"'{one.name}' is either true or false",
                expected="true, false, t, f, 1 or 0",
                got=self._found(),
                hint=hint,
            )
        self._advance()
        return value

    def _enum(self, one: Field) -> int:
        offset = self._at.start() if self._at else None
        if self._kind == IDENTIFIER:
            value = one.values.get(self._word)
            if value is None:
                known = list(one.values)
                hint = nearest(self._word, known) or nearest(self._word.upper(), known) or None
                self._fail(
                    f"'{one.name}' has no value '{self._word}'",
                    expected=_some(known),
                    got=self._word,
                    hint=hint,
                )
        else:
            negative = self._minus()
            number = tokens.integer(self._word) if self._kind == NUMBER else None
            if number is None:
                quoted = self._kind == STRING and self._word[1:-1] in one.values
                hint = f"write it without quotes: {self._word[1:-1]}" if quoted else None
                self._fail(
                    f"'{one.name}' takes one of a few names",
                    offset=offset,
                    expected=_some(list(one.values)),
                    got=self._found(),
                    hint=hint,
                )
            value = -number if negative else number
            if value not in one.values.values():
                self._fail(
                    f"'{one.name}' has no value {value}",
                    offset=offset,
                    expected=_some([f"{name} ({code})" for name, code in one.values.items()]),
                    got=str(value),
                )
        self._advance()
        return value

    def _string(self, one: Field) -> str | bytes:
        if self._kind != STRING:
            v1 = one.name == "type" and self._kind == IDENTIFIER and self._word.isupper()
            hint = "quote it; in upper case it is the old form, which goes with 'layers', not 'layer'" if v1 else None
            if hint is None and self._kind == IDENTIFIER:
                hint = f'write it in quotes: {one.name}: "{self._word}"'
            self._fail(f"'{one.name}' takes a quoted string", expected='"..."', got=self._found(), hint=hint)
        offset = self._at.start() if self._at else None
        parts = []
        while self._kind == STRING:
            try:
                parts.append(tokens.unescape(self._word))
            except ValueError as error:
                self._fail(f"The string of '{one.name}' holds a bad escape: {error}")
            self._advance()
        whole = b"".join(parts)
        if one.type == fields.BYTES:
            return whole
        try:
            return whole.decode("utf-8")
        except UnicodeDecodeError:
            self._fail(f"The string of '{one.name}' is not UTF-8", offset=offset, got=repr(whole[:40])[1:])


def _fits_float(value: float) -> bool:
    """Say whether a double beyond the largest float32 still rounds down to it."""
    try:
        struct.pack("<f", value)
    except OverflowError:
        return False
    return True


def _some(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:12])}, ... ({len(names)} in all)"
