"""Write a blob: a temporary file, hashed while written, that becomes a blob completely or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from modelprep.errors import DigestMismatch
from modelprep.store.disk import human, storage, write_all

if TYPE_CHECKING:
    from typing_extensions import Self  # for type checkers only: in typing from Python 3.11

    from modelprep.store.blob import Blob


class BlobWriter:
    """A context manager that writes bytes and, at :meth:`commit`, makes a blob of them.

    Without a commit nothing is left behind. `path` is a temporary file on the store's file system; `land` synchronizes
    it and puts it into the store: (path, sha256, size) -> Blob; `hint` is its name in messages.
    """

    def __init__(self, path: Path, land: Callable[[Path, str, int], Blob], hint: str = "") -> None:
        self.path = path
        self.size = 0
        self.hint = hint
        self._land = land
        self._digest = hashlib.sha256()
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        with storage(self.path):
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        return self

    def write(self, data: bytes | memoryview) -> None:
        """Take more bytes; StorageError if they cannot be written."""
        assert self._descriptor is not None
        with storage(self.path, needed=len(data)):
            write_all(self._descriptor, data)
        self._digest.update(data)
        self.size += len(data)

    def commit(self, expect: str | None = None) -> Blob:
        """Make the blob; with another SHA-256 than `expect`, raise DigestMismatch and keep nothing."""
        sha256 = self._digest.hexdigest()
        if expect is not None and sha256 != expect:
            raise DigestMismatch(
                f"{self.hint or 'the bytes'} do not have the expected checksum",
                expected=f"sha256 {expect}",
                got=f"sha256 {sha256}, {human(self.size)}",
            )
        assert self._descriptor is not None
        descriptor, self._descriptor = self._descriptor, None
        with storage(self.path):
            os.close(descriptor)
        return self._land(self.path, sha256, self.size)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        with storage(self.path, doing="remove"):
            self.path.unlink(missing_ok=True)
