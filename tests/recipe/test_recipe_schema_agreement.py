"""The loader and the exported JSON Schema say the same, as they are made from the same tables."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from modelprep.errors import RecipeError
from modelprep.pipeline.plan.step_schema import step_schemas
from modelprep.recipe import loader, schema, shapes, tables, yaml_tree
from modelprep.recipe.jsonschema import assets_schema, recipe_schema
from modelprep.recipe.problems import Problems

jsonschema = pytest.importorskip("jsonschema", reason="the dev dependency jsonschema is not installed")

SHA = "0123456789abcdef" * 4


def validator(made: dict[str, Any]) -> Any:
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


RECIPE = validator(recipe_schema())
WITH_STEPS = validator(recipe_schema(step_schemas()))
ASSETS = validator(assets_schema())


def test_every_shipped_file_is_valid_by_the_schema_too(repository: Path) -> None:
    files = sorted((repository / "recipes").rglob("*.yaml"))
    assert files
    for path in files:
        value = yaml_tree.plain(yaml_tree.compose(path.read_text("utf-8"), path))
        check = ASSETS if path.parent.name == "assets" else WITH_STEPS
        assert [error.message for error in check.iter_errors(value)] == [], path


def test_an_ordinary_yaml_reader_gives_editors_the_same_values(repository: Path) -> None:
    """Editors read YAML 1.1 or 1.2 as they please: no shipped file may mean two things."""
    for path in sorted((repository / "recipes").rglob("*.yaml")):
        text = path.read_text("utf-8")
        ordinary = json.dumps(yaml.load(text, yaml.CSafeLoader), sort_keys=True, default=str)
        assert json.dumps(yaml_tree.plain(yaml_tree.compose(text, path)), sort_keys=True) == ordinary, path


def test_the_tables_have_a_key_for_every_field_of_the_structs() -> None:
    def names(struct: type) -> set[str]:
        return {field.name for field in dataclasses.fields(struct)}

    recipe = {"matrix" if name == "for" else name for name in tables.RECIPE.by_name} - {"schema"}
    of_the_board = {"bsp", "soc", "absent", "given", "programs", "on_image", "places"}
    assert recipe == names(schema.Recipe) - {"name", "path", "variant", "shadows"} - of_the_board
    asset = set(tables.ASSET.by_name) - set(schema.ALGORITHMS) - {"urls"}
    assert asset == names(schema.Asset) - {"id", "sources", "digests", "shared", "recipe"}
    version = {*tables.OTHER_VERSIONS.element.by_name} - set(schema.ALGORITHMS)  # type: ignore[attr-defined]
    assert version == names(schema.OtherVersion) - {"digests"}
    step = {"params" if name == "with" else name for name in tables.STEP.by_name}
    assert step == names(schema.StepUse) - {"places"}
    assert isinstance(tables.SOURCE.long, shapes.Struct)
    assert set(tables.SOURCE.long.by_name) - set(schema.ALGORITHMS) == names(schema.Source) - {"digests"}
    assert isinstance(tables.LICENCE.long, shapes.Struct)
    assert set(tables.LICENCE.long.by_name) == names(schema.Licence)


GOOD: dict[str, Any] = {
    "schema": 1,
    "demo": "Demo",
    "manual": 8.1,
    "tree": "ArmnnTests",
    "assets": {
        "model": {
            "urls": ["https://example.org/m", {"url": "https://example.org/z.zip", "member": "in/m", "size": 3}],
            "sha256": SHA,
            "size": 12,
            "licence": {"name": "MIT", "source": "there"},
            "notes": ["a", "b"],
        },
        "slot": {"provide": True},
    },
    "steps": [{"id": "net", "uses": "caffe.bake", "with": {"file": "$model"}}],
    "install": {"models/m": "$net"},
    "run": "Demo",
    "expect": {"parser": "caffe"},
    "variants": {"other": {"summary": "x", "steps": None}},
}

#: What may stand anywhere: plausible, wrong and hostile values.
VALUES = st.sampled_from(
    [
        None, True, 0, 1, -1, 2**70, 1.5, "", " ", "x", "$model", "$", "a b", "../x", "/x", "x/y", "a\\b", "C:/x",
        "x\n", "http://e.org/x", "ftp://e.org/x", "http://", SHA, SHA[:-1], "g" * 64, [], ["x"], [1], {}, {"url": "http://e.org"},
        {"url": "x"}, {"x": 1}, "ready", "bring-your-own", "first-use", {"name": "MIT"}, "caffe.bake", "Caffe.Bake",
    ]
)  # fmt: skip
KEYS = st.sampled_from(
    ["schema", "demo", "assets", "model", "urls", "sha256", "md5", "size", "pin", "use", "steps", "uses", "with", "id",
     "install", "x", "tree", "status", "why", "notes", "licence", "members", "variants", "other", "a/b", "../x", "run"]
)  # fmt: skip


def change(value: Any, path: list[int], key: str, new: Any) -> Any:
    """Copy a value with one place in it changed: a key added or replaced, an element replaced."""
    if isinstance(value, dict) and value and path:
        names = list(value)
        name = names[path[0] % (len(names) + 1) - 1] if path[0] % (len(names) + 1) else None
        if name is None:
            return {**value, key: new}
        return {**value, name: change(value[name], path[1:], key, new)}
    if isinstance(value, list) and value and path:
        index = path[0] % len(value)
        return [*value[:index], change(value[index], path[1:], key, new), *value[index + 1 :]]
    return new


def structure_problems(value: Any) -> list[str]:
    """Read by the tables alone: what a schema can know, without references and cross-checks."""
    root = yaml_tree.compose(yaml.safe_dump(value, allow_unicode=True, sort_keys=False), "r.yaml")
    found = Problems("r.yaml")
    tables.RECIPE.read(root, "", found)
    return [f"{error.where}: {error.what}" for error in found.found]


def test_the_pattern_of_the_agreement_test_is_itself_good() -> None:
    assert structure_problems(GOOD) == []
    assert list(RECIPE.iter_errors(GOOD)) == []


@settings(max_examples=400)
@given(st.lists(st.integers(0, 12), max_size=6), KEYS, VALUES)
def test_loader_and_schema_agree_on_every_change(path: list[int], key: str, new: Any) -> None:
    changed = change(GOOD, path, key, new)
    if not isinstance(changed, dict):
        return
    by_loader = structure_problems(changed)
    by_schema = [error.message for error in RECIPE.iter_errors(changed)]
    assert bool(by_loader) == bool(by_schema), (changed, by_loader, by_schema)


@settings(max_examples=100)
@given(st.lists(st.integers(0, 12), max_size=6), KEYS, VALUES)
def test_what_the_schema_rejects_the_whole_loader_rejects(path: list[int], key: str, new: Any) -> None:
    changed = change(GOOD, path, key, new)
    if not isinstance(changed, dict) or not list(RECIPE.iter_errors(changed)):
        return
    with pytest.raises(RecipeError):
        loader.parse_recipe(yaml.safe_dump(changed, allow_unicode=True), Path("r.yaml"))
