"""Copy a file and hash it in the same pass, so that the digest is of the written bytes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from modelprep.errors import StorageError
from modelprep.store.disk import CHUNK, human, storage, sync_file, write_all
from modelprep.store.memo import Progress, hash_file
from modelprep.store.syncing import EarlyWriting

if TYPE_CHECKING:
    from typing_extensions import Self

#: ``ioctl`` that makes a file share another one's blocks (``linux/fs.h``: ``_IOW(0x94, 9, int)``).
_FICLONE = 0x40049409
#: Below this size in bytes a second thread does not pay off.
WORTH_A_THREAD = 4 * CHUNK


class Hashes(Protocol):
    """Anything that takes bytes: one of :mod:`hashlib`'s objects, or several side by side."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""
        ...


class BackgroundHash:
    """Update hashes in a thread beside the one that receives and writes; hashing releases the GIL, so both run.

    A context manager; leaving it ends the thread. `depth` is the length of the queue, which bounds the memory: enough
    to bridge short delays.
    """

    def __init__(self, hashes: Hashes, *, depth: int = 8) -> None:
        self._hashes = hashes
        import queue

        self._queue: queue.Queue[bytes | memoryview | None] = queue.Queue(depth)
        self._thread = threading.Thread(target=self._run, name="modelprep-hash", daemon=True)
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def update(self, data: bytes | memoryview) -> None:
        """Add bytes; they must not change afterwards."""
        self._raise()
        self._queue.put(data)

    def finish(self) -> None:
        """Wait until all is hashed."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def _run(self) -> None:
        while (data := self._queue.get()) is not None:
            if self._error is None:
                try:
                    self._hashes.update(data)  # type: ignore[arg-type]  # any buffer will do
                except Exception as error:  # noqa: BLE001 - raised by `update` and `finish`; the queue must not fill up
                    self._error = error


def copy_hashed(
    source: Path, target: Path, *, progress: Progress | None = None, claimed: bool = False, sync: bool = True
) -> tuple[str, int]:
    """Copy a file to a new name, durably, and hash the copy; return its SHA-256 and its size in bytes.

    The file system shares the blocks if it can (the copy is then read once), else the bytes pass through memory, which
    takes about as long as hashing them. `progress` is called with (bytes done, bytes in all); an exception ends the
    copy. `claimed`: `target` is the caller's empty file (:func:`~modelprep.store.disk.claim_temporary`). Without `sync`
    the caller synchronizes several copies together (:mod:`modelprep.store.syncing`).
    Raises StorageError if the source cannot be read, the target cannot be written, or the copy has another length than
    the source.
    """
    with storage(source, doing="read"):
        read = source.open("rb", buffering=0)
    with read:
        size = os.fstat(read.fileno()).st_size
        with storage(target, needed=size), target.open("r+b" if claimed else "xb", buffering=0) as write:
            if _cloned(read.fileno(), write.fileno()):
                if sync:
                    sync_file(write.fileno())
                return hash_file(target, progress)
            digest = hashlib.sha256()
            with contextlib.ExitStack() as stack:
                hashing = stack.enter_context(BackgroundHash(digest)) if size >= WORTH_A_THREAD else digest
                done = _pump(read.fileno(), write.fileno(), source, size, hashing.update, progress)
            if sync:
                sync_file(write.fileno())
    if done != size:
        raise StorageError(
            "the length of a file changed while it was copied",
            where=str(source),
            expected=human(size),
            got=human(done),
            hint="run the command again",
        )
    return digest.hexdigest(), done


def _pump(
    read: int, write: int, source: Path, size: int, update: Callable[[bytes], None], progress: Progress | None
) -> int:
    done, early = 0, EarlyWriting(write)
    while True:
        with storage(source, doing="read"):
            data = os.read(read, CHUNK)
        if not data:
            return done
        write_all(write, data)
        update(data)
        done += len(data)
        early.upto(done)
        if progress is not None:
            progress(done, size)


def _cloned(read: int, write: int) -> bool:
    """Share the blocks of one file with another, on file systems that can (btrfs, XFS, ...)."""
    try:
        import fcntl

        fcntl.ioctl(write, _FICLONE, read)
    except (ImportError, OSError):
        return False
    return True
