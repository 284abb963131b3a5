"""Each Arm NN recipe puts there what its test program opens, under the very names, and says what the program says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from modelprep.errors import UsageError
from modelprep.pipeline.plan.armnn_versions import for_armnn
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.schema import Recipe
from modelprep.targets.armnn_tests import of_version, versions

CATALOGUE = Catalogue.open()
RECIPES = [recipe for recipe in CATALOGUE.resolve(["all"]) if recipe.demo.endswith("-Armnn")]


def test_no_two_shipped_recipes_are_for_one_demo() -> None:
    demos = [recipe.demo.casefold() for recipe in CATALOGUE.resolve(["all"])]
    assert sorted(demos) == sorted(set(demos))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.demo)
def test_an_arm_nn_recipe_serves_its_test_program(recipe: Recipe) -> None:
    test = of_version(str(recipe.expect["armnn"]))[recipe.demo]
    assert recipe.tree == "ArmnnTests"
    wanted = {f"models/{test.model}"} | {f"data/{name}" for name in (*test.files, *(case.file for case in test.cases))}
    assert wanted <= set(recipe.install)
    assert str(recipe.run).split()[:3] == [recipe.demo, "--data-dir=data", "--model-dir=models"]
    assert recipe.manual == test.manual
    assert bool(recipe.manual) == (test.version == "19.02"), "the manual is of 19.02 and names all tests of it"


@pytest.mark.parametrize("version", versions())
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.demo)
def test_what_a_recipe_expects_is_what_its_test_program_of_each_version_does(recipe: Recipe, version: str) -> None:
    test = of_version(version).get(recipe.demo)
    if test is None:
        with pytest.raises(UsageError, match=r"no such test (yet|any more)"):
            for_armnn([recipe], version, CATALOGUE)
        return
    [served] = for_armnn([recipe], version, CATALOGUE)
    expect: dict[str, Any] = dict(served.expect)
    assert expect["parser"] == test.parser
    assert expect["armnn"] == version
    assert expect["model"] == f"models/{test.model}"
    assert set(served.install) == {f"models/{test.model}"} | {f"data/{name}" for name in test.data_files}
    assert expect["input"] == {"name": test.input_name, "dtype": test.input_dtype, "shape": list(test.input_shape)}
    if "output" in expect:
        assert expect["output"] in test.outputs
    if "outputs" in expect:
        assert tuple(expect["outputs"]) == test.outputs
    assert expect["preprocess"] == _plain(test.preprocess)
    if "detections" in expect:
        [case] = test.cases
        assert tuple(expect["detections"][f"data/{case.file}"]["box_corners"]) == case.box
    elif "best" not in expect and test.cases:
        assert expect["labels"] == {f"data/{case.file}": case.label for case in test.cases}
    elif "best" not in expect:
        assert {int(key): value for key, value in expect["labels"].items()} == dict(test.labels)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def test_a_recipe_that_must_be_brought_has_a_slot_and_a_reason() -> None:
    for recipe in CATALOGUE.resolve(["all"]):
        if recipe.status == "bring-your-own":
            assert recipe.why, recipe.name
            slots = [asset for asset in recipe.assets.values() if asset.provide and not asset.sources]
            assert slots, recipe.name
        elif recipe.status == "needs-nothing":
            assert not recipe.assets, recipe.name
        else:
            assert all(asset.sources for asset in recipe.assets.values()), recipe.name
            assert recipe.install, recipe.name


def test_the_readable_files_are_where_the_catalogue_says(repository: Path) -> None:
    for name in CATALOGUE.names():
        assert CATALOGUE.path(name) == repository / "recipes" / f"{name}.yaml"
