"""One Caffe layer while it becomes ONNX nodes: what a rule gets, and the operators whose form depends on the opset.

A rule is a function of a :class:`Layer`; it adds the nodes that make each top.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from modelprep.errors import StepError
from modelprep.formats.caffe.shapes.base import Dim, show
from modelprep.formats.caffe.to_onnx.graph import Attribute, Graph
from modelprep.formats.caffe.weights import BlobPlan
from modelprep.formats.onnx.model import FLOAT, INT64

#: First opset in which an operator takes its axes as an input and not as an attribute.
_AXES_INPUT = {"Squeeze": 13, "Unsqueeze": 13, "ReduceSum": 13, "ReduceMean": 18, "ReduceL1": 18, "ReduceSumSquare": 18}


class Tensor(NamedTuple):
    """A value of the graph. A size of None depends on the batch or the data."""

    name: str
    shape: tuple[Dim, ...]


@dataclass
class Layer:
    """What a rule gets.

    `bottoms`, `tops`: the layer's blobs with their shapes; a rule must make a value of the name of each top. `read`:
    reads a blob's numbers; for the few that are needed here, never for a weight matrix. `raw_detections`: whether
    DetectionOutput stops before its non-maximum suppression.
    """

    proto: Any
    bottoms: tuple[Tensor, ...]
    tops: tuple[Tensor, ...]
    blobs: tuple[BlobPlan, ...]
    graph: Graph
    read: Callable[[BlobPlan], list[float]]
    raw_detections: bool = False
    extra_outputs: list[Tensor] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The layer's name; its type where it has none."""
        return str(self.proto.name) or str(self.proto.type)

    @property
    def x(self) -> str:
        """The name of the first bottom."""
        return self.bottoms[0].name

    @property
    def y(self) -> str:
        """The name of the first top."""
        return self.tops[0].name

    @property
    def opset(self) -> int:
        """The opset that is written."""
        return self.graph.opset

    @property
    def rank(self) -> int:
        """The number of axes of the first bottom."""
        return len(self.bottoms[0].shape)

    def refuse(self, why: str, *, expected: str | None = None, got: str | None = None, hint: str = "") -> StepError:
        """Make the error for a layer that ONNX cannot express exactly; the caller raises it."""
        return StepError(
            f"the layer '{self.name}' cannot be converted exactly: {why}",
            where=f"layer '{self.name}' ({self.proto.type})", expected=expected, got=got, hint=hint or None,
        )  # fmt: skip

    def size(self, tensor: Tensor, axis: int) -> int:
        """Return a size that must be known.

        Raises StepError: it depends on the batch, or there is no such axis.
        """
        if axis >= len(tensor.shape):
            raise self.refuse(f"it needs more than {axis} axes", got=show(tensor.shape))
        if (size := tensor.shape[axis]) is None:
            why = f"it needs to know the size of axis {axis}, which changes with the batch"
            raise self.refuse(why, got=show(tensor.shape), hint="convert with a fixed batch: --batch 1")
        return size

    def axis(self, value: int) -> int:
        """Turn an axis that may count from the end into one that does not; the shape rules have checked it."""
        return value + self.rank if value < 0 else value

    # Values

    def op(self, op: str, *inputs: str, out: str = "", part: str = "", **attributes: Attribute) -> str:
        """Add a node with one output and return the output's name.

        `op`, `inputs`, `attributes`: as ONNX defines them; "" stands for an input that is left out. `out`: the output's
        name; by default a new one, made of `part` or the operator's name. The node that makes a top has the layer's
        name.
        """
        part = part or op.lower()
        value = out or self.graph.claim(f"{self.name}/{part}")
        self.graph.node(op, inputs, [value], self.name if out else f"{self.name}/{part}", attributes)
        return value

    def floats(self, part: str, values: Sequence[float], dims: Sequence[int] | None = None) -> str:
        """Add float32 constants."""
        return self.graph.floats(f"{self.name}/{part}", values, dims)

    def number(self, part: str, value: float) -> str:
        """Add one float32 constant without axes."""
        return self.graph.floats(f"{self.name}/{part}", [value], ())

    def integers(self, part: str, values: Sequence[int], dims: Sequence[int] | None = None) -> str:
        """Add int64 constants."""
        return self.graph.integers(f"{self.name}/{part}", values, dims)

    def weight(self, number: int, part: str, dims: Sequence[int] | None = None) -> str:
        """Add one of the layer's blobs as a constant, in the shape `dims`, if any, of the same count."""
        blob = self.blobs[number]
        return self.graph.constant(f"{self.name}/{part}", blob.shape if dims is None else dims, blob)

    # Operators whose form depends on the opset

    def over(
        self, op: str, value: str, axes: Sequence[int], *, out: str = "", part: str = "", **attributes: Attribute
    ) -> str:
        """Reduce over axes, or insert or remove axes of size one (``Unsqueeze``, ``Squeeze``)."""
        part = part or op.lower()
        if self.opset >= _AXES_INPUT[op]:
            return self.op(op, value, self.integers(f"{part}_axes", axes), out=out, part=part, **attributes)
        return self.op(op, value, out=out, part=part, axes=list(axes), **attributes)

    def slice(
        self, value: str, axes: Sequence[int], starts: Sequence[int], ends: Sequence[int], *,
        steps: Sequence[int] | None = None, out: str = "", part: str = "slice",
    ) -> str:  # fmt: skip
        """Cut out a part."""
        inputs = [self.integers(f"{part}_{n}", v) for n, v in (("starts", starts), ("ends", ends), ("axes", axes))]
        if steps is not None:
            inputs.append(self.integers(f"{part}_steps", steps))
        return self.op("Slice", value, *inputs, out=out, part=part)

    def reshape(
        self, value: str, old: Sequence[Dim], new: Sequence[Dim], *, out: str = "", part: str = "reshape"
    ) -> str:
        """Change a value's shape from `old` to `new`, of which one size may be None: it follows from the rest.

        Raises StepError: more than one is None.
        """
        dims = [-1 if size is None else size for size in new]
        if dims.count(-1) > 1:
            why, got = "more than one size of its result changes with the batch", f"{show(old)} into {show(new)}"
            raise self.refuse(why, got=got, hint="convert with a fixed batch: --batch 1")
        return self.op("Reshape", value, self.integers(f"{part}_shape", dims), out=out, part=part)

    def cast_to_float(self, value: str, *, out: str = "", part: str = "cast") -> str:
        """Turn integers or booleans into float32."""
        return self.op("Cast", value, out=out, part=part, to=FLOAT)

    def cast_to_integers(self, value: str, *, out: str = "", part: str = "indices") -> str:
        """Turn floats into int64, towards zero as a C++ cast does."""
        return self.op("Cast", value, out=out, part=part, to=INT64)

    def scaled(self, value: str, factor: float, offset: float = 0.0, *, out: str = "", part: str = "") -> str:
        """Multiply by a number and add one; what would change nothing is left out.

        If nothing is left, Identity gives the value the name `out`.
        """
        todo = [("Mul", f"{part}scale", factor)] * (factor != 1) + [("Add", f"{part}shift", offset)] * (offset != 0)
        if not todo:
            return self.op("Identity", value, out=out) if out else value
        for i, (op, name, number) in enumerate(todo):
            last = out if i == len(todo) - 1 else ""
            value = self.op(op, value, self.number(name, number), out=last, part=f"{part}{op.lower()}")
        return value


Rule = Callable[[Layer], object]


@dataclass(frozen=True)
class Conversion:
    """How a layer type is converted: the rule, and for the documentation what it becomes and what is refused."""

    rule: Rule
    becomes: str
    notes: str = ""
