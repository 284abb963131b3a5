"""What a conversion's result may differ by: cosine similarity and the top class, and what lies beyond is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelprep.errors import RecipeError, StepError
from modelprep.steps import _agreement

np = pytest.importorskip("numpy", reason="outputs are arrays: the check extra")


def compared(before: Any, after: Any, *, calibrated: bool = True, **params: object) -> Any:
    given = {"mode": "int8", **params}
    arrays = [[np.array(each, np.float32)] for each in (before, after)]
    return _agreement.compare(*arrays, given, calibrated=calibrated, where=Path("m.tflite"))


def test_equal_outputs_agree_in_full() -> None:
    facts = compared([[0.1, 0.9], [0.8, 0.2]], [[0.1, 0.9], [0.8, 0.2]])
    assert (facts["cosine"], facts["top1"], facts["inputs"]) == (1.0, 1.0, 2)
    assert "the same top class on 100.0% (at least 90%) of 2 calibration inputs" in _agreement.words(facts)


def test_a_tie_of_quantised_scores_counts_as_agreement() -> None:
    assert compared([[0.4, 0.5]], [[0.5, 0.5]])["top1"] == 1.0


def test_other_classes_than_allowed_are_refused_and_told() -> None:
    before, after = [[0.49, 0.51], [0.9, 0.1]], [[0.51, 0.49], [0.9, 0.1]]
    with pytest.raises(StepError, match="differs too much") as caught:
        compared(before, after)
    assert "50.0%" in str(caught.value.got)
    assert caught.value.exit_code == 5
    assert compared(before, after, min_top1=0.5)["top1"] == 0.5


def test_a_low_cosine_is_refused_also_where_the_class_is_the_same() -> None:
    with pytest.raises(StepError):
        compared([[1.0, 0.0]], [[1.0, 0.9]])
    assert compared([[1.0, 0.0]], [[1.0, 0.9]], min_cosine=0.5)["top1"] == 1.0


def test_the_top_class_of_seeded_inputs_says_nothing() -> None:
    facts = compared([[0.49, 0.51]], [[0.51, 0.49]], calibrated=False)
    assert facts["top1"] is None
    assert "seeded" in _agreement.words(facts)


def test_an_output_that_is_zero_on_both_sides_agrees_and_one_that_vanishes_does_not() -> None:
    assert compared([[0.0, 0.0]], [[0.0, 0.0]])["cosine"] == 1.0
    with pytest.raises(StepError):
        compared([[1.0, 0.0]], [[0.0, 0.0]])


@pytest.mark.parametrize("after", [[[np.nan, 1.0]], [[np.inf, 1.0]], [[1.0, 0.0, 0.0]]])
def test_no_numbers_and_other_shapes_are_refused(after: Any) -> None:
    with pytest.raises(StepError):
        compared([[1.0, 0.0]], after)


@pytest.mark.parametrize("value", [1.5, -0.1, "0.9"])
def test_a_limit_that_is_no_share_is_refused(value: object) -> None:
    with pytest.raises(RecipeError, match="from 0 to 1"):
        compared([[1.0]], [[1.0]], min_cosine=value)
