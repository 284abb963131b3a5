"""A recipe that was read and checked, as plain values that JSON holds, and back.

What :mod:`modelprep.recipe.loader` gave once need not be parsed and checked again as long as its files are the same
(:mod:`modelprep.pipeline.compiled`). Fields that have their default are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from modelprep.recipe.schema import Asset, Digests, Licence, OtherVersion, Recipe, Ref, Source, StepUse, Tolerance
from modelprep.recipe.text import Command
from modelprep.structs import revived
from modelprep.url import Url

Packed = dict[str, Any]
#: Fields that JSON holds as they are.
_PLAIN = frozenset(
    {"name", "demo", "summary", "manual", "status", "why", "tree", "board", "interactive", "runs_on", "expect"}
    | {"variants", "matrix", "places"}
)
_TEXTS = frozenset(("notes", "manual_errors", "prints"))


class Kept(Protocol):
    """Recipes as they were read before."""

    def get(self, name: str, path: Path) -> Recipe | None:
        """Return a recipe as it was read from the same file before; None if it is not known."""

    def put(self, name: str, path: Path, recipe: Recipe, text: str) -> None:
        """Take note of a recipe that was read from this text since :meth:`get` did not know it."""

    def save(self, names: Callable[[], Collection[str]]) -> None:
        """Write down what has been noted, of the recipes whose names are returned."""


def pack(recipe: Recipe) -> Packed | None:
    """Return a recipe's fields; None for one that is not to be kept: a URL of it holds a secret."""
    if any(source.url.secret for asset in recipe.assets.values() for source in asset.sources):
        return None
    plain = Recipe(recipe.name, recipe.demo, recipe.path)
    found: Packed = {}
    for name, value in vars(recipe).items():
        if name == "path" or (value == getattr(plain, name) and name not in ("name", "demo")):
            continue
        if name == "assets":
            value = {key: _pack_asset(asset) for key, asset in value.items()}
        elif name == "steps":
            value = [_pack_step(step) for step in value]
        elif name == "install":
            value = {place: [ref.name, ref.inner] for place, ref in value.items()}
        elif name == "run":
            value = [value.program, list(value.arguments), dict(value.environment)]
        elif name in _TEXTS:
            value = list(value)
        elif name not in _PLAIN:
            return None
        found[name] = value
    return found


def unpack(packed: Packed, path: Path) -> Recipe:
    """Return the recipe of a file that :func:`pack` was given."""
    values: dict[str, Any] = {"path": path}
    for name, value in packed.items():
        if name == "assets":
            value = {key: _unpack_asset(asset) for key, asset in value.items()}
        elif name == "steps":
            value = tuple(_step(*step) for step in value)
        elif name == "install":
            value = {place: revived(Ref, name=ref[0], inner=ref[1]) for place, ref in value.items()}
        elif name == "run":
            value = Command(value[0], tuple(value[1]), MappingProxyType(value[2]))
        elif name in _TEXTS:
            value = tuple(value)
        values[name] = value
    return revived(Recipe, **values)


def _pack_step(step: StepUse) -> list[Any]:
    tolerance = None if step.tolerance is None else [step.tolerance.relative, step.tolerance.origin]
    return [step.id, step.uses, _pack_value(step.params), tolerance, dict(step.places)]


def _step(name: str, uses: str, params: Any, tolerance: list[Any] | None, places: Mapping[str, str]) -> StepUse:
    held = None if tolerance is None else Tolerance(*tolerance)
    return revived(StepUse, id=name, uses=uses, params=_unpack_value(params), tolerance=held, places=places)


def _pack_value(value: Any) -> Any:
    if isinstance(value, Ref):
        return {"ref": [value.name, value.inner]}
    if isinstance(value, Mapping):
        return {"map": {key: _pack_value(each) for key, each in value.items()}}
    return [_pack_value(each) for each in value] if isinstance(value, tuple) else value


def _unpack_value(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_unpack_value, value))
    if not isinstance(value, dict):
        return value
    if "ref" in value:
        return Ref(*value["ref"])
    return {key: _unpack_value(each) for key, each in value["map"].items()}


def _pack_asset(asset: Asset) -> Packed:
    plain = Asset(asset.id)
    found: Packed = {"id": asset.id}
    for name, value in vars(asset).items():
        if value == getattr(plain, name):
            continue
        if name == "sources":
            value = [_pack_source(each) for each in value]
        elif name == "digests":
            value = value.values
        elif name == "members":
            value = {path: digests.values for path, digests in value.items()}
        elif name == "licence":
            value = [value.name, value.source]
        elif name == "notes":
            value = list(value)
        elif name == "other_versions":
            value = [[each.what, each.digests.values, each.size] for each in value]
        found[name] = value
    return found


def _pack_source(source: Source) -> list[Any]:
    url = source.url
    found = [url.reveal(), url.place, url.public, source.member, source.digests.values, source.size, source.note]
    return found if any(found[3:]) else found[:3]


def _unpack_asset(packed: Packed) -> Asset:
    values = dict(packed)
    if "sources" in values:
        values["sources"] = tuple(_source(*each) for each in values["sources"])
    if "digests" in values:
        values["digests"] = revived(Digests, values=values["digests"])
    if "members" in values:
        values["members"] = {path: Digests(each) for path, each in values["members"].items()}
    if "licence" in values:
        values["licence"] = Licence(*values["licence"])
    if "notes" in values:
        values["notes"] = tuple(values["notes"])
    if "other_versions" in values:
        values["other_versions"] = tuple(OtherVersion(a, Digests(b), c) for a, b, c in values["other_versions"])
    return revived(Asset, **values)


_NONE = Digests()


def _source(
    raw: str, place: str, public: bool, member: str | None = None, digests: Mapping[str, str] | None = None,
    size: int | None = None, note: str = "",
) -> Source:  # fmt: skip
    url = Url(raw, public=public, place=place)
    known = Digests(digests) if digests else _NONE
    return revived(Source, url=url, member=member, digests=known, size=size, note=note)
