"""Number of independent hosts of each asset, and the impact of losing a host. Uses no network.

Independent means that no single provider runs both: GitHub's several names are one host, and so are all names of a
storage bucket.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelprep.audit.subjects import Subject, places
from modelprep.url import Url

#: Names of one host.
_ONE_HOST: Mapping[str, str] = {
    "raw.githubusercontent.com": "github.com",
    "media.githubusercontent.com": "github.com",
    "codeload.github.com": "github.com",
    "objects.githubusercontent.com": "github.com",
    "gist.githubusercontent.com": "github.com",
    "gist.github.com": "github.com",
    "hf.co": "huggingface.co",
    "docs.google.com": "drive.google.com",
    "drive.usercontent.google.com": "drive.google.com",
    "1drv.ms": "onedrive.live.com",
    "api.onedrive.com": "onedrive.live.com",
    "dropbox.com": "www.dropbox.com",
    "dl.dropboxusercontent.com": "www.dropbox.com",
    "cave.cs.toronto.edu": "www.cs.toronto.edu",
    "data.pjreddie.com": "pjreddie.com",
}
#: Buckets of Google's with their own host names.
_NAMED_BUCKETS = ("download.tensorflow.org",)
_S3 = re.compile(
    r"^(?:(?P<bucket>.+)\.)?s3(?:-accelerate)?(?:[.-](?:dualstack|[a-z]{2}(?:-[a-z]+)+-\d))*\.amazonaws\.com$"
)


def independent_host(url: Url) -> str:
    """Return the name of the independent host of a URL; empty for a local file or an invalid URL.

    >>> independent_host(Url("https://raw.githubusercontent.com/o/r/main/a")), independent_host(Url("http://download.tensorflow.org/a"))
    ('github.com', 'download.tensorflow.org (Google Cloud Storage)')
    """
    parts, host = url.parts, url.host
    if parts.scheme not in ("http", "https"):
        return ""
    first = parts.path.strip("/").partition("/")[0]
    if host in ("storage.googleapis.com", "storage.cloud.google.com", "commondatastorage.googleapis.com") and first:
        return f"{first} (Google Cloud Storage)"
    if host.endswith(".storage.googleapis.com") or host in _NAMED_BUCKETS:
        return f"{host.removesuffix('.storage.googleapis.com')} (Google Cloud Storage)"
    if (s3 := _S3.match(host)) is not None and (bucket := s3["bucket"] or first):
        return f"{bucket} (Amazon S3)"
    return _ONE_HOST.get(host, host)


@dataclass(frozen=True)
class AssetHosts:
    """The hosts of one asset.

    Parameters
    ----------
    hosts
        Independent hosts of its sources, in their order.
    archives
        Hosts of the archives of last resort; whether they have the asset is unknown.
    """

    key: str
    pinned: bool
    demos: tuple[str, ...]
    hosts: tuple[str, ...]
    archives: tuple[str, ...]


@dataclass(frozen=True)
class HostReport:
    """All assets by host.

    Parameters
    ----------
    assets
        Fewest hosts first, without those that you supply.
    by_host
        Host -> (number of its assets, assets of no other host, demos that its loss would affect), the worst first.
    """

    assets: tuple[AssetHosts, ...]
    by_host: Mapping[str, tuple[int, tuple[str, ...], tuple[str, ...]]]

    def __repr__(self) -> str:
        return f"<HostReport: {len(self.assets)} assets at {len(self.by_host)} hosts>"

    @property
    def pinned(self) -> int:
        """How many assets are pinned by a digest."""
        return sum(1 for asset in self.assets if asset.pinned)

    @property
    def pinned_with_two(self) -> int:
        """How many of these have two or more independent hosts."""
        return sum(1 for asset in self.assets if asset.pinned and len(asset.hosts) >= 2)

    @property
    def pinned_with_archives(self) -> int:
        """How many of these have two or more when the archives of last resort are counted."""
        return sum(1 for asset in self.assets if asset.pinned and len(asset.hosts) + len(asset.archives) >= 2)

    def to_json(self) -> dict[str, object]:
        """Return the report as a JSON-ready mapping."""
        return {
            "assets": [
                {"asset": one.key, "pinned": one.pinned, "hosts": list(one.hosts), "archives": list(one.archives),
                 "demos": list(one.demos)}
                for one in self.assets
            ],
            "hosts": [
                {"host": host, "assets": count, "only_here": list(only), "demos_lost": list(demos)}
                for host, (count, only, demos) in self.by_host.items()
            ],
            "summary": {
                "assets": len(self.assets),
                "pinned": self.pinned,
                "pinned_with_two_hosts": self.pinned_with_two,
                "pinned_with_two_counting_archives": self.pinned_with_archives,
            },
        }  # fmt: skip


def count_hosts(subjects: Iterable[Subject]) -> HostReport:
    """Count the hosts of each asset, and for each host what depends on it alone."""
    rows = []
    for subject in subjects:
        found = places(subject, archives=True)
        own = dict.fromkeys(independent_host(p.candidate.url) for p in found if p.candidate.kind == "recipe")
        last = dict.fromkeys(independent_host(p.candidate.url) for p in found if p.candidate.kind == "archive")
        if hosts := tuple(host for host in own if host):
            rows.append(AssetHosts(subject.key, subject.pinned, subject.demos, hosts, tuple(filter(None, last))))
    rows.sort(key=lambda row: (len(row.hosts), row.key))
    by_host: dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]] = {}
    for host in sorted({host for row in rows for host in row.hosts}):
        holds = [row for row in rows if host in row.hosts]
        only = [row for row in holds if len(row.hosts) == 1]
        demos = sorted({demo for row in only for demo in row.demos})
        by_host[host] = (len(holds), tuple(row.key for row in only), tuple(demos))
    graver = sorted(by_host.items(), key=lambda item: (-len(item[1][2]), -len(item[1][1]), -item[1][0], item[0]))
    return HostReport(tuple(rows), dict(graver))
