"""Looking over many recipes at once: what ``list``, ``cache key`` and ``cache gc`` ask."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from modelprep.errors import RecipeError
from modelprep.fetch import Fetcher
from modelprep.pipeline.keys import request_key
from modelprep.pipeline.planning import plan_recipes
from modelprep.pipeline.request import Plan, Request
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.schema import Recipe
from modelprep.store import Store


def sound_recipes(catalogue: Catalogue, targets: Sequence[str]) -> tuple[list[Recipe], list[RecipeError]]:
    """Look targets up, ``all`` when there are none; a broken recipe does not stand between the user and the others.

    Returns
    -------
    tuple
        The sound recipes, and the errors of the others. A single target that is broken is raised, not returned.
    """
    if targets:
        return catalogue.resolve(targets), []
    read = [_read(catalogue, name) for name in catalogue.names()]
    return [r for r in read if isinstance(r, Recipe)], [r for r in read if isinstance(r, RecipeError)]


def _read(catalogue: Catalogue, name: str) -> Recipe | RecipeError:
    try:
        return catalogue.recipe(name)
    except RecipeError as error:
        return error


def cache_key(request: Request, recipes: Sequence[Recipe]) -> str:
    """Give one key over everything that decides what a fetch of these recipes brings.

    It is the same on every machine, and changes exactly when a recipe, a shared asset, a step's version or the lock
    file changes; where the recipes lie, what is in the store, and mirrors take no part.
    """
    # An empty store: what this machine happens to have must not show.
    with TemporaryDirectory() as empty:
        made = plan_recipes(request, recipes, Store(Path(empty)))
    return request_key(f"{demo.recipe.name}@{demo.recipe.variant} {demo.key}" for demo in made.demos)


def blobs_in_use(plans: Sequence[Plan]) -> set[str]:
    """Give the sha256 of every blob that some plans' recipes can make use of: assets and results of steps."""
    used: set[str] = set()
    for plan in plans:
        fetcher = Fetcher(plan.store, plan.request.policy, lock=plan.pins)
        for planned in plan.assets.values():
            here = fetcher.plan(planned.asset).here
            used.update(sha256 for sha256 in (planned.sha256, here.sha256 if here else None) if sha256 is not None)
        for step in plan.steps.values():
            if step.result is not None:
                used.update(step.result.outputs.values())
    return used
