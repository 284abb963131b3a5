"""Which known file some bytes are: of the catalogue's assets, by digest, else by exact size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from modelprep.recipe.schema import ALGORITHMS, Asset, Digests


def recognise(digests: Mapping[str, str], size: int | None, wanted: Asset, known: Iterable[Asset]) -> str:
    """Say which known file came in place of the wanted one.

    Parameters
    ----------
    digests
        Of what came, by algorithm; empty where only its announced size is known.
    size
        Its bytes, None when not known.
    wanted
        The asset that was asked for; its ``other_versions`` are known files too.
    known
        Other assets that it may be.

    Returns
    -------
    str
        A clause (``the known file 'lenet-caffemodel' (Arm's LeNet ...)``); empty when it is none that is known. A
        digest proves it; where there is none, a size that agrees to the byte is told as no more than that.
    """
    like = ""
    for title, theirs, length in _files(wanted, known):
        if any(theirs.values.get(algorithm) == digests[algorithm] for algorithm in ALGORITHMS if algorithm in digests):
            return title
        if not digests and not like and size is not None and length == size:
            like = f"as long, to the byte, as {title}"
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
