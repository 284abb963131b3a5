"""The store: blobs by SHA-256, step results by key, downloads under way, evidence of bad bytes.

Safe for any number of threads and processes. Correctness rests on temporary names, fsync and rename; locks only spare
work. A store that cannot be written still serves what it has.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from modelprep.errors import StorageError
from modelprep.store import leases, locks
from modelprep.store.blob import Blob
from modelprep.store.disk import CHUNK, ensure_free, human, storage, sync_folder, write_atomic
from modelprep.store.index import Index
from modelprep.store.locate import default_root
from modelprep.store.memo import Memo, Progress, hash_file
from modelprep.store.partial import Partial
from modelprep.store.results import Result, dump_result, is_sha256, parse_result
from modelprep.store.session import Session
from modelprep.store.writer import BlobWriter


class Store:
    """The store at one folder.

    Parameters
    ----------
    root
        The folder. It is made when something is first written; a store that is only read need not be writable.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._memo = Memo(Index(root / "memo.jsonl"), root)
        self._aliases = Index(root / "aliases.jsonl")
        self._origins = Index(root / "origins.jsonl")
        self._session = Session(root / "scratch")

    @classmethod
    def open(cls, root: Path | None = None) -> Store:
        """Open the store at `root`, or where it lies by default.

        The default is ``MODELPREP_CACHE``, else ``cache/`` of a checkout, else the user's cache folder.

        Raises
        ------
        StorageError
            A file is in the way.
        """
        folder = default_root() if root is None else Path(root).expanduser().absolute()
        if folder.exists() and not folder.is_dir():
            raise StorageError(
                "cannot use the store: a file is in the way of its folder",
                where=str(folder),
                hint="move that file away, or name another folder with --cache DIR (or MODELPREP_CACHE)",
            )
        return cls(folder)

    # -- blobs ---------------------------------------------------------------------------------------------------

    def blob_path(self, sha256: str) -> Path:
        """Give the path at which the blob lies, or would lie."""
        if not is_sha256(sha256):
            raise ValueError(f"not a sha256: {sha256!r}")
        return self.root / "blobs" / sha256[:2] / sha256

    def get(self, sha256: str) -> Blob | None:
        """Give a blob, or None when it is not here.

        The memo is believed; a blob whose size, time or inode are not the remembered ones is hashed, and one that
        turns out rotten goes to quarantine and counts as not here.
        """
        path = self.blob_path(sha256)
        try:
            stat = path.stat()
        except OSError:
            return None
        if self._memo.known(path, stat) == sha256:
            return Blob(sha256, stat.st_size, path)
        return self.check(sha256)

    def check(self, sha256: str, progress: Progress | None = None) -> Blob | None:
        """Hash a blob, believing nothing; a rotten one goes to quarantine (where the store can be written) -> None."""
        path = self.blob_path(sha256)
        try:
            stat = path.stat()
            found, size = hash_file(path, progress)
        except (OSError, StorageError):
            return None
        if found == sha256:
            self._memo.remember(path, sha256, stat)
            return Blob(sha256, size, path)
        note = {
            "what": "a stored file no longer has its digest",
            "expected": f"sha256 {sha256}",
            "got": f"sha256 {found}, {human(size)}",
        }
        with contextlib.suppress(StorageError):
            self.quarantine(path, note)
        return None

    def writer(self, *, hint: str = "") -> BlobWriter:
        """Give a context manager that takes bytes and commits them as a blob."""
        return BlobWriter(self._session.new_file(), self._land, hint)

    def adopt(self, path: Path, *, move: bool = False, progress: Progress | None = None) -> Blob:
        """Take a file into the store.

        Parameters
        ----------
        move
            The file may be taken away from where it is, which costs no copy on the same file system.
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
            raise StorageError("cannot take this into the store: it is not a regular file", where=str(path))
        known = self._memo.known(path, stat)
        if known is not None and (blob := self.get(known)) is not None:
            if move and path != blob.path:
                with storage(path, doing="remove"):
                    path.unlink()
            return blob
        # A file with a second name could still be written to through it, so only a sole name is moved.
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
        """Make a blob of a finished file on the store's file system whose digest the caller has just computed.

        The file is synced and renamed; nothing is left at `path`.
        """
        with storage(path), path.open("rb") as file:
            os.fsync(file.fileno())
        return self._land(path, sha256, size)

    def _land(self, path: Path, sha256: str, size: int) -> Blob:
        target = self.blob_path(sha256)
        if (blob := self.get(sha256)) is not None:
            # The good one stays, and with it every hard link and remembered inode.
            with storage(path, doing="remove"):
                path.unlink(missing_ok=True)
            return blob
        with storage(target):
            if not target.parent.is_dir():
                target.parent.mkdir(parents=True, exist_ok=True)
                sync_folder(target.parent.parent)
            path.chmod(0o444)
            path.replace(target)
            sync_folder(target.parent)
            self._memo.remember(target, sha256, target.stat())
        return Blob(sha256, size, target)

    def _same_device(self, path: Path) -> bool:
        try:
            return path.stat().st_dev == self._session.place().stat().st_dev
        except OSError:
            return False

    # -- digests and names ---------------------------------------------------------------------------------------

    def digest_of(self, path: Path, progress: Progress | None = None) -> tuple[str, int]:
        """Give (sha256, size) of any file, through the memo.

        Raises
        ------
        StorageError
            It cannot be read.
        """
        return self._memo.digest_of(Path(path), progress)

    def remember(self, path: Path, sha256: str) -> None:
        """Tell the memo the digest of a file that was just written from known bytes, which spares hashing it."""
        with contextlib.suppress(OSError):
            self._memo.remember(path, sha256, path.stat())

    def alias(self, algorithm: str, value: str) -> str | None:
        """Give the sha256 of the blob known to have this other digest, or None. The blob itself may be gone."""
        sha256 = self._aliases.get(f"{algorithm}:{value}")
        return sha256 if isinstance(sha256, str) and is_sha256(sha256) else None

    def set_alias(self, algorithm: str, value: str, sha256: str) -> None:
        """Record that the blob `sha256` has this other digest; only ever to be said of bytes that were hashed."""
        self._aliases.put(f"{algorithm}:{value}", sha256)

    def forget_alias(self, algorithm: str, value: str) -> None:
        """Drop an alias."""
        self._aliases.put(f"{algorithm}:{value}", None)

    def aliases(self) -> Mapping[tuple[str, str], str]:
        """Give all aliases: (algorithm, value) -> sha256."""
        return {
            (algorithm, value): str(sha256)
            for key, sha256 in self._aliases.items()
            for algorithm, _, value in (key.partition(":"),)
        }

    def origin(self, sha256: str) -> str | None:
        """Give the URL (without credentials) that a blob came from, None when that is not known."""
        url = self._origins.get(sha256)
        return url if isinstance(url, str) else None

    def set_origin(self, sha256: str, url: str) -> None:
        """Record where a blob came from."""
        self._origins.put(sha256, url)

    # -- step results --------------------------------------------------------------------------------------------

    def _result_path(self, key: str) -> Path:
        if not is_sha256(key):
            raise ValueError(f"not a result key: {key!r}")
        return self.root / "results" / f"{key}.json"

    def result(self, key: str) -> Result | None:
        """Give what a step made, or None when nothing is known or any of its blobs is gone."""
        try:
            result = parse_result(self._result_path(key).read_bytes())
        except OSError:
            return None
        if result is None or any(self.get(sha256) is None for sha256 in result.outputs.values()):
            return None
        return result

    def put_result(self, key: str, result: Result) -> None:
        """Record what a step made; the blobs of its outputs must be in the store already."""
        write_atomic(self._result_path(key), dump_result(result))

    # -- work under way ------------------------------------------------------------------------------------------

    def lock(
        self, name: str, *, on_wait: Callable[[], None] | None = None, stop: Callable[[], bool] | None = None
    ) -> contextlib.AbstractContextManager[None]:
        """Hold the lock `name` against every other thread and process.

        Parameters
        ----------
        on_wait
            Called once, if waiting begins.
        stop
            Asked while waiting; when true, :class:`~modelprep.errors.Interrupted` is raised.
        """
        return locks.hold(self._lock_path(name), on_wait=on_wait, stop=stop)

    def _lock_path(self, name: str) -> Path:
        return self.root / "locks" / f"{locks.file_name(name)}.lock"

    def in_use(self, *, stop: Callable[[], bool] | None = None) -> contextlib.AbstractContextManager[None]:
        """Keep everything that is here from being collected until the end of the block, by whatever process.

        Parameters
        ----------
        stop
            Asked while a collection that is under way is waited for; when true,
            :class:`~modelprep.errors.Interrupted` is raised.
        """
        return leases.entered(self.root, stop=stop)

    def partial(self, name: str, *, lock: str = "") -> Partial:
        """Give the download under way called `name`; `lock` is the lock under which it is written."""
        return Partial(self.root / "partial" / locks.file_name(name), self._lock_path(lock or name))

    def scratch(self) -> contextlib.AbstractContextManager[Path]:
        """Give an empty folder on the store's file system; it is removed at the end of the block."""
        return self._session.new_folder()

    def new_file(self) -> Path:
        """Give a path on the store's file system at which nothing exists, removed with the process if forgotten."""
        return self._session.new_file()

    def quarantine(self, path: Path, note: Mapping[str, object]) -> Path:
        """Move a bad file aside as evidence, with a note; the same bad bytes are kept once.

        Returns
        -------
        Path
            Where it lies now; the note is beside it, with ``.json`` at the end.

        Raises
        ------
        StorageError
            It cannot be moved.
        """
        sha256, size = hash_file(path)
        target = self.root / "quarantine" / f"{sha256[:32]}.bad"
        with storage(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_relative_to(self.root):
                self._memo.forget(path)
            path.replace(target)
            target.chmod(0o444)
        record = {"size": size, "sha256": sha256, **note}
        write_atomic(target.with_suffix(".json"), (json.dumps(record, indent=1, default=str) + "\n").encode())
        return target

    # -- housekeeping --------------------------------------------------------------------------------------------

    def blobs(self) -> Iterator[Path]:
        """Give the path of every blob, in order of name."""
        with contextlib.suppress(OSError):
            for folder in sorted((self.root / "blobs").iterdir()):
                if folder.is_dir():
                    yield from (path for path in sorted(folder.iterdir()) if is_sha256(path.name))
