"""Manual downloads: the source that is most likely to last, and the command that downloads it."""

from __future__ import annotations

import re

from modelprep.fetch import urls
from modelprep.patterns import pattern
from modelprep.quoting import command, operand
from modelprep.recipe.schema import Asset, Source

#: Folder in the layout of ``--mirror``, for archives that contain the file.
FOLDER = "downloads"
_COMMIT = pattern(r"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])")
_DEAD = pattern(r"\b(dead|unstable|gone)\b", re.IGNORECASE)
#: Hosts with permanent files: digital object identifiers, and public model and code hosting.
_KEEPERS = ("zenodo.org", "huggingface.co", "raw.githubusercontent.com", "media.githubusercontent.com", "github.com")
#: Share links, which their owner may revoke.
_SHARED = ("drive.google.com", "docs.google.com", "onedrive.live.com", "1drv.ms", "dropbox.com", "box.com")


def durable(source: Source) -> tuple[bool, bool, bool, int]:
    """Rank a source by how likely it is to last: the least value is the best.

    A source that its recipe calls dead comes last, before it sources that are not network URLs, before them archives
    that contain the file. Of the others a URL with a commit is best, then hosts with permanent files, other https,
    plain http, and share links.
    """
    url, host = source.url, source.url.host
    if any(host == each or host.endswith(f".{each}") for each in _SHARED):
        rank = 4
    elif url.scheme != "https":
        rank = 3
    elif host not in _KEEPERS:
        rank = 2
    else:
        rank = 0 if host == "zenodo.org" or _COMMIT.search(url.path) else 1
    return bool(_DEAD.search(source.note)), url.is_local, bool(source.member), rank


def best_source(asset: Asset) -> Source | None:
    """Return the most durable source of an asset, in the recipe's order among equals; None for one without any."""
    return min(asset.sources, key=durable, default=None)


def is_archive(asset: Asset) -> bool:
    """Say whether :func:`download` gets an archive with the file: ``--mirror`` unpacks it, ``--set`` cannot."""
    source = best_source(asset)
    return source is not None and source.member is not None and urls.mirror_path(source.url) is not None


def download(asset: Asset, name: str) -> str:
    """Write the command that downloads the most durable source of an asset, a line for a POSIX shell.

    It writes a file called `name`; an archive goes below :data:`FOLDER` instead. A URL with a secret is replaced by its
    place in the recipe.
    """
    source = best_source(asset)
    if source is None:
        return f"find {name} elsewhere"
    url = urls.direct_forms(source.url)[0][0]
    shown = f"<URL from {url.place or 'the recipe'}>" if url.secret else str(url)
    if is_archive(asset):
        kept = f"{FOLDER}/{urls.mirror_path(source.url)}"
        return command("curl", "-fL", "-C", "-", "--create-dirs", "-o", kept, shown)
    return command("curl", "-fL", "-C", "-", "-o", operand(name), shown)
