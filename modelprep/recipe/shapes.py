"""The vocabulary that the key tables are written in: what a value may be.

Each shape can do two things: `read` a node (noting problems with their places) and describe itself as JSON Schema. The
tables in :mod:`modelprep.recipe.tables` are made of shapes, so the loader and the exported schema cannot disagree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from modelprep.recipe import document
from modelprep.recipe.document import Node, Scalar, kind_of, shorten
from modelprep.recipe.problems import Problems

#: What `read` gives for a value that is wrong; the problem has been noted.
BAD: Final = object()

JsonSchema = dict[str, Any]


class Table(dict[str, Any]):
    """The values that a mapping was read as, with the nodes they came from.

    Parameters
    ----------
    node
        The mapping's own node.
    """

    def __init__(self, node: document.Mapping) -> None:
        super().__init__()
        self.node = node

    def place(self, key: str) -> Node:
        """Give the node of a key's value."""
        return self.node.entries[key]

    def key_place(self, key: str) -> Node:
        """Give the node of a key itself."""
        return self.node.keys[key]


class Shape(Protocol):
    """What a value may be."""

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Give the value, or `BAD` when a problem was noted."""

    def schema(self) -> JsonSchema:
        """Describe the shape as JSON Schema (draft 2020-12)."""


def _words(names: Sequence[object]) -> str:
    return ", ".join(str(name).lower() if isinstance(name, bool) else str(name) for name in names)


@dataclass(frozen=True)
class Text:
    """A string.

    Parameters
    ----------
    what
        The noun for messages.
    pattern
        Regular expression for the whole string, in the syntax that Python and ECMAScript share.
    fault
        Says why a string is wrong (a sentence), or None; must agree with `pattern`.
    numbers
        True where a bare number is taken as the text it is written as (a manual's section ``8.1``).
    empty
        True where an empty string is taken.
    """

    what: str = "text"
    pattern: str = ""
    fault: Callable[[str], str | None] | None = None
    numbers: bool = False
    empty: bool = False
    hint: str | None = None

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Give the string."""
        if not isinstance(node, Scalar):
            problems.add("wrong kind of value", node, at, expected=self.what, got=kind_of(node))
            return BAD
        value = node.value
        if isinstance(value, int | float) and not isinstance(value, bool) and self.numbers:
            value = node.text
        if not isinstance(value, str):
            hint = f"quote it: '{shorten(node.text)}'" if node.text else None
            problems.add("wrong kind of value", node, at, expected=self.what, got=kind_of(node), hint=hint)
            return BAD
        if not value.strip() and not self.empty:
            problems.add("the text is empty", node, at, expected=self.what, hint="leave the key out instead")
            return BAD
        fault = self.fault(value) if self.fault else None
        if fault is None and self.pattern and not re.search(self.pattern, value):
            fault = f"this is not {self.what}"
        if fault is not None:
            problems.add(fault, node, at, expected=self.what, got=kind_of(node), hint=self.hint)
            return BAD
        return value

    def schema(self) -> JsonSchema:
        """Describe it."""
        made: JsonSchema = {"type": ["string", "number"] if self.numbers else "string"}
        if self.pattern:
            made["pattern"] = self.pattern
        elif not self.empty:
            made["pattern"] = r"\S"
        return made


@dataclass(frozen=True)
class Hex:
    """A digest in hexadecimal digits; capitals are taken and made small."""

    algorithm: str
    length: int

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Give the digest in small letters."""
        expected = f"{self.length} hexadecimal digits"
        if not isinstance(node, Scalar):
            problems.add(f"wrong kind of value for {self.algorithm}", node, at, expected=expected, got=kind_of(node))
            return BAD
        # The text and not the value: 40 digits, one of them an e, would otherwise be a number.
        text = node.text
        if len(text) != self.length:
            got = f"{len(text)} characters: {shorten(text, 24)}"
            problems.add(
                f"a {self.algorithm} digest of the wrong length", node, at, expected=expected, got=got,
                hint=self._other(text),
            )  # fmt: skip
            return BAD
        if not re.fullmatch("[0-9a-fA-F]*", text):
            odd = next(char for char in text if char not in "0123456789abcdefABCDEF")
            got = f"the character '{shorten(odd)}'"
            problems.add(f"a {self.algorithm} digest is hexadecimal", node, at, expected=expected, got=got)
            return BAD
        return text.lower()

    def _other(self, text: str) -> str | None:
        from modelprep.recipe.schema import ALGORITHMS, HEX_LENGTH

        fitting = [name for name in ALGORITHMS if HEX_LENGTH[name] == len(text)]
        return f"it has the length of {' or '.join(fitting)}" if fitting else None

    def schema(self) -> JsonSchema:
        """Describe it."""
        # The loader also takes a bare digest that other YAML readers hold for a number; an editor should see quotes.
        return {"type": "string", "pattern": f"^[0-9a-fA-F]{{{self.length}}}$(?![\\s\\S])"}


@dataclass(frozen=True)
class Int:
    """A whole number in a range."""

    what: str
    least: int = 0
    most: int = 2**63 - 1

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Give the number."""
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int):
            problems.add("wrong kind of value", node, at, expected=self.what, got=kind_of(node))
            return BAD
        if not self.least <= value <= self.most:
            problems.add("the number is out of range", node, at, expected=self.what, got=str(value))
            return BAD
        return value

    def schema(self) -> JsonSchema:
        """Describe it."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Bool:
    """``true`` or ``false``."""

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Give the boolean."""
        value = node.value if isinstance(node, Scalar) else None
        if not isinstance(value, bool):
            problems.add("wrong kind of value", node, at, expected="true or false", got=kind_of(node))
            return BAD
        return value

    def schema(self) -> JsonSchema:
        """Describe it."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class Choice:
    """One of a few words or numbers."""

    allowed: tuple[str | int, ...]

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Give the word."""
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, bool) or value not in self.allowed:
            hint = problems.near(value, [str(name) for name in self.allowed]) if isinstance(value, str) else ""
            expected = f"one of {_words(self.allowed)}" if len(self.allowed) > 1 else str(self.allowed[0])
            problems.add("this value is not known", node, at, expected=expected, got=kind_of(node), hint=hint)
            return BAD
        return value

    def schema(self) -> JsonSchema:
        """Describe it."""
        return {"const": self.allowed[0]} if len(self.allowed) == 1 else {"enum": list(self.allowed)}


@dataclass(frozen=True)
class Free:
    """Anything; given as plain Python values, or as the node itself where `nodes` is set."""

    nodes: bool = False

    def read(self, node: Node, at: str, problems: Problems) -> Any:  # noqa: ARG002 - the interface
        """Give the value."""
        return node if self.nodes else document.plain(node)

    def schema(self) -> JsonSchema:
        """Describe it."""
        return {}


@dataclass(frozen=True)
class ListOf:
    """A list, or one element written without its list where `single` is set."""

    element: Shape
    what: str = "a list"
    least: int = 0
    single: bool = False
    most: int = 10_000

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Give a list of what could be read."""
        if not isinstance(node, document.Sequence):
            if self.single and isinstance(node, Scalar):
                value = self.element.read(node, at, problems)
                return BAD if value is BAD else [value]
            problems.add("wrong kind of value", node, at, expected=self.what, got=kind_of(node))
            return BAD
        if len(node.items) < self.least:
            problems.add("the list is empty", node, at, expected=self.what)
            return BAD
        if len(node.items) > self.most:
            expected = f"at most {self.most} entries"
            problems.add("the list is too long", node, at, expected=expected, got=str(len(node.items)))
            return BAD
        read = [self.element.read(item, f"{at}[{index}]", problems) for index, item in enumerate(node.items)]
        return BAD if any(value is BAD for value in read) else read

    def schema(self) -> JsonSchema:
        """Describe it."""
        made: JsonSchema = {"type": "array", "items": self.element.schema(), "maxItems": self.most}
        if self.least:
            made["minItems"] = self.least
        return {"anyOf": [self.element.schema(), made]} if self.single else made


@dataclass(frozen=True)
class MapOf:
    """A mapping whose keys are names of the user's own."""

    key: Text
    value: Shape
    what: str = "a mapping"
    least: int = 0

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Give a :class:`Table` of what could be read."""
        if not isinstance(node, document.Mapping):
            problems.add("wrong kind of value", node, at, expected=self.what, got=kind_of(node))
            return BAD
        if len(node.entries) < self.least:
            problems.add("the mapping is empty", node, at, expected=self.what)
            return BAD
        table = Table(node)
        for key, value_node in node.entries.items():
            here = f"{at}.{key}" if at else key
            name_is_good = self.key.read(_as_text(node.keys[key]), here, problems) is not BAD
            value = self.value.read(value_node, here, problems)
            if name_is_good and value is not BAD:
                table[key] = value
        return table

    def schema(self) -> JsonSchema:
        """Describe it."""
        made: JsonSchema = {
            "type": "object",
            "propertyNames": {"pattern": self.key.pattern or r"\S"},
            "additionalProperties": self.value.schema(),
        }
        if self.least:
            made["minProperties"] = self.least
        return made


def _as_text(key: Scalar) -> Scalar:
    """Give a key as the string it always is (``1: x`` has the key "1")."""
    return Scalar(key.text, False, key.start, key.end)


@dataclass(frozen=True)
class Field:
    """One key of a mapping: its name, what it holds, and a sentence on what it is for."""

    name: str
    shape: Shape
    doc: str
    required: bool = False


@dataclass(frozen=True)
class Struct:
    """A mapping with known keys.

    Parameters
    ----------
    what
        The noun for messages: "an asset".
    fields
        The keys there are.
    demands
        (key, value, other key, reason): when `key` has `value`, `other key` must be there.
    apart
        (key, other key, reason): keys that exclude one another.
    any_of
        (keys, reason): at least one of these keys must be there.
    """

    what: str
    fields: tuple[Field, ...]
    demands: tuple[tuple[str, object, str, str], ...] = ()
    apart: tuple[tuple[str, str, str], ...] = ()
    any_of: tuple[tuple[tuple[str, ...], str], ...] = ()
    by_name: Mapping[str, Field] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {each.name: each for each in self.fields})

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Give a :class:`Table` of what could be read; keys with problems are left out."""
        if not isinstance(node, document.Mapping):
            problems.add("wrong kind of value", node, at, expected=f"{self.what} (a mapping)", got=kind_of(node))
            return BAD
        table = Table(node)
        for key, value_node in node.entries.items():
            here = f"{at}.{key}" if at else key
            known = self.by_name.get(key)
            if known is None:
                names = list(self.by_name)
                problems.add(
                    f"'{shorten(key)}' is no key of {self.what}", node.keys[key], here,
                    expected=f"one of {_words(names)}", hint=problems.near(key, names, 1),
                )  # fmt: skip
                continue
            value = known.shape.read(value_node, here, problems)
            if value is not BAD:
                table[key] = value
        self._check_keys(table, at, problems)
        return table

    def _check_keys(self, table: Table, at: str, problems: Problems) -> None:
        there = table.node.entries
        for each in self.fields:
            if each.required and each.name not in there:
                problems.add(f"{self.what} needs the key '{each.name}'", table.node, at, expected=each.doc)
        for key, value, other, reason in self.demands:
            if table.get(key) == value and other not in there:
                what = f"{self.what} with '{key}: {value}' needs the key '{other}'"
                problems.add(what, table.place(key), at, expected=reason)
        for key, other, reason in self.apart:
            if key in there and other in there:
                problems.add(f"'{key}' and '{other}' cannot stand together", there[other], at, hint=reason)
        for keys, reason in self.any_of:
            if not any(key in there for key in keys):
                problems.add(f"{self.what} needs one of {_words(keys)}", table.node, at, expected=reason)

    def schema(self) -> JsonSchema:
        """Describe it."""
        made: JsonSchema = {
            "type": "object",
            "properties": {each.name: {"description": each.doc, **each.shape.schema()} for each in self.fields},
            "additionalProperties": False,
        }
        required = [each.name for each in self.fields if each.required]
        if required:
            made["required"] = required
        rules: list[JsonSchema] = [
            {
                "if": {"properties": {key: {"const": value}}, "required": [key]},
                "then": {"required": [other]},
            }
            for key, value, other, _ in self.demands
        ]
        rules += [{"not": {"required": [key, other]}} for key, other, _ in self.apart]
        rules += [{"anyOf": [{"required": [key]} for key in keys]} for keys, _ in self.any_of]
        if rules:
            made["allOf"] = rules
        return made


@dataclass(frozen=True)
class Either:
    """A short form (one scalar) or a long form (a mapping)."""

    short: Shape
    long: Shape

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Give what the fitting form gives."""
        return (self.short if isinstance(node, Scalar) else self.long).read(node, at, problems)

    def schema(self) -> JsonSchema:
        """Describe it."""
        return {"anyOf": [self.short.schema(), self.long.schema()]}


@dataclass(frozen=True)
class ByKey:
    """A mapping that is of one kind when it has a certain key, and of another when not."""

    key: str
    having: Shape
    lacking: Shape

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Give what the fitting kind gives."""
        has = isinstance(node, document.Mapping) and self.key in node.entries
        return (self.having if has else self.lacking).read(node, at, problems)

    def schema(self) -> JsonSchema:
        """Describe it."""
        return {
            "if": {"type": "object", "required": [self.key]},
            "then": self.having.schema(),
            "else": self.lacking.schema(),
        }
