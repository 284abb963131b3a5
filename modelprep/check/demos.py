"""From recipes and finished trees to verdicts: which demo is which board test, and where its files are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelprep.check.proof import Proof
from modelprep.check.verdict import Files, Verdict, judge
from modelprep.events import Event, Listener, silent
from modelprep.recipe.schema import Recipe
from modelprep.targets import armnn_tests
from modelprep.targets.armnn_tests import BoardTest, Case
from modelprep.tree.places import tree_name


@dataclass(frozen=True)
class Checked:
    """One demo.

    Parameters
    ----------
    recipe
        Its recipe.
    verdict, reason
        What the board will say; None where there is nothing to judge, with the reason.
    files
        The folders that were looked at.
    proofs
        Of the conversions that made its files: before against after.
    """

    recipe: Recipe
    verdict: Verdict | None
    reason: str = ""
    files: Files | None = None
    proofs: tuple[Proof, ...] = ()


def board_test(recipe: Recipe, version: str | None = None) -> BoardTest | None:
    """Give the board test that a recipe is for.

    Parameters
    ----------
    recipe
        Its ``demo:`` names one of Arm NN's programs, or its ``expect:`` says all that a test of the user's own does
        (``parser``, ``model``, ``input``, ``output``, ``preprocess``, ``labels``).
    version
        Arm NN version; the recipe's own (``expect: {armnn: ...}``) when left out.
    """
    wanted = version or str(recipe.expect.get("armnn", armnn_tests.BASE_VERSION))
    known = armnn_tests.of_version(wanted).get(recipe.demo)
    return known if known is not None else _own(recipe, wanted)


def _own(recipe: Recipe, version: str) -> BoardTest | None:
    expect: dict[str, Any] = dict(recipe.expect)
    given, how, labels = expect.get("input"), expect.get("preprocess"), expect.get("labels")
    models = [path for path in recipe.install if path.startswith("models/")]
    if not (given and how and labels and expect.get("parser") and expect.get("output") and len(models) == 1):
        return None
    cases = tuple(Case(path.rpartition("/")[2], int(number)) for path, number in labels.items())
    return BoardTest(
        name=recipe.demo,
        version=version,
        parser=expect["parser"],
        model=models[0].removeprefix("models/"),
        input_name=given["name"],
        input_dtype=given.get("dtype", "float32"),
        input_shape=tuple(given["shape"]),
        outputs=(expect["output"],),
        preprocess=how,
        default_ids=tuple(range(len(cases))),
        cases=cases,
        names=str(expect.get("names", "")),
    )


def check(
    recipes: Iterable[Recipe],
    out: Path,
    *,
    version: str | None = None,
    iterations: int = 0,
    run: bool = True,
    listen: Listener = silent,
) -> list[Checked]:
    """Say of each demo whether its test will pass on the board.

    Parameters
    ----------
    recipes
        The demos.
    out
        The folder that holds the finished trees (``--out``).
    version
        Arm NN version to judge by, when not the recipes' own.
    iterations
        As ``-i N`` on the board.
    run
        False looks at the models only.
    """
    found = []
    for recipe in recipes:
        task = f"check:{recipe.name}"
        listen(Event("start", task=task, label=recipe.demo))
        checked = _check(recipe, out, version, iterations, run)
        found.append(checked)
        outcome = checked.verdict.outcome if checked.verdict is not None else "nothing"
        listen(Event("done", task=task, label=recipe.demo, data={"outcome": outcome}))
    return found


def _check(recipe: Recipe, out: Path, version: str | None, iterations: int, run: bool) -> Checked:
    if recipe.status == "needs-nothing":
        return Checked(recipe, None, "it needs no files")
    test = board_test(recipe, version)
    if test is None:
        return Checked(recipe, None, "its program compares nothing")
    tree = out / tree_name(recipe)
    files = Files(tree / "models", tree / "data")
    verdict = judge(test, files, iterations=iterations, run=run)
    if not (files.models / test.model).is_file() and verdict.outcome == "fails":
        hint = recipe.why or f"modelprep fetch {recipe.name} --out {out}"
        verdict = replace(verdict, hint=verdict.hint if "has to be called" in verdict.hint else hint)
    return Checked(recipe, verdict, files=files)


def find_picture(
    test: BoardTest, models: Path, pictures: Iterable[Path], case: int = 0
) -> list[tuple[Path, int, bool]]:
    """Run a test's model on pictures of the user's own.

    Parameters
    ----------
    test
        A picture test.
    models
        The folder with its model.
    pictures
        Candidates.
    case
        Which of the test's cases a picture is sought for.

    Returns
    -------
    list of (Path, int, bool)
        Picture, class that came first, whether the case would pass; unreadable files are left out.
    """
    from modelprep.check import preprocess
    from modelprep.check.runtimes import ready
    from modelprep.check.verdict import preprocessing
    from modelprep.errors import StepError

    loaded = ready(models / test.model, test.parser, test.input_name, test.input_shape, test.outputs)
    how = preprocessing(test)
    found = []
    for picture in pictures:
        try:
            values = preprocess.prepare_picture(picture, how, loaded.quantisation)
        except StepError:
            continue
        got = int(loaded.run(values)[0].reshape(-1).argmax())
        found.append((picture, got, got == test.cases[case].label))
    return found
