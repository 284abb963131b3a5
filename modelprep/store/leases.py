"""Users of a store: garbage collection waits for running users, in this process or others.

A user holds a lock file in ``users/`` while it works; the operating system releases it with the process, so a killed
run blocks nobody. The collector takes the gate lock, which every new user needs, and checks that there are no users.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from modelprep.errors import StorageError
from modelprep.store.disk import storage
from modelprep.store.locks import hold, try_lock


@contextlib.contextmanager
def entered(root: Path, *, stop: Callable[[], bool] | None = None) -> Iterator[None]:
    """Register as a user of the store at `root`: until the end of the block, nothing is collected from it.

    Waits for a running collection; Interrupted if `stop` returns true meanwhile. A read-only store is used without
    registration: it cannot be collected either.
    """
    folder = root / "users"
    mine = folder / f"{os.getpid()}-{os.urandom(6).hex()}.lock"
    lock = None
    with contextlib.suppress(StorageError), hold(_gate(root), stop=stop), storage(folder):
        lock = try_lock(mine)
    try:
        yield
    finally:
        if lock is not None:
            with contextlib.suppress(OSError):
                mine.unlink(missing_ok=True)
            lock.release()


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Use the store at `root` exclusively: until the end of the block, new users wait.

    Raises StorageError if it is in use, or cannot be written.
    """
    with hold(_gate(root)):
        if inside := at_work(root):
            runs = "a run is" if len(inside) == 1 else f"{len(inside)} runs are"
            raise StorageError(
                f"{runs} using the cache; nothing was removed",
                where=str(root),
                got=f"process {', '.join(map(str, inside))}",
                hint="run the command again when it has ended, or add --dry-run to see what would be removed",
            )
        yield


def at_work(root: Path) -> tuple[int, ...]:
    """Return the process ids of the store's users; lock files of ended processes are removed."""
    found = []
    with contextlib.suppress(OSError):
        for path in sorted((root / "users").glob("*.lock")):
            lock = try_lock(path)
            if lock is None:
                found.append(int(path.name.partition("-")[0]))
                continue
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            lock.release()
    return tuple(found)


def _gate(root: Path) -> Path:
    return root / "locks" / "gate.lock"
