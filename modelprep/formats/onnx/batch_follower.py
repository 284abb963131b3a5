"""State of a model whose batch is followed; how a value that the batch does not reach becomes as long as it."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from modelprep.errors import StepError
from modelprep.formats.onnx.graphs import attribute_of, claim, graphs_of, names_in
from modelprep.formats.onnx.initializers import raw_bytes
from modelprep.formats.onnx.model import INT64, TYPES, Model
from modelprep.formats.onnx.opset import infer

#: Operators whose first output is shaped as their first input.
KEEP = frozenset({
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BatchNormalization", "Cast", "Ceil", "Celu", "Clip",
    "Cos", "Cosh", "DequantizeLinear", "Dropout", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid",
    "HardSwish", "Identity", "InstanceNormalization", "IsInf", "IsNaN", "LRN", "LeakyRelu", "Log",
    "Mish", "Neg", "Not", "QuantizeLinear", "Reciprocal", "Relu", "Round", "Selu", "Shrink",
    "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Tan", "Tanh", "ThresholdedRelu",
})  # fmt: skip


@dataclass
class Follower:
    """A model whose batch is followed.

    `axes`: value -> which of its axes is the batch, for the values that have one. `constants`, `makers`: value -> its
    tensor, the node that makes it. `reached`: the values that are computed from what is fed. `done`: what was changed,
    one line each.
    """

    model: Model
    old: int
    new: int
    axes: dict[str, int]
    constants: dict[str, Any]
    reached: set[str]
    makers: dict[str, Any] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    node: Any = None

    # -- what is known ---------------------------------------------------------------------------------------------

    def stop(self, reason: str) -> StepError:
        """Return the error for the node at hand."""
        node = self.node
        return StepError(
            f"the batch cannot be followed through {node.op_type} '{node.name or node.output[0]}'",
            where=self.model.where, got=reason, expected=f"a node that works on each of {self.old} samples separately",
            hint="export the model again with the batch that you need",
        )  # fmt: skip

    @cached_property
    def sizes(self) -> dict[str, list[int]]:
        """Value -> its dimensions as they were, as far as inference makes them numbers."""
        found: dict[str, list[int]] = {}
        for graph in graphs_of(infer(self.model).graph):
            for value in (*graph.input, *graph.output, *graph.value_info):
                dims = value.type.tensor_type.shape.dim
                if value.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
                    found.setdefault(value.name, [int(dim.dim_value) for dim in dims])
        return found

    @cached_property
    def taken(self) -> set[str]:
        """Names that are taken."""
        return set().union(*map(names_in, graphs_of(self.model.graph)), self.axes)

    def knows(self, name: str) -> bool:
        """Whether the dimensions of a value were numbers."""
        return name in self.constants or name in self.sizes

    def shape(self, name: str) -> list[int]:
        """Return the dimensions of a value as they were."""
        if name in self.constants:
            return list(self.constants[name].dims)
        if not self.knows(name):
            raise self.stop(f"the dimensions of '{name}' are not known")
        return self.sizes[name]

    def attribute(self, name: str) -> Any:
        """Return an attribute of the node, or None."""
        return attribute_of(self.node, name)

    def integer(self, name: str, default: int) -> int:
        """Return a whole number that is an attribute of the node."""
        found = self.attribute(name)
        return default if found is None else int(found.i)

    def numbers(self, place: int, name: str = "") -> list[int] | None:
        """Return whole numbers that an input or an attribute holds; None if they are computed or left out."""
        if place < len(self.node.input) and self.node.input[place]:
            tensor = self.constants.get(self.node.input[place])
            return None if tensor is None else self.model.integers(tensor)
        found = self.attribute(name)
        return None if found is None else list(found.ints)

    def axis(self) -> int:
        """Return the batch axis of the node's first input."""
        return self.axes[self.node.input[0]]

    def put(self, axis: int, *, outputs: int | None = None) -> None:
        """Note the batch axis of the node's first outputs, of all of them when no number is given."""
        for name in list(self.node.output)[:outputs]:
            if name:
                self.axes[name] = axis

    def write(self, place: int, name: str, values: list[int]) -> None:
        """Set other numbers for the node, as a separate constant or in an attribute."""
        found = self.attribute(name)
        if place < len(self.node.input) and self.node.input[place]:
            self.node.input[place] = self.add(INT64, [len(values)], struct.pack(f"<{len(values)}q", *values))
        elif found is not None:
            found.ints[:] = values
        self.done.append(f"{self.node.op_type} {self.node.name or self.node.output[0]}: batch is {self.new}")

    def add(self, dtype: int, dims: list[int], data: bytes) -> str:
        """Add an initializer for the node; return its name."""
        name = claim(f"{self.node.output[0]}_batch", self.taken)
        tensor = self.model.graph.initializer.add(name=name, data_type=dtype, dims=dims)
        if dtype == INT64:
            tensor.int64_data.extend(struct.unpack(f"<{len(data) // 8}q", data))
        else:
            tensor.raw_data = data
        self.constants[name] = tensor
        return name

    # -- values that the inputs do not reach -----------------------------------------------------------------------

    def lengthen(self, place: int, axis: int) -> None:
        """Give the new length to an input of the node that is as long as the batch along an axis."""
        name = self.node.input[place]
        if (tensor := self.constants.get(name)) is not None:
            self.node.input[place] = self.resized(tensor, axis)
            return
        if name in self.reached:  # its length is computed from the inputs': it follows
            self.axes[name] = axis
            return
        maker, here = self.makers.get(name), self.node
        if maker is None:
            raise self.stop(f"'{name}' is as long as the batch, and it is not known why")
        self.node = maker
        try:
            if maker.op_type in ("ConstantOfShape", "Expand", "Tile"):
                where = 0 if maker.op_type == "ConstantOfShape" else 1
                values = self.numbers(where)
                if values is None or not -len(values) <= axis < len(values) or values[axis] % self.old:
                    raise self.stop("the length that it makes is not a constant that holds the batch")
                values[axis] = values[axis] // self.old * self.new
                self.write(where, "", values)
            elif maker.op_type in KEEP:
                self.lengthen(0, axis)
            else:
                raise self.stop(f"what it makes of constants is as long as the batch ({self.old})")
        finally:
            self.node = here
        self.axes[name] = axis

    def resized(self, tensor: Any, axis: int) -> str:
        """Return a constant whose samples are all equal as one of another length."""
        data = raw_bytes(self.model, tensor)
        dims = list(tensor.dims)
        outer = math.prod(dims[:axis])
        block = len(data) // outer if data is not None and outer else 0
        width = block // self.old
        if data is None or block % self.old or not width:
            raise self.stop(f"the constant '{tensor.name}' of {TYPES.get(tensor.data_type)} is as long as the batch")
        made = []
        for at in range(0, len(data), block):
            part = data[at : at + width]
            if part * self.old != data[at : at + block]:
                raise self.stop(f"the constant '{tensor.name}' holds other values for each sample")
            made.append(part * self.new)
        dims[axis] = dims[axis] // self.old * self.new
        self.done.append(f"constant {tensor.name}: batch is {self.new}")
        return self.add(tensor.data_type, dims, b"".join(made))

    def rank(self) -> int:
        """Return how many dimensions the node's first input has."""
        return len(self.shape(self.node.input[0]))

    def positive(self, axes: Iterable[int]) -> list[int]:
        """Return axes of the node's first input, negative ones counted from its end."""
        return [each + self.rank() if each < 0 else each for each in axes]

    def keep(self, *along: int, reason: str = "it works across the batch") -> None:
        """Leave the batch where it is, which must be none of the axes that the node works along."""
        if self.axis() in self.positive(along):
            raise self.stop(reason)
        self.put(self.axis())
