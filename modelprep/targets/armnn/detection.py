"""The detection post-process of Arm NN's reference backend, which is not that of TensorFlow Lite.

``TFLite_Detection_PostProcess`` runs on the board in Arm NN's own code (no other backend of 19.02 has it), and that
keeps other boxes: one that has been dropped still drops its neighbours; one without area overlaps like any other; with
several classes a box the fast way looks at the first `n` scores as if there were one a box; and equal scores, the usual
case with bytes, come in the order in which libstdc++'s ``partial_sort`` leaves them. So LiteRT runs the network, and
this is done to its raw boxes and scores.

Read in src/armnnTfLiteParser/TfLiteParser.cpp (ParseDetectionPostProcess) and
src/backends/reference/workloads/DetectionPostProcess.cpp; tested against Arm NN 20.08 itself in ``tests/check``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelprep.errors import StepError
from modelprep.formats.tflite.flexbuffer import read_map

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: The one custom operator that Arm NN's parser knows; it takes every other for this one.
OPERATOR = "TFLite_Detection_PostProcess"
#: What the parser says of an overlap threshold that is 0 (also: not given), negative or above 1.
IOU_MESSAGE = (
    "DetectionPostProcessTFLiteParser: Intersection over union threshold must be positive and less than or equal to 1."
)


@dataclass(frozen=True)
class Options:
    """The operator's options as Arm NN reads them; a missing one is 0.

    `max_classes`: of one box. `detections_per_class`: for the regular way; 1 if it is not given (TensorFlow Lite takes
    100 then). `classes`: without the background. `score_threshold`: from which score on a box counts. `iou_threshold`:
    above which overlap the lower of two boxes is dropped. `scales`: divisors of the encodings of y, x, height and
    width. `regular`: a suppression for each class, not one over the best class of each box.
    """

    max_detections: int
    max_classes: int
    detections_per_class: int
    classes: int
    score_threshold: float
    iou_threshold: float
    scales: tuple[float, float, float, float]
    regular: bool

    @property
    def room(self) -> int:
        """Detections that the outputs have room for."""
        return self.max_detections * self.max_classes

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Elements of boxes, classes, scores and number of detections, as the parser makes them."""
        return 4 * self.room, self.room, self.room, 1


def read_options(data: bytes, where: str = "") -> Options:
    """Read the operator's options; raises StepError if they are no FlexBuffers map."""
    given = read_map(data, where)

    def whole(name: str, default: int = 0) -> int:
        value = given.get(name)
        if value is None:
            return default
        return max(0, int(value)) if isinstance(value, int) or math.isfinite(value) else 0

    def real(name: str) -> float:
        return float(given.get(name) or 0)

    return Options(
        whole("max_detections"), whole("max_classes_per_detection"), whole("detections_per_class", 1),
        whole("num_classes"), real("nms_score_threshold"), real("nms_iou_threshold"),
        (real("y_scale"), real("x_scale"), real("h_scale"), real("w_scale")), bool(given.get("use_regular_nms")),
    )  # fmt: skip


def detect(
    encodings: NDArray[np.float32], scores: NDArray[np.float32], anchors: NDArray[np.float32], options: Options
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Do what Arm NN does with a network's raw boxes.

    `encodings`: float32 (..., boxes, 4): y, x, height, width relative to the anchors. `scores`: float32 (..., boxes,
    1 + classes); the first column is the background. `anchors`: float32 (boxes, 4): center y, center x, height, width.
    Returns float32 boxes (1, room, 4) as top, left, bottom, right; classes (1, room); scores (1, room); number (1,).
    Raises StepError: the three do not fit each other or the options.
    """
    import numpy as np

    count = encodings.size // 4
    scores = scores.reshape(-1, scores.shape[-1])
    if scores.shape != (count, options.classes + 1) or anchors.size != 4 * count:
        raise StepError(
            "the inputs of the detection post-process do not fit each other",
            expected=f"scores of {count} x {options.classes + 1}, {count} anchors",
            got=f"scores of {' x '.join(map(str, scores.shape))}, {anchors.size / 4:g} anchors",
        )
    corners = _corners(encodings.reshape(-1, 4), anchors.reshape(-1, 4), options)
    chosen = (_regular if options.regular else _fast)(corners, scores, options)
    room = options.room
    boxes, classes, values = (np.zeros((1, room, *more), np.float32) for more in ((4,), (), ()))
    for place, (box, number, score) in enumerate(chosen[:room]):
        boxes[0, place], classes[0, place], values[0, place] = corners[box], number, score
    return boxes, classes, values, np.array([len(chosen)], np.float32)


def _corners(encodings: Any, anchors: Any, options: Options) -> Any:
    import numpy as np

    scales = np.array(options.scales, np.float32)
    with np.errstate(all="ignore"):
        centre = encodings[:, :2] / scales[:2] * anchors[:, 2:] + anchors[:, :2]
        half = np.float32(0.5) * np.exp(encodings[:, 2:] / scales[2:]) * anchors[:, 2:]
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


_Chosen = list[tuple[int, int, float]]  # box, class, score


def _fast(corners: Any, scores: Any, options: Options) -> _Chosen:
    import numpy as np

    each = min(options.max_classes, options.classes)
    if each == 0:
        return []
    own = scores[:, 1:]
    # Of equal scores the first stays on top of a heap of one.
    best = own.argmax(axis=1)[:, None] if each == 1 else np.array([highest(each, row) for row in own])
    flat = np.take_along_axis(own, best, axis=1).reshape(-1)
    # Only the first scores are read, one a box, although several classes a box have as many times more of them.
    kept = _suppress(corners, flat[: len(corners)], options.max_detections, options)
    return [(i // each, int(best.reshape(-1)[i]), float(flat[i])) for i in kept]


def _regular(corners: Any, scores: Any, options: Options) -> _Chosen:
    found: _Chosen = []
    for number in range(options.classes):
        own = scores[:, number + 1]
        kept = _suppress(corners, own, options.detections_per_class, options)
        found += [(box, number, float(own[box])) for box in kept]
    return [found[i] for i in highest(min(options.max_detections, len(found)), [score for _, _, score in found])]


def _suppress(corners: Any, scores: Any, most: int, options: Options) -> list[int]:
    import numpy as np

    above = np.flatnonzero(scores >= np.float32(options.score_threshold))
    order = above[highest(len(above), scores[above].tolist())]
    kept: list[int] = []
    dropped: NDArray[np.bool_] = np.zeros(len(order), bool)
    ranked = corners[order]
    for i, box in enumerate(order):
        if len(kept) >= most:
            break
        if not dropped[i]:
            kept.append(int(box))
        # Also a box that was dropped drops what it overlaps.
        dropped[i + 1 :] |= _overlap(ranked[i], ranked[i + 1 :]) > np.float32(options.iou_threshold)
    return kept


def _overlap(one: Any, others: Any) -> Any:
    import numpy as np

    def area(box: Any) -> Any:
        return (box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1])

    high, wide = (
        np.maximum(np.minimum(one[to], others[:, to]) - np.maximum(one[at], others[:, at]), np.float32(0))
        for at, to in ((0, 2), (1, 3))
    )
    common = high * wide
    with np.errstate(all="ignore"):
        return common / (area(one) + area(others) - common)


# -- the order of equal scores ---------------------------------------------------------------------------------------


def highest(count: int, scores: Sequence[float]) -> list[int]:
    """Return the indices of the highest scores in libstdc++'s order: a heap of `count`, sorted at the end."""
    places = list(range(len(scores)))
    values = scores.tolist() if hasattr(scores, "tolist") else scores

    def higher(a: int, b: int) -> bool:
        return bool(values[a] > values[b])

    for start in reversed(range(count // 2)):
        _sift(places, start, count, places[start], higher)
    if count:
        for place in range(count, len(places)):
            if higher(places[place], places[0]):
                value, places[place] = places[place], places[0]
                _sift(places, 0, count, value, higher)
    for last in range(count - 1, 0, -1):
        value, places[last] = places[last], places[0]
        _sift(places, 0, last, value, higher)
    return places[:count]


def _sift(heap: list[int], hole: int, size: int, value: int, higher: Callable[[int, int], bool]) -> None:
    """Let a hole sink to the bottom by its lower children, then `value` rise in it: ``__adjust_heap``."""
    top = hole
    child = hole
    while child < (size - 1) // 2:
        child = 2 * (child + 1)
        if higher(heap[child], heap[child - 1]):
            child -= 1
        heap[hole] = heap[child]
        hole = child
    if size % 2 == 0 and child == (size - 2) // 2:
        child = 2 * child + 1
        heap[hole] = heap[child]
        hole = child
    while hole > top and higher(heap[(hole - 1) // 2], value):
        heap[hole] = heap[(hole - 1) // 2]
        hole = (hole - 1) // 2
    heap[hole] = value
