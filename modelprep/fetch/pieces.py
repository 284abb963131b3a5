"""The first bytes of a body, which is an iterator of pieces: as many as are inspected, or all of a small file."""

from __future__ import annotations

import time
from collections.abc import Iterator

from modelprep.fetch.network_errors import Broken

#: A file of at most so many bytes that arrives within so many seconds is written in one piece: nothing is recorded for
#: a later run to resume it.
SMALL, SOON = 1 << 20, 0.2


def first_bytes(pieces: Iterator[bytes], least: int, total: int | None) -> tuple[bytes, Iterator[bytes]]:
    """Return at least `least` bytes, or all of a small file if they arrive soon, and the pieces that follow."""
    head, began = b"", time.monotonic()
    small = total is not None and total <= SMALL
    try:
        while len(head) < least or (small and len(head) < (total or 0) and time.monotonic() - began < SOON):
            if not (piece := next(pieces, b"")):
                break
            head += piece
    except Broken as broken:
        if len(head) < least:
            raise
        return head, _cut(broken)  # what has come is kept
    return head, pieces


def _cut(broken: Broken) -> Iterator[bytes]:
    raise broken
    yield b""


def up_to(pieces: Iterator[bytes], count: int) -> list[bytes]:
    """Return pieces of at least `count` bytes together, or as many as arrive."""
    found, size = [], 0
    try:
        while size < count and (piece := next(pieces, b"")):
            found.append(piece)
            size += len(piece)
    except Broken:
        pass
    return found
