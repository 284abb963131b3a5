"""What is audited: assets of recipes, the demos that need them, and every URL of each. Uses no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from modelprep.fetch import urls
from modelprep.fetch.failures import Want, name_of
from modelprep.fetch.policy import Pin
from modelprep.fetch.sources import Candidate, candidates
from modelprep.recipe.schema import Asset, Digests, Recipe


@dataclass(frozen=True)
class Subject:
    """One asset under audit.

    Parameters
    ----------
    key
        The shared asset's name, or ``recipe#name`` for a recipe's own asset.
    asset
        As declared, with the digest of a pin of the lock file.
    demos
        Names of the demos that need it, sorted; empty for a shared asset that no recipe uses.
    """

    key: str
    asset: Asset
    demos: tuple[str, ...] = ()

    @property
    def pinned(self) -> bool:
        """Whether the asset has a digest."""
        return bool(self.asset.digests or self.asset.members or any(s.digests for s in self.asset.sources))


@dataclass(frozen=True)
class Place:
    """One URL to check, and the expected file.

    Parameters
    ----------
    key, candidate
        Key of the subject; the URL with its kind.
    want
        The expected file: the asset, or the archive that contains it.
    """

    key: str
    candidate: Candidate
    want: Want

    @property
    def host(self) -> str:
        """Host and port that will be asked, lower case."""
        return self.candidate.url.netloc


def subjects(
    recipes: Iterable[Recipe], shared: Iterable[Asset] = (), *, lock: Mapping[str, Pin] | None = None
) -> tuple[Subject, ...]:
    """Collect the assets of recipes, each once, sorted by key.

    `recipes`: with variants as separate recipes. `shared`: assets to check even if no recipe uses them. `lock`: pins of
    first use by asset key, for assets that nothing else pins.
    """
    pins = lock or {}
    assets: dict[str, Asset] = {}
    demos: dict[str, set[str]] = {}

    def take(key: str, asset: Asset) -> None:
        known = assets.get(key)
        pin = pins.get(asset.lock_key)
        if pin is not None and not asset.digests and not asset.members:
            asset = replace(asset, digests=Digests({"sha256": pin.sha256}), size=pin.size)
        if known is None:
            assets[key] = asset
        elif more := tuple(source for source in asset.sources if source not in known.sources):
            # A variant may add places to an asset of the same name.
            assets[key] = replace(known, sources=known.sources + more)
        demos.setdefault(key, set())

    for recipe in recipes:
        for asset in recipe.assets.values():
            key = asset.shared or f"{recipe.name}#{asset.id}"
            known = assets.get(key)
            if known is not None and not asset.shared and asset.digests != known.digests and recipe.variant:
                key = f"{recipe.name}@{recipe.variant}#{asset.id}"  # the variant means another file by the same name
            take(key, asset)
            demos[key].add(recipe.demo)
    for asset in shared:
        take(asset.key, asset)
    return tuple(Subject(key, assets[key], tuple(sorted(demos[key]))) for key in sorted(assets))


def places(subject: Subject, *, archives: bool = False) -> tuple[Place, ...]:
    """Return the URLs of an asset in the order of a fetch; `archives`: with the archives of last resort."""
    asset = subject.asset
    return tuple(
        Place(subject.key, candidate, wanted_at(candidate, asset)) for candidate in candidates(asset, archives=archives)
    )


def wanted_at(candidate: Candidate, asset: Asset) -> Want:
    """Return the expected file at a candidate's URL: the asset, or the archive that contains it."""
    source = candidate.source
    if source.member is not None:
        return Want(urls.basename(source.url) or "archive", dict(source.digests.values), source.size)
    if source.digests:
        return Want(name_of(asset), dict(source.digests.values), source.size)
    return Want(name_of(asset), dict(asset.digests.values), asset.size)


def media_place(place: Place) -> Place | None:
    """Return the place of the content behind the Git LFS pointer of a raw GitHub link; None for other places."""
    media = urls.lfs_media_url(place.candidate.url)
    if media is None or place.candidate.kind != "recipe":
        return None
    source = place.candidate.source
    return Place(place.key, Candidate(media, "recipe", source, note="content of a Git LFS pointer"), place.want)


def unique(found: Sequence[Place]) -> tuple[Place, ...]:
    """Return the first place of each request: an archive with three members is requested once."""
    seen: dict[tuple[object, ...], Place] = {}
    for place in found:
        seen.setdefault(question(place), place)
    return tuple(seen.values())


def question(place: Place) -> tuple[object, ...]:
    """Return the identity of a request: URL, digests, size and whether a page could be the file."""
    want = place.want
    return (place.candidate.url, tuple(sorted(want.digests.items())), want.size, want.may_be_page)
