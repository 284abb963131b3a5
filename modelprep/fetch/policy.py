"""Data of a fetch: the caller's policy, the plan, the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Protocol

from modelprep.fetch.sources import Candidate
from modelprep.recipe.schema import Asset
from modelprep.store import Blob
from modelprep.structs import dataclass


class Pin(Protocol):
    """A lock entry (``modelprep.lock``): sha256 and size in bytes of the first download."""

    @property
    def sha256(self) -> str:
        """Digest, lower-case hexadecimal."""
        ...

    @property
    def size(self) -> int | None:
        """Bytes."""
        ...


@dataclass(frozen=True)
class Policy:
    """How to fetch.

    Parameters
    ----------
    mirrors
        Folders or base URLs laid out ``<host>/<path>``, tried first, in order.
    offline
        Use no network: only mirror folders and ``file:`` URLs.
    archives
        Try the archives of last resort after every source has failed (pinned assets only).
    attempts
        Number of attempts without progress before the next URL is tried.
    connect_timeout, stall_timeout
        Connect timeout and read timeout in seconds.
    backoff
        Seconds before the second attempt; doubled each time, with jitter, up to `longest_pause`.
    longest_pause
        Maximum pause in seconds; if ``Retry-After`` asks for more, the next source is tried.
    allow_private
        Whether loopback and private addresses may be contacted: True, False, or None for the default (unless a public
        server redirects there), which ``MODELPREP_ALLOW_PRIVATE`` changes. Link-local addresses never are.
    per_host, connections
        Maximum number of connections, to one host and in all.
    max_bytes
        Limit for a file of unknown size.
    """

    mirrors: tuple[str, ...] = ()
    offline: bool = False
    archives: bool = True
    attempts: int = 4
    connect_timeout: float = 15.0
    stall_timeout: float = 30.0
    backoff: float = 1.0
    longest_pause: float = 60.0
    max_bytes: int = 16 << 30
    allow_private: bool | None = None
    per_host: int = 4
    connections: int = 16


@dataclass(frozen=True)
class Planned:
    """The plan of fetching an asset.

    Parameters
    ----------
    here
        The blob, if it is cached already.
    asked
        Returns its sources, in order; listing demos does not need them.
    bytes_to_come
        Bytes to download, None if unknown.
    resumable
        Bytes of an earlier run that can be resumed.
    names
        Paths where it is installed unchanged: they determine the expected type of an unpinned file.
    """

    asset: Asset
    here: Blob | None
    asked: Callable[[], tuple[Candidate, ...]]
    bytes_to_come: int | None
    resumable: int
    names: tuple[str, ...] = ()

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """Its sources, in order."""
        return self.asked()

    @property
    def host(self) -> str:
        """The host that is tried first; empty for a file on this machine."""
        first = next(iter(self.candidates), None)
        return first.url.host if first is not None and not first.is_local else ""


@dataclass(frozen=True)
class Fetched:
    """A fetched asset: cached and verified.

    Parameters
    ----------
    source
        Its origin (no credentials): the URL or path, also of an earlier run; ``store`` if unknown.
    bytes_fetched
        Bytes transferred now; 0 if it was cached.
    seconds
        Duration.
    digests
        Digests of the bytes by algorithm, sha256 always among them.
    first_use
        It was not pinned, or only by a digest weaker than SHA-2: record its sha256 in ``modelprep.lock``.
    tried
        Failed attempts, one line each.
    server
        The host that delivered it, after all redirects; ``remote cache``, or empty for a local or cached file.
    """

    asset: Asset
    blob: Blob
    source: str
    bytes_fetched: int
    seconds: float
    digests: Mapping[str, str]
    first_use: bool
    tried: tuple[str, ...]
    server: str = ""
