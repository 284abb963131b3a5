"""One Caffe layer while it becomes ONNX nodes: what a rule is given, and the operators whose form the opset decides.

A rule is a function of a :class:`Layer`; it adds nodes and ends by giving every top its value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from modelprep.errors import StepError
from modelprep.formats.caffe.shapes.base import Dim, Shape, show
from modelprep.formats.caffe.to_onnx.graph import Attribute, Graph
from modelprep.formats.caffe.weights import BlobPlan
from modelprep.formats.onnx.model import FLOAT, INT64

#: First opset in which a reduction takes its axes as an input and not as an attribute.
_AXES_INPUT = {"ReduceSum": 13, "ReduceMean": 18, "ReduceL1": 18, "ReduceSumSquare": 18, "ReduceMax": 18}


class Tensor(NamedTuple):
    """A value of the graph. A size of None is decided by the batch (or by the data) when the model runs."""

    name: str
    shape: tuple[Dim, ...]


@dataclass
class Layer:
    """What a rule is given.

    Parameters
    ----------
    bottoms, tops
        Its blobs with their shapes; the tops' names are decided, and a rule has to make each of them.
    read
        Reads a blob's numbers; for the few that must be computed with, never for a weight matrix.
    raw_detections
        Whether DetectionOutput stops before its non-maximum suppression.
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
    def opset(self) -> int:
        """The opset that is written."""
        return self.graph.opset

    @property
    def rank(self) -> int:
        """Axes of the first bottom."""
        return len(self.bottoms[0].shape)

    def refuse(self, why: str, *, expected: str | None = None, got: str | None = None, hint: str = "") -> StepError:
        """Make the error for a layer that ONNX cannot express exactly; the caller raises it."""
        return StepError(
            f"the layer '{self.name}' cannot be converted exactly: {why}",
            where=f"layer '{self.name}' ({self.proto.type})", expected=expected, got=got, hint=hint or None,
        )  # fmt: skip

    def size(self, tensor: Tensor, axis: int, what: str = "") -> int:
        """Return a size that must be known.

        Raises StepError: it is decided only when the model runs.
        """
        size = tensor.shape[axis]
        if size is None:
            raise self.refuse(
                f"it needs to know the size of axis {axis}{what and ' ' + what}, which changes with the batch",
                got=show(tensor.shape), hint="convert with a fixed batch: --batch 1",
            )  # fmt: skip
        return size

    def axis(self, value: int, *, bottom: int = 0) -> int:
        """Turn an axis that may count from the end into one that does not; the shape rules have checked it."""
        return value + len(self.bottoms[bottom].shape) if value < 0 else value

    # Values

    def op(self, op: str, *inputs: str, out: str = "", part: str = "", **attributes: Attribute) -> str:
        """Add a node with one output and return that output's name.

        `op`, `inputs`, `attributes`: as ONNX has them; an input of "" is left out. `out`: the output's name; a fresh
        one, made of `part` or the operator's name, where it is left out. The node that makes a top bears the layer's
        own name.
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
        """Add one of the layer's blobs as a constant, in another shape of the same count where `dims` says so."""
        blob = self.blobs[number]
        return self.graph.constant(f"{self.name}/{part}", blob.shape if dims is None else dims, blob)

    # Operators whose form depends on the opset

    def reduce(
        self, op: str, value: str, axes: Sequence[int], *, keep: bool = True, out: str = "", part: str = ""
    ) -> str:
        """Reduce over axes."""
        keepdims = int(keep)
        if self.opset >= _AXES_INPUT[op]:
            return self.op(op, value, self.integers(f"{part or op.lower()}_axes", axes), out=out, part=part,
                           keepdims=keepdims)  # fmt: skip
        return self.op(op, value, out=out, part=part, axes=list(axes), keepdims=keepdims)

    def unsqueeze(self, value: str, axes: Sequence[int], *, out: str = "", part: str = "unsqueeze") -> str:
        """Insert axes of size one."""
        if self.opset >= 13:
            return self.op("Unsqueeze", value, self.integers(f"{part}_axes", axes), out=out, part=part)
        return self.op("Unsqueeze", value, out=out, part=part, axes=list(axes))

    def squeeze(self, value: str, axes: Sequence[int], *, out: str = "", part: str = "squeeze") -> str:
        """Take out axes of size one."""
        if self.opset >= 13:
            return self.op("Squeeze", value, self.integers(f"{part}_axes", axes), out=out, part=part)
        return self.op("Squeeze", value, out=out, part=part, axes=list(axes))

    def split(self, value: str, axis: int, sizes: Sequence[int], outs: Sequence[str]) -> None:
        """Cut a value along an axis into named parts."""
        if self.opset >= 13:
            inputs = [value, self.integers("split", sizes)]
            self.graph.node("Split", inputs, outs, self.name, {"axis": axis})
        else:
            self.graph.node("Split", [value], outs, self.name, {"axis": axis, "split": list(sizes)})

    def softmax(self, value: Tensor, axis: int, *, out: str = "") -> str:
        """Normalize along one axis. Before opset 13 the operator takes that axis and all behind it as one."""
        rank = len(value.shape)
        if self.opset >= 13 or all(size == 1 for size in value.shape[axis + 1 :]):
            return self.op("Softmax", value.name, out=out, axis=axis)
        order = [i for i in range(rank) if i != axis] + [axis]
        turned = self.op("Transpose", value.name, perm=order)
        normal = self.op("Softmax", turned, axis=rank - 1)
        return self.op("Transpose", normal, out=out, part="transpose_back", perm=[order.index(i) for i in range(rank)])

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
        """Return a value another shape.

        `old`, `new`: shapes; one size of `new` may be None: it follows from the rest. Raises StepError: more than one
        size would have to follow from the rest.
        """
        dims = [-1 if size is None else size for size in new]
        if dims.count(-1) > 1:
            raise self.refuse("more than one size of its result changes with the batch",
                              got=f"{show(tuple(old))} into {show(tuple(new))}",
                              hint="convert with a fixed batch: --batch 1")  # fmt: skip
        return self.op("Reshape", value, self.integers(f"{part}_shape", dims), out=out, part=part)

    def cast_to_float(self, value: str, *, out: str = "", part: str = "cast") -> str:
        """Turn whole numbers or truth values into float32."""
        return self.op("Cast", value, out=out, part=part, to=FLOAT)

    def cast_to_integers(self, value: str, *, out: str = "", part: str = "indices") -> str:
        """Turn floats into int64, towards zero as a C++ cast does."""
        return self.op("Cast", value, out=out, part=part, to=INT64)

    def scaled(self, value: str, factor: float, offset: float = 0.0, *, out: str = "", part: str = "") -> str:
        """Multiply by a number and add one; what would change nothing is left out.

        A value that nothing is done to goes through Identity where `out` wants a name for it.
        """
        todo: list[tuple[str, str, float]] = []
        if factor != 1:
            todo.append(("Mul", f"{part}scale", factor))
        if offset != 0:
            todo.append(("Add", f"{part}shift", offset))
        if not todo:
            return self.op("Identity", value, out=out) if out else value
        for i, (op, name, number) in enumerate(todo):
            value = self.op(op, value, self.number(name, number), out=out if i == len(todo) - 1 else "",
                            part=f"{part}{op.lower()}")  # fmt: skip
        return value


Rule = Callable[[Layer], None]


@dataclass(frozen=True)
class Conversion:
    """How a layer type is converted: the rule, and for the documentation what it becomes and what is refused."""

    rule: Rule
    becomes: str
    notes: str = ""


def known(shape: Shape) -> tuple[Dim, ...]:
    """Return a shape whose number of axes is known."""
    assert shape is not None
    return shape
