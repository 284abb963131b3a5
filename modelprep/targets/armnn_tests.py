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
    "parser differs in Split and Concat, with the further test options +i=MODEL and +o=OUTPUT",
}


@dataclass(frozen=True)
class Case:
    """One test case of a picture test.

    `label`: Class that must come first (counted as the network's output counts). `box`, `confidence`, `detections`: for
    the detection tests: the box (``box_form`` says how it is given), its score, how many boxes are expected. All within
    one per cent.
    """

    file: str
    label: int
    box: tuple[float, ...] = ()
    box_form: Literal["", "centre_px", "corners"] = ""
    confidence: float | None = None
    detections: int | None = None


@dataclass(frozen=True)
class BoardTest:
    """One test program: the files it opens, the names it binds, what it feeds and what it wants to see.

    Parameters
    ----------
    text
        True where the model is read as protobuf text.
    input_name, input_dtype, input_shape
        The binding asked for and the shape that the test's data fill.
    shape_passed
        True where the test passes `input_shape` to the parser, so that the file's batch does not matter.
    classes
        Elements of a classifier's output, None if not known.
    preprocess
        ``kind``, ``size`` ([height, width]), ``layout``, ``mean``, ``stddev``, ``scale``, ``raw_bytes``, ``centred``:
        see :class:`modelprep.check.board.preprocess.Preprocessing`.
    default_ids
        Test cases that run when no ``-i`` is given; the case 0 always runs first as a warm-up.
    cases
        Of picture tests, by id.
    files, labels
        Of record tests (MNIST, CIFAR-10): data files; the labels those hold for the default ids.
    names
        Which list of class names the labels count in.
    manual
        Section of NXP's manual.
    box_tolerance
        What the one per cent of the detection tests is of: ``both`` numbers, or the one ``found``.
    note
        What a host cannot see of this test, for reports.
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
    """Return the test programs of a version, by name.

    Raises UsageError: the version is not known.
    """
    if version not in versions():
        raise UsageError(
            f"unknown Arm NN version: {version}",
            hint=nearest(version, versions()) or f"known: {', '.join(versions())}",
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
    return BoardTest(
        name=name,
        version=version,
        parser=entry["parser"],
        model=entry["model"],
        text=entry.get("text", False),
        input_name=given["name"],
        input_dtype=given["dtype"],
        input_shape=tuple(given["shape"]),
        shape_passed=given.get("override", False),
        outputs=tuple(entry.get("outputs", ())),
        classes=entry.get("classes"),
        preprocess=entry["preprocess"],
        default_ids=tuple(entry["default_ids"]),
        cases=tuple(_case(case) for case in entry.get("cases", ())),
        files=tuple(entry.get("files", ())),
        labels=entry.get("labels", {}),
        names=entry.get("names", ""),
        manual=str(entry.get("manual", "")),
        box_tolerance=entry.get("box_tolerance", "both"),
        note=entry.get("note") or "",
    )


def _case(entry: Mapping[str, Any]) -> Case:
    form = next((form for form in ("centre_px", "corners") if f"box_{form}" in entry), "")
    return Case(
        file=entry["file"],
        label=entry["label"],
        box=tuple(entry.get(f"box_{form}", ())),
        box_form=form,  # type: ignore[arg-type]  # one of the two literals or empty, by the line above
        confidence=entry.get("confidence"),
        detections=entry.get("detections"),
    )


@cache
def _document() -> dict[str, Any]:
    return read_facts("armnn_tests.yaml")
