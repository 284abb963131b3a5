"""Predict whether a board's parser accepts a model file.

One module a parser; each reads the file through the readers of `formats`, so that neither Caffe nor TensorFlow is
needed. A file that a reader refuses (a web page, a truncated file) becomes the finding with the board's own message.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelprep.check.lint import ethos_u
from modelprep.check.lint.acted_out import REFUSED, Examined, act_out, decisive
from modelprep.check.lint.findings import Finding
from modelprep.check.lint.request import Asked, Parser
from modelprep.errors import StepError, StorageError, UsageError, nearest
from modelprep.formats.tensorflow.wrapped import SAVED_MODEL_FILE
from modelprep.structs import replace
from modelprep.targets import armnn_tests

_PARSERS: tuple[Parser, ...] = ("caffe", "tf", "tflite", "onnx")
#: Parser -> the rule for a file that it cannot read.
_UNREADABLE: dict[str, str] = {"caffe": "CF08", "tf": "TF02", "tflite": "TL01", "onnx": "ON17"}


def lint(path: Path, parser: Parser, asked: Asked | None = None) -> list[Finding]:
    """Return the findings about a model for a parser, worst first; empty if the parser accepts the model.

    `asked`: a test's requirements; without it only what holds for any use is checked. With a test whose parser is
    simulated, the first finding is where the board stops, and nothing that the board accepts is refused.
    """
    return list(examined(path, parser, asked or Asked()).findings)


def examined(path: Path, parser: Parser, asked: Asked) -> Examined:
    """Do what :func:`lint` does, and keep the network that the parser builds."""
    from modelprep.check.lint import caffe, onnx, tf, tflite

    linters = {"caffe": caffe.examine, "tf": tf.examine, "tflite": tflite.examine, "onnx": onnx.examine}
    walked = act_out(path, parser, asked)
    try:
        found = linters[parser](path, asked)
    except StepError as error:  # damage that shows only where a rule looks closer
        found = []
        if walked is None:
            found = [Finding(_UNREADABLE[parser], error.where or path.name, error.looks_like or error.what)]
    # What ends the board's program keeps its order, refusals and crashes alike.
    order = {"reject": 0, "crash": 0, "wrong": 2, "note": 3, "ignored": 4}
    found.sort(key=lambda finding: order[finding.effect])
    network, stop = walked or (None, None)
    if stop is not None:
        first = decisive(stop, path, parser, asked, found)
        found = [first, *(f for f in found if (f.rule, f.where) != (first.rule, first.where))]
    elif walked is not None:  # the board accepts the model
        found = [f for f in found if f.effect not in REFUSED]
    return Examined(tuple(found), network)


def examine(
    path: Path,
    target: str = f"armnn-{armnn_tests.BASE_VERSION}",
    *,
    parser: str | None = None,
    test: str | None = None,
    outputs: Sequence[str] = (),
    all_npu: bool = False,
) -> list[Finding]:
    """Recognise a file and return the findings for a target or test.

    Parameters
    ----------
    target
        A parser (``armnn-19.02``) or an NPU (``ethos-u``, judged by Vela).
    parser
        ``caffe``, ``tf``, ``tflite`` or ``onnx``; default: recognized from the file.
    test
        One of the board's tests, whose requirements are checked.
    outputs
        Names of outputs that will be read; default: those of the test.
    all_npu
        For an NPU: whether an operator on the CPU is a problem.

    Raises
    ------
    StorageError
        The file does not exist.
    MissingTool
        Vela is not installed.
    UsageError
        The target, parser or test is unknown, or the file's type is not recognized.
    """
    if path.is_dir() and (path / SAVED_MODEL_FILE).is_file():
        path = path / SAVED_MODEL_FILE
    if path.is_dir():
        raise UsageError("the input is a folder", where=str(path), expected="a file")
    if not path.is_file():
        raise StorageError("there is no such file", where=str(path))
    if target in ethos_u.TARGETS:
        if parser_of(path) != "tflite":
            raise UsageError("the NPU's compiler accepts only TF Lite files", where=str(path))
        if test is not None:
            raise UsageError("tests are for Arm NN's parsers", got=f"--test {test} --for {target}")
        return ethos_u.examine(path, target, all_npu=all_npu)
    version = parse_target(target)
    kind = next((name for name in _PARSERS if name == parser), None) if parser else parser_of(path)
    if kind is None:
        raise UsageError(f"unknown parser '{parser}'", expected="caffe, tf, tflite or onnx")
    asked = Asked(version)
    if test is not None:
        known = armnn_tests.of_version(version)
        if test not in known:
            raise UsageError(f"Arm NN {version} has no test '{test}'", hint=nearest(test, list(known)))
        asked = Asked.by_test(known[test])
    if outputs:
        asked = replace(asked, outputs=tuple(outputs))
    return lint(path, kind, asked)


def parse_target(text: str) -> str:
    """Return the Arm NN version in ``armnn-19.02``. Raises UsageError: the target is unknown."""
    known = [*(f"armnn-{version}" for version in armnn_tests.versions()), *ethos_u.TARGETS]
    if text not in known:
        raise UsageError(f"unknown target '{text}'", hint=nearest(text, known) or f"targets: {', '.join(known)}")
    return text.removeprefix("armnn-")


def parser_of(path: Path) -> Parser:
    """Return the parser for a file, by its bytes, else by its name. Raises UsageError: neither identifies it."""
    if (path / SAVED_MODEL_FILE).is_file():
        return "tf"
    with path.open("rb") as stream:
        head = stream.read(64)
    if head[4:8] == b"TFL3":
        return "tflite"
    by_name: dict[str, Parser] = {
        ".caffemodel": "caffe", ".prototxt": "caffe", ".pb": "tf", ".pbtxt": "tf", ".tflite": "tflite", ".onnx": "onnx",
    }  # fmt: skip
    if path.suffix == ".prototxt" and head.lstrip().startswith(b"node"):
        return "tf"
    if path.suffix in by_name:
        return by_name[path.suffix]
    raise UsageError(
        f"the model type of '{path.name}' is not recognized", expected=f"a name ending in {', '.join(by_name)}",
        hint="name it with --parser caffe|tf|tflite|onnx",
    )  # fmt: skip
