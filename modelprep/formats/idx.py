"""IDX files: the format of the MNIST database, one array of numbers in any number of dimensions.

Four bytes (two zeros, the element type, the number of dimensions), one big-endian 32-bit size for each dimension, then
the elements in C order, big-endian. Source of the fact: "The IDX file format" on yann.lecun.com/exdb/mnist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from math import prod
from pathlib import Path

from modelprep.errors import StepError, StorageError
from modelprep.formats.archive.decompress import Reader, compression_of
from modelprep.formats.output import writing
from modelprep.formats.sniff import HEAD, looks_like
from modelprep.structs import dataclass

#: Element type byte -> (its name, bytes an element).
TYPES: dict[int, tuple[str, int]] = {
    0x08: ("uint8", 1), 0x09: ("int8", 1), 0x0B: ("int16", 2), 0x0C: ("int32", 4),
    0x0D: ("float32", 4), 0x0E: ("float64", 8),
}  # fmt: skip
#: Magic number of MNIST's pictures (uint8, 3 dimensions) and labels (uint8, 1 dimension).
IMAGES_MAGIC, LABELS_MAGIC = 0x0803, 0x0801
_LONGEST_HEADER = 4 + 4 * 255


@dataclass(frozen=True)
class Header:
    """What the header of an idx file says.

    `magic`: the first four bytes as a big-endian number: 2051 for MNIST's pictures, 2049 for its labels. `dtype`: name
    of the element type: ``uint8``, ``int8``, ``int16``, ``int32``, ``float32``, ``float64``. `item_size`: bytes an
    element. `shape`: size of each dimension, slowest first.
    """

    magic: int
    dtype: str
    item_size: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Length of the header in bytes."""
        return 4 + 4 * len(self.shape)

    @property
    def data_size(self) -> int:
        """Length of the elements in bytes."""
        return prod(self.shape) * self.item_size

    def to_json(self) -> dict[str, object]:
        """Return the facts as a JSON-ready mapping."""
        return {"magic": self.magic, "dtype": self.dtype, "shape": list(self.shape), "data_bytes": self.data_size}


def parse_header(head: bytes, where: str) -> Header:
    """Read a header.

    Raises StepError: no idx header; the error says what the file looks like instead.
    """
    if len(head) < 4:
        raise _not_idx(head, where, f"{len(head)} bytes")
    magic = int.from_bytes(head[:4], "big")
    if head[:2] != b"\0\0" or head[2] not in TYPES or head[3] == 0:
        raise _not_idx(head, where, f"{head[:4].hex(' ')} ({magic})")
    dtype, item_size = TYPES[head[2]]
    end = 4 + 4 * head[3]
    if len(head) < end:
        raise StepError(
            "the idx file ends within its header", where=where,
            expected=f"a header of {end} bytes ({head[3]} dimensions)", got=f"{len(head)} bytes",
            hint="fetch the file again",
        )  # fmt: skip
    shape = tuple(int.from_bytes(head[at : at + 4], "big") for at in range(4, end, 4))
    return Header(magic, dtype, item_size, shape)


def read_header(path: Path, *, name: str = "") -> Header:
    """Read the header of an unpacked idx file and check that the file is exactly as long as it says.

    Raises StepError: still compressed, no idx file, shorter or longer than its header says; StorageError: it cannot be
    read.
    """
    where = f"{name} ({path})" if name else str(path)
    try:
        with path.open("rb") as file:
            head = file.read(_LONGEST_HEADER)
            size = file.seek(0, 2)
    except OSError as error:
        raise StorageError(f"the idx file cannot be read: {error.strerror or error}", where=where) from None
    header = parse_header(head, where)
    check_length(header, size - header.size, where)
    return header


def check_length(header: Header, got: int, where: str) -> None:
    """Check that exactly `got` bytes follow the header.

    Raises StepError: they do not agree.
    """
    if got != header.data_size:
        shape = "x".join(map(str, header.shape))
        raise StepError(
            "the idx file is truncated" if got < header.data_size else "the idx file is longer than its header says",
            where=where, expected=f"{header.size} + {header.data_size} bytes ({shape} of {header.dtype})",
            got=f"{header.size} + {got} bytes" + (" or more" if got > header.data_size else ""),
            looks_like=_swapped_shape(header, got), hint="fetch the file again",
        )  # fmt: skip


def unpack(source: Path, output: Path, *, progress: Callable[[int, int | None], None] | None = None) -> Header:
    """Write an idx file, compressed or not, in its plain form; nothing is written if it is not a whole idx file.

    Raises StepError: damaged, truncated, or no idx file; StorageError: cannot be read or written.
    """
    with _reader(source, progress) as stream:
        head, header = _head(stream)
        with writing(output) as write:
            write(head[: header.size])
            for piece in _elements(stream, head, header):
                write(piece)
    return header


def inspect(path: Path) -> tuple[Header, str, dict[int, int] | None]:
    """Read an idx file, compressed or not, to its end.

    Returns the header, the compression (``none``, ``gzip``, ``bzip2``, ``xz``), and for a file of labels (uint8, one
    dimension) each label with how often it occurs; None for any other file. Raises StepError, StorageError: as for
    :func:`unpack`.
    """
    from collections import Counter

    with _reader(path, None) as stream:
        head, header = _head(stream)
        labels = header.magic == LABELS_MAGIC
        counts: Counter[int] = Counter()
        for piece in _elements(stream, head, header):
            if labels:
                counts.update(piece)
    return header, stream.compression, dict(sorted(counts.items())) if labels else None


def meaning(header: Header) -> str:
    """Return in words what a file with this header holds."""
    known = {IMAGES_MAGIC: "pictures", LABELS_MAGIC: "labels"}
    return known.get(header.magic, f"{header.dtype} in {len(header.shape)} dimensions")


def _reader(path: Path, progress: Callable[[int, int | None], None] | None) -> Reader:
    try:
        return Reader(path, progress=progress)
    except OSError as error:
        raise StorageError(f"the idx file cannot be read: {error.strerror or error}", where=str(path)) from None


def _head(stream: Reader) -> tuple[bytes, Header]:
    head = stream.read(_LONGEST_HEADER)
    return head, parse_header(head, str(stream.path))


def _elements(stream: Reader, head: bytes, header: Header) -> Iterator[bytes]:
    """Yield the elements, of which there must be as many as the header says; `head`: what was read already."""
    done = 0
    for piece in chain([head[header.size :]], stream.chunks()):
        done += len(piece)
        if done > header.data_size:
            break  # too long already: never unpack a bomb to count it
        yield piece
    check_length(header, done, str(stream.path))


def _not_idx(head: bytes, where: str, got: str) -> StepError:
    looks, hint = looks_like(head[:HEAD]), ""
    if compression_of(head) != "none":
        hint = "unpack it first: step `gunzip`, or `modelprep idx unpack`"
    elif len(head) >= 8 and head[2:4] == b"\0\0" and head[1] in TYPES and 1 <= head[0] <= 8:
        looks = "an idx file written in little-endian order"
        hint = "idx is big-endian: write its magic number and sizes with the most significant byte first"
    elif looks == "a web page":
        hint = "the server sent a page instead of the file; try another source or give the file with `--set`"
    return StepError(
        "this is not an idx file", where=where,
        expected="00 00, an element type (08 to 0e), a number of dimensions (2051: pictures, 2049: labels)", got=got,
        looks_like=looks, hint=hint,
    )  # fmt: skip


def _swapped_shape(header: Header, got: int) -> str:
    """Return what the file looks like if its sizes agree when read as little-endian."""
    turned = [int.from_bytes(size.to_bytes(4, "big"), "little") for size in header.shape]
    if prod(turned) * header.item_size == got and got:
        return f"an idx file whose sizes are little-endian ({'x'.join(map(str, turned))})"
    return ""
