"""The headers of a tar archive, read in one forward pass.

The standard library's :mod:`tarfile` takes a damaged header in mid-archive for the end of the archive and reads
extension headers of any size into memory. Here a damaged header is an error with its offset, and everything is bounded.

Source of the facts: POSIX.1-2017, `pax` (ustar and pax interchange format), and the GNU tar manual (old GNU format).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from modelprep.errors import StepError
from modelprep.formats.archive.decompress import Reader
from modelprep.structs import dataclass

BLOCK = 512
#: The hint of errors about damaged archives.
AGAIN = "fetch the archive again"
#: Extension headers (long names, pax records) may be this long. A path has at most 4096 bytes on Linux.
MAX_EXTENSION = 1 << 20

EntryKind = Literal[
    "file", "folder", "hard link", "symbolic link", "character device", "block device", "FIFO", "sparse file", "other"
]
_KINDS: dict[bytes, EntryKind] = {
    b"0": "file", b"\0": "file", b"7": "file", b"1": "hard link", b"2": "symbolic link", b"3": "character device",
    b"4": "block device", b"5": "folder", b"6": "FIFO", b"S": "sparse file",
}  # fmt: skip
_NO_DATA = frozenset({"hard link", "symbolic link", "character device", "block device", "folder", "FIFO"})


@dataclass(frozen=True)
class Entry:
    """One member: its name as written, its size in bytes, what it is, where its header is, what it links to."""

    name: str
    size: int
    kind: EntryKind
    offset: int
    link: str = ""


class _Place(NamedTuple):
    """Where the walk is: the stream, where the current header starts, the name of the last member."""

    stream: Reader
    offset: int
    name: str

    def error(self, what: str, *, after: str = "", **facts: str) -> StepError:
        where = f"{self.stream.path}, byte {self.offset} of the unpacked archive{after}"
        return StepError(what, where=where, **facts)

    def bad_header(self, got: str) -> StepError:
        return self.error("a tar header makes no sense", got=got, hint=AGAIN)

    def truncated(self, expected: str) -> StepError:
        where = f"byte {self.offset} of the unpacked archive"
        if self.name:
            where = f"in or after '{self.name}' (header at {where})"
        return StepError(
            "the tar archive ends before its end: it is truncated", where=f"{self.stream.path}, {where}",
            expected=expected, got=f"the end after {self.stream.position} unpacked bytes", hint=AGAIN,
        )  # fmt: skip

    def read(self, size: int, expected: str) -> bytes:
        """Return the next `size` bytes of the archive, all of them."""
        data = self.stream.read(size)
        if len(data) < size:
            raise self.truncated(expected)
        return data


def is_header(block: bytes) -> bool:
    """Return whether a block of 512 bytes is a tar header (its checksum agrees)."""
    return len(block) == BLOCK and any(block) and _checksum_agrees(block)


def entries(stream: Reader, *, max_members: int) -> Iterator[Entry]:
    """Walk through the members of an unpacked tar stream.

    The caller may read up to ``entry.size`` bytes from `stream` before it asks for the next entry; what it leaves is
    skipped. The stream is read to its very end, so that a checksum behind the archive is verified too.

    Raises StepError: a damaged header (with its offset), data that ends early, too many members.
    """
    pax_global: dict[str, str] = {}
    pax: dict[str, str] = {}
    name = long_name = long_link = ""
    count = 0
    while True:
        at = _Place(stream, stream.position, name)
        block = stream.read(BLOCK)
        if not block and stream.compression != "none" and count:
            return  # no end marker, but the compression's own checksum has vouched that this is all there was
        if len(block) < BLOCK:
            raise at.truncated("the end-of-archive marker (two blocks of zeros)")
        if not any(block):
            stream.drain()
            return
        if not _checksum_agrees(block):
            got, after = f"{count} members were read before it", f", after '{name}'" if name else ""
            raise at.error("a tar header is damaged: its checksum does not agree", after=after, got=got, hint=AGAIN)
        count += 1
        if count > max_members:
            raise too_many(stream.path, max_members, "more")
        size = _number(block[124:136], at)
        flag = block[156:157]
        if flag in b"xgXLK":
            body = _extension(at, size)
            if flag == b"L":
                long_name = _text(body.rstrip(b"\0"))
            elif flag == b"K":
                long_link = _text(body.rstrip(b"\0"))
            elif flag == b"g":
                pax_global.update(_pax_records(body, at))
            else:
                pax = _pax_records(body, at)
            continue
        records = {**pax_global, **pax}
        name = records.get("path") or long_name or _header_name(block)
        link = records.get("linkpath") or long_link or _field(block, 157, 257)
        kind = _KINDS.get(flag, "other")
        if kind == "file" and name.endswith("/"):
            kind = "folder"  # how tar archives before POSIX marked one
        if any(key.startswith("GNU.sparse.") for key in records):
            kind = "sparse file"
            name = records.get("GNU.sparse.name", name)
        at = at._replace(name=name)
        if (stated := records.get("size")) is not None:
            if not (stated.isascii() and stated.isdigit()) or len(stated) > 18:
                raise at.bad_header(f"the pax size {stated[:40]!r}")
            size = int(stated)
        if _KINDS.get(flag) in _NO_DATA:  # not so for a "file" whose name ends in a slash: its data is there
            size = 0
        if flag == b"S":  # the map of an old GNU sparse file: byte 482, then 504, says whether another block follows
            more = block[482]
            while more:
                more = at.read(BLOCK, "the map of a sparse file")[504]
        pax, long_name, long_link = {}, "", ""
        start = stream.position
        yield Entry(name, size, kind, at.offset, link)
        left = start + size + (-size) % BLOCK - stream.position
        if skipped := left - sum(len(piece) for piece in stream.chunks(left)):
            raise at.truncated(f"{skipped} bytes more")


def too_many(archive: Path, most: int, got: str) -> StepError:
    """Return the error for an archive of too many members."""
    what = "the archive has too many members"
    return StepError(what, where=str(archive), expected=f"at most {most}", got=got)


def _checksum_agrees(block: bytes) -> bool:
    try:
        stated = int(block[148:156].rstrip(b"\0 ").strip() or b"0", 8)
    except ValueError:
        return False
    unsigned = sum(block) - sum(block[148:156]) + 8 * 32
    if stated == unsigned:
        return True
    # Some old writers summed signed chars.
    high = sum(byte > 127 for byte in block) - sum(byte > 127 for byte in block[148:156])
    return stated == unsigned - 256 * high


def _number(field: bytes, at: _Place) -> int:
    if field[0] & 0x80:  # GNU: base 256, for what has no room in octal; 0xff begins a negative number
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if field[0] == 0xFF or value >= 1 << 62:
            raise at.bad_header("a size that cannot be")
        return value
    digits = field.split(b"\0", 1)[0].strip() or b"0"
    if digits.isdigit() and not digits.strip(b"01234567"):
        return int(digits, 8)
    raise at.bad_header(f"the size field {field!r}")


def _header_name(block: bytes) -> str:
    name, prefix = _field(block, 0, 100), _field(block, 345, 500)
    # The old GNU format ("ustar  ") keeps other things in the prefix's place.
    return f"{prefix}/{name}" if block[257:263] == b"ustar\0" and prefix else name


def _field(block: bytes, start: int, end: int) -> str:
    return _text(block[start:end].split(b"\0", 1)[0])


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _extension(at: _Place, size: int) -> bytes:
    if size > MAX_EXTENSION:
        expected = f"at most {MAX_EXTENSION} bytes"
        raise at.error("a tar extension header is too long", expected=expected, got=str(size))
    return at.read(size + (-size) % BLOCK, f"an extension header of {size} bytes")[:size]


def _pax_records(body: bytes, at: _Place) -> dict[str, str]:
    """Read records ``<length> <key>=<value>`` with a newline at the end of each; the length counts itself."""
    records: dict[str, str] = {}
    position = 0
    while position < len(body) and body[position] != 0:
        space = body.find(b" ", position, position + 20)
        digits = body[position:space] if space > 0 else b""
        if not digits.isdigit():
            raise at.bad_header("a pax record without a length")
        end = position + int(digits)
        key, equals, value = body[space + 1 : end].partition(b"=")
        if end > len(body) or end <= space or not equals or not value.endswith(b"\n"):
            raise at.bad_header("a pax record whose length does not agree")
        records[_text(key)] = _text(value[:-1])
        position = end
    return records
