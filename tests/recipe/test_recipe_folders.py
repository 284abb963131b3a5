"""``install: {data/: $step}``: a place that ends in a slash takes the files of a step's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelprep.errors import RecipeError
from modelprep.pipeline.plan.validate import check_steps
from modelprep.recipe.loader import parse_recipe
from modelprep.recipe.schema import Ref
from modelprep.recipe.spread import resolve, source_of, spread

MADE = ["model.onnx", "set_0/in.pb", "set_0/out.pb", "set_1/in.pb", "deep/er/a.txt", "deep/b.txt"]


@pytest.mark.parametrize(
    ("inner", "place", "expected"),
    [
        ("", "./", MADE),
        ("", "data/", [f"data/{name}" for name in MADE]),
        ("set_0", "d/", ["d/in.pb", "d/out.pb"]),
        ("set_*", "d/", []),
        ("set_*/in.pb", "d/", ["d/set_0/in.pb", "d/set_1/in.pb"]),
        ("set_0/*.pb", "d/", ["d/in.pb", "d/out.pb"]),
        ("**/*.txt", "d/", ["d/deep/er/a.txt", "d/deep/b.txt"]),
        ("deep/**", "d/", ["d/er/a.txt", "d/b.txt"]),
        ("deep/**/b.txt", "d/", ["d/b.txt"]),
        ("*.onnx", "d/", ["d/model.onnx"]),
        ("*o*e*.on*x", "d/", ["d/model.onnx"]),
        ("*.onn", "d/", []),
        ("model.onnx", "d/", []),
    ],
)
def test_which_files_go_where(inner: str, place: str, expected: list[str]) -> None:
    found = spread(place, Ref("tests", inner), MADE)
    assert sorted(found) == sorted(expected)
    recipe = parse_recipe("schema: 1\ndemo: D\n", Path("r.yaml"))
    object.__setattr__(recipe, "install", {place: Ref("tests", inner)})
    for path, ref in found.items():
        assert source_of(recipe, path) == ref
        assert ref.inner in MADE


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert spread("d/", Ref("s", "*a" * 100 + "/" + "**/" * 100 + "x"), ["a" * 250, "/".join("a" * 200)]) == {}


def test_entries_that_meet_or_fit_nothing_are_refused() -> None:
    with pytest.raises(RecipeError, match="makes no file that matches"):
        resolve({"d/": Ref("s", "*.txt")}, lambda _: ["a.pb"])
    with pytest.raises(RecipeError, match="different files at 'd/b'"):
        resolve({"d/": Ref("s", ""), "d/b": Ref("s", "a")}, lambda _: ["a", "b"])
    assert resolve({"d/": Ref("s", "")}, lambda _: None) == {"d/": Ref("s", "")}


ARCHIVE = """\
schema: 1
demo: D
assets: {zip: {provide: true}, file: {provide: true}}
steps:
  - {id: all, uses: unpack, with: {archive: $zip, members: [a/x.txt, b.txt]}}
  - {id: one, uses: copy, with: {file: $file}}
install:
"""


def problems(entry: str) -> list[RecipeError]:
    return check_steps(parse_recipe(f"{ARCHIVE}  {entry}\n", Path("r.yaml")))


@pytest.mark.parametrize(
    "entry", ["data/: $all", "./: $all", "data/: $all/a", "data/: $all/*.txt", "d/: $all/**/x.txt"]
)
def test_a_folder_and_a_pattern_are_taken(entry: str) -> None:
    assert problems(entry) == []


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("data/: $one", "is one file"),
        ("data/: $all/c", "does not make"),
        ("data/: $all/*.pb", "does not make"),
        ("data: $all", "refers to a whole folder"),
    ],
)
def test_what_does_not_fit_the_step_is_refused(entry: str, said: str) -> None:
    assert said in problems(entry)[0].what


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("data/: $file", "is an asset, which is one file"),
        ("data: $all/*.txt", "write the place with / at its end"),
        ("data/: $all/../x", "leads out"),
        ("/: $all", "empty part"),
        ("../: $all", "leads out"),
        ("data//: $all", "empty part"),
        ("data/: $all\n  data: $one", "is a file here and a folder"),
    ],
)
def test_places_and_references_are_checked(entry: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said.replace("(", r"\(")) as caught:
        problems(entry)
    assert "r.yaml:" in str(caught.value)
