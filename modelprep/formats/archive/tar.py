"""The headers of a tar archive, read in one forward pass.

The standard library's :mod:`tarfile` takes a damaged header in mid-archive for the end of the archive and reads
extension headers of any size into memory. Here a damaged header is an error with its offset, and everything is bounded.

Source of the facts: POSIX.1-2017, `pax` (ustar and pax interchange format), and the GNU tar manual (old GNU format).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from modelprep.errors import StepError
from modelprep.formats.archive.decompress import Reader
from modelprep.structs import dataclass

BLOCK = 512
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
    """One member: its name as written, its size in bytes, what it is, where its header stands, what it links to."""

    name: str
    size: int
    kind: EntryKind
    offset: int
    link: str = ""


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
    long_name = long_link = ""
    count = 0
    name = ""
    while True:
        offset = stream.position
        block = stream.read(BLOCK)
        if not block and stream.compression != "none" and count:
            return  # no end marker, but the compression's own checksum has vouched that this is all there was
        if len(block) < BLOCK:
            raise _truncated(stream, offset, name, "the end-of-archive marker (two blocks of zeros)")
        if not any(block):
            stream.drain()
            return
        if not _checksum_agrees(block):
            raise StepError(
                "a tar header is damaged: its checksum does not agree",
                where=f"{stream.path}, byte {offset} of the unpacked archive" + (f", after '{name}'" if name else ""),
                got=f"{count} members were read before it", hint="fetch the archive again",
            )  # fmt: skip
        count += 1
        if count > max_members:
            raise StepError(
                "the archive has too many members", where=str(stream.path), expected=f"at most {max_members}",
                got="more",
            )  # fmt: skip
        size = _number(block[124:136], stream, offset)
        flag = block[156:157]
        if flag in b"xgXLK":
            body = _extension(stream, offset, size, name)
            if flag == b"L":
                long_name = _text(body.rstrip(b"\0"))
            elif flag == b"K":
                long_link = _text(body.rstrip(b"\0"))
            elif flag == b"g":
                pax_global.update(_pax_records(body, stream, offset))
            else:
                pax = _pax_records(body, stream, offset)
            continue
        records = {**pax_global, **pax}
        name = records.get("path") or long_name or _header_name(block)
        link = records.get("linkpath") or long_link or _text(block[157:257].split(b"\0", 1)[0])
        kind = _KINDS.get(flag, "other")
        if kind == "file" and name.endswith("/"):
            kind = "folder"  # how tar archives before POSIX marked one
        if any(key.startswith("GNU.sparse.") for key in records):
            kind = "sparse file"
            name = records.get("GNU.sparse.name", name)
        if "size" in records:
            size = _pax_size(records["size"], stream, offset)
        if _KINDS.get(flag) in _NO_DATA:  # not so for a "file" whose name ends in a slash: its data is there
            size = 0
        if flag == b"S":
            _skip_sparse_maps(block, stream, offset, name)
        pax, long_name, long_link = {}, "", ""
        start = stream.position
        yield Entry(name, size, kind, offset, link)
        _skip(stream, start + size + (-size) % BLOCK - stream.position, offset, name)


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


def _number(field: bytes, stream: Reader, offset: int) -> int:
    if field[0] & 0x80:  # GNU: base 256, for what has no room in octal; 0xff begins a negative number
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if field[0] == 0xFF or value >= 1 << 62:
            raise _bad_header(stream, offset, "a size that cannot be")
        return value
    try:
        digits = field.split(b"\0", 1)[0].strip()
        if not digits:
            return 0
        if not digits.isdigit():
            raise ValueError
        return int(digits, 8)
    except ValueError:
        raise _bad_header(stream, offset, f"the size field {field!r}") from None


def _header_name(block: bytes) -> str:
    name = block[:100].split(b"\0", 1)[0]
    prefix = block[345:500].split(b"\0", 1)[0]
    if block[257:263] == b"ustar\0" and prefix:  # the old GNU format ("ustar  ") keeps other things there
        name = prefix + b"/" + name
    return _text(name)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _extension(stream: Reader, offset: int, size: int, name: str) -> bytes:
    if size > MAX_EXTENSION:
        raise StepError(
            "a tar extension header is too long", where=f"{stream.path}, byte {offset} of the unpacked archive",
            expected=f"at most {MAX_EXTENSION} bytes", got=str(size),
        )  # fmt: skip
    padded = size + (-size) % BLOCK
    body = stream.read(padded)
    if len(body) < padded:
        raise _truncated(stream, offset, name, f"an extension header of {size} bytes")
    return body[:size]


def _pax_records(body: bytes, stream: Reader, offset: int) -> dict[str, str]:
    """Read records ``<length> <key>=<value>`` with a newline at the end of each; the length counts itself."""
    records: dict[str, str] = {}
    position = 0
    while position < len(body) and body[position] != 0:
        space = body.find(b" ", position, position + 20)
        digits = body[position:space] if space > 0 else b""
        if not digits.isdigit():
            raise _bad_header(stream, offset, "a pax record without a length")
        end = position + int(digits)
        record = body[space + 1 : end]
        key, equals, value = record.partition(b"=")
        if end > len(body) or end <= space or not equals or not value.endswith(b"\n"):
            raise _bad_header(stream, offset, "a pax record whose length does not agree")
        records[_text(key)] = _text(value[:-1])
        position = end
    return records


def _pax_size(value: str, stream: Reader, offset: int) -> int:
    if not (value.isascii() and value.isdigit()) or len(value) > 18:
        raise _bad_header(stream, offset, f"the pax size {value[:40]!r}")
    return int(value)


def _skip_sparse_maps(block: bytes, stream: Reader, offset: int, name: str) -> None:
    """Step over the map blocks of an old GNU sparse file; byte 482 (then 504) says whether another one follows."""
    more = block[482]
    while more:
        extra = stream.read(BLOCK)
        if len(extra) < BLOCK:
            raise _truncated(stream, offset, name, "the map of a sparse file")
        more = extra[504]


def _skip(stream: Reader, count: int, offset: int, name: str) -> None:
    skipped = sum(len(piece) for piece in stream.chunks(count))
    if skipped < count:
        raise _truncated(stream, offset, name, f"{count - skipped} bytes more")


def _bad_header(stream: Reader, offset: int, got: str) -> StepError:
    return StepError(
        "a tar header makes no sense", where=f"{stream.path}, byte {offset} of the unpacked archive", got=got,
        hint="fetch the archive again",
    )  # fmt: skip


def _truncated(stream: Reader, offset: int, name: str, expected: str) -> StepError:
    return StepError(
        "the tar archive ends before its end: it is truncated",
        where=f"{stream.path}, in or after '{name}' (header at byte {offset} of the unpacked archive)"
        if name
        else f"{stream.path}, byte {offset} of the unpacked archive",
        expected=expected,
        got=f"the end after {stream.position} unpacked bytes",
        hint="fetch the archive again",
    )
