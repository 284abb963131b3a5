"""Each Arm NN recipe puts there what its test program opens, under the very names, and says what the program says."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.schema import Recipe
from modelprep.targets.armnn_tests import of_version

CATALOGUE = Catalogue.open()
TESTS = of_version()
RECIPES = [recipe for recipe in CATALOGUE.resolve(["all"]) if recipe.demo.endswith("-Armnn")]


def test_no_two_shipped_recipes_are_for_one_demo() -> None:
    demos = [recipe.demo.casefold() for recipe in CATALOGUE.resolve(["all"])]
    assert sorted(demos) == sorted(set(demos))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.demo)
def test_an_arm_nn_recipe_serves_its_test_program(recipe: Recipe) -> None:
    test = TESTS[recipe.demo]
    assert recipe.tree == "ArmnnTests"
    wanted = {f"models/{test.model}"} | {f"data/{name}" for name in (*test.files, *(case.file for case in test.cases))}
    assert wanted <= set(recipe.install)
    assert recipe.run.split()[:3] == [recipe.demo, "--data-dir=data", "--model-dir=models"]
    assert recipe.manual == test.manual


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.demo)
def test_what_a_recipe_expects_is_what_its_test_program_does(recipe: Recipe) -> None:
    test, expect = TESTS[recipe.demo], recipe.expect
    assert expect["parser"] == test.parser
    assert expect["armnn"] == "19.02"
    given = expect["input"]
    assert isinstance(given, dict)
    assert given["name"] == test.input_name
    if "output" in expect:
        assert expect["output"] in test.outputs
    labels = expect.get("labels")
    if isinstance(labels, dict) and test.cases:
        assert labels == {f"data/{case.file}": case.label for case in test.cases}
    elif isinstance(labels, dict):
        assert {int(key): value for key, value in labels.items()} == dict(test.labels)


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
