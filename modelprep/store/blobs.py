"""The blobs of a store: files by their SHA-256, hashed when stored, when copied out and when in doubt.

The memo avoids hashing where a stale answer does no harm (:meth:`Blobs.get`). Files that leave the store are hashed
during the copy (:meth:`Blobs.copy`) or have been hashed by this process (:meth:`Blobs.sound`, :meth:`Blobs.link`).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelprep.errors import CorruptBlob, StorageError
from modelprep.store.blob import Blob
from modelprep.store.copying import copy_hashed
from modelprep.store.disk import (
    CHUNK,
    ensure_free,
    human,
    named_by,
    set_mode,
    storage,
    storage_error,
    write_atomic,
)
from modelprep.store.index import Index
from modelprep.store.memo import Memo, Progress, blob_path, hash_file, state_of
from modelprep.store.results import is_sha256
from modelprep.store.session import Session
from modelprep.store.syncing import sync_all, sync_each
from modelprep.store.writer import BlobWriter


class Blobs:
    """The blobs below the folder `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._memo = Memo(Index(root / "memo.jsonl"), root)
        self._session = Session(root / "scratch")
        #: State of each blob when this process hashed it.
        self._hashed: dict[str, list[int]] = {}
        #: Second copies of blobs (:mod:`modelprep.store.twin`): path and state when written.
        self._twins: dict[str, tuple[Path, list[int]]] = {}
        #: Folders with names that are not synchronized yet.
        self._changed: set[Path] = set()
        named_by(root, "--cache DIR (or MODELPREP_CACHE)")

    def blob_path(self, sha256: str) -> Path:
        """Return the path of a blob, whether it exists or not."""
        if not is_sha256(sha256):
            raise ValueError(f"not a sha256: {sha256!r}")
        return blob_path(self.root, sha256)

    def get(self, sha256: str) -> Blob | None:
        """Return a blob, or None if it is not cached.

        The memo is trusted; a blob whose size, times or inode differ from the remembered ones is hashed, and a corrupt
        one is quarantined and counts as missing. :meth:`sound` and :meth:`copy` do not trust the memo.
        """
        if not is_sha256(sha256):
            raise ValueError(f"not a sha256: {sha256!r}")
        try:
            stat = os.stat(f"{self.root}/blobs/{sha256[:2]}/{sha256}")  # noqa: PTH116 - most of a plan's are not here
        except OSError:
            return None
        path = self.blob_path(sha256)
        if self._memo.known(path, stat) == sha256:
            return Blob(sha256, stat.st_size, path)
        return self.check(sha256)

    def sound(self, sha256: str) -> Blob | None:
        """Return a blob that this process has hashed, now or before; a corrupt one is quarantined -> None.

        Call this before a blob is used without hashing: as a step's input, by hard link.
        """
        path = self.blob_path(sha256)
        try:
            stat = path.stat()
        except OSError:
            return None
        if self._hashed.get(sha256) == state_of(stat):
            return Blob(sha256, stat.st_size, path)
        return self.check(sha256)

    def check(self, sha256: str, progress: Progress | None = None) -> Blob | None:
        """Hash a blob without trusting the memo; a corrupt one is quarantined -> None."""
        path = self.blob_path(sha256)
        try:
            stat = path.stat()
            found, size = hash_file(path, progress)
        except (OSError, StorageError):
            return None
        if found != sha256:
            self._condemn(sha256, found, size)
            return None
        self._was_hashed(sha256, path, stat)
        return Blob(sha256, size, path)

    def copy(
        self, blob: Blob, target: Path, *, progress: Progress | None = None, claimed: bool = False, sync: bool = True
    ) -> None:
        """Copy a blob to a new name (or a `claimed` one) and hash it; durably with `sync`.

        A second copy that was written and hashed during the download is renamed instead (:meth:`keep_twin`).

        Raises
        ------
        CorruptBlob
            It is corrupt and was quarantined; the caller removes what was written.
        StorageError
            It cannot be read, or `target` cannot be written.
        """
        if not (claimed or sync) and self._rename_twin(blob, target):
            if progress is not None:
                progress(blob.size, blob.size)
            return
        with storage(blob.path, doing="read"):
            before = blob.path.stat()
        found, size = copy_hashed(blob.path, target, progress=progress, claimed=claimed, sync=sync)
        if found != blob.sha256:
            self._condemn(blob.sha256, found, size)
            raise CorruptBlob(blob.sha256, str(blob.path))
        self._was_hashed(blob.sha256, blob.path, before)

    def keep_twin(self, sha256: str, path: Path) -> None:
        """Keep a second copy of a blob, a new file of which every byte was hashed, for the first :meth:`copy`."""
        with contextlib.suppress(OSError):
            self._twins[sha256] = (path, state_of(path.stat()))

    def _rename_twin(self, blob: Blob, target: Path) -> bool:
        path, state = self._twins.pop(blob.sha256, (target, []))
        try:
            if state_of(path.stat()) != state or state[0] != blob.size or os.path.lexists(target):
                return False
            path.rename(target)
        except OSError:  # it is gone, or the target is on another file system
            return False
        return True

    def link(self, blob: Blob, target: Path) -> None:
        """Hard-link a blob under a second name; it is hashed first unless this process has done so.

        Raises CorruptBlob as :meth:`copy`; OSError if the file system refuses.
        """
        if self.sound(blob.sha256) is None:
            raise CorruptBlob(blob.sha256, str(blob.path))
        os.link(blob.path, target)

    def _was_hashed(self, sha256: str, path: Path, stat: os.stat_result) -> None:
        self._hashed[sha256] = state_of(stat)
        self._memo.remember(path, sha256, stat)

    def _condemn(self, sha256: str, found: str, size: int) -> None:
        """Quarantine a corrupt blob; in a read-only store at least stop trusting it."""
        path = self.blob_path(sha256)
        self._hashed.pop(sha256, None)
        self._memo.forget(path)
        note = {
            "what": "a cached file does not match its checksum",
            "expected": f"sha256 {sha256}",
            "got": f"sha256 {found}, {human(size)}",
        }
        with contextlib.suppress(StorageError):
            self.quarantine(path, note)

    def writer(self, *, hint: str = "") -> BlobWriter:
        """Return a context manager that writes bytes and commits them as a blob."""
        return BlobWriter(self._session.new_file(), self.land, hint)

    def adopt(self, path: Path, *, move: bool = False, progress: Progress | None = None) -> Blob:
        """Take a file into the store.

        Parameters
        ----------
        move
            Move the file instead of copying it, if it is on the same file system.
        progress
            Called with (bytes done, bytes in all).

        Raises
        ------
        StorageError
            The file cannot be read, is no regular file, or the store cannot be written.
        """
        path = Path(path)
        with storage(path, doing="read"):
            stat = path.stat()
        if not path.is_file():
            raise StorageError("cannot store this: it is not a regular file", where=str(path))
        known = self._memo.known(path, stat)
        # The file is not discarded in favour of a blob that may be corrupt.
        if known is not None and (blob := self.sound(known) if move else self.get(known)) is not None:
            if move and path != blob.path:
                with storage(path, doing="remove"):
                    path.unlink()
            return blob
        # A file with a second hard link could still be changed through it, so only a single link is moved.
        if move and not path.is_symlink() and stat.st_nlink == 1 and self._same_device(path):
            sha256, size = hash_file(path, progress)
            return self.land(path, sha256, size)
        ensure_free(self.root, stat.st_size, what=f"{path.name} in the store")
        with self.writer(hint=path.name) as writer, storage(path, doing="read"), path.open("rb", buffering=0) as file:
            buffer = memoryview(bytearray(CHUNK))
            while count := file.readinto(buffer):
                writer.write(buffer[:count])
                if progress is not None:
                    progress(writer.size, stat.st_size)
            blob = writer.commit()
        if move:
            with storage(path, doing="remove"):
                path.unlink()
        return blob

    def land(self, path: Path, sha256: str, size: int) -> Blob:
        """Make a blob from a finished file on the store's file system whose digest the caller has just computed.

        The file is synchronized and renamed; nothing is left at `path`.
        """
        [found] = self.land_all([(path, sha256, size)])
        if isinstance(found, Blob):
            return found
        raise found

    def land_all(self, files: Sequence[tuple[Path, str, int]]) -> list[Blob | StorageError]:
        """Do the same for several files (path, sha256, size) at the price of few; for each its blob or its error."""
        errors = sync_each([path for path, _, _ in files])
        return [self._landed(*each, error) for each, error in zip(files, errors, strict=True)]

    def _landed(self, path: Path, sha256: str, size: int, error: OSError | None) -> Blob | StorageError:
        if error is not None:
            return storage_error(error, path)
        try:
            return self._land(path, sha256, size)
        except StorageError as refused:
            return refused

    def _land(self, path: Path, sha256: str, size: int) -> Blob:
        target = self.blob_path(sha256)
        if (blob := self.sound(sha256)) is not None:
            # The existing blob is kept, with its hard links and remembered inode.
            with storage(path, doing="remove"):
                path.unlink(missing_ok=True)
            return blob
        with storage(target):
            if not target.parent.is_dir():
                target.parent.mkdir(parents=True, exist_ok=True)
                self._changed.add(target.parent.parent)
            set_mode(path, 0o444)
            path.replace(target)
            self._changed.add(target.parent)
            self._was_hashed(sha256, target, target.stat())
        return Blob(sha256, size, target)

    def settle(self) -> None:
        """Synchronize the names of new blobs; without it a power cut may lose some.

        Their content is synchronized already: an existing blob is complete.
        """
        changed, self._changed = self._changed, set()
        with contextlib.suppress(OSError):  # some network file systems refuse to synchronize a folder
            sync_all(changed)

    def _same_device(self, path: Path) -> bool:
        try:
            return path.stat().st_dev == self._session.place().stat().st_dev
        except OSError:
            return False

    def digest_of(self, path: Path, progress: Progress | None = None) -> tuple[str, int]:
        """Return (sha256, size) of any file, through the memo; StorageError if it cannot be read."""
        return self._memo.digest_of(Path(path), progress)

    def remember(self, path: Path, sha256: str) -> None:
        """Record the digest of a file that was hashed while it was written (:meth:`copy`).

        A hard link to a blob counts as the blob.
        """
        with contextlib.suppress(OSError):
            stat = path.stat()
            self._memo.remember(path, sha256, stat)
            blob = self.blob_path(sha256)
            if stat.st_nlink > 1 and blob.samefile(path):
                self._was_hashed(sha256, blob, stat)

    def quarantine(self, path: Path, note: Mapping[str, object]) -> Path:
        """Quarantine a bad file with a note; equal files are kept once. StorageError if it cannot be moved.

        Returns its new path; the note is beside it, with the suffix ``.json``.
        """
        sha256, size = hash_file(path)
        target = self.root / "quarantine" / f"{sha256[:32]}.bad"
        with storage(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_relative_to(self.root):
                self._memo.forget(path)
            path.replace(target)
            set_mode(target, 0o444)
        record = {"size": size, "sha256": sha256, **note}
        write_atomic(target.with_suffix(".json"), (json.dumps(record, indent=1, default=str) + "\n").encode())
        return target
