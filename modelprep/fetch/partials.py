"""A partial and a finished download."""

from __future__ import annotations

from pathlib import Path

from modelprep.store import Partial, Store
from modelprep.structs import dataclass
from modelprep.url import Url


@dataclass(frozen=True)
class Landed:
    """A finished file on the store's file system, its digests, and the bytes that were transferred for it.

    `server` is the host (and port) that delivered them, after all redirects; empty for a local file.
    """

    path: Path
    digests: dict[str, str]
    size: int
    transferred: int
    server: str = ""


def partial_of(store: Store, url: Url, lock: str) -> Partial:
    """Return the partial of one URL, under one lock: the bytes of two servers are never mixed in one file."""
    return store.partial(f"{url.key} {lock}", lock=lock)
