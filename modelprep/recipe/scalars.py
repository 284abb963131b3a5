"""The shapes of one value: text, a digest, a number, a choice. Lists and mappings: `modelprep.recipe.shapes`.

A shape can `read` a node (recording problems with their places) and describe itself as JSON Schema. The tables
in :mod:`modelprep.recipe.tables` are made of shapes, so the loader and the exported schema cannot disagree.

Shapes are never compared, printed or changed; generating methods for that would slow down the start.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from modelprep.recipe import yaml_tree
from modelprep.recipe.problems import Problems
from modelprep.recipe.yaml_tree import Node, Scalar, kind_of, shorten
from modelprep.structs import dataclass

JsonSchema = dict[str, Any]


def words(names: Sequence[object]) -> str:
    """Write names as a list for a message."""
    return ", ".join(str(name).lower() if isinstance(name, bool) else str(name) for name in names)


@dataclass(eq=False, repr=False)
class Text:
    """A string.

    Parameters
    ----------
    what
        The noun for messages.
    pattern
        Regular expression for the whole string, in the syntax that Python and ECMAScript share.
    fault
        Returns why a string is wrong (a sentence), or None; must agree with `pattern`.
    numbers
        True if a bare number is accepted as text (a manual's section ``8.1``).
    shown
        Returns the text of a wrong string for messages; by default the string itself, shortened.
    """

    what: str = "text"
    pattern: str = ""
    fault: Callable[[str], str | None] | None = None
    numbers: bool = False
    shown: Callable[[str], str] | None = None

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Return the string."""
        if not isinstance(node, Scalar):
            return problems.add("wrong type of value", node, at, expected=self.what, got=kind_of(node))
        value = node.value
        if isinstance(value, int | float) and not isinstance(value, bool) and self.numbers:
            value = node.text
        if not isinstance(value, str):
            hint = f"quote it: '{shorten(node.text)}'" if node.text else None
            return problems.add("wrong type of value", node, at, expected=self.what, got=kind_of(node), hint=hint)
        if not value.strip():
            return problems.add("the text is empty", node, at, expected=self.what, hint="leave the key out instead")
        fault = self.fault(value) if self.fault else None
        if fault is None and self.pattern and not re.search(self.pattern, value):
            fault = f"not {self.what}"
        if fault is not None:
            got = f"'{shorten(self.shown(value))}'" if self.shown else kind_of(node)
            return problems.add(fault, node, at, expected=self.what, got=got)
        return value

    def schema(self) -> JsonSchema:
        """Describe it."""
        made: JsonSchema = {"type": ["string", "number"] if self.numbers else "string"}
        return {**made, "pattern": self.pattern or r"\S"}


@dataclass(eq=False, repr=False)
class Hex:
    """A digest in hexadecimal digits; upper case is accepted and converted."""

    algorithm: str
    length: int

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Return the digest in lower case."""
        expected = f"{self.length} hexadecimal digits"
        if not isinstance(node, Scalar):
            return problems.add(
                f"wrong type of value for {self.algorithm}", node, at, expected=expected, got=kind_of(node)
            )
        # The text, not the value: 40 digits with an e could be a number.
        text = node.text
        if len(text) != self.length:
            from modelprep.recipe.schema import ALGORITHMS, HEX_LENGTH

            fitting = [name for name in ALGORITHMS if HEX_LENGTH[name] == len(text)]
            got = f"{len(text)} characters: {shorten(text, 24)}"
            return problems.add(
                f"a {self.algorithm} digest of the wrong length", node, at, expected=expected, got=got,
                hint=f"it has the length of {' or '.join(fitting)}" if fitting else None,
            )  # fmt: skip
        if not re.fullmatch("[0-9a-fA-F]*", text):
            odd = next(char for char in text if char not in "0123456789abcdefABCDEF")
            got = f"the character '{shorten(odd)}'"
            return problems.add(f"a {self.algorithm} digest is hexadecimal", node, at, expected=expected, got=got)
        return text.lower()

    def schema(self) -> JsonSchema:
        """Describe it."""
        # The loader also accepts a bare digest that other YAML readers treat as a number; an editor should ask for
        # quotes.
        return {"type": "string", "pattern": f"^[0-9a-fA-F]{{{self.length}}}$(?![\\s\\S])"}


@dataclass(eq=False, repr=False)
class Number:
    """A number in a range, whole or not."""

    what: str
    least: float = 0.0
    most: float = 1.0
    kind: ClassVar[str] = "number"
    types: ClassVar[tuple[type[int | float], ...]] = (int, float)

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Return the number."""
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, self.types):
            return problems.add("wrong type of value", node, at, expected=self.what, got=kind_of(node))
        if not self.least <= value <= self.most:
            return problems.add("the number is out of range", node, at, expected=self.what, got=str(value))
        return self.types[-1](value)

    def schema(self) -> JsonSchema:
        """Describe it."""
        return {"type": self.kind, "minimum": self.least, "maximum": self.most}


@dataclass(eq=False, repr=False)
class Int(Number):
    """A whole number in a range."""

    least: float = 0
    most: float = 2**63 - 1
    kind: ClassVar[str] = "integer"
    types: ClassVar[tuple[type[int | float], ...]] = (int,)


@dataclass(eq=False, repr=False)
class Bool:
    """``true`` or ``false``."""

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Return the boolean."""
        value = node.value if isinstance(node, Scalar) else None
        if not isinstance(value, bool):
            return problems.add("wrong type of value", node, at, expected="true or false", got=kind_of(node))
        return value

    def schema(self) -> JsonSchema:
        """Describe it."""
        return {"type": "boolean"}


@dataclass(eq=False, repr=False)
class Choice:
    """One of several words or numbers."""

    allowed: tuple[str | int, ...]

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Return the word."""
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, bool) or value not in self.allowed:
            hint = problems.near(value, [str(name) for name in self.allowed]) if isinstance(value, str) else ""
            expected = f"one of {words(self.allowed)}" if len(self.allowed) > 1 else str(self.allowed[0])
            return problems.add("unknown value", node, at, expected=expected, got=kind_of(node), hint=hint)
        return value

    def schema(self) -> JsonSchema:
        """Describe it."""
        return {"const": self.allowed[0]} if len(self.allowed) == 1 else {"enum": list(self.allowed)}


@dataclass(eq=False, repr=False)
class Free:
    """Any value; returned as plain Python values, or as the node itself if `nodes` is set."""

    nodes: bool = False

    def read(self, node: Node, at: str, problems: Problems) -> Any:  # noqa: ARG002 - the interface
        """Return the value."""
        return node if self.nodes else yaml_tree.plain(node)

    def schema(self) -> JsonSchema:
        """Describe it."""
        return {}
