"""A writer of FlatBuffers, enough for a small TensorFlow Lite model, the same bytes for the same input.

Objects are laid out parents first, so that every offset points forwards, as the format wants. Source of the fact:
"FlatBuffer Internals" in the FlatBuffers documentation.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Union

#: struct format of each scalar.
Scalar = tuple[str, float]


@dataclass(frozen=True)
class Vector:
    """A vector of scalars: struct format of an element, the elements (or bytes), alignment of the first one."""

    format: str
    values: Sequence[float] | bytes
    align: int = 4


@dataclass(frozen=True)
class Table:
    """A table: field id -> scalar (format, value), text, vector, table or list of tables."""

    fields: Mapping[int, Field] = field(default_factory=dict)


Field = Union[Scalar, str, Vector, Table, list[Table]]  # noqa: UP007 - evaluated, and it names itself


def write(root: Table, identifier: bytes) -> bytes:
    """Write a buffer with its file identifier (four bytes)."""
    out = bytearray(8)
    out[4:8] = identifier
    _patch(out, 0, _table(out, root))
    return bytes(out)


def _align(out: bytearray, to: int, ahead: int = 0) -> None:
    out.extend(b"\0" * (-(len(out) + ahead) % to))


def _patch(out: bytearray, at: int, target: int) -> None:
    out[at : at + 4] = struct.pack("<I", target - at)


def _table(out: bytearray, table: Table) -> int:
    slots = max(table.fields, default=-1) + 1
    # Fields from the widest to the narrowest: each is aligned when the table is.
    widths = {number: _width(value) for number, value in table.fields.items()}
    order = sorted(widths, key=lambda number: (-widths[number], number))
    offsets: dict[int, int] = {}
    position = 4
    for number in order:
        position += -position % widths[number]
        offsets[number] = position
        position += widths[number]
    vtable = [4 + 2 * slots, position, *(offsets.get(number, 0) for number in range(slots))]
    _align(out, 8, 2 * len(vtable))
    start_of_vtable = len(out)
    out.extend(struct.pack(f"<{len(vtable)}H", *vtable))
    start = len(out)
    out.extend(struct.pack("<i", start - start_of_vtable) + b"\0" * (position - 4))
    for number in order:
        value, at = table.fields[number], start + offsets[number]
        if isinstance(value, tuple):
            out[at : at + widths[number]] = struct.pack(f"<{value[0]}", value[1])
        else:
            _patch(out, at, _object(out, value))
    return start


def _width(value: Field) -> int:
    return struct.calcsize(value[0]) if isinstance(value, tuple) else 4


def _object(out: bytearray, value: str | Vector | Table | list[Table]) -> int:
    if isinstance(value, Table):
        return _table(out, value)
    if isinstance(value, str):
        _align(out, 4)
        start, raw = len(out), value.encode()
        out.extend(struct.pack("<I", len(raw)) + raw + b"\0")
        return start
    if isinstance(value, Vector):
        _align(out, max(4, value.align), 4)
        start = len(out)
        out.extend(struct.pack("<I", len(value.values)))
        out.extend(
            value.values
            if isinstance(value.values, bytes)
            else struct.pack(f"<{len(value.values)}{value.format}", *value.values)
        )
        return start
    _align(out, 4)
    start = len(out)
    out.extend(struct.pack("<I", len(value)) + b"\0" * (4 * len(value)))
    for index, item in enumerate(value):
        _patch(out, start + 4 + 4 * index, _table(out, item))
    return start
