"""Verbs for those who write recipes: ``recipe new``, ``lint``, ``schema`` and ``pin``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.api.declaring import AnyPath, Paths, Unpack, Words, places, verb, words
from modelprep.api.frame import framed, verb_of
from modelprep.api.options import PinOptions, Recipes

if TYPE_CHECKING:
    from modelprep.pipeline.authoring import Linted


@verb(Recipes)
def lint_recipes(paths: Paths = (), **options: Unpack[Recipes]) -> tuple[Linted, ...]:
    """Check recipes and shared assets: every problem with its file, line and column. The command ``recipe lint``.

    Parameters
    ----------
    paths
        Recipe files, asset files or folders; all known recipes if left out.

    Raises
    ------
    UsageError
        A path does not exist, or a folder contains no recipes.
    """
    with verb_of(Recipes, options) as (given, _):
        from modelprep.api.fetching import catalogue_of
        from modelprep.pipeline.authoring import lint_files, recipe_files

        known = catalogue_of(given)
        return tuple(lint_files(recipe_files([Path(each) for each in places(paths)], known), known))


def recipe_schema(*, assets: bool = False) -> Mapping[str, object]:
    """Return the JSON Schema of recipes, or of ``recipes/assets/*.yaml``. The command ``recipe schema``."""
    with framed():
        from modelprep.pipeline.plan.step_schema import step_schemas
        from modelprep.recipe.jsonschema import assets_schema, recipe_schema

        return assets_schema() if assets else recipe_schema(step_schemas())


def new_recipe(name: str, folder: AnyPath = ".") -> tuple[Path, Path | None]:
    """Write a commented, valid recipe, and the JSON Schema beside it. The command ``recipe new``.

    Parameters
    ----------
    name
        ``GROUP/NAME`` or ``NAME``: letters, digits, dots, dashes.
    folder
        Folder of recipes to write into.

    Returns
    -------
    tuple of (Path, Path or None)
        The recipe and the schema; None if another file of that name exists.

    Raises
    ------
    UsageError
        The name is not a valid recipe name, or its file exists already.
    """
    with framed():
        from modelprep.pipeline.authoring import write_new

        return write_new(name, Path(folder))


@verb(PinOptions)
def pin_recipe(targets: Words, **options: Unpack[PinOptions]) -> Mapping[Path, list[str]]:
    """Move first-use pins from the lock file into the recipes (or the shared assets) that declare them.

    Returns
    -------
    Mapping
        File -> ids of the assets pinned in it.

    Raises
    ------
    UsageError
        There is nothing to pin: no asset is pinned at first use, or none of them is in the lock file.
    """
    with verb_of(PinOptions, options) as (given, _):
        from modelprep.api.fetching import catalogue_of
        from modelprep.pipeline.authoring import pin_targets
        from modelprep.recipe.lockfile import lock_path

        return pin_targets(words(targets), catalogue_of(given), lock_path(given.lockfile, Path("out")))
