"""Recognize a file among the catalogue's assets, by digest, else by exact size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from modelprep.recipe.schema import ALGORITHMS, Asset, Digests


def recognise(digests: Mapping[str, str], size: int | None, wanted: Asset, known: Iterable[Asset]) -> str:
    """Say which known file was received instead of the expected one, as a clause; empty if unknown.

    A digest proves it; without one, an equal size is reported only as such. `digests` (by algorithm) are empty if only
    the announced size in bytes is known; other versions of `wanted` are known files too.
    """
    like = ""
    for title, theirs, length in _files(wanted, known):
        if any(theirs.values.get(algorithm) == digests[algorithm] for algorithm in ALGORITHMS if algorithm in digests):
            return title
        if not digests and not like and size is not None and length == size:
            like = f"the same size as {title}"
    return like


def _files(wanted: Asset, known: Iterable[Asset]) -> Iterator[tuple[str, Digests, int | None]]:
    for version in wanted.other_versions:
        yield f"another known version: {version.what}", version.digests, version.size
    for asset in known:
        if asset.digests.values == wanted.digests.values and asset.key == wanted.key:
            continue
        about = f" ({asset.summary})" if asset.summary else ""
        if asset.digests or asset.size is not None:
            yield f"the known file '{asset.key}'{about}", asset.digests, asset.size
        for source in asset.sources:
            if source.member and source.digests:
                yield f"the archive that '{asset.key}' is a member of", source.digests, source.size
        for member, theirs in asset.members.items():
            yield f"the member {member} of '{asset.key}'", theirs, None
        for version in asset.other_versions:
            yield f"another version of '{asset.key}': {version.what}", version.digests, version.size
