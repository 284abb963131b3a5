"""Overview of many recipes, for ``list``, ``cache key`` and ``cache gc``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from modelprep.errors import MissingTool, RecipeError
from modelprep.fetch import Fetcher
from modelprep.pipeline.plan.keys import recipe_key, request_key
from modelprep.pipeline.plan.request import Plan, Request
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.lockfile import read_lock
from modelprep.recipe.outside import LOCK_PREFIX
from modelprep.recipe.schema import Recipe
from modelprep.store import Store
from modelprep.tree.manifest import MANIFEST, read_manifest


def sound_recipes(catalogue: Catalogue, targets: Sequence[str]) -> tuple[list[Recipe], list[RecipeError]]:
    """Return the sound recipes of targets (``all`` if there are none) and the errors of the others.

    A single target that is broken is raised, not returned.
    """
    if targets:
        return catalogue.resolve(targets), []
    read = [_read(catalogue, name) for name in catalogue.names()]
    catalogue.keep()
    return [r for r in read if isinstance(r, Recipe)], [r for r in read if isinstance(r, RecipeError)]


def _read(catalogue: Catalogue, name: str) -> Recipe | RecipeError:
    try:
        return catalogue.recipe(name)
    except RecipeError as error:
        return error


def cache_keys(
    catalogue: Catalogue,
    targets: Sequence[str],
    lock_path: Path,
    *,
    armnn: str | None = None,
    bsp: str | None = None,
    soc: str | None = None,
) -> dict[str, str]:
    """Return a key for each recipe, over everything that determines what a fetch of it installs.

    A key is the same on every machine, and changes exactly when the recipe, a shared asset that it uses, the version of
    one of its steps or its pins in the lock file change. Comments, notes, further sources of a file, the recipes'
    folder, the state of the store, installed extras and mirrors do not matter. Arguments as for ``fetch``; without
    targets all recipes.
    """
    from modelprep.pipeline.plan.board import select

    recipes = select(catalogue, targets or ("all",), bsp=bsp, soc=soc, armnn=armnn)
    pins = read_lock(lock_path)
    return {recipe.target: recipe_key(recipe, pins) for recipe in recipes}


def cache_key(keys: Mapping[str, str]) -> str:
    """Return one key for several recipes (see :func:`cache_keys`), whatever their order."""
    return request_key(keys.values())


def blobs_in_use(plans: Sequence[Plan]) -> set[str]:
    """Return the sha256 of every blob that the recipes of some plans use: assets and step results."""
    used: set[str] = set()
    for plan in plans:
        fetcher = Fetcher(plan.store, plan.request.policy, lock=plan.pins)
        for planned in plan.assets.values():
            here = fetcher.plan(planned.asset).here
            used.update(sha256 for sha256 in (planned.sha256, here.sha256 if here else None) if sha256 is not None)
        for step in plan.steps.values():
            if step.result is not None:
                used.update(step.result.outputs.values())
    # Without its program a step has no key: whatever it made stays.
    lacking = {
        use.uses
        for plan in plans
        for demo in plan.demos
        if isinstance(demo.problem, MissingTool)
        for use in demo.recipe.steps
    }
    if lacking:
        from modelprep.store.maintenance import made_by

        used |= made_by(plans[0].store, lacking)
    return used


def recipes_in_use(catalogue: Catalogue, lock_path: Path) -> set[str]:
    """Return the sha256 of every archive of recipes that is open, or that the lock file pins."""
    pins = read_lock(lock_path)
    opened = {origin.rpartition("=")[2] for origin in catalogue.origins.values()}
    return opened | {pin.sha256 for key, pin in pins.items() if key.startswith(LOCK_PREFIX)}


def blobs_needed(out: Path, lock_path: Path) -> set[str]:
    """Return the sha256 of each blob that a limit on the store's size must keep: pins, and the files of trees in `out`.

    A first-use file may be the only copy; damaged files of a tree are repaired from the store.
    """
    needed = {pin.sha256 for pin in read_lock(lock_path).values()}
    for path in out.glob(f"*/{MANIFEST}"):
        needed.update(file.sha256 for file in read_manifest(path.parent).files.values())
    return needed


def plan_each(
    request: Request, catalogue: Catalogue, store: Store, targets: Sequence[str] = (), *, strict: bool = False
) -> list[Plan]:
    """Plan every recipe and each variant separately; `strict` raises for a broken recipe, whose files are unknown."""
    from modelprep.pipeline.plan.planner import plan_recipes

    found, broken = sound_recipes(catalogue, targets)
    if broken and strict:
        raise broken[0]
    everything = [*found]
    for recipe in found:
        if not recipe.variant:
            everything += [catalogue.load_file(recipe.path, variant) for variant in recipe.variants]
    return [plan_recipes(request, [recipe], store, catalogue.shared) for recipe in everything]
