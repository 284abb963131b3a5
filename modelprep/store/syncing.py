"""Synchronize many files at once, so that they survive a power cut.

``fsync`` costs a few milliseconds whatever the file's size; ``syncfs`` costs about as much as two of them, for any
number of files. It also writes data of other programs, so it is used for many files on a quiet disk.
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

#: From this number of files on, one ``syncfs`` for all of them.
MANY = 4
#: If more dirty bytes than this are waiting, of any program, each file is synchronized separately.
_BUSY = 256 << 20
#: Bytes of a file with which the disk is to begin at a time.
_EARLY = 16 << 20
_SYNC_FILE_RANGE_WRITE = 2  # linux/fs.h


def sync_all(paths: Iterable[Path]) -> None:
    """Synchronize files and folders: the content of a file, the names in a folder.

    OSError if the disk reports an error.
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
    """Synchronize a whole file system if that is possible, reports errors and is cheaper; False if not done."""
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
    """Return the C library's ``syncfs``; None before Linux 5.8, which did not report errors (syncfs(2))."""
    version = re.match(r"(\d+)\.(\d+)", os.uname().release) if hasattr(os, "uname") else None
    if version is None or os.uname().sysname != "Linux" or (int(version[1]), int(version[2])) < (5, 8):
        return None
    with contextlib.suppress(OSError, AttributeError, ImportError):
        import ctypes

        return ctypes.CDLL(None, use_errno=True).syncfs
    return None


def _waiting() -> int:
    """Return the number of dirty bytes of all programs; 0 if unknown."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("Dirty:"):
                return int(line.split()[1]) << 10
    return 0


class EarlyWriting:
    """Begin to write a large file to disk while it grows, so that its synchronization takes no time.

    `descriptor` is the file, written from `offset` (bytes) on.
    """

    def __init__(self, descriptor: int, offset: int = 0) -> None:
        self._descriptor = descriptor
        self._begun = offset

    def upto(self, size: int) -> None:
        """Begin with what has been written since, once that is much; `size` is the size of the file in bytes."""
        if size - self._begun >= _EARLY and (function := _sync_file_range()) is not None:
            # The kernel reports errors at the final synchronization.
            function(self._descriptor, self._begun, size - self._begun, _SYNC_FILE_RANGE_WRITE)
            self._begun = size


@lru_cache(maxsize=1)
def _sync_file_range() -> Any:
    """Return the C library's ``sync_file_range`` (Linux); None if there is none."""
    with contextlib.suppress(OSError, AttributeError, ImportError):
        import ctypes

        function = ctypes.CDLL(None).sync_file_range
        function.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
        return function
    return None


def sync_each(paths: Sequence[Path]) -> list[OSError | None]:
    """Synchronize files together; return the error of the disk for each."""
    try:
        sync_all(paths)
    except OSError:
        return [_error(path) for path in paths]
    return [None] * len(paths)


def _error(path: Path) -> OSError | None:
    """Synchronize one file; return its error."""
    try:
        _sync(path)
    except OSError as error:
        return error
    return None
