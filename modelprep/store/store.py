"""The store: blobs by SHA-256, step results by key, downloads under way, evidence of bad bytes.

Safe for any number of threads and processes. Correctness rests on temporary names, fsync and rename; locks only spare
work. A store that cannot be written still serves what it has.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from modelprep.errors import StorageError
from modelprep.regular import opened
from modelprep.store import leases, locks
from modelprep.store.blobs import Blobs
from modelprep.store.disk import write_atomic
from modelprep.store.index import Index
from modelprep.store.locate import default_root
from modelprep.store.partial import Partial
from modelprep.store.results import Result, dump_result, is_sha256, parse_result


class Store(Blobs):
    """The store at one folder.

    Parameters
    ----------
    root
        The folder. It is made when something is first written; a store that is only read need not be writable.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._aliases = Index(root / "aliases.jsonl")
        self._origins = Index(root / "origins.jsonl")

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

    # -- digests and names ---------------------------------------------------------------------------------------

    def alias(self, algorithm: str, value: str) -> str | None:
        """Return the sha256 of the blob known to have this other digest, or None. The blob itself may be gone."""
        sha256 = self._aliases.get(f"{algorithm}:{value}")
        return sha256 if isinstance(sha256, str) and is_sha256(sha256) else None

    def set_alias(self, algorithm: str, value: str, sha256: str) -> None:
        """Record that the blob `sha256` has this other digest; only ever to be said of bytes that were hashed."""
        self._aliases.put(f"{algorithm}:{value}", sha256)

    def forget_alias(self, algorithm: str, value: str) -> None:
        """Drop an alias."""
        self._aliases.put(f"{algorithm}:{value}", None)

    def aliases(self) -> Mapping[tuple[str, str], str]:
        """Return all aliases: (algorithm, value) -> sha256."""
        return {
            (algorithm, value): str(sha256)
            for key, sha256 in self._aliases.items()
            for algorithm, _, value in (key.partition(":"),)
        }

    def origin(self, sha256: str) -> str | None:
        """Return the URL (without credentials) that a blob came from, None when that is not known."""
        url = self._origins.get(sha256)
        return url if isinstance(url, str) else None

    def set_origin(self, sha256: str, url: str) -> None:
        """Record where a blob came from."""
        self._origins.put(sha256, url)

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Write what is recorded of digests, names and origins within the block at its end, by one append each."""
        with self._memo.together(), self._aliases.together(), self._origins.together():
            yield

    # -- step results --------------------------------------------------------------------------------------------

    def _result_path(self, key: str) -> Path:
        if not is_sha256(key):
            raise ValueError(f"not a result key: {key!r}")
        return self.root / "results" / f"{key}.json"

    def result(self, key: str) -> Result | None:
        """Return what a step made, or None when nothing is known or any of its blobs is gone."""
        try:
            with opened(self._result_path(key)) as file:
                result = parse_result(file.read())
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

    @contextlib.contextmanager
    def in_use(self, *, stop: Callable[[], bool] | None = None) -> Iterator[None]:
        """Keep everything that is here from being collected until the end of the block, by whatever process.

        At its end the names of what has come are made to last (:meth:`settle`).

        Parameters
        ----------
        stop
            Asked while a collection that is under way is waited for; when true,
            :class:`~modelprep.errors.Interrupted` is raised.
        """
        with leases.entered(self.root, stop=stop):
            try:
                yield
            finally:
                self.settle()

    def partial(self, name: str, *, lock: str = "") -> Partial:
        """Return the download under way called `name`; `lock` is the lock under which it is written."""
        return Partial(self.root / "partial" / locks.file_name(name), self._lock_path(lock or name))

    def has_partials(self) -> bool:
        """Tell whether any download is under way or was cut off."""
        with contextlib.suppress(OSError), os.scandir(self.root / "partial") as entries:
            return next(entries, None) is not None
        return False

    def scratch(self) -> contextlib.AbstractContextManager[Path]:
        """Return an empty folder on the store's file system; it is removed at the end of the block."""
        return self._session.new_folder()

    def new_file(self) -> Path:
        """Return a path on the store's file system at which nothing exists, removed with the process if forgotten."""
        return self._session.new_file()

    # -- housekeeping --------------------------------------------------------------------------------------------

    def blobs(self) -> Iterator[Path]:
        """Yield the path of every blob, in order of name."""
        with contextlib.suppress(OSError):
            for folder in sorted((self.root / "blobs").iterdir()):
                if folder.is_dir():
                    yield from (path for path in sorted(folder.iterdir()) if is_sha256(path.name))
