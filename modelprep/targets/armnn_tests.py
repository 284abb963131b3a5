"""How the test programs of each Arm NN version behave, from ``armnn_tests.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from modelprep.errors import UsageError, nearest
from modelprep.structs import dataclass, field
from modelprep.targets.facts import read_facts

BASE_VERSION = "19.02"
#: Which source a version's tests and parsers were read from, where the board's may be another.
SOURCES: Mapping[str, str] = {
    "19.02": "tag v19.02 (120196d3); NXP's L4.14.78 and L4.14.98 ship dbfb8549 of the day before, whose TensorFlow "
    "parser differs in Split and Concat, with the further test options +i=MODEL and +o=OUTPUT"
}


@dataclass(frozen=True)
class Case:
    """One test case of a picture test.

    `label`: class that must come first, as the network's output counts. `box`, `confidence`, `detections`: of the
    detection tests, within one per cent; ``box_form`` says how the box is written.
    """

    file: str
    label: int
    box: tuple[float, ...] = ()
    box_form: Literal["", "centre_px", "corners"] = ""
    confidence: float | None = None
    detections: int | None = None


@dataclass(frozen=True)
class BoardTest:
    """One test program: the files it opens, the names it binds, what it feeds and what it expects.

    `text`: whether the model is read as protobuf text. `input_name`, `input_dtype`, `input_shape`: the binding asked
    for and the shape that the test's data fill. `shape_passed`: whether the test passes `input_shape` to the parser, so
    that the file's batch does not matter. `classes`: elements of a classifier's output, None if not known.
    `preprocess`: ``kind``, ``size`` ([height, width]), ``layout``, ``mean``, ``stddev``, ``scale``, ``raw_bytes``,
    ``centred``: see :class:`modelprep.check.board.preprocess.Preprocessing`. `default_ids`: test cases that run when no
    ``-i`` is given; the case 0 always runs first as a warm-up. `cases`: of picture tests, by id. `files`, `labels`: of
    record tests (MNIST, CIFAR-10): data files; the labels those hold for the default ids. `names`: which list of class
    names the labels count in. `manual`: section of NXP's manual. `box_tolerance`: what the one per cent of the
    detection tests is of: ``both`` numbers, or the one ``found``. `note`: what a host cannot see of this test.
    """

    name: str
    version: str
    parser: Literal["caffe", "tf", "tflite", "onnx"]
    model: str
    input_name: str
    input_dtype: str
    input_shape: tuple[int, ...]
    outputs: tuple[str, ...]
    preprocess: Mapping[str, Any]
    default_ids: tuple[int, ...]
    text: bool = False
    shape_passed: bool = False
    classes: int | None = None
    cases: tuple[Case, ...] = ()
    files: tuple[str, ...] = ()
    labels: Mapping[int, int] = field(default_factory=dict)
    names: str = ""
    manual: str = ""
    box_tolerance: Literal["both", "found"] = "both"
    note: str = ""

    @property
    def data_files(self) -> tuple[str, ...]:
        """Every file that the program opens in the data folder."""
        return self.files or tuple(dict.fromkeys(case.file for case in self.cases))


def versions() -> tuple[str, ...]:
    """List the Arm NN versions that are known, oldest first."""
    return (BASE_VERSION, *_document()["versions"])


@cache
def of_version(version: str = BASE_VERSION) -> Mapping[str, BoardTest]:
    """Return the test programs of a version, by name; raises UsageError if the version is not known."""
    if version not in versions():
        raise UsageError(
            f"unknown Arm NN version: {version}", hint=nearest(version, versions()) or f"known: {', '.join(versions())}"
        )
    entries: dict[str, dict[str, Any]] = {name: dict(entry) for name, entry in _document()["tests"].items()}
    for step in versions()[1 : versions().index(version) + 1]:
        changes = _document()["versions"][step]
        for entry in entries.values():
            kind = entry["preprocess"]["kind"]
            if entry["input"]["dtype"] == "uint8" and kind == "image":
                _merge(entry, changes.get("all_uint8_pictures", {}))
            if kind in ("yolo", "ssd"):
                _merge(entry, changes.get("all_detectors", {}))
        for name, change in changes["tests"].items():
            if change is None:  # gone from this version on
                del entries[name]
            else:
                _merge(entries.setdefault(name, {}), change)
        if "parsers" in changes:
            entries = {name: entry for name, entry in entries.items() if entry["parser"] in changes["parsers"]}
    return {name: _build(name, version, entry) for name, entry in entries.items()}


def _merge(entry: dict[str, Any], change: Mapping[str, Any]) -> None:
    for key, value in change.items():
        entry[key] = {**entry[key], **value} if isinstance(entry.get(key), dict) and isinstance(value, dict) else value


def _build(name: str, version: str, entry: Mapping[str, Any]) -> BoardTest:
    given = entry["input"]
    rest = {key: value for key, value in entry.items() if key not in ("input", "cases") and value is not None}
    rest["manual"] = str(entry.get("manual", ""))
    for key in ("outputs", "default_ids", "files"):
        rest[key] = tuple(entry.get(key, ()))
    return BoardTest(
        name=name, version=version, input_name=given["name"], input_dtype=given["dtype"],
        input_shape=tuple(given["shape"]), shape_passed=given.get("override", False),
        cases=tuple(map(_case, entry.get("cases", ()))), **rest,
    )  # fmt: skip


def _case(entry: Mapping[str, Any]) -> Case:
    form = next((form for form in ("centre_px", "corners") if f"box_{form}" in entry), "")
    rest = {key: value for key, value in entry.items() if not key.startswith("box_")}
    return Case(box=tuple(entry.get(f"box_{form}", ())), box_form=form, **rest)  # type: ignore[arg-type]  # one of them


@cache
def _document() -> dict[str, Any]:
    return read_facts("armnn_tests.yaml")
