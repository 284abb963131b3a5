"""The names of expected files in the store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from modelprep.fetch.failures import Want
from modelprep.recipe.schema import Asset, Digests

#: Algorithms of aliases that are not digests: the first download of an unpinned asset, the file at a URL, and the
#: archive whose members have the pinned digests.
FIRST, AT_URL, MEMBERS = "first-use", "url", "members"


def hashed(text: str) -> str:
    """Return the sha256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def digest_name(digests: Mapping[str, str]) -> str:
    """Return the strongest of some digests with its name; empty if there is none."""
    best = Digests(digests).best()
    return f"{best[0]}-{best[1]}" if best is not None else ""


def identity(asset: Asset, want: Want) -> str:
    """Return the identity of an expected file: the same for the same bytes."""
    if name := digest_name(want.digests):
        return name
    pins = [f"{path} {digest_name(d.values)}" for path, d in sorted(asset.members.items())]
    places = [f"{s.url.key} {s.member or ''}" for s in asset.sources]
    return f"{MEMBERS if pins else FIRST}-{hashed(chr(10).join(pins or [asset.key, *places]))}"
