"""Under which names the store knows what is wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from modelprep.fetch.failures import Want
from modelprep.recipe.schema import Asset, Digests

#: Algorithms of aliases that are no digests: what the first fetch of an unpinned asset gave, what lay at a URL, and the
#: archive whose members have the pinned digests.
FIRST, AT_URL, MEMBERS = "first-use", "url", "members"


def hashed(text: str) -> str:
    """Return the sha256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def digest_name(digests: Mapping[str, str]) -> str:
    """Name a digest, the strongest of those given; an empty text for none."""
    best = Digests(digests).best()
    return f"{best[0]}-{best[1]}" if best is not None else ""


def identity(asset: Asset, want: Want) -> str:
    """Name what is wanted: the same for everybody who wants the same bytes."""
    if name := digest_name(want.digests):
        return name
    pins = [f"{path} {digest_name(d.values)}" for path, d in sorted(asset.members.items())]
    places = [f"{s.url.key} {s.member or ''}" for s in asset.sources]
    return f"{MEMBERS if pins else FIRST}-{hashed(chr(10).join(pins or [asset.key, *places]))}"
