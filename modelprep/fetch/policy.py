"""What the caller decides, what a plan says, what a fetch gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from modelprep.fetch.sources import Candidate
from modelprep.recipe.schema import Asset
from modelprep.store import Blob
from modelprep.structs import dataclass


class Pin(Protocol):
    """What a lock entry (``modelprep.lock``) tells: sha256 and size in bytes of what the first fetch gave."""

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
        Open no socket: only mirror folders and ``file:`` URLs are asked.
    archives
        Ask the archives of last resort when every source has failed (pinned assets only).
    attempts
        How often one URL is asked without any gain before the next is.
    connect_timeout, stall_timeout
        Seconds until a connection must stand; seconds without a byte after which it counts as dead.
    backoff
        Seconds before the second attempt; doubled each time, with jitter, up to `longest_pause`.
    longest_pause
        Seconds that are waited at most, also when ``Retry-After`` asks for more: then the next source is tried.
    allow_private
        Whether loopback and private addresses may be asked: True, False, or None for the rule (unless a public server
        redirects there), which ``MODELPREP_ALLOW_PRIVATE`` changes. Link-local addresses are never asked.
    per_host, connections
        How many connections there may be at once: to one host, and in all.
    max_bytes
        The most that is taken of a file whose size is not known beforehand.
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
    """What fetching an asset would take.

    Parameters
    ----------
    here
        The blob, when it is in the store already: nothing is to be done.
    candidates
        Where it would be asked for, in order.
    bytes_to_come
        Bytes still to be transferred, None when that is not known.
    resumable
        Bytes of it that an earlier run left and that may be continued.
    names
        Where it is installed as it is: what it has to look like when nothing pins it.
    """

    asset: Asset
    here: Blob | None
    candidates: tuple[Candidate, ...]
    bytes_to_come: int | None
    resumable: int
    names: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The host that is asked first; empty for a file on this machine."""
        first = next(iter(self.candidates), None)
        return first.url.host if first is not None and not first.is_local else ""


@dataclass(frozen=True)
class Fetched:
    """An asset that is in the store and verified.

    Parameters
    ----------
    source
        Where it came from (no credentials): the URL or path that gave it, also when that was in an earlier run;
        ``store`` when that is not known.
    bytes_fetched
        Bytes transferred now; 0 when it was here already.
    seconds
        How long it took.
    digests
        Digests of the bytes by algorithm, sha256 always among them.
    first_use
        Nothing pinned it, or a digest weaker than SHA-2 alone: its sha256 belongs into ``modelprep.lock``.
    tried
        What was tried in vain before, one line each.
    server
        The host that delivered it now, behind all redirects; ``remote cache``, or empty for a local file and for what
        was here already.
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
