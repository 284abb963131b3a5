"""The digest memo: a file's SHA-256 by its path, size, times of change (ns) and inode, so that it is hashed once.

Only digests of hashed bytes are remembered. The time of the last status change is part of the key, which no program can
set: a file that was altered and given its old modification time is hashed again. ``cache verify`` does not use the
memo.
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

#: A file that changed this shortly before it was hashed (ns) could change again without a new time stamp; such a digest
#: is not remembered. With time stamps of whole seconds the limit is two seconds.
_TICK_NS = 50_000_000
_COARSE_TICK_NS = 2_000_000_000


def hash_file(path: Path, progress: Progress | None = None) -> tuple[str, int]:
    """Return (sha256, size in bytes) of a file, read once from the disk."""
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
    """Digests by path (relative to the store, which may be moved), size, mtime_ns, ctime_ns and inode."""

    def __init__(self, index: Index, root: Path) -> None:
        self._index = index
        self._root = root
        self.together = index.together

    def _key(self, path: Path) -> str:
        try:
            return path.relative_to(self._root).as_posix()
        except ValueError:
            return str(path.absolute())

    def known(self, path: Path, stat: os.stat_result) -> str | None:
        """Return the remembered digest of a file whose `stat` is unchanged, or None."""
        value = self._index.get(self._key(path))
        if isinstance(value, list) and value[1:] == state_of(stat):
            digest = value[0]
            return digest if isinstance(digest, str) else None
        return None

    def known_as_blob(self, path: Path, stat: os.stat_result) -> str | None:
        """Return the digest of a file that is a hard link to a blob whose digest is known.

        Making or removing another link to a blob changes the status of all its links; it need not be hashed again for
        that.
        """
        value = self._index.get(self._key(path))
        if stat.st_nlink < 2 or not isinstance(value, list) or not isinstance(value[0], str):
            return None
        blob = blob_path(self._root, value[0])
        try:
            found = blob.stat()
        except OSError:
            return None
        same = (found.st_dev, found.st_ino) == (stat.st_dev, stat.st_ino)
        return value[0] if same and self.known(blob, found) == value[0] else None

    def remember(self, path: Path, sha256: str, stat: os.stat_result) -> None:
        """Remember a digest."""
        self._index.put(self._key(path), [sha256, *state_of(stat)])

    def forget(self, path: Path) -> None:
        """Forget a path."""
        self._index.put(self._key(path), None)

    def digest_of(self, path: Path, progress: Progress | None = None) -> tuple[str, int]:
        """Return (sha256, size), from memory if the file is unchanged, else by hashing it."""
        with storage(path, doing="read"):
            before = path.stat()
        if (known := self.known(path, before)) is not None:
            return known, before.st_size
        if (known := self.known_as_blob(path, before)) is not None:
            self.remember(path, known, before)
            return known, before.st_size
        sha256, size = hash_file(path, progress)
        with storage(path, doing="read"):
            after = path.stat()
        if state_of(before) == state_of(after) and settled(after):
            self.remember(path, sha256, after)
        return sha256, size


def settled(stat: os.stat_result) -> bool:
    """Say whether the last change of a file is so old that another change would have another time."""
    return stat.st_ctime_ns + (_TICK_NS if stat.st_ctime_ns % 1_000_000_000 else _COARSE_TICK_NS) < time.time_ns()


def state_of(stat: os.stat_result) -> list[int]:
    """Return the values that change whenever a file does."""
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def blob_path(root: Path, sha256: str) -> Path:
    """Return the path of a blob in the store at `root`."""
    return root / f"blobs/{sha256[:2]}/{sha256}"
