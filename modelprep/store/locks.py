"""Locks between threads and processes: for economy only; what is correct rests on temporary names and renames.

The operating system drops a lock with the process that held it, so a killed holder blocks nobody.
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
    """Turn any name into one that every file system takes, telling and without clashes."""
    stem = re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("._")[:48]
    return f"{stem}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"


class Lock:
    """A lock that is held; :meth:`release` it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others have it. Done twice, it is no error."""
        import fcntl

        if self._descriptor >= 0:
            with contextlib.suppress(OSError):  # unlocked first: a forked child has the descriptor as well
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = -1


def try_lock(path: Path) -> Lock | None:
    """Take the lock at once, or return None when somebody holds it.

    Raises
    ------
    StorageError
        The lock file cannot be made, or its file system has no locks (some network file systems). Without them nobody
        could tell files of a run from those that a killed one left, so that this is not passed over.
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
    """Try to take something until it is there, with pauses that grow to a quarter of a second; give what was taken.

    Parameters
    ----------
    take
        Tries once; None while somebody else has it.
    on_wait, stop
        See :func:`hold`.

    Raises
    ------
    Interrupted
        `stop` said so.
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
    """Hold the lock at `path`.

    Parameters
    ----------
    on_wait
        Called once, when somebody else holds it and waiting begins.
    stop
        Asked while waiting; true ends it.

    Raises
    ------
    Interrupted
        `stop` said so.
    StorageError
        The lock file cannot be made.
    """
    lock = wait_for(lambda: try_lock(path), on_wait=on_wait, stop=stop)
    try:
        yield
    finally:
        lock.release()
