"""FlatBuffers, read by Google's own library behind checks.

``flatbuffers`` decodes field tables, offsets, strings, vectors and numbers. In Python it has no verifier (C++ has one,
which Arm NN's parser calls first): a damaged file would end in a ``struct.error``, in bytes from the wrong end of the
file, or in gigabytes of zeros. Here every offset is checked before the library follows it, with the length and the
alignment of its target, and what the file makes its reader hold is counted, so that many entries that share one table
or vector cannot fill the memory. Damage is a :class:`~modelprep.errors.StepError` with its position.

See ``docs/decisions/0005-tflite-library.md``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

from modelprep.errors import StepError

#: FlatBuffers' own limit: offsets within a buffer must fit a signed 32-bit number.
MAX_SIZE = 2**31 - 1
#: What one file may make its reader hold: tables (the largest public models have some ten thousand) and numbers.
MAX_TABLES = 500_000
MAX_NUMBERS = 1 << 24

#: The library's names of the numbers (``flatbuffers.number_types.<name>Flags``).
Scalar = Literal["Bool", "Int8", "Uint8", "Uint16", "Int32", "Uint32", "Float32", "Int64", "Uint64"]


class Buffer:
    """The bytes of a FlatBuffer with a budget of what may be read out of them."""

    def __init__(self, data: memoryview, where: str) -> None:
        # Here, not at the top: it imports numpy where there is one.
        from flatbuffers import number_types, table

        self.data = data
        self.size = len(data)
        self._kinds = number_types
        #: The library's view of the table at a position of the data; only positions that were checked may be asked for.
        self.decoder: Callable[[int], Any] = partial(table.Table, data)
        self.where = where
        # A sound file reads each byte about once; a shared vector a few times.
        self._budget = 4 * self.size + (1 << 18)
        self._tables = MAX_TABLES
        self._numbers = MAX_NUMBERS
        #: Position of each string read -> the fields that point to it (a writer may store equal strings once).
        self.strings: dict[int, set[int]] = {}

    def broken(self, what: str, at: int) -> StepError:
        """Return the error for damage found at a byte position."""
        return StepError(
            f"the TF Lite file is damaged: {what}", where=f"{self.where}, byte {at} of {self.size}",
            hint="fetch the file again, or export the model again",
        )  # fmt: skip

    def need(self, at: int, count: int, what: str) -> None:
        """Check that `count` bytes at `at` are inside the file, and charge them to the budget.

        Raises StepError: they are not, or the file makes its reader read the same bytes again and again.
        """
        if at < 0 or count < 0 or at + count > self.size:
            raise self.broken(f"{what} is outside the file", at)
        self._budget -= count
        if self._budget < 0:
            raise self.broken("its tables share so many parts that reading them all would have no end", at)

    def count(self, *, tables: int = 0, numbers: int = 0, at: int) -> None:
        """Charge tables and numbers about to be held.

        Raises StepError: more than any model has.
        """
        self._tables -= tables
        self._numbers -= numbers
        if self._tables < 0 or self._numbers < 0:
            raise self.broken(f"it claims more than {MAX_TABLES} tables or {MAX_NUMBERS} numbers", at)

    def kind(self, kind: Scalar) -> Any:
        """Return the library's description of a kind of number: its width in bytes, how it is unpacked."""
        return getattr(self._kinds, f"{kind}Flags")

    def follow(self, at: int, what: str) -> int:
        """Follow the forward offset at a position to what it points at (4-byte aligned, as all targets are)."""
        self.need(at, 4, what)
        target: int = self.decoder(0).Indirect(at)
        if target == at or target + 4 > self.size:
            raise self.broken(f"the offset of {what} points outside the file", at)
        if target % 4:
            raise self.broken(f"the offset of {what} points at an unaligned place", at)
        return target

    def root(self) -> Table:
        """Return the root table."""
        if self.size < 8:
            raise self.broken("it is too short for a FlatBuffer", 0)
        if self.size > MAX_SIZE:
            raise StepError(
                "the TF Lite file is larger than a FlatBuffer can be", where=self.where,
                expected=f"at most {MAX_SIZE} bytes", got=f"{self.size} bytes",
            )  # fmt: skip
        return Table(self, self.follow(0, "the root table"), "the root table")


@dataclass(frozen=True)
class Text:
    """A string and its place: `at` is the position of its length, `field` of the offset that points to it."""

    at: int
    field: int
    raw: bytes

    def __str__(self) -> str:
        return self.raw.decode("utf-8", "backslashreplace")


class Table:
    """One table: fields by slot number, absent ones as None or their default.

    Raises StepError: the table or its field table is outside the file, or is no such thing; so do the methods of what
    they read.
    """

    __slots__ = ("_decoder", "_size", "_vtable", "at", "buffer", "what")

    def __init__(self, buffer: Buffer, at: int, what: str) -> None:
        buffer.count(tables=1, at=at)
        self.buffer, self.at, self.what = buffer, at, what
        self._decoder = decoder = buffer.decoder(at)
        fields = f"the field table of {what}"
        buffer.need(at, 4, what)
        self._vtable = vtable = at - int(decoder.Get(buffer.kind("Int32"), at))
        if vtable % 2:
            raise buffer.broken(f"{fields} is unaligned", at)
        buffer.need(vtable, 4, fields)
        length, self._size = (int(decoder.Get(buffer.kind("Uint16"), vtable + i)) for i in (0, 2))
        if length < 4 or length % 2:
            raise buffer.broken(f"{fields} has an impossible length", vtable)
        buffer.need(vtable, length, fields)
        buffer.need(at, self._size, what)

    def position(self, slot: int) -> int | None:
        """Return the position of a field, or None if the table has none."""
        entry = 4 + 2 * slot
        offset = int(self._decoder.Offset(entry))
        if offset == 0:
            return None
        if offset < 4 or offset >= self._size:
            raise self.buffer.broken(f"a field of {self.what} is outside it", self._vtable + entry)
        return self.at + offset

    def number(self, slot: int, kind: Scalar, default: float | bool = 0) -> int | float | bool:
        """Read a number field."""
        at = self.position(slot)
        if at is None:
            return default
        flags = self.buffer.kind(kind)
        self.buffer.need(at, flags.bytewidth, self.what)
        return cast("int | float | bool", self._decoder.Get(flags, at))

    def integer(self, slot: int, kind: Scalar, default: int = 0) -> int:
        """Read a whole-number field."""
        return int(self.number(slot, kind, default))

    def table(self, slot: int, what: str) -> Table | None:
        """Follow a sub-table field."""
        at = self.position(slot)
        return None if at is None else Table(self.buffer, self.buffer.follow(at, what), what)

    def text(self, slot: int, what: str) -> Text | None:
        """Read a string field; its terminating zero must be there."""
        field = self.position(slot)
        if field is None:
            return None
        at = self.buffer.follow(field, what)
        length = int(self._decoder.VectorLen(field - self.at))
        self.buffer.need(at + 4, length + 1, what)
        if self.buffer.data[at + 4 + length]:
            raise self.buffer.broken(f"{what} is not closed by a zero byte", at)
        self.buffer.strings.setdefault(at, set()).add(field)
        return Text(at, field, self._decoder.String(field))

    def extent(self, slot: int, width: int, what: str) -> tuple[int, int] | None:
        """Return where a vector's elements start and how many there are; `width` is an element's length in bytes."""
        field = self.position(slot)
        if field is None:
            return None
        at = self.buffer.follow(field, what)
        start, count = int(self._decoder.Vector(field - self.at)), int(self._decoder.VectorLen(field - self.at))
        if start + count * width > self.buffer.size:
            raise self.buffer.broken(f"{what} is longer than the file", at)
        return start, count

    def numbers(self, slot: int, kind: Scalar, what: str) -> tuple[int | float | bool, ...]:
        """Read a vector of numbers (an absent one is empty)."""
        flags = self.buffer.kind(kind)
        extent = self.extent(slot, flags.bytewidth, what)
        if extent is None:
            return ()
        at, count = extent
        self.buffer.count(numbers=count, at=at)
        self.buffer.need(at, count * flags.bytewidth, what)
        # In one call: the library does so only into numpy, which is no dependency.
        return struct.unpack_from(f"<{count}{flags.packer_type.format[-1]}", self.buffer.data, at)

    def integers(self, slot: int, what: str, kind: Scalar = "Int32") -> tuple[int, ...]:
        """Read a vector of whole numbers (an absent one is empty)."""
        return tuple(int(value) for value in self.numbers(slot, kind, what))

    def tables(self, slot: int, what: str) -> tuple[Table, ...]:
        """Follow a vector of tables (an absent one is empty); `what` is singular: "tensor"."""
        extent = self.extent(slot, 4, f"the list of {what}s")
        if extent is None:
            return ()
        at, count = extent
        follow = self.buffer.follow
        return tuple(Table(self.buffer, follow(at + 4 * i, f"{what} {i}"), f"{what} {i}") for i in range(count))
