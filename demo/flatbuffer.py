"""Tables of a FlatBuffer as plain values, and the ``flatbuffers`` library's builder called on them.

The same bytes for the same values and the same release of the library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from flatbuffers import Builder

#: Kind of a number, as the library names it (``Int32``), and the number.
Scalar = tuple[str, float]


@dataclass(frozen=True)
class Vector:
    """A vector of numbers of one kind (or bytes), and what its first element is aligned to at least."""

    kind: str
    values: Sequence[float] | bytes
    align: int = 4


@dataclass(frozen=True)
class Table:
    """A table: field id -> number, text, vector, table or list of tables."""

    fields: Mapping[int, Field] = field(default_factory=dict)


Field = Union[Scalar, str, Vector, Table, list[Table]]  # noqa: UP007 - evaluated, and it names itself


def write(root: Table, identifier: bytes) -> bytes:
    """Write a buffer with its file identifier (four bytes)."""
    from flatbuffers import Builder

    builder = Builder(1 << 16)
    builder.Finish(_object(builder, root), identifier)
    return bytes(builder.Output())


def _object(builder: Builder, value: Field) -> int:
    """Write what a field refers to, children first; return its offset."""
    if isinstance(value, Table):
        return _table(builder, value)
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, Vector):
        return _vector(builder, value)
    offsets = [_object(builder, item) for item in value]  # type: ignore[arg-type]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _table(builder: Builder, table: Table) -> int:
    written = {
        number: value if isinstance(value, tuple) else _object(builder, value) for number, value in table.fields.items()
    }
    builder.StartObject(max(written, default=-1) + 1)
    for number, value in written.items():
        if isinstance(value, tuple):
            getattr(builder, f"Prepend{value[0]}")(value[1])
        else:
            builder.PrependUOffsetTRelative(value)
        # Also where it is the default, which the library's own ...Slot functions leave out.
        builder.Slot(number)
    return int(builder.EndObject())


def _vector(builder: Builder, vector: Vector) -> int:
    values = vector.values
    if isinstance(values, bytes):
        builder.Prep(vector.align, len(values))
        return int(builder.CreateByteVector(values))
    from flatbuffers import number_types

    width = getattr(number_types, f"{vector.kind}Flags").bytewidth
    builder.StartVector(width, len(values), max(width, vector.align))
    for value in reversed(values):
        getattr(builder, f"Prepend{vector.kind}")(value)
    return int(builder.EndVector())
