"""One thread at a time works, while several wait for servers.

Threads of one interpreter that all have work to do interrupt each other at every system call, and each change of
threads takes longer than the call. A thread that transfers small files therefore keeps its turn until it has to wait.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

_mine = threading.local()


class Turn:
    """A context manager that one thread at a time is in; :func:`waiting` and :func:`leave` let the next one in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()
        _mine.turn = self

    def __exit__(self, *_: object) -> None:
        leave()

    def end(self) -> None:
        """End the turn of this thread."""
        _mine.turn = None
        self._lock.release()


def leave() -> None:
    """End this thread's turn, if it has one: the rest of its work takes long, such as a large file or a pause."""
    if (turn := getattr(_mine, "turn", None)) is not None:
        turn.end()


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    """Let other threads have their turn during the block; hold no lock here that they need."""
    turn = getattr(_mine, "turn", None)
    leave()
    try:
        yield
    finally:
        if turn is not None:
            turn.__enter__()
