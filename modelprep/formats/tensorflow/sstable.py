"""Sorted string tables: the container of TensorFlow's checkpoints (all of a V1 file, the index of a V2 one).

A table is a file of blocks. A block holds sorted entries with prefix-compressed keys, its restart points, one byte that
names its compression and a masked CRC-32C. The last block but the footer is an index: for every data block a key not
smaller than its last one, and where it lies. The footer is 48 bytes: two handles and a magic number.
Source: TensorFlow ``core/lib/io/{format,block,table}.cc`` (the format of LevelDB tables).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from modelprep.errors import StepError
from modelprep.formats.protowire import WireError, read_varint
from modelprep.formats.tensorflow.crc32c import crc32c, unmask
from modelprep.formats.tensorflow.snappy import SnappyError, decompress

MAGIC = 0xDB4775248B80FB57
FOOTER_SIZE = 48
TRAILER_SIZE = 5  # compression byte and checksum
_NO_COMPRESSION, _SNAPPY = 0, 1


@dataclass(frozen=True)
class Handle:
    """Where a block lies: `offset` in the file and `size` without its trailer, both in bytes."""

    offset: int
    size: int


@dataclass(frozen=True)
class Entry:
    """One entry: its key, its value (a view into the file where the block is not compressed), its place in the file."""

    key: bytes
    value: memoryview
    block: Handle


class Table:
    """A table in a mapped file.

    `data`: the file's bytes; a view of a mapping, of which only the blocks that are asked for are read. Raises
    StepError: the file is no table, or is truncated; its index or a block that is read fails its checksum.
    """

    def __init__(self, data: memoryview, name: str) -> None:
        self._data = data
        self.name = name
        meta, handle = self._footer()
        self._contents(meta, "the meta index block")  # nothing in it is used; damage there is damage all the same
        self._index: list[tuple[bytes, Handle]] = []
        for entry in self._entries(handle, "the index block"):
            try:
                offset, position = read_varint(entry.value, 0, len(entry.value))
                size, _ = read_varint(entry.value, position, len(entry.value))
            except WireError as error:
                self._bad("the index block holds a broken handle", handle.offset, str(error))
            self._index.append((entry.key, Handle(offset, size)))
        self._last_keys = [key for key, _ in self._index]

    def _footer(self) -> tuple[Handle, Handle]:
        size = len(self._data)
        if size < FOOTER_SIZE or int.from_bytes(self._data[size - 8 :], "little") != MAGIC:
            from modelprep.formats.sniff import HEAD, looks_like_model

            looks = looks_like_model(bytes(self._data[:HEAD]))
            hint = "compare the file's size with the original; a download that broke off looks like this"
            raise StepError(
                "this is no checkpoint table, or its end is missing", where=f"{self.name}, offset {max(0, size - 8)}",
                expected=f"a footer that ends in the magic number {MAGIC:#x}", looks_like=looks or None,
                got=f"{bytes(self._data[-8:]).hex() or 'nothing'} at the end of {size} bytes",
                hint=None if looks else hint,
            )  # fmt: skip
        footer = self._data[size - FOOTER_SIZE : size - 8]
        try:
            numbers, position = [], 0
            for _ in range(4):
                number, position = read_varint(footer, position, len(footer))
                numbers.append(number)
        except WireError as error:
            self._bad("the footer is damaged", size - FOOTER_SIZE, str(error))
        return Handle(*numbers[:2]), Handle(*numbers[2:])

    def get(self, key: bytes, wanted: str) -> Entry | None:
        """Find the entry of this `key`; `wanted` says for messages what is being looked for ("tensor 'w'")."""
        position = bisect_left(self._last_keys, key)
        blocks = self._index[position : position + 1]
        entries = (entry for _, handle in blocks for entry in self._entries(handle, wanted))
        found = next((entry for entry in entries if entry.key >= key), None)
        return found if found is not None and found.key == key else None

    def __iter__(self) -> Iterator[Entry]:
        """Yield all entries in the order of their keys, reading (and verifying) every block."""
        for key, handle in self._index:
            yield from self._entries(handle, f"the entries up to {key!r}")

    def _contents(self, handle: Handle, wanted: str) -> memoryview:
        end = handle.offset + handle.size + TRAILER_SIZE
        if end > len(self._data):
            self._bad(
                f"{wanted} cannot be read: its block reaches beyond the end of the file", handle.offset,
                f"{len(self._data)} bytes", f"at least {end} bytes",
            )  # fmt: skip
        block = self._data[handle.offset : end]
        kind = block[handle.size]
        stored = unmask(int.from_bytes(block[handle.size + 1 :], "little"))
        found = crc32c(block[: handle.size + 1])
        if stored != found:
            self._bad(
                f"{wanted} cannot be read: its block of {handle.size} bytes is damaged",
                handle.offset,
                f"CRC-32C {found:#010x}",
                f"CRC-32C {stored:#010x}",
            )
        contents = block[: handle.size]
        if kind == _NO_COMPRESSION:
            return contents
        if kind != _SNAPPY:
            self._bad(
                f"{wanted} cannot be read: its block has a compression unknown here", handle.offset, f"kind {kind}"
            )
        try:
            return memoryview(decompress(contents))
        except SnappyError as error:
            self._bad(f"{wanted} cannot be read: its Snappy block is damaged", handle.offset, str(error))

    def _entries(self, handle: Handle, wanted: str) -> Iterator[Entry]:
        contents = self._contents(handle, wanted)
        restarts = int.from_bytes(contents[-4:], "little") if len(contents) >= 4 else 0
        end = len(contents) - 4 * (restarts + 1)
        if end < 0:
            self._bad(f"{wanted} cannot be read: its block has no restart points", handle.offset, f"{restarts}")
        key = b""
        position = 0
        while position < end:
            try:
                shared, start = read_varint(contents, position, end)
                fresh, start = read_varint(contents, start, end)
                length, start = read_varint(contents, start, end)
            except WireError as error:
                self._bad(f"{wanted} cannot be read: a broken entry", handle.offset + position, str(error))
            if shared > len(key) or start + fresh + length > end:
                self._bad(f"{wanted} cannot be read: an entry reaches beyond its block", handle.offset + position, "")
            key = key[:shared] + bytes(contents[start : start + fresh])
            position = start + fresh + length
            yield Entry(key, contents[start + fresh : position], handle)

    def _bad(self, what: str, offset: int, got: str, expected: str | None = None) -> NoReturn:
        raise StepError(
            what, where=f"{self.name}, offset {offset}", expected=expected, got=got or None,
            hint="the file is damaged: fetch it again, or compare its digest with the original's",
        )  # fmt: skip
