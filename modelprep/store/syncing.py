"""Make many files last through a power cut at the price of few: one synchronisation for all that are waiting for one.

``fsync`` costs a few milliseconds whatever the file's size; ``syncfs`` costs about as much as two of them, for any
number of files. It writes what other programs have changed too, so it is for many files on a disk that is quiet.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Sequence
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


def sync_each(paths: Sequence[Path]) -> list[OSError | None]:
    """Make files last, together; for each what the disk said against it."""
    try:
        sync_all(paths)
    except OSError:
        return [_error(path) for path in paths]
    return [None] * len(paths)


def _error(path: Path) -> OSError | None:
    """Synchronise one file; what came of it."""
    try:
        _sync(path)
    except OSError as error:
        return error
    return None
