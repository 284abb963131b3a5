"""The verdicts on one URL, and their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from modelprep.fetch.network_errors import Unreached

Verdict = Literal["dead", "certificate", "page", "pointer", "size", "changed", "unclear", "moved", "alive", "skipped"]
#: Verdict -> what it means, worst first; the order of every report.
VERDICTS: Mapping[Verdict, str] = {
    "dead": "does not work any more",
    "certificate": "its TLS certificate is not trusted",
    "page": "serves a web page or an error document instead of the file",
    "pointer": "serves a Git LFS pointer instead of the file",
    "size": "serves a file of another size than pinned",
    "changed": "serves another file than pinned, or than at the last audit",
    "unclear": "did not answer now (rate limit, or no network); not judged",
    "moved": "serves the file, from another URL",
    "alive": "serves the file",
    "skipped": "not checked",
}
#: Verdicts under which the file can be downloaded.
LIVING: frozenset[Verdict] = frozenset({"alive", "moved"})


@dataclass(frozen=True)
class Finding:
    """What was found at one URL.

    Parameters
    ----------
    detail
        Details in words; never a URL with credentials.
    moved_to
        Target of a permanent redirect, redacted; also set if the file there is wrong.
    size, etag, last_modified
        As stated by the server, to recognize the same object at the next audit; size in bytes, None if not stated.
    proof
        How the file was identified as the pinned one: ``sha256 of the whole file``, ``size``, ``md5 (x-goog-hash)``;
        empty if it was not.
    status
        HTTP status of the last answer, or None.
    lfs_oid
        SHA-256 that a Git LFS pointer names.
    unreached
        Why the host was not reached, which may be due to this machine's network; empty if it was.
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
        """Whether the file can be downloaded there."""
        return self.verdict in LIVING
