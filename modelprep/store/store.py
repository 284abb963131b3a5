"""The store: blobs by SHA-256, step results by key, partial downloads, quarantined files.

Safe for any number of threads and processes. Correctness rests on temporary names, fsync and rename; locks only avoid
double work. A read-only store can still be read.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from modelprep.errors import StorageError
from modelprep.installed import checkout
from modelprep.regular import opened
from modelprep.store import leases, locks
from modelprep.store.blobs import Blobs
from modelprep.store.disk import write_atomic
from modelprep.store.index import Index
from modelprep.store.partial import Partial
from modelprep.store.results import Result, dump_result, is_sha256, parse_result

ENVIRONMENT = "MODELPREP_CACHE"


def default_root() -> Path:
    """Return the store's folder: ``MODELPREP_CACHE``, else ``cache/`` of a checkout, else the user's cache folder."""
    if named := os.environ.get(ENVIRONMENT):
        return Path(named).expanduser().absolute()
    if (root := checkout()) is not None:
        return root / "cache"
    import platformdirs

    return Path(platformdirs.user_cache_dir("modelprep", appauthor=False)).expanduser()


class Store(Blobs):
    """The store at one folder.

    Parameters
    ----------
    root
        The folder. It is created on the first write; for reading it need not be writable.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._aliases = Index(root / "aliases.jsonl")
        self._origins = Index(root / "origins.jsonl")

    @classmethod
    def open(cls, root: Path | None = None) -> Store:
        """Open the store at `root`, or at its default folder (:func:`default_root`).

        StorageError if the path is a file.
        """
        folder = default_root() if root is None else Path(root).expanduser().absolute()
        if folder.exists() and not folder.is_dir():
            raise StorageError(
                "the cache folder is a file",
                where=str(folder),
                hint="move that file away, or name another folder with --cache DIR (or MODELPREP_CACHE)",
            )
        return cls(folder)

    # -- digests and names ---------------------------------------------------------------------------------------

    def alias(self, algorithm: str, value: str) -> str | None:
        """Return the sha256 of the blob known by this other digest, or None. The blob itself may be missing."""
        sha256 = self._aliases.get(f"{algorithm}:{value}")
        return sha256 if isinstance(sha256, str) and is_sha256(sha256) else None

    def set_alias(self, algorithm: str, value: str, sha256: str) -> None:
        """Record that the blob `sha256` has this other digest; only for hashed bytes."""
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
        """Return the URL (without credentials) of a blob, None if unknown."""
        url = self._origins.get(sha256)
        return url if isinstance(url, str) else None

    def set_origin(self, sha256: str, url: str) -> None:
        """Record the URL of a blob."""
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
        return self.root / f"results/{key}.json"

    def result(self, key: str) -> Result | None:
        """Return a step's result, or None if it is unknown or one of its blobs is missing."""
        path = self._result_path(key)
        if not os.path.exists(path):  # noqa: PTH110 - most of a plan's are not here
            return None
        try:
            with opened(path) as file:
                result = parse_result(file.read())
        except OSError:
            return None
        if result is None or any(self.get(sha256) is None for sha256 in result.outputs.values()):
            return None
        return result

    def put_result(self, key: str, result: Result) -> None:
        """Record a step's result; the blobs of its outputs must be in the store already."""
        write_atomic(self._result_path(key), dump_result(result))

    # -- work in progress ------------------------------------------------------------------------------------------

    def lock(
        self, name: str, *, on_wait: Callable[[], None] | None = None, stop: Callable[[], bool] | None = None
    ) -> contextlib.AbstractContextManager[None]:
        """Hold the lock `name`, exclusive among threads and processes (:func:`modelprep.store.locks.hold`)."""
        return locks.hold(self._lock_path(name), on_wait=on_wait, stop=stop)

    def _lock_path(self, name: str) -> Path:
        return self.root / "locks" / f"{locks.file_name(name)}.lock"

    @contextlib.contextmanager
    def in_use(self, *, stop: Callable[[], bool] | None = None) -> Iterator[None]:
        """Prevent garbage collection by any process until the end of the block; then synchronize (:meth:`settle`).

        While it waits for a running collection, a true `stop` raises :class:`~modelprep.errors.Interrupted`.
        """
        with leases.entered(self.root, stop=stop):
            try:
                yield
            finally:
                self.settle()

    def partial(self, name: str, *, lock: str = "") -> Partial:
        """Return the partial called `name`; `lock` is its writer's lock."""
        return Partial(self.root / "partial" / locks.file_name(name), self._lock_path(lock or name))

    def has_partials(self) -> bool:
        """Say whether there are partial downloads."""
        with contextlib.suppress(OSError), os.scandir(self.root / "partial") as entries:
            return next(entries, None) is not None
        return False

    def scratch(self) -> contextlib.AbstractContextManager[Path]:
        """Return an empty folder on the store's file system; it is removed at the end of the block."""
        return self._session.new_folder()

    def new_file(self) -> Path:
        """Return an unused path on the store's file system, removed at the end of the process."""
        return self._session.new_file()

    # -- maintenance --------------------------------------------------------------------------------------------

    def blobs(self) -> Iterator[Path]:
        """Yield the path of every blob, in order of name."""
        with contextlib.suppress(OSError):
            for folder in sorted((self.root / "blobs").iterdir()):
                if folder.is_dir():
                    yield from (path for path in sorted(folder.iterdir()) if is_sha256(path.name))
