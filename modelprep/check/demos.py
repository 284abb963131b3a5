"""From recipes and finished trees to verdicts: the board test of each demo, and its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelprep import quoting
from modelprep.check.proof.types import Proof
from modelprep.check.types import Files, Judged, Verdict
from modelprep.check.verdict import judge, judge_picture, preprocessing
from modelprep.errors import StepError
from modelprep.events import Event, Listener, silent
from modelprep.recipe.commands import fetch_command, fetch_commands
from modelprep.recipe.schema import Recipe, refs
from modelprep.recipe.spread import source_of
from modelprep.structs import dataclass, replace
from modelprep.targets import armnn_tests
from modelprep.targets.armnn_tests import BoardTest, Case
from modelprep.tree.places import tree_name


@dataclass(frozen=True)
class Checked:
    """One demo.

    `verdict`: the predicted result; None if there is nothing to judge, for the `reason`. `files`: the checked folders.
    `proofs`: of the conversions that made its files, originals compared with results.
    """

    recipe: Recipe
    verdict: Verdict | None
    reason: str = ""
    files: Files | None = None
    proofs: tuple[Proof, ...] = ()

    def __repr__(self) -> str:
        told = self.reason if self.verdict is None else self.verdict.outcome
        return f"<Checked {self.recipe.demo}: {told}, {len(self.proofs)} proofs>"

    @property
    def state(self) -> str:
        """``passes``, ``fails``, ``unknown``, ``not fetched``, ``nothing``, or :attr:`Recipe.absent` (not in 19.02)."""
        if self.verdict is None:
            return self.recipe.absent or "nothing"
        return "not fetched" if self.verdict.absent else self.verdict.outcome

    @property
    def word(self) -> str:
        """The state in a table: ``will pass``, ``will fail``, ``not known``, else the state itself."""
        return {"passes": "will pass", "fails": "will fail", "unknown": "not known"}.get(self.state, self.state)

    def _repr_html_(self) -> str:
        from modelprep.pages import table

        why = self.verdict.why if self.verdict is not None else self.reason if self.reason != self.word else ""
        return table(["test", "result", "cause"], [(self.recipe.demo, self.word, why)])

    def to_json(self) -> dict[str, object]:
        """Return it as JSON-ready values."""
        told = {"reason": self.reason} if self.verdict is None else self.verdict.to_json()
        proofs = [proof.to_json() for proof in self.proofs]
        return {"recipe": self.recipe.name, "demo": self.recipe.demo, "state": self.state, **told, "proofs": proofs}


def board_test(recipe: Recipe, version: str | None = None) -> BoardTest | None:
    """Return the board test of a recipe.

    `recipe`: its ``demo:`` names one of Arm NN's programs, or its ``expect:`` describes the user's own test
    (``parser``, ``model``, ``input``, ``output``, ``preprocess``, ``labels``). `version`: Arm NN version; default: the
    recipe's own (``expect: {armnn: ...}``).
    """
    wanted = version or str(recipe.expect.get("armnn", armnn_tests.BASE_VERSION))
    known = armnn_tests.of_version(wanted).get(recipe.demo)
    return known if known is not None else _own(recipe, wanted)


def _own(recipe: Recipe, version: str) -> BoardTest | None:
    expect: dict[str, Any] = dict(recipe.expect)
    given, how, labels = expect.get("input"), expect.get("preprocess"), expect.get("labels")
    models = [path for path in recipe.install if path.startswith("models/") and path != "models/"]
    if not (given and how and labels and expect.get("parser") and expect.get("output") and len(models) == 1):
        return None
    cases = tuple(Case(path.rpartition("/")[2], int(number)) for path, number in labels.items())
    return BoardTest(
        name=recipe.demo, version=version, parser=expect["parser"], model=models[0].removeprefix("models/"),
        input_name=given["name"], input_dtype=given.get("dtype", "float32"), input_shape=tuple(given["shape"]),
        outputs=(expect["output"],), preprocess=how, default_ids=tuple(range(len(cases))), cases=cases,
        names=str(expect.get("names", "")),
    )  # fmt: skip


def check(
    recipes: Iterable[Recipe], out: Path, *, version: str | None = None, iterations: int = 0, run: bool = True,
    listen: Listener = silent,
) -> list[Checked]:  # fmt: skip
    """Predict for each demo whether its test will pass on the board.

    `out`: the folder of the finished trees (``--out``). `version`: Arm NN version; default: the recipes' own.
    `iterations`: as ``-i N`` on the board. `run`: False only reads the models.
    """
    found = []
    for recipe in recipes:
        task = f"check:{recipe.name}"
        listen(Event("start", task=task, label=recipe.demo))
        found.append(_check(recipe, out, version, iterations, run))
        verdict = found[-1].verdict
        outcome = verdict.outcome if verdict is not None else "nothing"
        listen(Event("done", task=task, label=recipe.demo, data={"outcome": outcome}))
    return found


def _check(recipe: Recipe, out: Path, version: str | None, iterations: int, run: bool) -> Checked:
    if recipe.absent:
        return Checked(recipe, None, recipe.absent)
    if recipe.status == "needs-nothing":
        return Checked(recipe, None, "it needs no files")
    test = board_test(recipe, version)
    if test is None:
        return Checked(recipe, None, "the test has no pass/fail criterion")
    tree = out / tree_name(recipe)
    files = Files(tree / "models", tree / "data")
    verdict = judge(test, files, iterations=iterations, run=run, options=f" --out {quoting.sh(str(out))}")
    if verdict.missing and "must be called" not in verdict.hint:
        command = fetch_command(recipe, out)
        verdict = replace(verdict, hint=f"{verdict.hint}: {command}", command=command)
        if recipe.why:
            verdict = replace(verdict, warnings=(*verdict.warnings, recipe.why))
    return Checked(recipe, verdict, files=files)


def asset_of(recipe: Recipe, path: str) -> str:
    """Return the one asset that an installed file (``data/Cat.jpg``) is made from; empty if it is made from several."""
    ref = source_of(recipe, path)
    steps = {step.id: step for step in recipe.steps}
    while ref is not None and ref.name in steps:
        made_from = refs(steps[ref.name].params)
        ref = made_from[0] if len(made_from) == 1 else None
    return ref.name if ref is not None and ref.name in recipe.assets else ""


def find_pictures(test: BoardTest, model: Path, pictures: Iterable[Path]) -> Iterator[tuple[Path, tuple[Judged, ...]]]:
    """Run a test's model on the user's pictures; yield each readable one with the result of each case of the test.

    The first pass decodes with Pillow; pictures that may pass are judged again on the board's own pixels.
    """
    from modelprep.check.board import preprocess
    from modelprep.check.runtimes.choice import ready

    loaded = ready(model, test.parser, test.input_name, test.input_shape, test.outputs)
    how = preprocessing(test)

    def judged(picture: Path, *, exact: bool) -> tuple[Judged, ...]:
        values = preprocess.prepare_picture(picture, how, loaded.quantisation, exact=exact)
        outputs = loaded.run(values)
        return tuple(judge_picture(test, number, values, outputs) for number in range(len(test.cases)))

    for picture in pictures:
        try:
            cases = judged(picture, exact=False)
            if any(map(_may_pass, cases)):  # the exact pixels of the board decide
                cases = judged(picture, exact=True)
        except StepError:
            continue
        yield picture, cases


def _may_pass(case: Judged) -> bool:
    """Return whether slightly different pixels might let a case pass: the expected class is among the first."""
    if case.passes:
        return True
    if case.asked is not None:
        return any(one.number == case.asked.number for one in case.found[:1])
    return any(number == case.wanted and score > case.top[-1][1] for number, score in case.top)


#: State -> its word in a count; other states (a version that lacks the test) follow unchanged.
COUNTED: Mapping[str, str] = {
    "passes": "passed", "fails": "failed", "not fetched": "not fetched", "unknown": "unknown",
    "nothing": "nothing to judge",
}  # fmt: skip


def totals(checked: Sequence[Checked]) -> str:
    """Return the counts in one line: ``3 passed, 1 failed, 20 not fetched``."""
    counts = Counter(one.state for one in checked)
    others = sorted(state for state in counts if state not in COUNTED)
    return ", ".join(f"{counts[state]} {COUNTED.get(state, state)}" for state in (*COUNTED, *others) if counts[state])


def missing_commands(checked: Sequence[Checked], out: Path) -> list[str]:
    """Return the commands that fetch missing files."""
    return fetch_commands((one.recipe for one in checked if one.state == "not fetched"), out)
