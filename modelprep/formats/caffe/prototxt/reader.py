"""Read protobuf's text format into a message of a schema of ours.

Not ``google.protobuf.text_format``: errors carry line, column, the layer and the nearest known names, duplicates are
refused as Caffe's own reader (C++) refuses them, nesting is bounded, and the behaviour is the same on every protobuf.
See ``docs/decisions/0004-caffe-schema.md``. Here is the grammar; :mod:`~modelprep.formats.caffe.prototxt.lexer` has the
tokens, :mod:`~modelprep.formats.caffe.prototxt.values` the values of fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from modelprep.errors import nearest
from modelprep.formats.caffe.prototxt.lexer import END, IDENTIFIER, Lexer
from modelprep.formats.caffe.prototxt.values import MESSAGE, Field, Plan, plan_of, value_of

#: Messages within messages; Caffe's own schema needs five.
MAX_DEPTH = 64


def read_into(message: Any, text: str, origin: str, looks_like: Callable[[str], str]) -> None:
    """Read a whole text into an empty message; what was read before an error stays in it.

    Raises StepError: the text is not well formed, or does not fit the message.
    """
    root = plan_of(message.DESCRIPTOR)
    _Reader(Lexer(text, origin, looks_like), root).read(message, root, "", 0)


class _Reader:
    def __init__(self, text: Lexer, root: Plan) -> None:
        self._text, self._root = text, root

    def read(self, message: Any, plan: Plan, closing: str, opened: int) -> None:
        text = self._text
        seen: set[str] = set()
        while True:
            if text.kind != IDENTIFIER:
                if text.take(closing) if closing else text.kind == END:
                    return
                self._refuse_field(plan, closing, opened)
            name = text.word
            one = plan.fields.get(name)
            if one is None:
                self._refuse_name(name, plan)
            if not one.repeated:
                if name in seen:
                    text.fail(
                        f"The field '{name}' is written twice in one {plan.descriptor.name}",
                        expected="once (Caffe's own reader refuses a second one too)",
                    )
                seen.add(name)
            text.advance()
            if not text.take(":") and one.type != MESSAGE:
                text.fail(f"A ':' is missing after '{name}'", expected=f"{name}: <value>", got=text.found())
            if one.repeated and text.at("["):
                self._list(message, one)
            elif one.type == MESSAGE:
                self._submessage(message, one)
            elif one.repeated:
                getattr(message, name).append(value_of(text, one))
            else:
                setattr(message, name, value_of(text, one))
            text.fields_read += 1
            text.take(";,")

    def _list(self, message: Any, one: Field) -> None:
        text = self._text
        text.advance()
        if text.take("]"):
            return
        while True:
            if one.type == MESSAGE:
                self._submessage(message, one)
            else:
                getattr(message, one.name).append(value_of(text, one))
            if text.take("]"):
                return
            if not text.take(","):
                what = f"A comma or the end of the list of '{one.name}' is missing"
                text.fail(what, expected="',' or ']'", got=text.found())

    def _submessage(self, message: Any, one: Field) -> None:
        text = self._text
        if not text.at("{<"):
            what = f"'{one.name}' is a message, so a '{{' follows it"
            text.fail(what, expected=f"{one.name} {{ ... }}", got=text.found())
        if len(text.inside) >= MAX_DEPTH:
            text.fail(f"Messages are nested more than {MAX_DEPTH} deep")
        opened = text.offset or 0
        closing = "}" if text.word == "{" else ">"
        if one.child is None:
            one.child = plan_of(one.descriptor.message_type)
        inner = getattr(message, one.name)
        if one.repeated:
            inner = inner.add()
        else:
            inner.SetInParent()
        text.inside.append((one.name, inner))
        text.advance()
        self.read(inner, one.child, closing, opened)
        text.inside.pop()

    def _refuse_field(self, plan: Plan, closing: str, opened: int) -> NoReturn:
        text = self._text
        if text.kind == END:
            name = text.inside[-1][0] if text.inside else "?"
            text.fail(
                f"The text ends inside '{name}'; a '{closing}' is missing",
                expected=f"'{closing}' for the one opened at {text.origin}:{text.line(opened)}",
                got="the end of the text",
                hint="the file may be cut short; fetch it again",
            )
        if text.at("["):
            text.fail("Extensions and Any messages ('[name]') are not part of Caffe's format", got=text.found())
        if text.at("}>"):
            wanted = f"'{closing}'" if closing else "nothing open here"
            text.fail(f"A '{text.word}' closes what is not open", expected=wanted, got=text.found())
        text.fail("A field name was expected here", expected=f"a field of {plan.descriptor.name}", got=text.found())

    def _refuse_name(self, name: str, plan: Plan) -> NoReturn:
        around = next((place for place, known in self._around() if name in known), None)
        messages = [one for one in plan.fields.values() if one.type == MESSAGE]
        holders = [one.name for one in messages if name in plan_of(one.descriptor.message_type).fields]
        if name.lower() in plan.fields:
            hint = f"did you mean {name.lower()}? (names are case-sensitive)"
        elif around:
            hint = f"'{name}' is a field of {around}; is a '}}' missing before it?"
        elif holders:
            hint = f"'{name}' belongs inside {' or '.join(holders[:4])} {{ }}"
        else:
            hint = nearest(name, list(plan.fields))
        self._text.fail(f"{plan.descriptor.name} has no field '{name}'", got=name, hint=hint or None)

    def _around(self) -> Iterator[tuple[str, dict[str, Field]]]:
        """Yield the messages around the one being read, from the inside out, with their fields."""
        for name, message in reversed(self._text.inside[:-1]):
            yield name, plan_of(message.DESCRIPTOR).fields
        if self._text.inside:
            yield self._root.descriptor.name, self._root.fields
