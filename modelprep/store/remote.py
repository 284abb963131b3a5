"""A cache that several machines share: blobs and step results by digest, over plain HTTP or an object store.

Layout below the URL, as for bazel-remote and ccache: ``cas/<sha256>`` is a blob, ``ac/<key>`` the record of a step
result. Every blob is verified while it is read. A result record is used only if the user trusts the cache: its key
names the inputs, but nothing proves that its outputs were made from them.

A cache that cannot be reached is reported once and then ignored for the run.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import urlsplit

from modelprep.errors import DigestMismatch, MissingTool, ModelprepError, UsageError
from modelprep.installed import install_command
from modelprep.store.blob import Blob
from modelprep.store.disk import CHUNK
from modelprep.store.results import Result, dump_result, parse_result
from modelprep.url import redact_proxy

if TYPE_CHECKING:
    import requests

    from modelprep.store.store import Store

#: Variable with a bearer token for the cache; user and password come from netrc.
TOKEN = "MODELPREP_REMOTE_CACHE_TOKEN"  # noqa: S105 - the name of a variable
#: Connect timeout and read timeout in seconds.
TIMEOUTS = (5.0, 30.0)
#: Maximum size of a result record in bytes.
LONGEST_RECORD = 1 << 20
#: URL schemes supported by fsspec, and the package for each.
OBJECT_STORES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "memory": "fsspec"}

Mode = Literal["read", "write"]


class Backend(Protocol):
    """Remote storage of named objects. Every method may raise OSError if the storage cannot be reached."""

    def read(self, name: str) -> Iterator[bytes] | None:
        """Return the pieces of an object, or None if there is none."""
        ...

    def has(self, name: str) -> bool:
        """Return whether there is such an object."""
        ...

    def write(self, name: str, source: Path | bytes) -> None:
        """Store an object."""
        ...


def _plain_session() -> requests.Session:
    import requests

    return requests.Session()


class _Http:
    """GET, HEAD and PUT below a base URL."""

    def __init__(self, base: str, new_session: Callable[[], requests.Session]) -> None:
        self._base = base.rstrip("/")
        self._new_session = new_session
        self._local = threading.local()

    @property
    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self._new_session()
            session.headers["Accept-Encoding"] = "identity"
            if token := os.environ.get(TOKEN):
                session.headers["Authorization"] = f"Bearer {token}"
        return session

    def read(self, name: str) -> Iterator[bytes] | None:
        answer = self._session.get(f"{self._base}/{name}", stream=True, timeout=TIMEOUTS, allow_redirects=False)
        if answer.status_code == 404:
            answer.close()
            return None
        if answer.status_code != 200:
            answer.close()
            raise OSError(f"answers {answer.status_code}")
        return answer.iter_content(CHUNK)

    def has(self, name: str) -> bool:
        answer = self._session.head(f"{self._base}/{name}", timeout=TIMEOUTS, allow_redirects=False)
        if answer.status_code not in (200, 404):
            raise OSError(f"answers {answer.status_code}")
        return answer.status_code == 200

    def write(self, name: str, source: Path | bytes) -> None:
        if isinstance(source, bytes):
            self._put(name, source)
            return
        with source.open("rb") as file:
            self._put(name, file)

    def _put(self, name: str, body: Any) -> None:
        answer = self._session.put(f"{self._base}/{name}", data=body, timeout=TIMEOUTS, allow_redirects=False)
        if answer.status_code not in (200, 201, 202, 204):
            raise OSError(f"refuses PUT with {answer.status_code}")


class _ObjectStore:
    """S3, Google Cloud Storage or Azure through fsspec; credentials as those libraries find them."""

    def __init__(self, url: str, scheme: str) -> None:
        try:
            import fsspec

            self._files, self._root = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise MissingTool(
                f"a remote cache at {scheme}: needs {OBJECT_STORES[scheme]}", hint=install_command("remote")
            ) from error

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def read(self, name: str) -> Iterator[bytes] | None:
        try:
            file = self._files.open(self._path(name), "rb")
        except FileNotFoundError:
            return None
        return self._pieces(file)

    @staticmethod
    def _pieces(file: Any) -> Iterator[bytes]:
        with file:
            while piece := file.read(CHUNK):
                yield piece

    def has(self, name: str) -> bool:
        return bool(self._files.exists(self._path(name)))

    def write(self, name: str, source: Path | bytes) -> None:
        if isinstance(source, bytes):
            self._files.pipe_file(self._path(name), source)
        else:
            self._files.put_file(str(source), self._path(name))


class RemoteCache:
    """A shared cache. Thread-safe.

    Parameters
    ----------
    url
        ``https://host/path``, or ``s3://``, ``gs://``, ``az://`` with the extra ``remote``. No user info: credentials
        come from netrc, or from the variable ``MODELPREP_REMOTE_CACHE_TOKEN``.
    mode
        ``read``, or ``write`` to upload too.
    trust_results
        Also use (and with ``write`` upload) step results.
    new_session
        Makes an HTTP session; it may refuse addresses.
    warn
        Called once with a sentence when the cache fails.

    Raises
    ------
    UsageError
        The URL is not supported, or it contains credentials.
    MissingTool
        The library for an object store is missing.
    """

    def __init__(
        self,
        url: str,
        *,
        mode: Mode = "read",
        trust_results: bool = False,
        new_session: Callable[[], requests.Session] = _plain_session,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https", *OBJECT_STORES) or not parts.netloc:
            schemes = ", ".join(["https", "http", *OBJECT_STORES])
            raise UsageError(
                "not the URL of a remote cache",
                expected=f"one of {schemes}",
                got=parts.scheme or redact_proxy(url),
            )
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise UsageError(
                "the URL of a remote cache must not contain credentials or a query",
                where=parts.hostname or "",
                hint=f"put user and password into ~/.netrc, or a token into {TOKEN}",
            )
        self._host = parts.netloc
        self._backend: Backend = (
            _ObjectStore(url, parts.scheme) if parts.scheme in OBJECT_STORES else _Http(url, new_session)
        )
        self._writes = mode == "write"
        self._trusts = trust_results
        self._warn = warn
        self._lock = threading.Lock()
        self._down = False

    def blob(self, sha256: str, store: Store, progress: Callable[[int], None] = lambda _: None) -> Blob | None:
        """Fetch a blob into the store, verified; None if the cache does not have it or cannot be reached.

        `progress` is called with the number of received bytes.
        """
        if self._down:
            return None
        try:
            pieces = self._backend.read(f"cas/{sha256}")
            if pieces is None:
                return None
            with store.writer(hint=f"{sha256} from the remote cache") as writer:
                for piece in pieces:
                    writer.write(piece)
                    progress(writer.size)
                return writer.commit(sha256)
        except DigestMismatch:
            self._warn(f"the remote cache at {self._host} has a corrupt file for {sha256}; it is not used")
            return None
        except ModelprepError:
            raise  # the local disk, not the cache
        except Exception as error:  # noqa: BLE001 - each library has errors of its own; none may stop the work
            self._fail(error)
            return None

    def save_blob(self, blob: Blob) -> None:
        """Upload a blob, unless it is there already or the mode is ``read``."""
        if self._writes and not self._down:
            self._try(lambda: self._save(blob))

    def _save(self, blob: Blob) -> None:
        if not self._backend.has(f"cas/{blob.sha256}"):
            self._backend.write(f"cas/{blob.sha256}", blob.path)

    def result(self, key: str, store: Store) -> Result | None:
        """Fetch a step's result and its files into the store; None if not trusted or incomplete."""
        if self._down or not self._trusts:
            return None
        record = self._try(lambda: self._record(key))
        made = _parse(record, key) if record is not None else None
        if made is None:
            return None
        for sha256 in made.outputs.values():
            if store.get(sha256) is None and self.blob(sha256, store) is None:
                return None
        store.put_result(key, made)
        return made

    def _record(self, key: str) -> bytes | None:
        pieces = self._backend.read(f"ac/{key}")
        if pieces is None:
            return None
        found = b""
        for piece in pieces:
            found += piece
            if len(found) > LONGEST_RECORD:
                return None
        return found

    def save_result(self, key: str, made: Result, store: Store) -> None:
        """Upload a step's result: its files first, so that a record always has its files."""
        if not (self._writes and self._trusts) or self._down:
            return
        for sha256 in made.outputs.values():
            if (blob := store.get(sha256)) is None:
                return
            self.save_blob(blob)
        self._try(lambda: self._backend.write(f"ac/{key}", _dump(made, key)))

    def _try(self, work: Callable[[], bytes | None]) -> bytes | None:
        if self._down:
            return None
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - as in `blob`
            self._fail(error)
            return None

    def _fail(self, error: Exception) -> None:
        with self._lock:
            if self._down:
                return
            self._down = True
        text = " ".join(str(error).split())[:200]
        self._warn(f"the remote cache at {self._host} is ignored for this run: {text or type(error).__name__}")


def _dump(made: Result, key: str) -> bytes:
    return json.dumps({"key": key, **json.loads(dump_result(made))}, sort_keys=True, indent=1).encode()


def _parse(record: bytes, key: str) -> Result | None:
    """Return the result of a record if it has the requested key."""
    made = parse_result(record)
    return made if made is not None and json.loads(record).get("key") == key else None
