"""Locks between threads and processes: for economy only; what is correct rests on temporary names and renames.

The operating system drops a lock with the process that held it, so a killed holder blocks nobody.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from modelprep.errors import Interrupted
from modelprep.store.disk import storage, storage_error

_T = TypeVar("_T")

_FIRST_POLL, _LONGEST_POLL = 0.02, 0.25  # seconds


def file_name(name: str) -> str:
    """Turn any name into one that every file system takes, telling and without clashes."""
    stem = re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("._")[:48]
    return f"{stem}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"


def _new_lock(path: Path) -> Any:
    import filelock

    # A fresh object for each use: objects of one process exclude each other too, as each opens the file anew.
    return filelock.FileLock(str(path), thread_local=False)


def try_lock(path: Path) -> Any | None:
    """Take the lock at once and give it (with a ``release``), or None when somebody holds it."""
    import filelock

    with storage(path, doing="lock"):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _new_lock(path)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            return None
        except NotImplementedError as error:
            raise storage_error(OSError(38, str(error)), path, doing="lock") from error
        return lock


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
