"""Recipes as their trees were prepared: with the manifest's Arm NN version and variant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelprep.errors import StorageError, UsageError
from modelprep.pipeline.plan.armnn_versions import check_version, for_armnn, serving
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.schema import Recipe
from modelprep.structs import dataclass, replace
from modelprep.targets.armnn_tests import BASE_VERSION, of_version, versions
from modelprep.tree.manifest import InstalledDemo, Manifest, read_manifest
from modelprep.tree.places import tree_name


@dataclass(frozen=True)
class Prepared:
    """The recipe to judge a tree by, and a note on the choice."""

    recipe: Recipe
    note: str = ""


def as_prepared(recipes: Sequence[Recipe], catalogue: Catalogue, out: Path, armnn: str | None = None) -> list[Prepared]:
    """Return each recipe in the form that its tree was prepared in; a variant that the user chose is kept.

    `armnn` is the version to judge by; a note says if the tree was prepared for another one. Without a tree, or if the
    demo is not in it, it is the recipe as requested; also if the manifest cannot be read, with a note. Tests that
    `armnn` does not have are marked in ``absent``; without `armnn`, those that are newer than the manual's Arm NN and
    not in the tree.
    """
    manifests: dict[Path, Manifest | StorageError] = {}
    found = []
    for recipe in recipes if armnn is None else _all_for(recipes, armnn, catalogue):
        folder = out / tree_name(recipe)
        if folder not in manifests:
            manifests[folder] = _manifest(folder)
        manifest = manifests[folder]
        if isinstance(manifest, StorageError):
            by = f"for Arm NN {recipe.expect['armnn']}" if recipe.expect.get("armnn") else "by its recipe"
            found.append(Prepared(recipe, f"{manifest.what} ({manifest.where}): judged {by}"))
        elif (demo := manifest.demos.get(recipe.name)) is None:
            found.append(Prepared(_not_on_the_board(recipe, folder) if armnn is None else recipe))
        elif armnn is None:
            found.append(_as_made(recipe, demo, catalogue))
        else:
            version = demo.expect.get("armnn")
            other = f"the tree was prepared for Arm NN {version}, judged for {armnn}"
            found.append(Prepared(recipe, other if version and version != armnn else ""))
    return found


def _all_for(recipes: Sequence[Recipe], armnn: str, catalogue: Catalogue) -> list[Recipe]:
    """Return the recipes adapted to a version; missing tests are marked as absent."""
    check_version(recipes, armnn)
    return [
        serving(recipe, armnn, catalogue) or replace(recipe, absent=f"not in {armnn}")
        if recipe.expect.get("armnn")
        else recipe
        for recipe in recipes
    ]


def _not_on_the_board(recipe: Recipe, folder: Path) -> Recipe:
    """Mark a test that is newer than the manual's Arm NN and was not fetched."""
    own = str(recipe.expect.get("armnn", ""))
    if recipe.variant or recipe.bsp or recipe.absent or own not in versions() or own == BASE_VERSION:
        return recipe
    # Its pictures may exist for other tests.
    models = [place for place in recipe.install if place.startswith("models/")]
    if recipe.demo in of_version(BASE_VERSION) or any((folder / place).exists() for place in models):
        return recipe
    return replace(recipe, absent=f"not in {BASE_VERSION}")


def _manifest(folder: Path) -> Manifest | StorageError:
    try:
        return read_manifest(folder)
    except StorageError as error:
        return error


def _as_made(recipe: Recipe, demo: InstalledDemo, catalogue: Catalogue) -> Prepared:
    if recipe.variant and recipe.variant != demo.variant:
        there = f"{demo.recipe}@{demo.variant}" if demo.variant else demo.recipe
        return Prepared(recipe, f"the tree contains {there}, which is judged as {recipe.target}")
    if demo.variant in recipe.variants and not recipe.variant:
        [recipe] = catalogue.resolve([f"{recipe.path}@{demo.variant}"])
    version = str(demo.expect.get("armnn") or "")
    if not version or not recipe.expect.get("armnn") or version == str(recipe.expect["armnn"]):
        return Prepared(recipe)
    try:
        [made] = for_armnn([recipe], version, catalogue)
        return Prepared(made)
    except UsageError:
        judged = recipe.expect["armnn"]
        return Prepared(recipe, f"the tree was prepared for Arm NN {version}, unknown here: judged for {judged}")
