"""Predict the result and output of a board's test program for given files.

The program's own order is kept: folders, model, bindings, then the data of case 0 as a warm-up, then the default cases
(or ``-i N`` of them, whose classes are not compared). Source: tests/InferenceTest.inl at tag v19.02.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelprep.check import messages
from modelprep.check.board import boxes, preprocess
from modelprep.check.board.preprocess import Preprocessing
from modelprep.check.lint import examined
from modelprep.check.lint.acted_out import Examined
from modelprep.check.lint.findings import Finding
from modelprep.check.lint.request import Asked
from modelprep.check.runtimes.base import Ready
from modelprep.check.runtimes.choice import ready
from modelprep.check.types import Files, Judged, Outcome, Verdict
from modelprep.errors import CheckFailed, MissingTool, StepError
from modelprep.formats.arrays import Array
from modelprep.structs import replace
from modelprep.targets.armnn.network import Stop
from modelprep.targets.armnn_rules import rules
from modelprep.targets.armnn_tests import BoardTest


def judge(test: BoardTest, files: Files, *, iterations: int = 0, run: bool = True, options: str = "") -> Verdict:
    """Predict the result of a test program for the files in two folders.

    `files`: what ``--model-dir`` and ``--data-dir`` would be. `iterations`: ``-i N``: with N > 0, N cases are run and
    no class is compared. `run`: False looks at the model only (``--lint-only``). `options`: what a command about the
    same files needs besides the test's name, for hints.
    """
    # The data folder is looked for first.
    if (folder := next((f for f in (files.data, files.models) if not f.is_dir()), None)) is not None:
        said = f"Given directory {folder}/ does not exist"
        cause = f"{folder} is not there"
        return Verdict(test, "fails", said, cause, missing=True, absent=not folder.exists(), cause=cause)
    model = files.models / test.model
    if not model.is_file():
        return _missing(test, model, messages.missing_model(test, model))
    known = examined(model, test.parser, Asked.by_test(test))
    findings = known.findings
    worst = next((f for f in findings if f.effect in ("reject", "crash")), None)
    if worst is not None and not worst.running:
        return _stopped(test, model, worst, findings)
    # A problem that the first case shows comes before the data of other cases are opened.
    needed = _needed(test, iterations) if worst is None else _needed(test, 1)
    missing = [name for name in needed if not os.access(files.data / name, os.R_OK)]
    if missing:
        return _missing(test, files.data / missing[0], messages.missing_data(test, files.data, missing[0]), findings)
    if worst is not None:
        try:
            _Runs(test, files.data).values(0)
        except (StepError, Stop) as error:
            return _ended(error, test, files.data, 0, Verdict(test, "fails", findings=findings))
        return _stopped(test, model, worst, findings)
    if not run:
        return Verdict(test, "unknown", "the model parses; it was not run (--lint-only)", findings=findings)
    return _run(test, model, files.data, known, iterations, options)


def _missing(test: BoardTest, path: Path, said: str, findings: tuple[Finding, ...] = ()) -> Verdict:
    """Return the verdict if a file does not exist, or cannot be opened."""
    cause = messages.near(path)
    absent = cause == f"{path} is not there"
    return Verdict(test, "fails", said, cause, findings, missing=True, absent=absent, cause=cause)


def _stopped(test: BoardTest, model: Path, worst: Finding, findings: tuple[Finding, ...]) -> Verdict:
    """Return the verdict on a model that the board stops at."""
    status = worst.status or 1
    said = worst.prints or (messages.crashed(status) if status != 1 else f"(no clear message: {worst})")
    if worst.where == model.name:
        hint = f"{model} is {worst.detail}" if worst.detail else f"{model} is not a model"
        return Verdict(test, "fails", said, hint, findings, missing=True, status=status, cause=hint)
    cause = f"{worst.where}: {rules()[worst.rule].says}" + (f" ({worst.detail})" if worst.detail else "")
    command, then = messages.fix(model, worst, test)
    hint = f"{command}, then {then}" if command else ""
    return Verdict(test, "fails", said, hint, findings, status=status, cause=cause, command=command)


def _ended(error: Exception, test: BoardTest, data: Path, number: int, so_far: Verdict) -> Verdict:
    """Return the verdict on a case that cannot be run; `so_far` has the findings, and the earlier cases."""
    if isinstance(error, MissingTool):
        return Verdict(test, "unknown", error.what, error.hint or "", so_far.findings)
    if isinstance(error, Stop):
        said = messages.crashed(error.status)
        return Verdict(test, "fails", said, error.where, so_far.findings, status=error.status, cause=error.where)
    if isinstance(error, CheckFailed):
        return replace(so_far, message=error.got or error.what, cause=error.what)
    assert isinstance(error, StepError)
    why = messages.why(error)
    said = messages.unreadable(test, data, number, error)
    return replace(so_far, message=said, hint=why, cause=why, missing=True)


def _numbers(test: BoardTest, iterations: int) -> list[int]:
    return list(range(iterations)) if iterations else list(test.default_ids)


def _loaded(test: BoardTest, iterations: int) -> list[int]:
    # Case 0 is always loaded and run first, as a warm-up; if its file is bad the run ends there.
    return list(dict.fromkeys([0, *_numbers(test, iterations)]))


def _needed(test: BoardTest, iterations: int) -> list[str]:
    """Name the data files that will be opened: with -i N those of the first N cases only."""
    if test.files:
        return list(test.files)
    return list(dict.fromkeys(test.cases[n % len(test.cases)].file for n in _loaded(test, iterations)))


def _run(test: BoardTest, model: Path, data: Path, known: Examined, iterations: int, options: str) -> Verdict:
    findings = known.findings
    try:
        loaded = ready(
            model, test.parser, test.input_name, test.input_shape, test.outputs, version=test.version,
            exact=any(finding.effect == "wrong" for finding in findings), network=known.network,
        )  # fmt: skip
    except (MissingTool, CheckFailed) as error:
        return _ended(error, test, data, 0, Verdict(test, "fails", findings=findings))
    warnings = [f"{f.rule}: {f.where} may compute differently on the board" for f in findings if f.effect == "wrong"]
    if test.note:
        warnings.append(test.note)
    if iterations and test.preprocess["kind"] not in _DETECTORS:
        warnings.append("with -i no class is compared: it passes with any data that can be read")
    cases: list[Judged] = []
    numbers = set(_numbers(test, iterations))
    runs = _Runs(test, data, loaded)
    for number in _loaded(test, iterations):
        try:
            case = runs.judged(number, compare=not iterations)
        except (StepError, Stop, MissingTool, CheckFailed) as error:
            so_far = Verdict(test, "fails", findings=findings, cases=tuple(cases), runtime=loaded.runtime)
            return _ended(error, test, data, number, so_far)
        if number in numbers:
            cases.append(case if len(cases) < _SHOWN else replace(case, seen=None))
    warnings += [
        _NOTE.format(file=case.file, why=f"{_BYTES} of 256" if loaded.quantisation is not None else f"{_FLOATS:.1%}")
        for case in cases
        if case.close
    ]
    failed = [case for case in cases if not case.passes]
    outcome: Outcome = "fails" if failed else "passes"
    hint = messages.advice(test, failed[0], options) if failed else ""
    message = failed[0].message if failed else ""
    cause, command = messages.mismatch(test, failed, options) if failed else ("", "")
    return Verdict(
        test, outcome, message, hint, findings, tuple(cases), loaded.runtime, tuple(warnings),
        cause=cause, command=command,
    )  # fmt: skip


def preprocessing(test: BoardTest) -> Preprocessing:
    """Return how a test makes its input."""
    said: dict[str, Any] = {
        name: tuple(value) if isinstance(value, (list, tuple)) else value for name, value in test.preprocess.items()
    }
    height, width = said.pop("size", (0, 0))
    return Preprocessing(height=height, width=width, **said)


_DETECTORS = ("yolo", "ssd")
#: Largest difference of scores that may change the best class. Of 256: observed between LiteRT and Arm NN's reference
#: backend on a real MobileNet v1; as a fraction of the largest score: float32 sums in another order.
_BYTES, _FLOATS = 20, 1e-3
_NOTE = "close: in {file} the scores differ by less than those of the board may ({why}; see docs/check.md)"
#: Number of cases that keep the network's input; ``-i 10000`` would need too much memory.
_SHOWN = 20


class _Runs:
    """Feeds a model case after case; each file is read once, each picture run once."""

    def __init__(self, test: BoardTest, data: Path, loaded: Ready | None = None) -> None:
        self._test, self._data = test, data
        self._loaded = loaded or Ready("", lambda _: [])
        self._how = preprocessing(test)
        self._read: dict[str, bytes] = {}
        self._ran: dict[tuple[int, str], tuple[Array, list[Array]]] = {}
        self._own: Ready | None = None

    def judged(self, number: int, *, compare: bool) -> Judged:
        """Run one case and judge it as the test does; where the scores are close, by those of Arm NN's own network."""
        first = self._judged(number, self._loaded, compare=compare)
        if not first.close or self._loaded.second is None:
            return first
        try:
            self._own = self._own or self._loaded.second()
            return replace(self._judged(number, self._own, compare=compare), close=True)
        except MissingTool:
            return first

    def _judged(self, number: int, loaded: Ready, *, compare: bool) -> Judged:
        test = self._test
        if not test.cases:
            values, wanted = self._record(number)
            return _judge_class(number, test.files[0], wanted if compare else None, values, loaded.run(values))
        place = number % len(test.cases), loaded.runtime
        if place not in self._ran:
            values = self.values(number)
            if loaded.sizes:
                _fit(test, loaded.sizes)
            self._ran[place] = values, loaded.run(values)
        return judge_picture(test, number, *self._ran[place], compare=compare)

    def values(self, number: int) -> Array:
        """Return what the network is fed in a case."""
        if not self._test.cases:
            return self._record(number)[0]
        file = self._test.cases[number % len(self._test.cases)].file
        return preprocess.prepare_picture(self._data / file, self._how, self._loaded.quantisation)

    def _record(self, number: int) -> tuple[Array, int]:
        for name in self._test.files:
            if name not in self._read:
                path = self._data / name
                self._read[name] = b"" if path.is_dir() else path.read_bytes()
        files = [self._read[name] for name in self._test.files]
        if self._how.kind == "mnist":
            return preprocess.mnist_record(files[0], files[1], number, self._how)
        return preprocess.cifar10_record(files[0], number, self._how)


def judge_picture(test: BoardTest, number: int, values: Array, outputs: list[Array], *, compare: bool = True) -> Judged:
    """Judge one case of a picture test.

    `compare`: False with ``-i N``; a detection test compares anyway. Raises CheckFailed: the outputs have other sizes
    than the test expects.
    """
    case = test.cases[number % len(test.cases)]
    kind = test.preprocess["kind"]
    if kind not in _DETECTORS:
        return _judge_class(number, case.file, case.label if compare else None, values, outputs)
    _fit(test, [output.size for output in outputs])
    found = boxes.yolo(outputs[0]) if kind == "yolo" else boxes.ssd(outputs)
    message = (boxes.yolo_says if kind == "yolo" else boxes.ssd_says)(number, found, case, test.box_tolerance)
    top = tuple((one.number, one.score) for one in found[:5])
    got = found[0].number if found else None
    return Judged(number, case.file, case.label, got, top, message, found, boxes.wanted(case), values)


def _fit(test: BoardTest, sizes: Sequence[int]) -> None:
    """Raise CheckFailed if a detector's outputs have other sizes than the buffers of its test."""
    kind = test.preprocess["kind"]
    if kind in _DETECTORS and (said := boxes.sizes_say(sizes, kind)):
        raise CheckFailed("the outputs have other sizes than the test expects", got=said)


def _judge_class(number: int, file: str, wanted: int | None, values: Array, outputs: list[Array]) -> Judged:
    import numpy as np

    scores = np.asarray(outputs[0]).reshape(-1)
    # As std::max_element: the first of equal scores is the best, and no comparison with NaN is true.
    numbers = np.where(np.isnan(scores), -np.inf, scores)
    got = 0 if np.isnan(scores[0]) else int(numbers.argmax())
    best = sorted(range(scores.size), key=lambda i: (-float(scores[i]), i))[:5]
    top = tuple((i, float(scores[i])) for i in best)
    message = ""
    if wanted is not None and got != wanted:
        message = f"Prediction for test case {number} ({got}) is incorrect (should be {wanted})"
    return Judged(number, file, wanted, got, top, message, seen=values, close=_is_close(scores, wanted, got))


def _is_close(scores: Array, wanted: int | None, got: int) -> bool:
    """Return whether a case might have another result on the board.

    `scores`: one per class, float32 or bytes. `wanted`: the expected class, None if none is compared. `got`: the best.
    """
    import numpy as np

    if wanted is None or scores.size < 2 or not 0 <= wanted < scores.size:
        return False
    values = scores.astype(np.float64)
    # If the expected class is the best, the next one might be; else the expected one might.
    rival = np.delete(values, got).max() if got == wanted else values[wanted]
    limit = _BYTES if scores.dtype == np.uint8 else _FLOATS * float(np.abs(values).max())
    return bool(values[got] - rival < limit)
