"""A FlatBuffers reader that believes nothing: every offset, length and alignment is checked before it is followed.

The generated readers of the ``flatbuffers`` package follow whatever offset the file holds, so a damaged file ends in an
``IndexError`` or in gigabytes of zeros. This one raises :class:`~modelprep.errors.StepError` with the position, and it
counts what it hands out: a file in which a hundred thousand entries share one table or one long vector cannot blow up.

The layout read here is the one described in the FlatBuffers internals documentation: little-endian; a table starts with
a signed 32-bit distance back to its vtable; a vtable holds two 16-bit sizes and then one 16-bit field position a slot;
strings, vectors and sub-tables are reached through unsigned 32-bit forward offsets.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from modelprep.errors import StepError

#: FlatBuffers' own limit: offsets within a buffer must fit a signed 32-bit number.
MAX_SIZE = 2**31 - 1
#: What one file may make its reader hold: tables (the largest public models have some ten thousand) and numbers.
MAX_TABLES = 500_000
MAX_NUMBERS = 1 << 24

Scalar = Literal["bool", "i8", "u8", "i16", "u16", "i32", "u32", "f32", "i64", "u64", "f64"]
_FORMATS = {
    "bool": "<?", "i8": "<b", "u8": "<B", "i16": "<h", "u16": "<H", "i32": "<i", "u32": "<I", "f32": "<f",
    "i64": "<q", "u64": "<Q", "f64": "<d",
}  # fmt: skip


class Buffer:
    """The bytes of a FlatBuffer with a budget of what may be read out of them.

    Parameters
    ----------
    data
        The bytes (bytes, mmap or memoryview).
    where
        What to call the file in errors.
    """

    def __init__(self, data: memoryview, where: str) -> None:
        self.data = data
        self.size = len(data)
        self.where = where
        # A sound file reads each byte about once; a shared vector a few times.
        self._budget = 4 * self.size + (1 << 18)
        self._tables = MAX_TABLES
        self._numbers = MAX_NUMBERS
        #: Position of each string read -> the fields that point to it (a writer may store equal strings once).
        self.strings: dict[int, set[int]] = {}

    def broken(self, what: str, at: int) -> StepError:
        """Make the error for damage found at a byte position."""
        return StepError(
            f"the TF Lite file is damaged: {what}",
            where=f"{self.where}, byte {at} of {self.size}",
            hint="fetch the file again, or export the model again",
        )

    def need(self, at: int, count: int, what: str) -> None:
        """See that `count` bytes lie at `at`, and charge them to the budget.

        Raises
        ------
        StepError
            They lie outside the file, or the file makes its reader go over the same bytes again and again.
        """
        if at < 0 or count < 0 or at + count > self.size:
            raise self.broken(f"{what} lies outside the file", at)
        self._budget -= count
        if self._budget < 0:
            raise self.broken("its tables share so many parts that reading them all would have no end", at)

    def count(self, *, tables: int = 0, numbers: int = 0, at: int) -> None:
        """Charge tables and numbers about to be held.

        Raises
        ------
        StepError
            More than any model has.
        """
        self._tables -= tables
        self._numbers -= numbers
        if self._tables < 0 or self._numbers < 0:
            raise self.broken(f"it claims more than {MAX_TABLES} tables or {MAX_NUMBERS} numbers", at)

    def scalar(self, kind: str, at: int, what: str) -> int | float | bool:
        """Read one number at a position."""
        form = _FORMATS[kind]
        self.need(at, struct.calcsize(form), what)
        value: int | float | bool = struct.unpack_from(form, self.data, at)[0]
        return value

    def u32(self, at: int, what: str) -> int:
        """Read an unsigned 32-bit number at a position."""
        return int(self.scalar("u32", at, what))

    def follow(self, at: int, what: str) -> int:
        """Follow the forward offset at a position to what it points at (4-byte aligned, as all targets are)."""
        target = at + self.u32(at, what)
        if target == at or target + 4 > self.size:
            raise self.broken(f"the offset of {what} points outside the file", at)
        if target % 4:
            raise self.broken(f"the offset of {what} points at an unaligned place", at)
        return target

    def root(self) -> Table:
        """Give the root table."""
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
    """A string and where it lies: `at` is the position of its length, `field` of the offset that points to it."""

    at: int
    field: int
    raw: bytes

    def __str__(self) -> str:
        return self.raw.decode("utf-8", "backslashreplace")


class Table:
    """One table: fields by slot number, absent ones as None or their default.

    Parameters
    ----------
    buffer
        The file's bytes.
    at
        Position of the table.
    what
        What to call it in errors.
    """

    __slots__ = ("_size", "_vtable", "_vtable_size", "at", "buffer", "what")

    def __init__(self, buffer: Buffer, at: int, what: str) -> None:
        buffer.count(tables=1, at=at)
        self.buffer, self.at, self.what = buffer, at, what
        vtable = at - int(buffer.scalar("i32", at, what))
        if vtable % 2:
            raise buffer.broken(f"the field table of {what} is unaligned", at)
        self._vtable = vtable
        self._vtable_size = int(buffer.scalar("u16", vtable, f"the field table of {what}"))
        self._size = int(buffer.scalar("u16", vtable + 2, f"the field table of {what}"))
        if self._vtable_size < 4 or self._vtable_size % 2:
            raise buffer.broken(f"the field table of {what} has an impossible length", vtable)
        buffer.need(vtable, self._vtable_size, f"the field table of {what}")
        buffer.need(at, self._size, what)

    def position(self, slot: int) -> int | None:
        """Give the position of a field, or None where the table has none."""
        entry = 4 + 2 * slot
        if entry + 2 > self._vtable_size:
            return None
        offset: int = struct.unpack_from("<H", self.buffer.data, self._vtable + entry)[0]
        if offset == 0:
            return None
        if offset < 4 or offset >= self._size:
            raise self.buffer.broken(f"a field of {self.what} lies outside it", self._vtable + entry)
        return self.at + offset

    def number(self, slot: int, kind: Scalar, default: float | bool = 0) -> int | float | bool:
        """Read a number field."""
        at = self.position(slot)
        return default if at is None else self.buffer.scalar(kind, at, self.what)

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
        length = self.buffer.u32(at, what)
        self.buffer.need(at + 4, length + 1, what)
        if self.buffer.data[at + 4 + length]:
            raise self.buffer.broken(f"{what} is not closed by a zero byte", at)
        self.buffer.strings.setdefault(at, set()).add(field)
        return Text(at, field, bytes(self.buffer.data[at + 4 : at + 4 + length]))

    def extent(self, slot: int, width: int, what: str) -> tuple[int, int] | None:
        """Give where a vector's elements start and how many there are; `width` is an element's length in bytes."""
        field = self.position(slot)
        if field is None:
            return None
        at = self.buffer.follow(field, what)
        count = self.buffer.u32(at, what)
        if at + 4 + count * width > self.buffer.size:
            raise self.buffer.broken(f"{what} is longer than the file", at)
        return at + 4, count

    def numbers(self, slot: int, kind: Scalar, what: str) -> tuple[int | float | bool, ...]:
        """Read a vector of numbers (an absent one is empty)."""
        form = _FORMATS[kind]
        extent = self.extent(slot, struct.calcsize(form), what)
        if extent is None:
            return ()
        at, count = extent
        self.buffer.count(numbers=count, at=at)
        self.buffer.need(at, count * struct.calcsize(form), what)
        return struct.unpack_from(f"<{count}{form[1]}", self.buffer.data, at)

    def integers(self, slot: int, what: str, kind: Scalar = "i32") -> tuple[int, ...]:
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
