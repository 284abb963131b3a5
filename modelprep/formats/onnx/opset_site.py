"""One node on its way across a change of its operator: the change, and what a rule may ask and add."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from modelprep.formats.onnx.graphs import attribute_of, claim, drop
from modelprep.formats.onnx.model import FLOAT, INT32, INT64, TYPED, Model, messages


class Unconvertible(Exception):
    """A node cannot be carried to the other side of a change; the message is the reason."""


@dataclass(frozen=True)
class Change:
    """A row of the table: the rules up to its opset and down from it, and what changed."""

    operator: str
    opset: int
    up: tuple[str, ...]
    down: tuple[str, ...]
    what: str


@cache
def changes() -> Mapping[tuple[str, int], Change]:
    """Read the table: (operator, opset) -> change."""
    text = Path(__file__).with_name("opset_changes.tsv").read_text("utf-8")
    found = {}
    for line in text.splitlines():
        if line.startswith(("#", "operator\t")):
            continue
        operator, opset, up, down, what = line.split("\t")
        found[operator, int(opset)] = Change(operator, int(opset), _split(up), _split(down), what)
    return found


def _split(rules: str) -> tuple[str, ...]:
    return tuple(rule.strip() for rule in rules.split(";") if rule.strip() != "same")


@dataclass
class Facts:
    """What is known of a model's values.

    `shapes`, `types`: value -> its dimensions (None if one is open), its element type; as far as inference knows.
    `constants`: value -> its tensor. `taken`: names that are taken.
    """

    shapes: dict[str, list[int | None]] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def add(self, name: str, tensor: Any) -> None:
        """Add a constant."""
        self.shapes[name], self.types[name], self.constants[name] = list(tensor.dims), tensor.data_type, tensor


@dataclass
class Site:
    """A node in its model, with what its rules may ask and add."""

    model: Model
    node: Any
    change: Change
    facts: Facts
    before: list[Any] = field(default_factory=list)
    after: list[Any] = field(default_factory=list)

    def attribute(self, name: str) -> Any:
        """Return an attribute, or None."""
        return attribute_of(self.node, name)

    def drop(self, name: str) -> None:
        """Take an attribute out."""
        drop(self.node.attribute, {name})

    def given(self, index: int) -> str:
        """Return the name of an input, empty if it is left out."""
        return str(self.node.input[index]) if index < len(self.node.input) else ""

    def rank(self, name: str) -> int:
        """Return how many dimensions a value has."""
        if name not in self.facts.shapes:
            raise Unconvertible(f"the dimensions of '{name}' are not known")
        return len(self.facts.shapes[name])

    def type(self, name: str) -> int:
        """Return a value's element type."""
        if name not in self.facts.types:
            raise Unconvertible(f"the type of '{name}' is not known")
        return self.facts.types[name]

    def numbers(self, name: str) -> list[float] | list[int]:
        """Return the elements of a small constant."""
        tensor = self.facts.constants.get(name)
        if tensor is None or name in self.model.payloads:
            raise Unconvertible(f"'{name}' is computed, and must be constant")
        if tensor.data_type in (INT32, INT64):
            return self.model.integers(tensor)
        from onnx import TensorProto, numpy_helper

        array = numpy_helper.to_array(TensorProto.FromString(tensor.SerializeToString()))
        return [value.item() for value in array.reshape(-1)]

    def name(self, stem: str) -> str:
        """Return a name that nothing has yet."""
        return claim(stem, self.facts.taken)

    def constant(self, stem: str, dtype: int, values: list[Any], dims: list[int]) -> str:
        """Add an initializer; return its name."""
        name = self.name(f"{self.node.name or self.node.output[0]}_{stem}")
        tensor = self.model.graph.initializer.add(name=name, data_type=dtype, dims=dims)
        if dtype in (INT64, FLOAT):
            getattr(tensor, TYPED[dtype][1]).extend(values)
        else:
            import numpy as np
            from onnx import helper

            tensor.raw_data = np.asarray(values, helper.tensor_dtype_to_np_dtype(dtype)).tobytes()
        self.facts.add(name, tensor)
        return name

    def set(self, name: str, value: Any) -> None:
        """Set an attribute to a number, a text or a list of numbers."""
        self.drop(name)
        each = self.node.attribute.add(name=name)
        if isinstance(value, str):
            each.type, each.s = 3, value.encode()
        elif isinstance(value, list):
            floats = any(isinstance(item, float) for item in value)
            each.type = 6 if floats else 7
            (each.floats if floats else each.ints).extend(value)
        elif isinstance(value, float):
            each.type, each.f = 1, value
        else:
            each.type, each.i = 2, value

    def add(self, operator: str, source: list[str], result: str, **attributes: Any) -> Any:
        """Make a node of an operator; the caller puts it before or after."""
        made = messages("NodeProto")(op_type=operator, input=source, output=[result])
        made.name = self.name(f"{self.node.name}_{operator}") if self.node.name else ""
        for name, value in attributes.items():
            Site(self.model, made, self.change, self.facts).set(name, value)
        return made
