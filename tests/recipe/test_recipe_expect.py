"""The keys under ``expect:`` are known: a typo is an error at its place, and never a check that compares nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelprep.errors import RecipeError
from modelprep.recipe.loader import parse_recipe

HEAD = "schema: 1\ndemo: D\n"


@pytest.mark.parametrize(
    ("expect", "place", "said"),
    [
        ("expect:\n  parsre: caffe\n", "r.yaml:4:3 (expect.parsre)", "did you mean parser?"),
        ("expect:\n  input:\n    nmae: data\n    name: x\n", "r.yaml:5:5 (expect.input.nmae)", "did you mean name?"),
        ("expect: {parser: cafe}\n", "r.yaml:3:18 (expect.parser)", "did you mean caffe?"),
        ("expect: {preprocess: {kind: image, sise: [1, 2]}}\n", "(expect.preprocess.sise)", "did you mean size?"),
        ("expect: {preprocess: {kind: image, size: [224]}}\n", "(expect.preprocess.size)", "[height, width]"),
        ("expect: {labels: {data/Cat.jpg: tabby}}\n", "(expect.labels.data/Cat.jpg)", "a whole number"),
        ("expect: {detections: {a.jpg: {lable: 1}}}\n", "(expect.detections.a.jpg.lable)", "did you mean label?"),
        ("expect: {best: {class: 1, center: [1, 2]}}\n", "(expect.best.center)", "did you mean centre?"),
        ("expect: {names: imagenet_1000}\n", "(expect.names)", "imagenet_1000_zero_based"),
        ("variants: {v: {expect: {modle: m}}}\n", "r.yaml:3:25 (expect.modle)", "did you mean model?"),
    ],
)
def test_a_typo_under_expect_is_an_error_at_its_place(expect: str, place: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(HEAD + expect, Path("r.yaml"), variant="v" if "variants" in expect else "")
    assert place in str(caught.value.where)
    assert said in str(caught.value)


def test_values_stay_as_they_are_written() -> None:
    text = HEAD + "expect: {armnn: 19.10, input: {name: x, shape: [1, 3]}, best: {confidence: 1, centre: [2, 3.5]}}\n"
    assert parse_recipe(text, Path("r.yaml")).expect == {
        "armnn": "19.10",
        "input": {"name": "x", "shape": [1, 3]},
        "best": {"confidence": 1, "centre": [2, 3.5]},
    }
