"""``--armnn VERSION``: recipes adapted to that version of Arm NN.

What changed between versions is data (:mod:`modelprep.targets.armnn_tests`) and the recipes' own variants called
``armnn-XX.YY``. A variant applies from its version on, until the next one; a recipe without one applies to every
version from its own on, since most files and names never changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from modelprep.errors import UsageError, nearest
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.schema import Recipe
from modelprep.structs import replace
from modelprep.targets import armnn_tests

_PREFIX = "armnn-"


def for_armnn(recipes: Sequence[Recipe], version: str, catalogue: Catalogue) -> list[Recipe]:
    """Return the recipes in the newest variant that is not newer than a version, with it as their ``expect: {armnn}``.

    A variant that the user chose is kept. Recipes without Arm NN are unchanged; tests that the version does not have
    are left out. Raises `UsageError` if the version is unknown, or has none of the tests.
    """
    check_version(recipes, version)
    chosen: list[Recipe] = []
    later: list[Recipe] = []
    for recipe in recipes:
        made = serving(recipe, version, catalogue) if recipe.expect.get("armnn") else recipe
        (later if made is None else chosen).append(made or recipe)
    if later and not chosen:
        names = ", ".join(f"{recipe.demo} (Arm NN {recipe.expect['armnn']})" for recipe in later)
        when, other = ("yet", "a later") if version < str(later[0].expect["armnn"]) else ("any more", "an earlier")
        raise UsageError(
            f"Arm NN {version} has no such test {when}", expected=f"--armnn of {other} version for {names}"
        )
    return chosen


def check_version(recipes: Sequence[Recipe], version: str) -> None:
    """Raise `UsageError` if neither the facts nor one of the recipes knows a version of Arm NN."""
    own = {name.removeprefix(_PREFIX) for recipe in recipes for name in recipe.variants if name.startswith(_PREFIX)}
    own |= {str(recipe.expect["armnn"]) for recipe in recipes if recipe.expect.get("armnn")}
    known = sorted({*armnn_tests.versions(), *own}, key=_order)
    if version not in known:
        raise UsageError(
            f"unknown Arm NN version: {version}",
            expected=f"one of {', '.join(known)}",
            hint=nearest(version, known) or None,
        )


def serving(recipe: Recipe, version: str, catalogue: Catalogue) -> Recipe | None:
    """Return a recipe adapted to a version of Arm NN, or None for a test that the version lacks."""
    versions = [name.removeprefix(_PREFIX) for name in recipe.variants if name.startswith(_PREFIX)]
    fitting = [each for each in versions if _order(each) <= _order(version)]
    if fitting and not recipe.variant:
        [recipe] = catalogue.resolve([f"{recipe.path}@{_PREFIX}{max(fitting, key=_order)}"])
    own = str(recipe.expect["armnn"])
    if _order(own) > _order(version) or _gone(recipe.demo, own, version):
        return None
    return replace(recipe, expect={**recipe.expect, "armnn": version})


def _gone(demo: str, own: str, version: str) -> bool:
    """Whether a later version has dropped a test program."""
    known = armnn_tests.versions()
    return (
        own in known
        and version in known
        and demo in armnn_tests.of_version(own)
        and demo not in armnn_tests.of_version(version)
    )


def _order(version: str) -> tuple[int | str, ...]:
    # Numbers by value; other names sort separately, so that they are never compared with numbers.
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else (-1, version)
