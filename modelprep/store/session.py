"""Scratch folder of one process inside the store, and its removal once the process has ended.

Each process has one folder ``scratch/<pid>-<random>/`` and, beside it, a lock file that it holds while it runs. If the
lock is free, the process has ended and the folder may be removed.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

from modelprep.store.disk import remove_tree, storage
from modelprep.store.locks import Lock, try_lock


class Session:
    """The folder of one process under the store's ``scratch`` folder, made when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mutex = threading.Lock()
        self._pid = 0
        self._place: Path | None = None

    def place(self) -> Path:
        """Return the folder, on the store's own file system; StorageError if it cannot be made."""
        with self._mutex:
            # A forked child must not use its parent's folder: the parent removes it when it ends.
            if self._place is None or self._pid != os.getpid() or not self._place.is_dir():
                with storage(self._folder):
                    self._folder.mkdir(parents=True, exist_ok=True)
                    for stale in stale_sessions(self._folder):
                        stale.remove()
                    name = f"{os.getpid()}-{os.urandom(6).hex()}"
                    lock = try_lock(self._folder / f"{name}.lock")
                    place = self._folder / name
                    place.mkdir()
                self._place, self._pid = place, os.getpid()
                weakref.finalize(self, _close, place, lock, os.getpid())
            return self._place

    def new_file(self) -> Path:
        """Return an unused path inside the session's folder."""
        return self.place() / f"file-{os.urandom(8).hex()}"

    @contextlib.contextmanager
    def new_folder(self) -> Iterator[Path]:
        """Yield a new folder, and remove it at the end."""
        path = self.place() / f"work-{os.urandom(8).hex()}"
        with storage(path):
            path.mkdir()
        try:
            yield path
        finally:
            remove_tree(path)


def _close(place: Path, lock: Lock | None, pid: int) -> None:
    if os.getpid() != pid:
        return
    remove_tree(place)
    with contextlib.suppress(OSError):
        place.with_name(f"{place.name}.lock").unlink(missing_ok=True)
    if lock is not None:
        lock.release()


class Stale:
    """The folder of an ended process; this object holds its lock."""

    def __init__(self, place: Path, lock: Lock) -> None:
        self.place = place
        self._lock = lock

    @property
    def size(self) -> int:
        """Bytes of the files inside."""
        total = 0
        for folder, _, names in os.walk(self.place):
            for name in names:
                with contextlib.suppress(OSError):
                    total += (Path(folder) / name).lstat().st_size
        return total

    def remove(self) -> None:
        """Remove it."""
        remove_tree(self.place)
        with contextlib.suppress(OSError):
            self.place.with_name(f"{self.place.name}.lock").unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Release the lock without removing the folder."""
        self._lock.release()


def stale_sessions(folder: Path) -> Iterator[Stale]:
    """Find the folders under ``scratch`` of ended processes; the caller removes or releases each."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))
    except OSError:
        return
    for name in names:
        # A folder without a lock file belongs to a process that is just ending, or to another program: it is left alone
        # unless its name is ours.
        if not _is_session_name(name):
            continue
        lock = try_lock(folder / f"{name}.lock")
        if lock is not None:
            yield Stale(folder / name, lock)


def _is_session_name(name: str) -> bool:
    pid, _, token = name.partition("-")
    return pid.isdigit() and len(token) == 12 and not set(token) - set("0123456789abcdef")
