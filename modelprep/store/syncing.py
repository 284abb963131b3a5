"""Make many files last through a power cut at the price of few: one synchronisation for all that are waiting for one.

``fsync`` costs a few milliseconds whatever the file's size; ``syncfs`` costs about as much as two of them, for any
number of files. It writes what other programs have changed too, so it is for many files on a disk that is quiet.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from modelprep.store.disk import sync_file

#: From so many files on, one ``syncfs`` for all of them.
MANY = 4
#: With more bytes than this waiting to be written, by whichever program, each file is synchronised by itself.
_BUSY = 256 << 20


def sync_all(paths: Iterable[Path]) -> None:
    """Make files and folders last: the content of a file, the names in a folder.

    Raises
    ------
    OSError
        The disk would not take one of them.
    """
    by_device: dict[int, list[Path]] = {}
    for path in dict.fromkeys(paths):
        by_device.setdefault(path.stat().st_dev, []).append(path)
    for those in by_device.values():
        if len(those) < MANY or not _sync_file_system(those[0]):
            for path in those:
                _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def _sync_file_system(path: Path) -> bool:
    """Synchronise all of a file system, where that can be done, tells of errors, and is cheaper; False: it was not."""
    function = _syncfs()
    if function is None or _waiting() > _BUSY:
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return bool(function(descriptor) == 0)
    finally:
        os.close(descriptor)


@lru_cache(maxsize=1)
def _syncfs() -> Any:
    """Return the C library's ``syncfs``; None before Linux 5.8, which did not report what went wrong (syncfs(2))."""
    version = re.match(r"(\d+)\.(\d+)", os.uname().release) if hasattr(os, "uname") else None
    if version is None or os.uname().sysname != "Linux" or (int(version[1]), int(version[2])) < (5, 8):
        return None
    with contextlib.suppress(OSError, AttributeError, ImportError):
        import ctypes

        return ctypes.CDLL(None, use_errno=True).syncfs
    return None


def _waiting() -> int:
    """Return how many bytes wait to be written, of all programs; 0 where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("Dirty:"):
                return int(line.split()[1]) << 10
    return 0


class Syncs:
    """Synchronises for many threads at once: whoever comes first does it for all who have come by then."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[_Wish] = []
        self._busy = False

    def file(self, path: Path) -> None:
        """Make a file last; back when that is done.

        Raises
        ------
        OSError
            The disk would not take it.
        """
        wish = _Wish(path)
        with self._changed:
            self._waiting.append(wish)
            while self._busy and not wish.done:
                self._changed.wait()
            batch, self._waiting = ([], self._waiting) if wish.done else (self._waiting, [])
            self._busy = self._busy or bool(batch)
        if batch:
            try:
                _together(batch)
            finally:
                with self._changed:
                    for each in batch:
                        each.done = True
                    self._busy = False
                    self._changed.notify_all()
        if wish.error is not None:
            raise wish.error


class _Wish:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.done = False
        self.error: OSError | None = None


def _together(batch: list[_Wish]) -> None:
    try:
        sync_all(each.path for each in batch)
    except OSError:
        for each in batch:
            each.error = _error(each.path)


def _error(path: Path) -> OSError | None:
    """Synchronise one file; what came of it."""
    try:
        _sync(path)
    except OSError as error:
        return error
    return None
