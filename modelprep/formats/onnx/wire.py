"""The protobuf wire format, as far as an ONNX file is cut up and put together again without parsing its weights.

A message becomes a list of pieces: new bytes, and slices of the mapped file that are copied as they are. Weights are
never held in memory, and what nobody asked to change keeps its very bytes.
Format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from modelprep.errors import StepError, StorageError
from modelprep.formats.output import writing

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
#: What protobuf can hold in one message, and what every reader of ONNX allows a file to be.
MAX_MESSAGE = 2**31 - 1
_CHUNK = 8 << 20

#: Bytes made by us, or a slice of a mapped file.
Piece = bytes | memoryview


@dataclass(frozen=True)
class Field:
    """One field of a message: ``view[begin:stop]`` is all of it; from `start` on comes the payload (or the number)."""

    number: int
    wire_type: int
    begin: int
    start: int
    stop: int


class WireError(ValueError):
    """The bytes are no protobuf message."""


def varint(view: memoryview, at: int, stop: int) -> tuple[int, int]:
    """Read one number; give it and the position after it."""
    value = shift = 0
    while at < stop:
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift > 63:
            raise WireError(f"a number of more than ten bytes before byte {at}")
    raise WireError(f"it ends inside a number at byte {at}")


def fields(view: memoryview, start: int = 0, stop: int | None = None) -> Iterator[Field]:
    """Walk over the fields of the message in ``view[start:stop]``.

    Raises
    ------
    WireError
        The bytes are no message.
    """
    at = start
    end = len(view) if stop is None else stop
    while at < end:
        begin = at
        key, at = varint(view, at, end)
        number, wire_type = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise WireError(f"an impossible field number at byte {begin}")
        start_ = at
        if wire_type == VARINT:
            _, at = varint(view, at, end)
        elif wire_type == BYTES:
            length, start_ = varint(view, at, end)
            at = start_ + length
        elif wire_type == FIXED64:
            at += 8
        elif wire_type == FIXED32:
            at += 4
        else:
            raise WireError(f"a field of unknown kind {wire_type} at byte {begin}")
        if at > end:
            raise WireError(f"field {number} at byte {begin} is longer than what holds it")
        yield Field(number, wire_type, begin, start_, at)


def encode(value: int) -> bytes:
    """Write one number (64 bits; a negative one as its two's complement)."""
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def size(pieces: Iterable[Piece]) -> int:
    """Give the length of pieces in bytes."""
    return sum(len(piece) for piece in pieces)


def block(number: int, pieces: list[Piece]) -> list[Piece]:
    """Wrap pieces as a length-delimited field."""
    return [encode(number << 3 | BYTES) + encode(size(pieces)), *pieces]


def mapped(path: Path, what: str = "the ONNX file") -> memoryview:
    """Map a file; the mapping lives as long as the view and its slices do.

    Raises
    ------
    StorageError
        It cannot be read.
    StepError
        It is empty.
    """
    try:
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except ValueError as error:
        raise StepError(f"{what} is empty", where=str(path)) from error
    except OSError as error:
        raise StorageError(f"cannot read {what}: {error.strerror}", where=str(path)) from error


def _let_go(piece: Piece) -> None:
    """Tell the system that the pages of a mapped file are not needed any more (they come back when read)."""
    if isinstance(piece, memoryview) and isinstance(piece.obj, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        piece.obj.madvise(mmap.MADV_DONTNEED)


def write(pieces: list[Piece], output: Path, progress: Callable[[int, int | None], None] | None = None) -> int:
    """Write pieces to a new file; give its length.

    Raises
    ------
    StepError
        It would be larger than a protobuf message can be.
    StorageError
        It cannot be written.
    """
    total = size(pieces)
    if total > MAX_MESSAGE:
        raise StepError(
            "the result would be larger than an ONNX file can be", expected=f"at most {MAX_MESSAGE} bytes (2 GiB)",
            got=f"{total} bytes", hint="keep the weights in external data, or use a smaller model",
        )  # fmt: skip
    done = 0
    with writing(output) as put:
        for piece in pieces:
            for at in range(0, len(piece), _CHUNK):
                part = piece[at : at + _CHUNK]
                put(cast("bytes", part))  # a file takes any buffer
                done += len(part)
                if len(piece) >= _CHUNK:
                    _let_go(piece)
                if progress is not None and len(piece) >= _CHUNK:
                    progress(done, total)
    if progress is not None:
        progress(total, total)
    return total
