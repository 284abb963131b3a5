"""An ONNX graph while it is built: nodes, constants, and one name space for all values.

Weights are not read here: a constant holds either its own few bytes or the blob of the caffemodel that
:mod:`~modelprep.formats.caffe.to_onnx.write` copies.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelprep.formats.caffe.weights import BlobPlan
from modelprep.formats.onnx.model import FLOAT, INT64, messages

#: AttributeProto.AttributeType by the Python type of a value.
_FLOAT, _INT, _STRING, _TENSOR, _FLOATS, _INTS = 1, 2, 3, 4, 6, 7

Attribute = int | float | str | Sequence[int] | Sequence[float]


@dataclass(frozen=True)
class Constant:
    """An initializer: name, shape, and elements (``bytes``: little-endian; BlobPlan: still in the caffemodel)."""

    name: str
    dims: tuple[int, ...]
    dtype: int
    source: bytes | BlobPlan

    @property
    def size(self) -> int:
        """Bytes that its elements take."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.size


@dataclass
class Graph:
    """Nodes and constants in the order in which they were added; `opset`: of the default operator set, 11 to 21."""

    opset: int
    nodes: list[Any] = field(default_factory=list)
    constants: list[Constant] = field(default_factory=list)
    # Name -> the last number that was put behind it.
    _values: dict[str, int] = field(default_factory=dict)
    _node_names: dict[str, int] = field(default_factory=dict)
    _weights: dict[tuple[int, tuple[int, ...]], str] = field(default_factory=dict)

    def claim(self, name: str) -> str:
        """Take a value's name, or with ``_2``, ``_3``, ... behind it where it is taken."""
        return _claim(name, self._values)

    def node(
        self, op: str, inputs: Sequence[str], outputs: Sequence[str], name: str, attributes: Mapping[str, Attribute]
    ) -> None:
        """Add a node of the default operator set; attributes are written in the order of their names."""
        proto = messages("NodeProto")(op_type=op, name=_claim(name, self._node_names), input=inputs, output=outputs)
        for key in sorted(attributes):
            _set(proto.attribute.add(name=key), attributes[key])
        self.nodes.append(proto)

    def constant(self, name: str, dims: Sequence[int], source: bytes | BlobPlan, dtype: int = FLOAT) -> str:
        """Add an initializer and return its name. A blob that is there already in this shape is not added twice."""
        blob = None if isinstance(source, bytes) else source.source
        if blob is not None and (known := self._weights.get((blob.offset, tuple(dims)))):
            return known
        claimed = self.claim(name)
        if blob is not None:
            self._weights[blob.offset, tuple(dims)] = claimed
        self.constants.append(Constant(claimed, tuple(dims), dtype, source))
        return claimed

    def floats(self, name: str, values: Sequence[float], dims: Sequence[int] | None = None) -> str:
        """Add float32 numbers as an initializer, of one axis if `dims` is left out."""
        shape = (len(values),) if dims is None else dims
        return self.constant(name, shape, struct.pack(f"<{len(values)}f", *map(float32, values)))

    def integers(self, name: str, values: Sequence[int], dims: Sequence[int] | None = None) -> str:
        """Add int64 numbers as an initializer, of one axis if `dims` is left out."""
        shape = (len(values),) if dims is None else dims
        return self.constant(name, shape, struct.pack(f"<{len(values)}q", *values), INT64)


def float32(value: float) -> float:
    """Round to the nearest float32; beyond its range: infinite, as C++ does.

    >>> float32(0.1)
    0.10000000149011612
    """
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _claim(name: str, taken: dict[str, int]) -> str:
    free, number = name, taken.get(name, 1)
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken[name] = number
    taken.setdefault(free, 1)
    return free


def _set(attribute: Any, value: Attribute) -> None:
    if isinstance(value, str):
        attribute.type, attribute.s = _STRING, value.encode()
    elif isinstance(value, int):
        attribute.type, attribute.i = _INT, value
    elif isinstance(value, float):
        attribute.type, attribute.f = _FLOAT, value
    elif any(isinstance(item, float) for item in value):
        attribute.type = _FLOATS
        attribute.floats.extend(value)
    else:
        attribute.type = _INTS
        attribute.ints.extend(value)
