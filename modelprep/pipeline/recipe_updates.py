"""Move the pin of downloaded recipes: compare two versions, then write the new checksum to the lock file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from modelprep.errors import ModelprepError, UsageError
from modelprep.events import Listener, silent
from modelprep.pipeline.recipe_sources import Surroundings, fetch_recipes, pin_recipes
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.lockfile import Pin, read_lock
from modelprep.recipe.outside import LOCK_PREFIX, RecipeUrl, recipe_url
from modelprep.recipe.schema import Asset, Recipe
from modelprep.recipe.shipped import shipped_folder
from modelprep.url import redact

#: Fields of a recipe about its place, or that are compared per asset.
_NOT_TOLD = frozenset({"name", "path", "shadows", "assets", "variants"})


@dataclass(frozen=True)
class RecipeUpdate:
    """The old and new pin of recipes.

    Parameters
    ----------
    named
        The URL of ``--recipes``.
    old_url, old_sha256
        URL and checksum of the old version; empty if nothing was pinned.
    url, sha256
        The same of the new version.
    added, removed
        Names of recipes.
    changed
        Name of a recipe -> its changes, one line each.
    """

    named: str
    old_url: str
    old_sha256: str
    url: str
    sha256: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: Mapping[str, tuple[str, ...]]

    @property
    def moved(self) -> bool:
        """True if the pin has changed."""
        return (self.old_url, self.old_sha256) != (self.url, self.sha256)


def update_recipes(
    around: Surroundings, *, recipes: Sequence[str] = (), to: str = "", dry_run: bool = False, listen: Listener = silent
) -> tuple[RecipeUpdate, ...]:
    """Compare the pinned recipes with a newer version, and pin it: see :func:`modelprep.api.update_recipes`.

    Without `recipes` all that the lock file pins; without `to` the current file at the pinned URL. A broken recipe in
    the new version leaves the pin.
    """
    lockfile = around.lockfile
    pins = read_lock(lockfile) if lockfile is not None else {}
    wanted = [_url(each) for each in recipes]
    wanted = wanted or [RecipeUrl(key.removeprefix(LOCK_PREFIX)) for key in pins if key.startswith(LOCK_PREFIX)]
    if not wanted or lockfile is None:
        raise UsageError(
            "no recipes are pinned here", where=str(lockfile), hint="name them: --recipes https://HOST/PATH.tar.gz"
        )
    if to and len(wanted) > 1:
        raise UsageError("--to is the version of one catalogue", got=", ".join(redact(each.url) for each in wanted))
    made: dict[str, Pin] = {}
    updates = []
    for each in wanted:
        old = pins.get(each.lock_key)
        here = old.first_seen_from if old is not None else each.url
        place = RecipeUrl(here).at(to) if to else here
        folder, new = fetch_recipes(place, each.sha256, around, listen, again=True)
        updates.append(_compare(each, old, _catalogue(old, around, listen), _opened(folder), new))
        made[each.lock_key] = new
    if not dry_run:
        pin_recipes(lockfile, made)
    return tuple(updates)


def _url(text: str) -> RecipeUrl:
    if (url := recipe_url(text)) is None:
        raise UsageError("only recipes at a URL have a pin", got=text, expected="https://HOST/PATH.tar.gz")
    return url


def _opened(folder: Path) -> Catalogue:
    return Catalogue([shipped_folder(), folder])


def _catalogue(pin: Pin | None, around: Surroundings, listen: Listener) -> Catalogue | None:
    """Open the old version, if it is still available."""
    if pin is None:
        return None
    try:
        return _opened(fetch_recipes(pin.first_seen_from, pin.sha256, around, listen)[0])
    except ModelprepError:
        return None


def _compare(url: RecipeUrl, pin: Pin | None, old: Catalogue | None, new: Catalogue, made: Pin) -> RecipeUpdate:
    before, after = _recipes(old) if old is not None else {}, _recipes(new)
    changed = {name: _changes(before[name], after[name]) for name in sorted(before.keys() & after.keys())}
    return RecipeUpdate(
        named=redact(url.url),
        old_url=redact(pin.first_seen_from) if pin is not None else "",
        old_sha256=pin.sha256 if pin is not None else "",
        url=redact(made.first_seen_from),
        sha256=made.sha256,
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed={name: lines for name, lines in changed.items() if lines},
    )


def _recipes(catalogue: Catalogue) -> dict[str, Recipe]:
    """Read the recipes of the last folder."""
    folder = catalogue.folders[-1]
    names = [name for name in catalogue.names() if catalogue.path(name).is_relative_to(folder)]
    return {name: catalogue.recipe(name) for name in names}


def _changes(old: Recipe, new: Recipe) -> tuple[str, ...]:
    lines = []
    for name in sorted({*old.assets, *new.assets}):
        before, after = old.assets.get(name), new.assets.get(name)
        if before is None or after is None:
            lines.append(f"asset {name}: {'added' if before is None else 'removed'}")
        else:
            lines += [f"asset {name}: {each}" for each in _asset_changes(before, after)]
    for field in fields(Recipe):
        if field.compare and field.name not in _NOT_TOLD and getattr(old, field.name) != getattr(new, field.name):
            was, now = getattr(old, field.name), getattr(new, field.name)
            told = isinstance(was, str) and isinstance(now, str)
            lines.append(f"{field.name}: {was} -> {now}" if told else f"{field.name} changed")
    return tuple(lines)


def _asset_changes(old: Asset, new: Asset) -> list[str]:
    before, after = ([str(source.url) for source in asset.sources] for asset in (old, new))
    lines = [f"source added: {url}" for url in after if url not in before]
    lines += [f"source removed: {url}" for url in before if url not in after]
    for algorithm in sorted({*old.digests.values, *new.digests.values}):
        was, now = old.digests.values.get(algorithm, "none"), new.digests.values.get(algorithm, "none")
        if was != now:
            lines.append(f"{algorithm}: {was} -> {now}")
    if old.size != new.size:
        lines.append(f"size: {old.size} -> {new.size}")
    return lines
