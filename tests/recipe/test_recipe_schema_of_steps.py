"""The JSON Schema that an editor reads knows every step and its parameters, as the check of a recipe does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelprep import steps
from modelprep.errors import RecipeError
from modelprep.pipeline.authoring import lint_files, write_new
from modelprep.pipeline.catalogue import open_catalogue
from modelprep.pipeline.plan.step_schema import describe, step_schemas
from modelprep.recipe.jsonschema import assets_schema, recipe_schema

jsonschema = pytest.importorskip("jsonschema", reason="the dev dependency jsonschema is not installed")

SCHEMA = recipe_schema(step_schemas())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def wrong(step: str) -> list[str]:
    value = yaml.safe_load(f"schema: 1\ndemo: D\nassets: {{a: {{provide: true}}}}\nsteps: [{{id: s, {step}}}]\n")
    return [error.json_path for error in VALIDATOR.iter_errors(value)]


def test_the_schemas_have_their_names() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == "urn:modelprep:recipe:1"
    assert assets_schema()["$id"] == "urn:modelprep:assets:1"


@pytest.mark.parametrize(
    "step",
    [
        "uses: copy, with: {file: $a}",
        "uses: copy, with: {file: '$x_${soc}'}",
        "uses: tflite.vela, with: {model: $a, soc: '${soc}'}",
        "uses: unpack, with: {archive: $a, members: [x]}",
        "uses: caffe.bake, with: {prototxt: $a, weights: $a, batch: 1, engine: native, input: null, text: $$5}",
    ],
)
def test_right_calls_pass(step: str) -> None:
    assert wrong(step.replace(", text: $$5", "")) == []


@pytest.mark.parametrize(
    "step",
    [
        "uses: cpoy, with: {file: $a}",
        "uses: copy, with: {fiel: $a}",
        "uses: copy, with: {file: a}",
        "uses: copy",
        "uses: caffe.bake, with: {prototxt: $a, weights: $a, batch: one}",
        "uses: caffe.bake, with: {prototxt: $a, weights: $a, engine: natve}",
        "uses: caffe.bake, with: {prototxt: $a}",
    ],
)
def test_wrong_calls_do_not_and_lint_agrees(step: str, tmp_path: Path) -> None:
    assert wrong(step)
    file = tmp_path / "r.yaml"
    file.write_text(f"schema: 1\ndemo: D\nassets: {{a: {{provide: true}}}}\nsteps: [{{id: s, {step}}}]\n", "utf-8")
    (linted,) = lint_files([file], open_catalogue())
    assert linted.errors


def test_every_step_is_in_the_schema_with_every_parameter() -> None:
    item = SCHEMA["properties"]["steps"]["items"]
    offered = {each["const"] for each in item["properties"]["uses"]["oneOf"]}
    assert offered == set(steps.names())
    rules: dict[str, Any] = {rule["if"]["properties"]["uses"]["const"]: rule["then"] for rule in item["allOf"]}
    for name in steps.names():
        step = steps.find(name)
        assert set(rules[name]["properties"]["with"]["properties"]) == set(step.params)
        assert set(describe(step)["params"]) == set(step.params)


def test_a_wrong_step_is_told_with_all_other_problems_at_its_key(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(
        "schema: 1\ndemo: D\nstatus: redy\nassets: {a: {provide: true}}\nsteps:\n"
        "  - id: s\n    uses: cpoy\n    with: {file: $a}\n"
        "  - id: t\n    uses: copy\n    with:\n      file: $a\n      fiel: $b\n",
        "utf-8",
    )
    (linted,) = lint_files([file], open_catalogue())
    assert sorted(str(error.where).removeprefix(f"{file}:") for error in linted.errors) == [
        "13:13 (steps[1].with.fiel)",  # there is no $b
        "13:7 (step t)",  # and no parameter of that name
        "3:9 (status)",
        "7:11 (step s)",
    ]
    with pytest.raises(RecipeError) as caught:
        open_catalogue().resolve([str(file)])
    assert "did you mean copy?" in str(caught.value)


def test_a_new_recipe_names_the_schema_beside_it_and_is_valid_by_it(tmp_path: Path) -> None:
    path, beside = write_new("demos/mine", tmp_path)
    assert path.read_text("utf-8").splitlines()[0] == "# yaml-language-server: $schema=recipe.schema.json"
    assert beside == tmp_path / "demos" / "recipe.schema.json"
    schema = json.loads(beside.read_text("utf-8"))
    assert schema == json.loads(json.dumps(SCHEMA))
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(yaml.safe_load(path.read_text("utf-8")))) == []


def test_a_file_of_the_users_own_is_not_replaced_by_the_schema(tmp_path: Path) -> None:
    (tmp_path / "recipe.schema.json").write_text('{"mine": 1}', "utf-8")
    assert write_new("one", tmp_path)[1] is None
    assert (tmp_path / "recipe.schema.json").read_text("utf-8") == '{"mine": 1}'
    (tmp_path / "recipe.schema.json").write_text('{"$id": "urn:modelprep:recipe:1"}', "utf-8")
    assert write_new("two", tmp_path)[1] is not None
    assert "copy" in (tmp_path / "recipe.schema.json").read_text("utf-8")


PAGES = [
    "https://drive.google.com/file/d/1YEAgUuHyJ7/view?usp=sharing",
    "https://github.com/o/r/blob/main/model.tflite",
    "https://gitlab.example.org/o/r/-/blob/main/model.tflite",
    "https://www.dropbox.com/s/abc/model.tflite?dl=0",
    "https://onedrive.live.com/?authkey=x&id=A%21B&cid=A",
    "https://1drv.ms/u/s!AbC",
    "https://corp-my.sharepoint.com/:u:/g/personal/x/abc?e=1",
    "https://pan.baidu.com/s/1abc",
    "https://huggingface.co/o/m/blob/main/model.tflite",
]


@pytest.mark.parametrize("url", PAGES)
def test_lint_warns_of_links_that_are_pages(url: str, tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        f"schema: 1\ndemo: D\nassets: {{a: {{urls: ['{url}'], pin: first-use}}}}\ninstall: {{m: $a}}\n", "utf-8"
    )
    (tmp_path / "assets").mkdir()
    shared = tmp_path / "assets" / "x.yaml"
    shared.write_text(f"schema: 1\nassets: {{a: {{urls: ['{url}'], pin: first-use}}}}\n", "utf-8")
    for linted in lint_files([recipe, shared], open_catalogue()):
        assert linted.errors == ()
        assert any("page" in warning for warning in linted.warnings), linted


def test_a_direct_link_is_no_page(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    links = ["https://www.dropbox.com/s/abc/m?dl=1", "https://github.com/o/r/raw/main/m", "https://e.org/blob/m"]
    recipe.write_text(
        f"schema: 1\ndemo: D\nassets: {{a: {{urls: {json.dumps(links)}, pin: first-use}}}}\ninstall: {{m: $a}}\n",
        "utf-8",
    )
    (linted,) = lint_files([recipe], open_catalogue())
    assert (linted.errors, linted.warnings) == ((), ())
