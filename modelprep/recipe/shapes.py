"""Shapes of values for the key tables: lists, mappings and their elements.

Shapes of single values, and the purpose of shapes, are in :mod:`modelprep.recipe.scalars`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Protocol

from modelprep.recipe import yaml_tree
from modelprep.recipe.problems import BAD, Problems
from modelprep.recipe.scalars import JsonSchema, Text, words
from modelprep.recipe.yaml_tree import Node, Scalar, kind_of, shorten
from modelprep.structs import dataclass


class Table(dict[str, Any]):
    """The parsed values of a mapping, with its node."""

    def __init__(self, node: yaml_tree.Mapping) -> None:
        super().__init__()
        self.node = node

    def place(self, key: str) -> Node:
        """Return the node of a key's value."""
        return self.node.entries[key]


class Shape(Protocol):
    """The allowed values."""

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Return the value, or `BAD` if a problem was recorded."""

    def schema(self) -> JsonSchema:
        """Describe the shape as JSON Schema (draft 2020-12)."""


@dataclass(eq=False, repr=False)
class ListOf:
    """A list, or a single element without a list if `single` is set."""

    element: Shape
    what: str = "a list"
    least: int = 0
    single: bool = False
    most: int = 10_000

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Return a list of the valid elements."""
        if not isinstance(node, yaml_tree.Sequence):
            if self.single and isinstance(node, Scalar):
                value = self.element.read(node, at, problems)
                return BAD if value is BAD else [value]
            return problems.add("wrong type of value", node, at, expected=self.what, got=kind_of(node))
        if len(node.items) < self.least:
            what = "the list is too short" if node.items else "the list is empty"
            return problems.add(what, node, at, expected=self.what)
        if len(node.items) > self.most:
            expected = f"at most {self.most} entries"
            return problems.add("the list is too long", node, at, expected=expected, got=str(len(node.items)))
        read = [self.element.read(item, f"{at}[{index}]", problems) for index, item in enumerate(node.items)]
        return BAD if any(value is BAD for value in read) else read

    def schema(self) -> JsonSchema:
        """Describe it."""
        made: JsonSchema = {"type": "array", "items": self.element.schema(), "maxItems": self.most}
        if self.least:
            made["minItems"] = self.least
        return {"anyOf": [self.element.schema(), made]} if self.single else made


@dataclass(eq=False, repr=False)
class MapOf:
    """A mapping whose keys are chosen by the user."""

    key: Text
    value: Shape
    what: str = "a mapping"
    least: int = 0

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Return a :class:`Table` of the valid values."""
        if not isinstance(node, yaml_tree.Mapping):
            return problems.add("wrong type of value", node, at, expected=self.what, got=kind_of(node))
        if len(node.entries) < self.least:
            return problems.add("the mapping is empty", node, at, expected=self.what)
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
    """Return a key as a string (``1: x`` has the key "1")."""
    return Scalar(key.text, False, key.start, key.end)


@dataclass(eq=False, repr=False)
class Field:
    """One key of a mapping: its name, its value, and its description."""

    name: str
    shape: Shape
    doc: str
    required: bool = False


@dataclass(eq=False, repr=False)
class Struct:
    """A mapping with known keys.

    Parameters
    ----------
    what
        The noun for messages: "an asset".
    fields
        The known keys.
    demands
        (key, value, other key, reason): if `key` has `value`, `other key` is required.
    apart
        (key, other key, reason): keys that exclude one another.
    any_of
        (keys, reason): at least one of these keys is required.
    """

    what: str
    fields: tuple[Field, ...]
    demands: tuple[tuple[str, object, str, str], ...] = ()
    apart: tuple[tuple[str, str, str], ...] = ()
    any_of: tuple[tuple[tuple[str, ...], str], ...] = ()

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        """The fields by their names."""
        return {each.name: each for each in self.fields}

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Return a :class:`Table` of the valid values; keys with problems are left out."""
        if not isinstance(node, yaml_tree.Mapping):
            return problems.add("wrong type of value", node, at, expected=f"{self.what} (a mapping)", got=kind_of(node))
        table = Table(node)
        for key, value_node in node.entries.items():
            here = f"{at}.{key}" if at else key
            known = self.by_name.get(key)
            if known is None:
                names = list(self.by_name)
                problems.add(
                    f"unknown key '{shorten(key)}' in {self.what}", node.keys[key], here,
                    expected=f"one of {words(names)}", hint=problems.near(key, names, 1),
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
                problems.add(f"'{key}' and '{other}' exclude each other", there[other], at, hint=reason)
        for keys, reason in self.any_of:
            if not any(key in there for key in keys):
                problems.add(f"{self.what} needs one of {words(keys)}", table.node, at, expected=reason)

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
            {"if": {"properties": {key: {"const": value}}, "required": [key]}, "then": {"required": [other]}}
            for key, value, other, _ in self.demands
        ]
        rules += [{"not": {"required": [key, other]}} for key, other, _ in self.apart]
        rules += [{"anyOf": [{"required": [key]} for key in keys]} for keys, _ in self.any_of]
        if rules:
            made["allOf"] = rules
        return made


@dataclass(eq=False, repr=False)
class Either:
    """A short form (one scalar) or a long form (a mapping)."""

    short: Shape
    long: Shape

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Return the value of the matching form."""
        return (self.short if isinstance(node, Scalar) else self.long).read(node, at, problems)

    def schema(self) -> JsonSchema:
        """Describe it."""
        return {"anyOf": [self.short.schema(), self.long.schema()]}


@dataclass(eq=False, repr=False)
class ByKey:
    """A mapping that has one shape with a certain key, and another without it."""

    key: str
    having: Shape
    lacking: Shape

    def read(self, node: Node, at: str, problems: Problems) -> Any:
        """Return the value of the matching shape."""
        has = isinstance(node, yaml_tree.Mapping) and self.key in node.entries
        return (self.having if has else self.lacking).read(node, at, problems)

    def schema(self) -> JsonSchema:
        """Describe it."""
        return {
            "if": {"type": "object", "required": [self.key]},
            "then": self.having.schema(),
            "else": self.lacking.schema(),
        }
