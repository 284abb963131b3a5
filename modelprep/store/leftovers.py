"""Remove what killed processes left in a store.

The owner of such a file holds a lock while it runs, on the file or beside it; only if the lock is free is the owner
gone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from modelprep.errors import StorageError
from modelprep.store.disk import abandoned_temporaries
from modelprep.store.locks import try_lock
from modelprep.store.partial import lock_name

_FOLDERS = (".", "partial", "results", "proofs", "quarantine")


def leftovers(root: Path) -> Iterator[Path]:
    """Find the files in the store at `root` whose owner is gone; the caller may remove each while iterating."""
    for name in _FOLDERS:
        yield from abandoned_temporaries(root / name, former=True)
    for notes in _files(root / "partial", ".json"):
        if not notes.with_suffix("").exists():
            yield from _free(notes, root / "locks" / (lock_name(notes) or f"{notes.stem}.lock"))
    for lock in _files(root / "scratch", ".lock"):
        if not lock.with_suffix("").exists():
            yield from _free(lock, lock)
    for lock in _files(root / "users", ".lock"):
        yield from _free(lock, lock)


def sweep(root: Path) -> None:
    """Remove them, if possible."""
    for path in leftovers(root):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _files(folder: Path, suffix: str) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(path for path in folder.iterdir() if path.suffix == suffix and not path.name.startswith("."))
    return []


def _free(path: Path, lock_path: Path) -> Iterator[Path]:
    """Yield a path while its lock is held; nothing when somebody else holds it."""
    try:
        lock = try_lock(lock_path)
    except StorageError:
        return
    if lock is not None:
        try:
            yield path
        finally:
            lock.release()
