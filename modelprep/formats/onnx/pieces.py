"""An ONNX file cut up and put together again, without parsing or holding its weights.

A file becomes a list of pieces: new bytes, and slices of the mapped file that are copied as they are. The wire format
itself is :mod:`modelprep.formats.protowire`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from modelprep.errors import StepError
from modelprep.formats.mapped import forget
from modelprep.formats.output import writing
from modelprep.formats.protowire import MAX_MESSAGE, Buffer, bytes_header

_CHUNK = 8 << 20

#: Bytes made by us, or a slice of a mapped file.
Piece = Buffer


class NotOnnx(ValueError):
    """The bytes are a message, but no ONNX model."""


def size(pieces: Iterable[Piece]) -> int:
    """Return the length of pieces in bytes."""
    return sum(len(piece) for piece in pieces)


def block(number: int, pieces: list[Piece]) -> list[Piece]:
    """Wrap pieces as a length-delimited field."""
    return [bytes_header(number, size(pieces)), *pieces]


def spliced(view: memoryview, start: int, stop: int, changes: Iterable[tuple[int, int, list[Piece]]]) -> list[Piece]:
    """Return ``view[start:stop]`` in pieces, with parts of it (begin, end) replaced."""
    pieces: list[Piece] = []
    for begin, end, new in changes:
        pieces += [view[start:begin], *new]
        start = end
    return [*pieces, view[start:stop]]


def write(pieces: list[Piece], output: Path, progress: Callable[[int, int | None], None] | None = None) -> int:
    """Write pieces to a new file; return its length.

    Raises StepError: it would be larger than a protobuf message can be; StorageError: it cannot be written.
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
                put(part)
                done += len(part)
                if len(piece) >= _CHUNK:
                    forget(piece)
                if progress is not None and len(piece) >= _CHUNK:
                    progress(done, total)
    if progress is not None:
        progress(total, total)
    return total
