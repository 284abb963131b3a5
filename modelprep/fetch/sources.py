"""The sources of an asset, in the order in which they are tried.

The user's mirrors, then the recipe's own sources, then (for pinned assets) the archives of last resort, whose URLs
follow from the URL or the digest. No network is used here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote_to_bytes

from modelprep.errors import UsageError
from modelprep.fetch import urls
from modelprep.recipe.schema import Asset, Digests, Source
from modelprep.structs import dataclass
from modelprep.url import Url

Kind = Literal["mirror", "recipe", "archive"]


@dataclass(frozen=True)
class Candidate:
    """One place to try.

    Parameters
    ----------
    url
        http, https or file URL.
    kind
        ``mirror`` (named by the user), ``recipe``, or ``archive`` (of last resort).
    source
        The recipe's source; with `source.member` the file is a member of the archive at `url`.
    note
        Why `url` is not the recipe's URL, in words.
    warning
        Warning for the recipe's author.
    """

    url: Url
    kind: Kind
    source: Source
    note: str = ""
    warning: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.url, str):
            object.__setattr__(self, "url", Url(self.url))

    @property
    def is_local(self) -> bool:
        """True if no network is needed."""
        return self.url.is_local

    @property
    def host(self) -> str:
        """Host and port; empty for a local file."""
        return "" if self.is_local else self.url.netloc

    @property
    def path(self) -> Path:
        """The local file of a ``file:`` URL."""
        return file_path(self.url)

    @property
    def shown(self) -> str:
        """Text for messages: no credentials, a plain path for a local file."""
        try:
            return str(self.path) if self.is_local else str(self.url)
        except UsageError:
            return str(self.url)

    def lfs_content(self) -> Candidate | None:
        """Source of the content if the recipe's raw link returns a Git LFS pointer."""
        media = urls.lfs_media_url(self.url) if self.kind == "recipe" else None
        return Candidate(media, self.kind, self.source, note="content of a Git LFS pointer") if media else None


def file_path(url: Url) -> Path:
    """Return the path of a ``file:`` URL (``file:///a/b``, ``file://localhost/a/b``, ``file:/a/b``)."""
    parts = url.parts
    if not parts.scheme:
        raise UsageError(f"not a URL: {url}")
    if parts.netloc not in ("", "localhost"):
        raise UsageError(f"a file URL with a host in it: {url}", hint="write file:///path/to/file")
    return Path(os.fsdecode(unquote_to_bytes(parts.path)))


def candidates(
    asset: Asset, *, mirrors: tuple[str, ...] = (), archives: bool = True, pinned: Digests | None = None
) -> tuple[Candidate, ...]:
    """List the places to try for an asset, in order, each once.

    `mirrors` are folders or base URLs laid out ``<host>/<path>``; `archives`: also try the archives of last resort,
    which serve pinned content only; `pinned` are the digests of the lock entry if the asset itself has none.
    """
    digests = asset.digests or pinned or Digests()
    found = [*_from_mirrors(asset, mirrors, flat=bool(digests)), *_from_recipe(asset)]
    if archives and (digests or asset.members):
        found += _from_archives(asset, digests)
    unique: dict[tuple[Url, str | None], Candidate] = {}
    for candidate in found:
        unique.setdefault((candidate.url, candidate.source.member), candidate)
    return tuple(unique.values())


def _from_mirrors(asset: Asset, mirrors: tuple[str, ...], *, flat: bool) -> Iterator[Candidate]:
    for mirror in mirrors:
        folder = None if is_remote(mirror) else mirror_folder(mirror)
        for source in asset.sources:
            for place in places_in_mirror(source.url):
                if folder is None:
                    yield Candidate(Url(urls.join_mirror(mirror, place)), "mirror", source, note="mirror")
                else:
                    yield Candidate(Url((folder / place).as_uri()), "mirror", source, note="mirror folder")
            # A flat folder of downloads (BitBake's DL_DIR) does not record origins, so it is used only for files with a
            # digest, and only if the file exists.
            if folder is not None and (flat or source.digests):
                for name in flat_names(asset, source):
                    if (folder / name).is_file():
                        yield Candidate(Url((folder / name).as_uri()), "mirror", source, note="mirror folder, flat")


def is_remote(mirror: str) -> bool:
    """Say whether a ``--mirror`` is a base URL rather than a folder."""
    return mirror.lower().startswith(("http://", "https://"))


def check_mirrors(mirrors: tuple[str, ...]) -> None:
    """Raise a UsageError for a mirror that is neither a folder nor a URL: a typo would go unnoticed otherwise."""
    for mirror in mirrors:
        if not is_remote(mirror) and not mirror_folder(mirror).is_dir():
            raise UsageError(
                "the mirror folder does not exist",
                where=mirror,
                hint="--mirror takes a folder laid out <host>/<path>, or an http or https URL of one",
            )


def mirror_folder(mirror: str) -> Path:
    """Return the folder of a ``--mirror`` that is not a URL."""
    return file_path(Url(mirror)) if mirror.startswith("file:") else Path(mirror).expanduser().absolute()


def places_in_mirror(url: Url) -> tuple[PurePosixPath, ...]:
    """Return where a mirror may keep the file of `url`: under the recipe's URL, and under its direct form."""
    forms = (url, *(form for form, _ in urls.direct_forms(url)))
    found = (urls.mirror_path(form) for form in forms)
    return tuple(dict.fromkeys(path for path in found if path is not None))


def flat_names(asset: Asset, source: Source) -> tuple[str, ...]:
    """Return the possible names of the file of `source` in a flat folder of downloads."""
    names = [urls.basename(source.url), urls.bitbake_name(source.url)] + ([asset.filename] if not source.member else [])
    return tuple(dict.fromkeys(n for n in names if n and Path(n).name == n and n.strip(".") and "\0" not in n))


def _from_recipe(asset: Asset) -> Iterator[Candidate]:
    for source in asset.sources:
        for url, note in urls.direct_forms(source.url):
            warning = note if "/blob/" in note else ""
            yield Candidate(url, "recipe", source, note="" if warning else note, warning=warning)


def _from_archives(asset: Asset, digests: Digests) -> Iterator[Candidate]:
    # Content found by its digest is the expected file itself, even if the recipe's sources are archives.
    bare = Source(asset.sources[0].url) if asset.sources else Source(Url(""))
    for url in urls.by_digest(digests.values):
        yield Candidate(url, "archive", bare, note="archive of last resort, by digest")
    for source in asset.sources:
        for url in urls.by_digest(source.digests.values) if source.member else ():
            yield Candidate(url, "archive", source, note="archive of last resort, by digest")
    for source in asset.sources:
        size = source.size if source.member else asset.size
        for url in urls.by_url(source.url, size=size):
            yield Candidate(url, "archive", source, note="archive of last resort, by URL")
