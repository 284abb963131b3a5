"""Locks between threads and processes: to avoid double work only; correctness rests on temporary names and renames.

The operating system releases a lock with its process, so a killed holder blocks nobody.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from modelprep.errors import Interrupted
from modelprep.store.disk import NO_LOCKS, no_locks, storage

_T = TypeVar("_T")

_FIRST_POLL, _LONGEST_POLL = 0.02, 0.25  # seconds


def file_name(name: str) -> str:
    """Turn any name into a readable, unique name that every file system accepts."""
    stem = re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("._")[:48]
    return f"{stem}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"


class Lock:
    """A lock that is held; :meth:`release` it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Release it. A second call does nothing."""
        import fcntl

        if self._descriptor >= 0:
            with contextlib.suppress(OSError):  # unlock first: a forked child has the descriptor too
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = -1


def try_lock(path: Path) -> Lock | None:
    """Take a lock, or return None if it is held.

    Raises StorageError if the lock file cannot be made, or its file system has no locks (some network file systems):
    without them files of a running process cannot be told from leftovers.
    """
    import fcntl

    with storage(path, doing="lock"):
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(path, descriptor):
                    return Lock(descriptor)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except OSError as error:
                os.close(descriptor)
                if error.errno in NO_LOCKS:
                    raise no_locks(path) from error
                raise
            os.close(descriptor)  # its last holder removed the file meanwhile


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def wait_for(
    take: Callable[[], _T | None], *, on_wait: Callable[[], None] | None = None, stop: Callable[[], bool] | None = None
) -> _T:
    """Call `take` until its result is not None, with pauses that grow to a quarter of a second; return the result.

    `on_wait` and `stop` as for :func:`hold`.
    """
    pause = _FIRST_POLL
    waiting = False
    while (taken := take()) is None:
        if not waiting and on_wait is not None:
            on_wait()
        waiting = True
        if stop is not None and stop():
            raise Interrupted("stopped while waiting for another process")
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_POLL)
    return taken


@contextlib.contextmanager
def hold(
    path: Path, *, on_wait: Callable[[], None] | None = None, stop: Callable[[], bool] | None = None
) -> Iterator[None]:
    """Hold the lock at `path`; StorageError if its file cannot be made.

    `on_wait` is called once, if waiting begins; `stop` is called while waiting, and true raises Interrupted.
    """
    lock = wait_for(lambda: try_lock(path), on_wait=on_wait, stop=stop)
    try:
        yield
    finally:
        lock.release()
