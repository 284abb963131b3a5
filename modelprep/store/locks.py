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
from typing import Any

from modelprep.errors import Interrupted
from modelprep.store.disk import storage, storage_error

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
    pause = _FIRST_POLL
    waiting = False
    while (lock := try_lock(path)) is None:
        if not waiting and on_wait is not None:
            on_wait()
        waiting = True
        if stop is not None and stop():
            raise Interrupted("stopped while waiting for another process")
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_POLL)
    try:
        yield
    finally:
        lock.release()
