"""Entries of ``install`` that fill a folder: which files they mean before their step has run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from modelprep.pipeline.plan.keys import Files, demo_key, files_of
from modelprep.pipeline.plan.request import PlannedStep
from modelprep.pipeline.plan.validate import made_by
from modelprep.recipe.schema import Asset, Recipe
from modelprep.recipe.spread import fills_folder, source_of
from modelprep.tree.manifest import Manifest


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
