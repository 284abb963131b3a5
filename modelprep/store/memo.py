"""The digest memo: a file's SHA-256 by its path, size, modification time (ns) and inode, so that it is hashed once.

It is a matter of speed only. ``cache verify`` never asks it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from modelprep.store.disk import CHUNK, storage
from modelprep.store.index import Index

Progress = Callable[[int, "int | None"], None]

#: A file changed this shortly before it was hashed (ns) could change again within one tick of its clock, leaving its
#: time as it is; such a digest is not remembered. Where times are whole seconds the tick is taken for two.
_TICK_NS = 50_000_000
_COARSE_TICK_NS = 2_000_000_000


def hash_file(path: Path, progress: Progress | None = None) -> tuple[str, int]:
    """Give (sha256, size in bytes) of a file, read once from the disk."""
    digest = hashlib.sha256()
    size = 0
    with storage(path, doing="read"), path.open("rb", buffering=0) as file:
        total = os.fstat(file.fileno()).st_size
        buffer = memoryview(bytearray(CHUNK))
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            size += count
            if progress is not None:
                progress(size, total)
    return digest.hexdigest(), size


class Memo:
    """Digests by path, size, mtime_ns and inode.

    Parameters
    ----------
    index
        Where they are kept.
    root
        Paths below it are kept relative to it, so that a store may be moved.
    """

    def __init__(self, index: Index, root: Path) -> None:
        self._index = index
        self._root = root

    def _key(self, path: Path) -> str:
        try:
            return path.relative_to(self._root).as_posix()
        except ValueError:
            return str(path.absolute())

    def known(self, path: Path, stat: os.stat_result) -> str | None:
        """Give the digest remembered of a file whose `stat` is unchanged, or None."""
        value = self._index.get(self._key(path))
        if isinstance(value, list) and value[1:] == [stat.st_size, stat.st_mtime_ns, stat.st_ino]:
            digest = value[0]
            return digest if isinstance(digest, str) else None
        return None

    def remember(self, path: Path, sha256: str, stat: os.stat_result) -> None:
        """Remember what was hashed."""
        self._index.put(self._key(path), [sha256, stat.st_size, stat.st_mtime_ns, stat.st_ino])

    def forget(self, path: Path) -> None:
        """Drop what is known of a path."""
        self._index.put(self._key(path), None)

    def digest_of(self, path: Path, progress: Progress | None = None) -> tuple[str, int]:
        """Give (sha256, size), from memory when the file is as it was, else by hashing it."""
        with storage(path, doing="read"):
            before = path.stat()
        if (known := self.known(path, before)) is not None:
            return known, before.st_size
        sha256, size = hash_file(path, progress)
        with storage(path, doing="read"):
            after = path.stat()
        tick = _TICK_NS if after.st_mtime_ns % 1_000_000_000 else _COARSE_TICK_NS
        still = (before.st_size, before.st_mtime_ns, before.st_ino) == (after.st_size, after.st_mtime_ns, after.st_ino)
        if still and after.st_mtime_ns + tick < time.time_ns():
            self.remember(path, sha256, after)
        return sha256, size
