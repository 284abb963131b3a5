"""Detections as in the two detection tests: boxes, and their comparison with the expected ones.

Sources, in Arm NN's own tree: tests/YoloInferenceTest.hpp, tests/MobileNetSsdInferenceTest.hpp,
tests/ObjectDetectionCommon.hpp. ARM-software/armnn issue 214 shows that a 19.02 board prints ``Number of detections is
incorrect``. Both compare with boost's ``percent_tolerance(1)``, which allows at most one per cent of the smaller of the
two numbers; 20.11 without boost allows one per cent of the number found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from modelprep.formats.arrays import Array
from modelprep.targets.armnn_tests import Case

#: Fraction by which two numbers may differ: of both of them, or of the one that was found.
TOLERANCE = 0.01
ShareOf = Literal["both", "found"]
#: tests/YoloInferenceTest.hpp: the picture is cut into 7 by 7 cells with 20 classes and 2 boxes each.
YOLO_CELLS, YOLO_CLASSES, YOLO_BOXES, YOLO_PIXELS = 7, 20, 2, 448
YOLO_ELEMENTS = YOLO_CELLS**2 * (YOLO_CLASSES + YOLO_BOXES * 5)
#: tests/MobileNetSsdInferenceTest.hpp: elements of boxes, classes, scores and the number of detections.
SSD_ELEMENTS = (40, 10, 10, 1)


@dataclass(frozen=True)
class Detection:
    """One object that a network found, or that a test expects.

    `score`: 0 to 1. `box`, `form`: as the test compares it: ``centre_px`` (YOLO) is centre x, centre y, width, height
    in pixels of a picture of 448 x 448; ``corners`` (SSD) is left, top, right, bottom as fractions of the picture.
    """

    number: int
    score: float
    box: tuple[float, float, float, float]
    form: Literal["centre_px", "corners"] = "corners"

    def corners(self) -> tuple[float, float, float, float]:
        """Return left, top, right, bottom as fractions of the picture, for either form."""
        one, two, three, four = self.box
        if self.form == "corners":
            return self.box
        left, top = (one - three / 2) / YOLO_PIXELS, (two - four / 2) / YOLO_PIXELS
        return left, top, left + three / YOLO_PIXELS, top + four / YOLO_PIXELS

    def to_json(self) -> dict[str, object]:
        """Return it as JSON-ready values."""
        return {"class": self.number, "score": self.score, "box": list(self.box)}


def wanted(case: Case) -> Detection:
    """Return the expected detection of a test case."""
    one, two, three, four = case.box
    form: Literal["centre_px", "corners"] = "centre_px" if case.box_form == "centre_px" else "corners"
    return Detection(case.label, float(case.confidence or 0.0), (one, two, three, four), form)


def yolo(output: Array, best: int = 5) -> tuple[Detection, ...]:
    """Read the output of YOLO v1 as the test does.

    `output`: 1470 numbers: 7 x 7 x 20 classes, 7 x 7 x 2 box scores, 7 x 7 x 2 boxes (x and y in the cell, square roots
    of width and height in the picture). Returns the highest scores first, of equal ones the higher class first.
    """
    import numpy as np

    flat = np.asarray(output, np.float32).reshape(-1)
    cells = YOLO_CELLS * YOLO_CELLS
    classes, scales, boxes = np.split(flat, [cells * YOLO_CLASSES, cells * (YOLO_CLASSES + YOLO_BOXES)])
    scores = classes.reshape(cells, 1, YOLO_CLASSES) * scales.reshape(cells, YOLO_BOXES, 1)
    places = boxes.reshape(cells, YOLO_BOXES, 4)
    cell, box, number = (index.reshape(-1) for index in np.indices(scores.shape))
    order = np.lexsort((-number, -scores.reshape(-1)))[:best]

    def detection(cell: int, box: int, number: int) -> Detection:
        row, column = divmod(cell, YOLO_CELLS)
        x, y, width, height = (float(value) for value in places[cell, box])
        middle = (x + column) / YOLO_CELLS * YOLO_PIXELS, (y + row) / YOLO_CELLS * YOLO_PIXELS
        size = width * width * YOLO_PIXELS, height * height * YOLO_PIXELS
        return Detection(number, float(scores[cell, box, number]), (*middle, *size), "centre_px")

    return tuple(detection(int(cell[i]), int(box[i]), int(number[i])) for i in order)


def ssd(outputs: Sequence[Array]) -> tuple[Detection, ...]:
    """Read the four outputs of ``TFLite_Detection_PostProcess``: as many detections as the last one says.

    `outputs`: boxes (top, left, bottom, right), classes, scores, number of detections.
    """
    import numpy as np

    boxes, classes, scores, count = (np.asarray(output, np.float32).reshape(-1) for output in outputs)
    found = min(int(count[0]), classes.size)
    corners = [(left, top, right, bottom) for top, left, bottom, right in boxes[: 4 * found].reshape(-1, 4).tolist()]
    return tuple(Detection(int(classes[i]), float(scores[i]), corners[i]) for i in range(found))


def sizes_say(sizes: Sequence[int], kind: str) -> str:
    """Return the board's message about outputs of these sizes; empty if the sizes are right.

    The program checks every output for a too small buffer before it checks for a too large one
    (tests/InferenceModel.hpp, Run and MakeOutputTensors). Either ends it.
    """
    expected = (YOLO_ELEMENTS,) if kind == "yolo" else SSD_ELEMENTS
    for place, (has, room) in enumerate(zip(sizes, expected, strict=True)):
        if has > room:
            return f"Not enough data for output #{place}: expected {has} elements, got {room}"
    return "" if tuple(sizes) == expected else "Output tensor has incorrect size"


def yolo_says(number: int, found: Sequence[Detection], case: Case, share_of: ShareOf = "both") -> str:
    """Return the board's message about the best detection of test case `number`; empty if it is the expected one."""
    asked, first = wanted(case), found[0]
    if first.number != asked.number:
        return _other_class(number, first, asked)
    if not _close((*first.box, first.score), (*asked.box, asked.score), share_of):
        return _other_box(number)
    return ""


def ssd_says(number: int, found: Sequence[Detection], case: Case, share_of: ShareOf = "both") -> str:
    """Return the board's message about the detections of test case `number`; empty if they are the expected ones."""
    asked = wanted(case)
    if len(found) != case.detections:
        return f"Number of detections is incorrect: Expected ({case.detections}) but got ({len(found)})"
    first = found[0]
    if first.number != asked.number:
        return _other_class(number, first, asked)
    if not _close([first.score], [asked.score], share_of):
        return (
            f"Confidence of prediction for test case {number} is incorrect: Expected ({asked.score:g})  +- 1.0 pc "
            f"but predicted ({first.score:g})"
        )
    return "" if _close(first.box, asked.box, share_of) else _other_box(number)


def farthest(found: Detection, asked: Detection) -> tuple[str, float]:
    """Return the compared number with the largest error, and the error as a fraction of the smaller of the two."""
    pixels = found.form == "centre_px"
    names = ("centre x", "centre y", "width", "height") if pixels else ("left", "top", "right", "bottom")
    off = {
        name: abs(a - b) / max(min(abs(a), abs(b)), 1e-9)
        for name, a, b in zip((*names, "score"), (*found.box, found.score), (*asked.box, asked.score), strict=True)
    }
    worst = max(off, key=lambda name: off[name])
    return worst, off[worst]


def _other_class(number: int, got: Detection, asked: Detection) -> str:
    return f"Prediction for test case {number} is incorrect: Expected ({asked.number}) but predicted ({got.number})"


def _other_box(number: int) -> str:
    return f"Detected bounding box for test case {number} is incorrect"


def _close(got: Sequence[float], asked: Sequence[float], share_of: ShareOf) -> bool:
    # NaN is close to nothing, as on the board.
    return all(
        abs(a - b) <= TOLERANCE * (abs(a) if share_of == "found" else min(abs(a), abs(b)))
        for a, b in zip(got, asked, strict=True)
    )
