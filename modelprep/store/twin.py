"""A second copy of a large file, written while the file is downloaded: a tree takes it instead of copying the blob."""

from __future__ import annotations

import os
from pathlib import Path

from modelprep.store.copying import Hashes
from modelprep.store.disk import write_all
from modelprep.store.syncing import EarlyWriting


class Twin:
    """Hashes bytes and writes them to the new file `path`; if they cannot be written, it only hashes them.

    A context manager that closes the file, and removes it after an error. OSError if it cannot be created.
    """

    def __init__(self, hashes: Hashes, path: Path) -> None:
        self.path = path
        self._hashes = hashes
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        self._early = EarlyWriting(self._descriptor)
        self._size = 0

    def update(self, data: bytes) -> None:
        """Take more bytes."""
        self._hashes.update(data)
        if self._descriptor >= 0:
            try:
                write_all(self._descriptor, data)
                self._size += len(data)
                self._early.upto(self._size)
            except OSError:
                self.drop()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the file; after an error, remove it."""
        if kind is not None:
            self.drop()
        self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def drop(self) -> None:
        """Close and remove the file."""
        self._close()
        self.path.unlink(missing_ok=True)
