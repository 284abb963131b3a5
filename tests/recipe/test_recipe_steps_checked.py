"""The parameters of a recipe's steps are checked before anything is downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelprep.pipeline.plan.validate import check_params, check_steps
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.loader import parse_recipe
from modelprep.recipe.schema import Ref
from modelprep.steps import Exempt, Param, Step

SHA = "0123456789abcdef" * 4
HEAD = f"schema: 1\ndemo: D\nassets: {{a: {{urls: [http://e.org/a], sha256: {SHA}}}}}\nsteps:\n"

STEP = Step(
    name="make.it",
    version=1,
    summary="",
    run=lambda call: None,
    proof=Exempt("it makes nothing"),
    params={
        "file": Param("file", "the file", required=True),
        "many": Param("files", "the files"),
        "name": Param("str", "a name"),
        "names": Param("strs", "names"),
        "count": Param("int", "how many"),
        "ratio": Param("float", "how much"),
        "yes": Param("bool", "whether"),
        "table": Param("map", "a table"),
        "engine": Param("str", "which engine", choices=("native", "pycaffe")),
        "what": Param("any", "anything"),
    },
)
REF = Ref("a")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"many": {"x": REF}},
        {"many": (REF, Ref("b"))},
        {"name": "x", "names": ("x", "y"), "count": 1, "ratio": 1, "yes": True, "table": {"x": 1}, "what": (1, "x")},
        {"ratio": 0.5, "engine": "native", "name": None},
    ],
)
def test_good_parameters_pass(values: dict[str, object]) -> None:
    assert check_params(STEP, {"file": REF, **values}, "here") == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"file": "a"}, "wrong type"),
        ({"file": None}, "wrong type"),
        ({"many": REF}, "wrong type"),
        ({"many": ()}, "wrong type"),
        ({"many": (REF, "x")}, "wrong type"),
        ({"name": 1}, "wrong type"),
        ({"name": REF}, "wrong type"),
        ({"names": "x"}, "wrong type"),
        ({"names": ("x", 1)}, "wrong type"),
        ({"count": True}, "wrong type"),
        ({"count": 1.5}, "wrong type"),
        ({"ratio": "1"}, "wrong type"),
        ({"yes": "yes"}, "wrong type"),
        ({"table": ("x",)}, "wrong type"),
        ({"table": {"x": REF}}, "wrong type"),
        ({"what": (1, REF)}, "wrong type"),
        ({"engine": "nativ"}, "unknown value"),
        ({"fiel": REF}, "no parameter 'fiel'"),
    ],
)
def test_a_bad_parameter_is_told(values: dict[str, object], said: str) -> None:
    (error,) = check_params(STEP, {"file": REF, **values}, "here")
    assert said in error.what
    assert error.where == "here"
    assert error.expected


def test_hints_lead_on() -> None:
    assert check_params(STEP, {"file": "a"}, "")[0].hint == "write $a"
    assert check_params(STEP, {"file": REF, "fiel": 1}, "")[0].hint == "did you mean file?"
    assert check_params(STEP, {"file": REF, "engine": "nativ"}, "")[0].hint == "did you mean native?"
    assert "needs the parameter 'file'" in check_params(STEP, {}, "")[0].what


def said(*steps: str, install: str = "") -> list[str]:
    text = HEAD + "".join(f"  - {{{step}}}\n" for step in steps) + (f"install: {{{install}}}\n" if install else "")
    return [f"{error.where}: {error.what}" for error in check_steps(parse_recipe(text, Path("g/r.yaml")))]


def test_an_unknown_step_is_told_with_its_line() -> None:
    assert said("id: s, uses: copi, with: {file: $a}") == ["g/r.yaml:5:19 (step s): unknown step 'copi'"]


def test_a_folder_where_a_file_is_wanted_is_told() -> None:
    unpack = "id: u, uses: unpack, with: {archive: $a, members: {x/y: z}}"
    assert said(unpack, install="f: $u/z") == []
    assert said(unpack, install="f: $u") == [
        "g/r.yaml:6:14 (install): the entry 'f' refers to a whole folder: $u (unpack)"
    ]
    (wrong,) = said(unpack, install="f: $u/x/y")
    assert "does not make" in wrong
    assert said("id: c, uses: copy, with: {file: $a}", install="f: $c/x") == [
        "g/r.yaml:6:14 (install): the entry 'f' refers to a path inside $c, which is one file"
    ]


def test_every_shipped_recipe_and_variant_calls_its_steps_rightly() -> None:
    found = Catalogue.open()
    for recipe in found.resolve(["all"]):
        for variant in ("", *recipe.variants):
            each = found.recipe(recipe.name, variant) if variant else recipe
            if not any(use.uses == "neutron" for use in each.steps):  # a plug-in's: tests/steps/test_plugins.py
                assert [str(error) for error in check_steps(each)] == []


def test_the_worked_examples_of_the_documentation_are_good(repository: Path) -> None:
    import re

    blocks = re.findall(r"```yaml\n(.*?)```", (repository / "docs" / "recipes.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 4
    shared = Catalogue.open().shared
    for block in blocks:
        recipe = parse_recipe(block, Path("docs/recipes.yaml"), shared=shared)
        for variant in ("", *recipe.variants):
            each = parse_recipe(block, Path("docs/recipes.yaml"), shared=shared, variant=variant)
            told = [error for error in check_steps(each) if "unknown step" not in error.what]
            assert [str(error) for error in told] == []


def test_the_documentation_names_every_key(repository: Path) -> None:
    from modelprep.recipe import tables

    text = (repository / "docs" / "recipes.md").read_text("utf-8")
    for table in (tables.RECIPE, tables.ASSET, tables.SHARED_USE, tables.STEP, tables.EXPECT):
        for name in table.by_name:
            assert re_word(name, text), name


def re_word(word: str, text: str) -> bool:
    import re

    return re.search(rf"\b{re.escape(word)}\b", text) is not None
