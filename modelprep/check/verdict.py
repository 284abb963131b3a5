"""What one of the board's test programs will say of these very files: passed or failed, and in which words.

The program's own order is kept: folders, model, bindings, then the data of case 0 as a warm-up, then the default cases
(or ``-i N`` of them, whose classes are not compared). Source: tests/InferenceTest.inl at tag v19.02.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modelprep.check import boxes, preprocess
from modelprep.check.boxes import Detection
from modelprep.check.findings import Finding
from modelprep.check.lint import Asked, lint
from modelprep.check.preprocess import Preprocessing
from modelprep.check.runtimes import Ready, ready
from modelprep.errors import CheckFailed, MissingTool, StepError
from modelprep.targets.armnn_tests import BoardTest, Case
from modelprep.targets.class_names import label

if TYPE_CHECKING:
    from numpy.typing import NDArray

Outcome = Literal["passes", "fails", "unknown"]


@dataclass(frozen=True)
class Judged:
    """One test case.

    Parameters
    ----------
    id, file
        The case, and the data file it comes from.
    wanted, got
        Class asked for (None where none is compared) and class that came first (None where nothing was detected).
    top
        (class, score) of the five best.
    found, asked
        Of a detection test: the boxes that the network found, best first, and the one wanted.
    message
        What the board prints when the case fails; empty when it passes.
    seen
        The input tensor, for reports.
    """

    id: int
    file: str
    wanted: int | None
    got: int | None
    top: tuple[tuple[int, float], ...] = ()
    message: str = ""
    found: tuple[Detection, ...] = ()
    asked: Detection | None = None
    seen: Any = field(default=None, repr=False, compare=False)

    @property
    def passes(self) -> bool:
        """Whether the board counts it as right."""
        return not self.message


@dataclass(frozen=True)
class Verdict:
    """What a test will say.

    Parameters
    ----------
    test
        The test program.
    outcome
        ``passes``, ``fails``, or ``unknown`` where this machine lacks a runtime to say it.
    message
        What the board prints when it fails; why it is not known; empty when it passes.
    hint
        What to do about it.
    findings
        Of the lint.
    cases
        The cases judged.
    runtime
        What ran the model.
    warnings
        What does not decide but matters.
    """

    test: BoardTest
    outcome: Outcome
    message: str = ""
    hint: str = ""
    findings: tuple[Finding, ...] = ()
    cases: tuple[Judged, ...] = ()
    runtime: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int | None:
        """The status that the program will end with; None where it is not known."""
        return {"passes": 0, "fails": 1, "unknown": None}[self.outcome]

    def to_json(self) -> dict[str, object]:
        """Give it as JSON-ready values."""
        return {
            "test": self.test.name,
            "armnn": self.test.version,
            "outcome": self.outcome,
            "exit_status": self.exit_status,
            "message": self.message,
            "hint": self.hint,
            "runtime": self.runtime,
            "warnings": list(self.warnings),
            "findings": [finding.to_json() for finding in self.findings],
            "cases": [
                {
                    "id": case.id,
                    "file": case.file,
                    "wanted": case.wanted,
                    "got": case.got,
                    "passes": case.passes,
                    "message": case.message,
                    "found": [detection.to_json() for detection in case.found],
                    "asked": None if case.asked is None else case.asked.to_json(),
                    "top": [
                        {"class": number, "name": label(self.test.names, number), "score": score}
                        for number, score in case.top
                    ],
                }
                for case in self.cases
            ],
        }


@dataclass(frozen=True)
class Files:
    """The folders that a test is given: ``--model-dir`` and ``--data-dir``."""

    models: Path
    data: Path


def judge(test: BoardTest, files: Files, *, iterations: int = 0, run: bool = True) -> Verdict:
    """Say what a test program will say of the files in two folders.

    Parameters
    ----------
    test
        Which test.
    files
        What ``--model-dir`` and ``--data-dir`` would be.
    iterations
        ``-i N``: with N > 0, N cases are run and no class is compared.
    run
        False looks at the model only (``--lint-only``).
    """
    if (folder := next((f for f in (files.models, files.data) if not f.is_dir()), None)) is not None:
        return Verdict(test, "fails", f"Given directory {folder}/ does not exist", "modelprep fetch it first")
    model = files.models / test.model
    if not model.is_file():
        return Verdict(test, "fails", _missing_model(test, model), _near(model))
    findings = tuple(lint(model, test.parser, Asked.by_test(test)))
    if (worst := next((f for f in findings if f.effect in ("reject", "crash")), None)) is not None:
        said = worst.prints or f"(no clear message: {worst})"
        return Verdict(test, "fails", said, worst.mend, findings)
    needed = _needed(test, iterations)
    missing = [name for name in needed if not (files.data / name).is_file()]
    if missing:
        return Verdict(
            test, "fails", _missing_data(test, files.data, missing[0]), _near(files.data / missing[0]), findings
        )
    if not run:
        return Verdict(test, "unknown", "the model parses; it was not run (--lint-only)", findings=findings)
    return _run(test, model, files.data, findings, iterations)


def _numbers(test: BoardTest, iterations: int) -> list[int]:
    return list(range(iterations)) if iterations else list(test.default_ids)


def _loaded(test: BoardTest, iterations: int) -> list[int]:
    # Case 0 is always loaded and run once beforehand; a bad file of its own ends the run there.
    return list(dict.fromkeys([0, *_numbers(test, iterations)]))


def _needed(test: BoardTest, iterations: int) -> list[str]:
    """Name the data files that will be opened: with -i N those of the first N cases only."""
    if test.files:
        return list(test.files)
    return list(dict.fromkeys(test.cases[n % len(test.cases)].file for n in _loaded(test, iterations)))


def _run(test: BoardTest, model: Path, data: Path, findings: tuple[Finding, ...], iterations: int) -> Verdict:
    try:
        loaded = ready(model, test.parser, test.input_name, test.input_shape, test.outputs)
    except MissingTool as error:
        return Verdict(test, "unknown", error.what, error.hint or "", findings)
    except CheckFailed as error:
        return Verdict(test, "fails", error.got or error.what, "", findings)
    how = preprocessing(test)
    wrong = tuple(f"{f.rule}: {f.where} may compute otherwise on the board" for f in findings if f.effect == "wrong")
    warnings = [*wrong]
    cases: list[Judged] = []
    numbers = _numbers(test, iterations)
    for number in _loaded(test, iterations):
        try:
            values, wanted, name = _load(test, data, number, how, loaded)
            outputs = loaded.run(values)
            if how.kind in _DETECTORS:
                case = _judge_boxes(test, number, values, outputs)
            else:
                case = _judge_case(number, name, values, None if iterations else wanted, outputs[0])
        except StepError as error:
            return Verdict(
                test, "fails", _unreadable(test, data, number), _why(error), findings, tuple(cases), loaded.runtime
            )
        except MissingTool as error:
            return Verdict(test, "unknown", error.what, error.hint or "", findings)
        except CheckFailed as error:
            return Verdict(test, "fails", error.got or error.what, "", findings, tuple(cases), loaded.runtime)
        if number in numbers:
            cases.append(case)
    failed = [case for case in cases if not case.passes]
    outcome: Outcome = "fails" if failed else "passes"
    hint = _advice(test, failed[0]) if failed else ""
    message = failed[0].message if failed else ""
    return Verdict(test, outcome, message, hint, findings, tuple(cases), loaded.runtime, tuple(warnings))


def preprocessing(test: BoardTest) -> Preprocessing:
    """Give how a test makes its input."""
    said = test.preprocess
    height, width = said.get("size", (0, 0))
    return Preprocessing(
        kind=said["kind"],
        height=height,
        width=width,
        layout=said.get("layout", "NHWC"),
        mean=tuple(said.get("mean", (0.0, 0.0, 0.0))),
        stddev=tuple(said.get("stddev", (1.0, 1.0, 1.0))),
        scale=said.get("scale", False),
        raw_bytes=said.get("raw_bytes", False),
        centred=said.get("centred", False),
    )


def _load(test: BoardTest, data: Path, number: int, how: Preprocessing, loaded: Ready) -> tuple[NDArray[Any], int, str]:
    if how.kind == "mnist":
        images, labels = (data / name for name in test.files)
        values, wanted = preprocess.mnist_record(images.read_bytes(), labels.read_bytes(), number, how)
        return values, wanted, images.name
    if how.kind == "cifar10":
        record, wanted = preprocess.cifar10_record((data / test.files[0]).read_bytes(), number, how)
        return record, wanted, test.files[0]
    case: Case = test.cases[number % len(test.cases)]
    return preprocess.prepare_picture(data / case.file, how, loaded.quantisation), case.label, case.file


_DETECTORS = ("yolo", "ssd")


def _judge_boxes(test: BoardTest, number: int, values: Any, outputs: list[NDArray[Any]]) -> Judged:
    """Judge what a detection test does: it compares also with -i, which only repeats its one case."""
    case = test.cases[number % len(test.cases)]
    is_yolo = test.preprocess["kind"] == "yolo"
    sizes = (boxes.YOLO_ELEMENTS,) if is_yolo else boxes.SSD_ELEMENTS
    if tuple(output.size for output in outputs) != sizes:
        # tests/InferenceModel.hpp, MakeOutputTensors: before the first run, and it ends the program.
        raise CheckFailed(
            "the outputs have other sizes than the test reads",
            expected=", ".join(str(size) for size in sizes),
            got="Output tensor has incorrect size",
        )
    found = boxes.yolo(outputs[0]) if is_yolo else boxes.ssd(outputs)
    message = (boxes.yolo_says if is_yolo else boxes.ssd_says)(number, found, case)
    top = tuple((one.number, one.score) for one in found[:5])
    got = found[0].number if found else None
    return Judged(number, case.file, case.label, got, top, message, found, boxes.wanted(case), values)


def _judge_case(number: int, file: str, values: Any, wanted: int | None, output: NDArray[Any]) -> Judged:
    import numpy as np

    scores = np.asarray(output).reshape(-1)
    # The first of equal scores wins, as std::max_element has it.
    got = int(scores.argmax())
    best = sorted(range(scores.size), key=lambda i: (-float(scores[i]), i))[:5]
    top = tuple((i, float(scores[i])) for i in best)
    message = ""
    if wanted is not None and got != wanted:
        message = f"Prediction for test case {number} ({got}) is incorrect (should be {wanted})"
    return Judged(number, file, wanted, got, top, message, seen=values)


def _advice(test: BoardTest, case: Judged) -> str:
    if case.wanted is None:
        return ""
    if case.asked is not None:
        return _advice_on_boxes(test, case, case.asked)
    wanted = label(test.names, case.wanted)
    got = "nothing" if case.got is None else label(test.names, case.got)
    if test.cases:
        return (
            f"{case.file}: the test wants {wanted}, your picture is {got}; the picture that Arm tested with passes "
            f"(leave out --set), or search a folder: modelprep check --find-picture DIR {test.name}"
        )
    return f"record {case.id} of {case.file} is {wanted}, the model says {got}"


def _advice_on_boxes(test: BoardTest, case: Judged, asked: Detection) -> str:
    said = f"the test wants one {_told(test, asked)}"
    if not case.found:
        return f"{said}; the model found nothing in {case.file}"
    first = f"the model's best in {case.file} is {_told(test, case.found[0])}"
    if test.preprocess["kind"] == "ssd" and len(case.found) > 1:
        second = case.found[1].score
        return (
            f"{said}; {first}, the next has {second:.3g}: convert the model with an nms_score_threshold between the "
            f"two, so that one is left"
        )
    return f"{said}, each number within one per cent; {first}. Weights or picture are not the ones that Arm used"


def _told(test: BoardTest, one: Detection) -> str:
    places = ", ".join(f"{value:.4g}" for value in one.box)
    return f"{label(test.names, one.number)} with {one.score:.4g} at ({places})"


# -- what the board prints -----------------------------------------------------------------------------------------


def _missing_model(test: BoardTest, model: Path) -> str:
    return {
        "caffe": f"Couldn't find requested output layer '{next(iter(test.outputs), '')}' in graph",
        "tf": f"Graph file {model} failed to open",
        "tflite": f"Cannot find the file ({model})",
        "onnx": "Invalid (null) filename",
    }[test.parser]


def _missing_data(test: BoardTest, data: Path, name: str) -> str:
    if test.preprocess["kind"] == "mnist":
        # The program names the images file, whichever of the two is missing.
        return f"Failed to load {data / test.files[0]}"
    if test.preprocess["kind"] == "cifar10":
        return f"Failed to load {data / name}"
    return f"Could not load the image at {data / name}"


def _unreadable(test: BoardTest, data: Path, number: int) -> str:
    if test.files:
        return f"Failed to read {data / test.files[0]}"
    return f"Could not load the image at {data / test.cases[number % len(test.cases)].file}"


def _why(error: StepError) -> str:
    return f"{error.what}: it looks like {error.looks_like}" if error.looks_like else error.what


def _near(path: Path) -> str:
    """Say which file there is meant: one whose name differs in punctuation or case only, or is still packed."""
    names = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else []
    meant = _letters(path.name)
    close = [name for name in names if _letters(name.removesuffix(".gz")) == meant]
    return f"{path.parent / close[0]} is there: it has to be called {path.name}" if close else f"{path} is missing"


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
