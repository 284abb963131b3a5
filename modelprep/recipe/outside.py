"""Downloaded recipes: their URLs, and how to tell them from the user's own.

``--recipes`` takes a folder, an archive, or the URL of an archive, which may end in ``#sha256=<digest>``.
"""

from __future__ import annotations

import os
import re

from modelprep.errors import UsageError
from modelprep.patterns import pattern
from modelprep.recipe.text import url_fault
from modelprep.structs import dataclass
from modelprep.url import redact

#: Folder of a store for unpacked recipes, each under the sha256 of its archive.
DOWNLOADED, UNPACKED = "downloaded-recipes", "unpacked-recipes"
#: Prefix of a lock file's entry that pins recipes; the URL follows.
LOCK_PREFIX = "recipes:"
_CHECKSUM = pattern(r"sha256=([0-9a-f]{64})")
_PLACE = pattern(rf"[/\\]{DOWNLOADED}[/\\][0-9a-f]{{64}}[/\\]")
#: A URL in a list that is joined like PATH: host and port, then a path without colons.
_LISTED = pattern(
    rf"https?://[^{re.escape(os.pathsep)}/]+(?::\d+)?[^{re.escape(os.pathsep)}]*|[^{re.escape(os.pathsep)}]+"
)
#: URLs of the archive of a tag on public git hosts: GitHub, GitLab, Forgejo and Gitea.
_TAGS = (
    pattern(r"/archive/refs/tags/(?P<version>[^/]+?)\.(?:tar\.gz|zip)$"),
    pattern(r"/-/archive/(?P<version>[^/]+)/"),
    pattern(r"/archive/(?P<version>[^/]+?)\.(?:tar\.gz|zip)$"),
    pattern(r"(?P<version>v?\d+(?:\.\d+)+)(?!.*\d\.\d)"),
)


@dataclass(frozen=True)
class RecipeUrl:
    """The URL of an archive of recipes, and its checksum (empty: none)."""

    url: str
    sha256: str = ""

    @property
    def lock_key(self) -> str:
        """Name of its entry in a lock file."""
        return LOCK_PREFIX + self.url

    def at(self, version: str) -> str:
        """Return the URL with another version in it; raise `UsageError` if it has none, or the result is not a URL."""
        place, path = self.url[: len(self.url) - len(self._path)], self._path
        for tag in _TAGS:
            if found := tag.search(path):
                made = place + path.replace(found["version"], version)
                if not re.fullmatch(r"[A-Za-z0-9._+-]+", version) or url_fault(made):
                    raise UsageError("not a version for a URL", got=version)
                return made
        raise UsageError(
            "no version is recognized in the URL of these recipes",
            got=redact(self.url),
            expected="the archive of a tag, or a name such as recipes-1.2.tar.gz",
            hint="name the new URL with --recipes URL#sha256=...",
        )

    @property
    def _path(self) -> str:
        return re.sub(r"^https?://[^/]*", "", self.url)


def listed(text: str) -> list[str]:
    """Split a list of folders, archives and URLs that is joined like PATH."""
    return [each for each in _LISTED.findall(text) if each]


def recipe_url(text: str) -> RecipeUrl | None:
    """Parse the URL of an archive of recipes; None for anything else.

    Raises
    ------
    UsageError
        The URL is not supported, or its checksum is not valid.
    """
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        return None
    url, mark, fragment = text.partition("#")
    if not url.startswith(("https://", "http://")) or (fault := url_fault(url)):
        raise UsageError(
            "not a URL of recipes", got=redact(text), expected="https://HOST/PATH.tar.gz#sha256=DIGEST",
            hint=fault if url.startswith("http") else None,
        )  # fmt: skip
    if "?" in url:
        raise UsageError("the URL of recipes has a query, which may be a secret", got=redact(text))
    checksum = _CHECKSUM.fullmatch(fragment.lower())
    if mark and checksum is None:
        raise UsageError(
            "the checksum of these recipes is not valid", got=fragment, expected="#sha256= and 64 hexadecimal digits"
        )
    return RecipeUrl(url, checksum[1] if checksum else "")


def is_downloaded(place: str) -> bool:
    """Say whether a file (or ``file:line``) is part of downloaded recipes."""
    return _PLACE.search(place) is not None
