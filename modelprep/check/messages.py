"""The board's messages for failed tests, and hints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep import quoting
from modelprep.check.board import boxes
from modelprep.check.board.boxes import Detection
from modelprep.check.lint.findings import Finding
from modelprep.check.lint.names import renaming
from modelprep.errors import StepError
from modelprep.targets.armnn_tests import BoardTest
from modelprep.targets.class_names import label

if TYPE_CHECKING:
    from modelprep.check.types import Judged


def fix(model: Path, finding: Finding, test: BoardTest | None = None, parser: str = "") -> tuple[str, str]:
    """Return the command that fixes a model, and what to do with its result; both empty if no command fixes it.

    `test`, `parser`: the test with its names, or only the parser. You fill in words in capitals (a deploy file).
    """
    result = f"fixed{'.pb' if model.is_dir() else model.suffix}"
    inputs, outputs = ([test.input_name], list(test.outputs)) if test is not None else ([], [])
    command = renaming(finding.mend, model, test.parser if test else parser, finding.where, inputs, outputs)
    names = {"MODEL": str(model), "OUT": result, "DEPLOY": "DEPLOY.prototxt"}
    names |= {"INPUT": inputs[0], "OUTPUT": next(iter(outputs), "OUTPUT")} if test is not None else {}
    words = [names.get(word, word) for word in command.split(" ")]
    for number, word in enumerate(words):
        old, equals, new = word.partition("=")
        words[number] = f"{old}={names.get(new, new)}" if equals and words[number - 1].startswith("--rename") else word
    return (quoting.command(*words), f"replace the model by {result}") if command else ("", "")


def mismatch(test: BoardTest, failed: Sequence[Judged], options: str = "") -> tuple[str, str]:
    """Return why cases fail, in one line, and the next command; the first is empty if nothing is compared."""
    case = failed[0]
    if case.wanted is None:
        return "", ""
    got = "nothing" if case.got is None else label(test.names, case.got)
    what = case.file if test.cases else f"record {case.id} of {case.file}"
    more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
    if case.asked is not None:
        return f"{what}: no detection is within 1 % of the expected one{more}", ""
    command = f"modelprep check {quoting.sh(test.name)} --find-picture DIR{options}" if test.cases else ""
    return f"{what} is {got}, expected {label(test.names, case.wanted)}{more}", command


def advice(test: BoardTest, case: Judged, options: str = "") -> str:
    """Return a hint for a failed case; empty if nothing is compared. `options`: of the next command (``--out ...``)."""
    if case.wanted is None:
        return ""
    if case.asked is not None:
        return _advice_on_boxes(test, case, case.asked)
    wanted = label(test.names, case.wanted)
    got = "nothing" if case.got is None else label(test.names, case.got)
    if test.cases:
        return (
            f"{case.file}: the test expects {wanted}, your picture is {got}; the picture that Arm tested with passes "
            f"(fetch without --set), or search a folder: modelprep check {quoting.sh(test.name)} --find-picture DIR"
            f"{options}"
        )
    return f"record {case.id} of {case.file} is {wanted}, the model predicts {got}"


def _advice_on_boxes(test: BoardTest, case: Judged, asked: Detection) -> str:
    said = f"the test expects one {_told(test, asked)}"
    if not case.found:
        return f"{said}; the model found nothing in {case.file}"
    best = case.found[0]
    first = f"the model's best in {case.file} is {_told(test, best)}"
    name, share = boxes.farthest(best, asked)
    same = best.number == asked.number
    if test.preprocess["kind"] == "ssd" and len(case.found) > 1 and same and share <= boxes.TOLERANCE:
        return (
            f"{said}; {first}, the next has {case.found[1].score:.3g}: convert the model with an nms_score_threshold "
            "between the two, so that one remains"
        )
    off = f": its {name} is {share:.1%} off" if same else ""
    return f"{said}, each number within one per cent; {first}{off}. Weights or picture are not the ones that Arm used"


def _told(test: BoardTest, one: Detection) -> str:
    places = ", ".join(f"{value:.4g}" for value in one.box)
    return f"{label(test.names, one.number)} with {one.score:.4g} at ({places})"


def missing_model(test: BoardTest, model: Path) -> str:
    """Return the parser's message about a missing model file."""
    return {
        "caffe": f"Couldn't find requested output layer '{next(iter(test.outputs), '')}' in graph",
        "tf": f"Graph file {model} failed to open",
        "tflite": f"Cannot find the file ({model})",
        "onnx": "Invalid (null) filename",
    }[test.parser]


#: A shell's message about a program ended by a signal, by exit status.
_SIGNALS = {134: "Aborted", 135: "Bus error", 136: "Floating point exception", 139: "Segmentation fault"}


def crashed(status: int) -> str:
    """Describe the end of a program that prints nothing."""
    return f"{_SIGNALS.get(status, 'The program ends')} (exit status {status}; the program itself prints no message)"


def missing_data(test: BoardTest, data: Path, name: str) -> str:
    """Return the program's message about a missing data file."""
    if test.preprocess["kind"] == "mnist":
        # The program names the images file, whichever of the two is missing.
        return f"Failed to load {data / test.files[0]}"
    if test.preprocess["kind"] == "cifar10":
        return f"Failed to load {data / name}"
    return _no_picture(test, data / name, 0)


def unreadable(test: BoardTest, data: Path, number: int, error: StepError) -> str:
    """Return the program's message about unreadable data of case `number`."""
    if test.files:
        return f"Failed to read {data / test.files[error.where == 'labels']}"
    return _no_picture(test, data / test.cases[number % len(test.cases)].file, number)


def _no_picture(test: BoardTest, path: Path, number: int) -> str:
    said = f"Could not load the image at {path}"
    # YoloDatabase.cpp and MobileNetSsdDatabase.hpp catch the exception and print their own text.
    return {
        "yolo": f"Failed to load test case {number} with error: {said}",
        "ssd": f"Failed to load image for test case {number}. Error: {said}",
    }.get(test.preprocess["kind"], said)


def why(error: StepError) -> str:
    """Return in one line why a file cannot be read."""
    return f"{error.what}: it looks like {error.looks_like}" if error.looks_like else error.what


def near(path: Path) -> str:
    """Suggest a file whose name differs only in punctuation or case, or that is still packed."""
    if path.is_dir():
        return f"{path} is a folder"

    def letters(name: str) -> str:
        return "".join(letter for letter in name.lower() if letter.isalnum())

    names = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else []
    close = [name for name in names if letters(name.removesuffix(".gz")) == letters(path.name)]
    return f"{path.parent / close[0]} is there: it must be called {path.name}" if close else f"{path} is not there"
