"""Parse YAML text into a small tree of nodes with places; limited in size, depth and alias expansion.

The tree is built from the parser's events (libyaml's if available) and not by PyYAML's own constructor: so every node
keeps its place, a repeated key is detected, an alias counts as its expansion, and plain words follow YAML 1.2: ``no``
and ``on`` are words, ``2019-03-08`` is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union

from modelprep.errors import RecipeError
from modelprep.quoting import line
from modelprep.recipe.problems import Placed, Problems
from modelprep.recipe.text import forbidden
from modelprep.regular import opened

#: A recipe has a few kilobytes; the largest shared catalogue a few hundred.
MAX_BYTES = 1 << 20
MAX_DEPTH = 32
#: Maximum number of nodes after expansion of aliases.
MAX_NODES = 100_000

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(?:(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)\Z")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class Scalar(Placed):
    """One value: a string, or if `plain` (without quotes) also an integer, float, boolean or null."""

    __slots__ = ("plain", "text")

    def __init__(self, text: str, plain: bool, start: Any, end: Any) -> None:
        super().__init__(start, end)
        self.text, self.plain = text, plain

    @property
    def value(self) -> bool | int | float | str | None:
        """The value by YAML 1.2's core schema (decimal numbers only)."""
        text = self.text
        if not self.plain:
            return text
        if text in _WORDS:
            return _WORDS[text]
        first = text[0]
        if first.isdigit() or first in "+-.":
            # int() and float() refuse thousands of digits or take minutes; no recipe needs more than these.
            if len(text) <= 40 and _INT.match(text):
                return int(text)
            if len(text) <= 40 and _FLOAT.match(text):
                return float(text)
        return text


class Sequence(Placed):
    """A list of nodes."""

    __slots__ = ("items",)

    def __init__(self, items: list[Node], start: Any, end: Any = None) -> None:
        super().__init__(start, end)
        self.items = items


class Mapping(Placed):
    """Keys and nodes in written order; keys are unique. `flow`: written in braces."""

    __slots__ = ("entries", "flow", "keys")

    def __init__(self, start: Any, end: Any = None, *, flow: bool = False) -> None:
        super().__init__(start, end)
        self.flow = flow
        self.entries: dict[str, Node] = {}
        self.keys: dict[str, Scalar] = {}

    def set(self, key: Scalar, node: Node) -> None:
        """Set the node of a key."""
        self.entries[key.text] = node
        self.keys[key.text] = key


Node = Union[Scalar, Sequence, Mapping]  # noqa: UP007 - evaluated at run time on Python 3.10


def kind_of(node: Node) -> str:
    """Describe a node, for messages."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    value = node.value
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the boolean {node.text}"
    if isinstance(value, int | float):
        return f"the number {shorten(node.text)}"
    return f"'{shorten(node.text)}'"


def shorten(text: str, limit: int = 80) -> str:
    """Shorten a text for a message and make control characters visible."""
    shown = line(text)
    return shown if len(shown) <= limit else f"{shown[:limit]}..."


def plain(node: Node) -> Any:
    """Return the node as plain Python values (dict, list, str, int, float, bool, None)."""
    if isinstance(node, Mapping):
        return {key: plain(value) for key, value in node.entries.items()}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node.value


def read_text(path: Path) -> str:
    """Read a YAML file's text: UTF-8, of at most `MAX_BYTES`."""
    try:
        with opened(path) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"cannot read {path}: {error.strerror or error}", where=str(path)) from error
    if len(data) > MAX_BYTES:
        raise RecipeError("the file is too large for a recipe", where=str(path), expected=f"at most {MAX_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise RecipeError(
            "the file is not UTF-8 text",
            where=f"{path}:{line}:{column}",
            got=f"byte 0x{data[error.start]:02x}",
            hint="save it as UTF-8",
        ) from error


def compose(text: str, path: Path | str, problems: Problems | None = None) -> Mapping:
    """Parse YAML text as one mapping of nodes; repeated keys (the first one counts) go to `problems`, or are raised.

    Raises `RecipeError` for broken YAML, no mapping at the top, several documents, a tag, a recursive alias, and too
    deep or too many nodes. `path` is for messages.
    """
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    given = problems is not None
    problems = Problems(path) if problems is None else problems
    try:
        root = _Builder(problems).build(yaml.parse(text, Loader=loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        where = problems.where(mark)
        said = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        context = getattr(error, "context", None)
        raise RecipeError(
            f"not YAML: {said}" + (f" {context}" if context else ""), where=where, hint=_why(text, mark)
        ) from None
    if not given:
        problems.raise_any()
    if root is None:
        raise RecipeError("the file is empty", where=str(path), hint="modelprep recipe new NAME writes a starter")
    if not isinstance(root, Mapping):
        raise RecipeError("the file is not a mapping of keys to values", where=problems.where(root), got=kind_of(root))
    return root


def _why(text: str, mark: Any) -> str | None:
    """Explain the two most common errors: a tab, and an unquoted colon."""
    lines = text.splitlines()
    if mark is None or not 0 <= mark.line < len(lines):
        return None
    line = lines[mark.line]
    if "\t" in line[: len(line) - len(line.lstrip())] or "\t" in line[mark.column : mark.column + 1]:
        return "indent with spaces; YAML does not allow tabs"
    if "${" in line:
        return "inside braces, YAML needs quotes around ${...}: {soc: '${soc}'}"
    if line.count(": ") > 1:
        return "a value with a colon and a blank in it needs quotes"
    return None


class _Builder:
    """Builds nodes from events within the limits."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.count = 0
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.open: set[str] = set()

    def build(self, events: Iterator[Any]) -> Node | None:
        import yaml

        root: Node | None = None
        for event in events:
            kind = type(event)
            if kind is yaml.DocumentStartEvent:
                if root is not None:
                    raise self._error("there is more than one document in the file", event)
            elif kind not in (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentEndEvent):
                root = self._node(event, events, 1)
        return root

    def _error(self, what: str, event: Any) -> RecipeError:
        return RecipeError(what, where=self.problems.where(event.start_mark))

    def _spend(self, nodes: int, event: Any) -> None:
        self.count += nodes
        if self.count > MAX_NODES:
            raise self._error(f"the file has more than {MAX_NODES} values after expanding its aliases", event)

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        import yaml

        if type(event) is yaml.AliasEvent:
            if event.anchor in self.open:
                raise self._error(f"the alias *{event.anchor} contains itself", event)
            if event.anchor not in self.anchors:
                raise self._error(f"unknown anchor &{event.anchor}", event)
            node, weight = self.anchors[event.anchor]
            self._spend(weight, event)
            return node
        if event.tag is not None and event.tag != "!":
            raise self._error(f"tags are not supported in recipes: {shorten(event.tag)}", event)
        before = self.count
        self._spend(1, event)
        anchor = event.anchor
        if type(event) is yaml.ScalarEvent:
            made: Node = Scalar(event.value, event.implicit[0], event.start_mark, event.end_mark)
            if (odd := forbidden(event.value)) is not None:
                self.problems.add("the text contains a control or invisible character", made, got=odd)
        else:
            if depth > MAX_DEPTH:
                raise self._error(f"values are nested deeper than {MAX_DEPTH} levels", event)
            if anchor:
                self.open.add(anchor)
            made = self._collection(event, events, depth)
            self.open.discard(anchor)
        if anchor:
            self.anchors[anchor] = (made, self.count - before)
        return made

    def _collection(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        import yaml

        if type(event) is yaml.SequenceStartEvent:
            items = []
            while type(inner := next(events)) is not yaml.SequenceEndEvent:
                items.append(self._node(inner, events, depth + 1))
            return Sequence(items, event.start_mark, inner.end_mark)
        mapping = Mapping(event.start_mark, flow=bool(event.flow_style))
        while type(inner := next(events)) is not yaml.MappingEndEvent:
            key = self._node(inner, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            if not isinstance(key, Scalar):
                self.problems.add("a key must be one word", key, got=kind_of(key))
            elif key.text in mapping.entries:
                first = self.problems.where(mapping.keys[key.text])
                self.problems.add(f"the key '{shorten(key.text)}' occurs twice", key, hint=f"the first is at {first}")
            else:
                mapping.set(key, value)
        mapping.end = inner.end_mark
        return mapping
