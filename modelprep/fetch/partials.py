"""A partial and a finished download."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from modelprep.store import Partial, Store, Validator
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


def may_continue(held: Validator | None, *, pinned: bool) -> bool:
    """Say whether a partial may be continued whose notes hold this validator."""
    if held is None or not held.condition:
        return False
    # After a power cut a file may contain blocks of zeros. Only a digest can detect that.
    return pinned or (bool(held.boot) and held.boot == boot_id())


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Return the boot id of the machine; empty if the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
