"""What can be said of one URL, and how bad each of it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from modelprep.fetch.network_errors import Unreached

Verdict = Literal["dead", "certificate", "page", "pointer", "size", "changed", "unclear", "moved", "alive", "skipped"]
#: Verdict -> what it means, worst first; the order of every report.
VERDICTS: Mapping[Verdict, str] = {
    "dead": "gives nothing any more",
    "certificate": "its TLS certificate is not trusted, so nothing is believed",
    "page": "gives a web page or an error document instead of the file",
    "pointer": "gives a Git LFS pointer, which names the file and is not it",
    "size": "gives a file of another size than pinned",
    "changed": "gives another file than pinned, or than the last time",
    "unclear": "did not answer now (asked too often, or no network); not judged",
    "moved": "gives the file, from another address",
    "alive": "gives the file",
    "skipped": "not asked",
}
#: Verdicts under which the file can be had.
LIVING: frozenset[Verdict] = frozenset({"alive", "moved"})


@dataclass(frozen=True)
class Finding:
    """What was found at one URL.

    Parameters
    ----------
    verdict
        One of :data:`VERDICTS`.
    detail
        The same in words, with what came; never a URL with credentials.
    moved_to
        Where a permanent redirect leads, redacted; also set when what lies there is no good.
    size
        Bytes that the server says the object has; None when it does not say.
    etag, last_modified
        As the server said them, to tell at the next audit whether it is the same object.
    proof
        How it is known to be the pinned file without having all of it: ``sha256 of the whole file``, ``size``,
        ``md5 (x-goog-hash)``; empty when nothing tells.
    status
        HTTP status of the last answer; None when there was none.
    lfs_oid
        SHA-256 that a Git LFS pointer names.
    unreached
        How the host was not reached, which may be the fault of this machine's network; empty when it was.
    """

    verdict: Verdict
    detail: str = ""
    moved_to: str = ""
    size: int | None = None
    etag: str = ""
    last_modified: str = ""
    proof: str = ""
    status: int | None = None
    lfs_oid: str = ""
    unreached: Unreached = ""

    @property
    def living(self) -> bool:
        """Whether the file can be had there."""
        return self.verdict in LIVING
