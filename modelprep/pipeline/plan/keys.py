"""Keys of assets, step results and demos: what determines their bytes.

An identity is a text that is the same on every machine and changes exactly when the bytes may change: a digest if one
is pinned, else the source. Steps and demos have the digest of their parts' identities.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from modelprep.pipeline.plan.binding import Bound, bind
from modelprep.pipeline.plan.request import PlannedStep
from modelprep.pipeline.plan.validate import check_steps, made_by, references
from modelprep.recipe.lockfile import FIRST_USE, Pin
from modelprep.recipe.schema import Asset, Recipe, Source
from modelprep.recipe.spread import fills_folder, resolve, source_of
from modelprep.structs import replace
from modelprep.tree.manifest import Manifest, plain

_SCHEMA = 1
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
#: Destination in the tree -> (identity of an asset or step, path in the step's folder).
Files = Mapping[str, tuple[str, str]]


def asset_identity(asset: Asset, pins: Mapping[str, Pin], override: str | None = None) -> str:
    """Return the identity of an asset; `override` is the sha256 of the user's file that replaces it.

    ``<algorithm>:<digest>`` of the override, the recipe's strongest digest or the pin of first use, else
    ``unpinned:<first source>`` (with a digest of the digests that are known of an archive or its members) or
    ``slot:<name>``.
    """
    if override is not None:
        return f"sha256:{override}"
    if best := asset.digests.best():
        return ":".join(best)
    if asset.pin == "first-use" and asset.lock_key in pins:
        return f"sha256:{pins[asset.lock_key].sha256}"
    if asset.sources:
        # The file's own digest is not published; that of its archive, or those of its members, may be.
        known = {"archive": dict(asset.sources[0].digests.values)} if asset.sources[0].digests else {}
        known |= {f"member {path}": dict(digests.values) for path, digests in asset.members.items()}
        return f"unpinned:{source_name(asset.sources[0])}" + (f" {_digest(known)}" if known else "")
    return f"slot:{asset.key}"


def source_name(source: Source) -> str:
    """Name a source in one text: its URL, with ``#member`` for a file taken out of an archive.

    Of a ``file:`` URL only the file's name is used, without this machine's folder.
    """
    url = source.url.key
    if source.url.is_local:
        url = f"file:{url.rpartition('/')[2]}"
    return f"{url}#{source.member}" if source.member else url


def used_assets(recipe: Recipe) -> list[Asset]:
    """Return the assets that a step or an entry of ``install`` refers to."""
    used = {ref.name for ref in references(recipe)}
    return [asset for asset in recipe.assets.values() if asset.id in used]


def identify_steps(recipe: Recipe, names: dict[str, str]) -> None:
    """Add the identities of a recipe's steps to those of its assets, by name."""
    for use in recipe.steps:
        bound = bind(recipe, use)
        names[use.id] = step_identity(bound, {slot: (names[ref.name], ref.inner) for slot, ref in bound.files.items()})


def step_identity(bound: Bound, inputs: Mapping[str, tuple[str, str]]) -> str:
    """Return the identity of a step's result: digest of name, version, parameters, identities of the inputs."""
    digest = _digest(
        {
            "step": bound.step.name,
            "version": bound.step.version,
            "params": plain(bound.plain),
            "inputs": {slot: list(source) for slot, source in inputs.items()},
        }
    )
    return f"step:{digest}"


def files_of(
    recipe: Recipe, names: Mapping[str, str], made: Callable[[str], Collection[str] | None] = lambda _: None
) -> Files:
    """Return destination -> (identity, inner path) for all that a recipe installs, without files on the board's image.

    `made` returns the files in a step's folder; None if unknown: an entry that fills a folder then stays one.
    """
    resolved = resolve(recipe.install, made)
    return {path: (names[ref.name], ref.inner) for path, ref in resolved.items() if path not in recipe.on_image}


def demo_key(recipe: Recipe, files: Files, assets: Iterable[Asset]) -> str:
    """Return the key of a demo's files and its entry in the manifest, which has the assets' licences and sources."""
    return _digest(
        {
            "schema": _SCHEMA,
            "recipe": recipe.name,
            "variant": recipe.variant,
            "demo": recipe.demo,
            "tree": recipe.tree,
            "board": recipe.board,
            "manual": recipe.manual,
            "summary": recipe.summary,
            "run": str(recipe.run or ""),
            **({"interactive": True} if recipe.interactive else {}),
            "expect": plain(recipe.expect),
            "files": {path: list(source) for path, source in files.items()},
            "assets": sorted([asset.id, *_story(asset)] for asset in assets),
        }
    )


def planned_files(
    recipe: Recipe,
    names: Mapping[str, str],
    assets: Sequence[Asset],
    steps: Mapping[str, PlannedStep],
    manifest: Callable[[], Manifest],
) -> Files:
    """Return destination -> (identity, inner path) for all that a recipe installs.

    The files in a step's folder are known if the store has its result or its parameters name them. Else they are the
    files that the manifest lists for the demo, if its key is unchanged; if not, the entry stays a folder until the step
    has run. `names` maps each asset and step to its identity; `manifest` is called only if a folder's files are
    unknown.
    """
    uses = {use.id: use for use in recipe.steps}

    def made(name: str) -> Collection[str] | None:
        result = steps[names[name]].result
        return result.outputs if result is not None else made_by(uses[name]) or None

    files = files_of(recipe, names, made)
    if not any(map(fills_folder, files)):
        return files
    return _installed(recipe, names, assets, manifest()) or files


def _installed(recipe: Recipe, names: Mapping[str, str], assets: Sequence[Asset], manifest: Manifest) -> Files | None:
    entry = manifest.demos.get(recipe.name)
    owned = [path for path, file in manifest.files.items() if recipe.name in file.demos]
    found = {path: ref for path in owned if (ref := source_of(recipe, path)) is not None}
    if entry is None or len(found) != len(owned):
        return None
    there = {path: (names[ref.name], ref.inner) for path, ref in found.items()}
    return there if demo_key(recipe, there, assets) == entry.key else None


def recipe_key(recipe: Recipe, pins: Mapping[str, Pin]) -> str:
    """Return a recipe's part of ``cache key``: like the key of a planned demo, without the recipe's folder."""
    if wrong := check_steps(recipe):
        raise wrong[0]
    assets = used_assets(recipe)
    names = {asset.id: asset_identity(asset, pins) for asset in assets}
    identify_steps(recipe, names)
    uses = {use.id: use for use in recipe.steps}
    files = files_of(recipe, names, lambda name: made_by(uses[name]) or None)
    return demo_key(replace(recipe, name=recipe.name.rpartition("/")[2]), files, assets)


def _story(asset: Asset) -> list[str]:
    licence = asset.licence
    return [
        source_name(asset.sources[0]) if asset.sources else "",
        licence.name if licence else "",
        licence.source if licence else "",
        # Moving a pin from the lock file into the recipe does not change the tree.
        "" if asset.pinned_by.startswith(FIRST_USE) else asset.pinned_by,
        str(asset.restricted),
    ]


def request_key(keys: Iterable[str]) -> str:
    """Return one key for several demos, whatever their order: what ``cache key`` prints."""
    return _digest(sorted(keys))


def _digest(value: object) -> str:
    return hashlib.sha256(_ENCODER.encode(value).encode()).hexdigest()
