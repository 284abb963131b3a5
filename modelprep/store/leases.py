"""Who is at work with a store: so that nothing is collected from under a run, in this process or another.

Whoever is going to rely on what the store holds enters ``users/`` with a lock file of its own, held for as long as it
works; the operating system drops it with the process, so a killed run holds nobody up. Whoever removes things takes the
gate that everybody enters through, and looks whether anybody is inside.
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
    """Be at work with the store at `root`: until the end of the block, nothing is collected from it.

    Waits for a collection that is under way. A store that cannot be written is used all the same: nobody who is bound
    by its permissions collects there either.

    Parameters
    ----------
    stop
        Asked while waiting; true ends it.

    Raises
    ------
    Interrupted
        `stop` said so.
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
    """Be the only one with the store at `root`: until the end of the block, whoever wants to enter waits.

    Raises
    ------
    StorageError
        Somebody is at work with it, or the store cannot be written.
    """
    with hold(_gate(root)):
        if inside := at_work(root):
            runs = "a run is" if len(inside) == 1 else f"{len(inside)} runs are"
            raise StorageError(
                f"{runs} at work with this store; nothing was removed",
                where=str(root),
                got=f"process {', '.join(map(str, inside))}",
                hint="run it again when that has ended, or add --dry-run to see what would go",
            )
        yield


def at_work(root: Path) -> tuple[int, ...]:
    """Return the process ids of those who are at work with the store; what the dead left behind is removed."""
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
