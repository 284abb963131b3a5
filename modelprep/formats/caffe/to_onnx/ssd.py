"""SSD's boxes as standard ONNX: PriorBox is a constant, DetectionOutput a subgraph around NonMaxSuppression.

Facts from the SSD branch of Caffe: sizes of priors are cut to whole numbers; a score counts when it is above the
threshold; of each class the `top_k` best boxes come before the suppression; `keep_top_k` counts over all classes of an
image; rows are ordered by image, class, and falling score; boxes are not clipped; without any detection there is one
row of ``image, -1, -1, ...`` for each image.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any

from modelprep.formats.caffe.to_onnx.graph import float32
from modelprep.formats.caffe.to_onnx.layer import Conversion, Layer, Tensor
from modelprep.formats.onnx.model import FLOAT

_CORNER, _CENTER_SIZE, _CORNER_SIZE = 1, 2, 3
_LOWEST = -3.4028234663852886e38
#: Boxes of a cell have 8 shapes at most in public nets, and all cells together make 25,000 (SSD512).
MAX_BOXES_A_CELL = 256
MAX_BOXES = 500_000


def _sizes(layer: Layer) -> list[tuple[float, float]]:
    """Return width and height of the boxes of one cell, in pixels."""
    p = layer.proto.prior_box_param
    if p.max_size and len(p.max_size) != len(p.min_size):
        got = f"{len(p.min_size)} and {len(p.max_size)}"
        raise layer.refuse("there must be a max_size for each min_size, or none", got=got)
    if not all(0 < value < math.inf for value in (*p.min_size, *p.max_size, *p.aspect_ratio)):
        raise layer.refuse("sizes and aspect ratios of boxes must be positive")
    if any(size != int(size) for size in (*p.min_size, *p.max_size)):
        layer.warnings.append(
            f"layer '{layer.name}': sizes of boxes are cut to whole numbers, as SSD's Caffe does (OpenCV does not)"
        )
    ratios = [1.0]
    for ratio in p.aspect_ratio:
        if all(abs(ratio - known) >= 1e-6 for known in ratios):
            ratios += [ratio, float32(1.0 / ratio)] if p.flip else [ratio]
    boxes = []
    for i, size in enumerate(map(int, p.min_size)):
        boxes.append((float(size), float(size)))
        if p.max_size:
            both = float32(math.sqrt(size * int(p.max_size[i])))
            boxes.append((both, both))
        for ratio in ratios:
            if abs(ratio - 1.0) >= 1e-6:
                root = float32(math.sqrt(ratio))
                boxes.append((float32(size * root), float32(size / root)))
    return boxes


def _two(p: Any, both: str, high: str, wide: str) -> tuple[float, float]:
    return (getattr(p, both),) * 2 if p.HasField(both) else (getattr(p, high), getattr(p, wide))


def _prior_box(layer: Layer) -> None:
    p, top = layer.proto.prior_box_param, layer.tops[0]
    if not p.min_size:
        raise layer.refuse("min_size is not given")
    a_cell = len(p.min_size) * (2 + 2 * len(p.aspect_ratio))
    if a_cell > MAX_BOXES_A_CELL:
        raise layer.refuse(f"a cell would have up to {a_cell} boxes", expected=f"at most {MAX_BOXES_A_CELL}")
    rows, columns = layer.size(layer.bottoms[0], 2), layer.size(layer.bottoms[0], 3)
    image_h, image_w = map(int, _two(p, "img_size", "img_h", "img_w"))
    if not image_h or not image_w:
        if len(layer.bottoms) < 2:
            raise layer.refuse("it needs the picture as its second bottom, or img_size")
        image_h, image_w = layer.size(layer.bottoms[1], 2), layer.size(layer.bottoms[1], 3)
    step_h, step_w = _two(p, "step", "step_h", "step_w")
    if not step_h or not step_w:
        step_h, step_w = float32(image_h / rows), float32(image_w / columns)
    if rows * columns * a_cell > MAX_BOXES:
        raise layer.refuse(f"there would be up to {rows * columns * a_cell} boxes", expected=f"at most {MAX_BOXES}")
    numbers = list(_boxes(layer, (rows, columns), (image_h, image_w), (step_h, step_w)))
    if p.clip:
        numbers = [min(max(number, 0.0), 1.0) for number in numbers]
    variance = list(p.variance) or [0.1]
    if len(variance) not in (1, 4):
        raise layer.refuse("there must be one variance or four", got=str(len(variance)))
    numbers += variance * (len(numbers) // len(variance))
    dims = (1, 2, len(numbers) // 2)
    value = layer.graph.constant(f"{layer.name}/boxes", dims, struct.pack(f"<{len(numbers)}f", *numbers), FLOAT)
    layer.op("Identity", value, out=top.name)


def _boxes(layer: Layer, cells: tuple[int, int], image: tuple[int, int], step: tuple[float, float]) -> Iterator[float]:
    offset, sizes = layer.proto.prior_box_param.offset, _sizes(layer)
    for row in range(cells[0]):
        for column in range(cells[1]):
            y, x = (float32(float32(at + offset) * one) for at, one in zip((row, column), step, strict=True))
            for width, height in sizes:
                yield float32((x - width / 2.0) / image[1])
                yield float32((y - height / 2.0) / image[0])
                yield float32((x + width / 2.0) / image[1])
                yield float32((y + height / 2.0) / image[0])


class _Detection:
    """The subgraph of one DetectionOutput: decoded boxes, scores by class, suppression, rows."""

    def __init__(self, layer: Layer) -> None:
        self.layer, self.p = layer, layer.proto.detection_output_param
        loc, conf, priors = layer.bottoms[:3]
        self.priors = layer.size(priors, 2) // 4
        self.classes = int(self.p.num_classes)
        self.shared = bool(self.p.share_location)
        self.batch = loc.shape[0]
        boxes, scores = self._count(loc), self._count(conf)
        located = 1 if self.shared else self.classes
        if boxes != self.priors * located * 4 or scores != self.priors * self.classes:
            raise layer.refuse(
                "the numbers of boxes do not fit each other", expected=f"{self.priors} priors, {self.classes} classes",
                got=f"{boxes} coordinates, {scores} scores",
            )  # fmt: skip
        #: Classes that are looked at: all but the background.
        self.wanted = [c for c in range(self.classes) if c != self.p.background_label_id]
        if not self.wanted:
            raise layer.refuse("there is no class but the background")

    def _count(self, tensor: Tensor) -> int:
        return math.prod(self.layer.size(tensor, axis) for axis in range(1, len(tensor.shape)))

    def boxes(self, out: str = "") -> str:
        """Decode to (batch, priors, 4) where all classes share their boxes, else (batch, priors, classes, 4)."""
        layer, p = self.layer, self.p
        shape = [-1, self.priors, 4] if self.shared else [-1, self.priors, self.classes, 4]
        loc = layer.op("Reshape", layer.x, layer.integers("loc_shape", shape), part="loc")
        halves = [layer.graph.claim(f"{layer.name}/{name}") for name in ("prior_boxes", "variances")]
        prior_shape = [2, self.priors, 4] if self.shared else [2, self.priors, 1, 4]
        both = layer.op("Reshape", layer.bottoms[2].name, layer.integers("prior_shape", prior_shape), part="priors")
        for i, half in enumerate(halves):
            inputs = [both, layer.integers(f"half{i}", [i])]
            layer.graph.node("Gather", inputs, [half], f"{layer.name}/half{i}", {"axis": 0})
        prior, variances = halves
        if not p.variance_encoded_in_target:
            loc = layer.op("Mul", loc, variances, part="scaled_loc")
        if p.code_type == _CORNER:
            return layer.op("Add", prior, loc, out=out, part="decoded")
        last = len(shape) - 1
        low, high = (layer.slice(prior, [last], [i], [i + 2], part=f"prior_{i}") for i in (0, 2))
        size = layer.op("Sub", high, low, part="prior_size")
        first, second = (layer.slice(loc, [last], [i], [i + 2], part=f"loc_{i}") for i in (0, 2))
        if p.code_type == _CORNER_SIZE:
            ends = [
                layer.op("Add", corner, layer.op("Mul", size, offset, part=f"moved{i}"), part=f"end{i}")
                for i, (corner, offset) in enumerate(((low, first), (high, second)))
            ]
            return layer.op("Concat", *ends, out=out, part="decoded", axis=last)
        two = layer.number("two", 2.0)
        middle = layer.op("Div", layer.op("Add", low, high, part="prior_sum"), two, part="prior_middle")
        centre = layer.op("Add", layer.op("Mul", first, size, part="moved"), middle, part="centre")
        half_size = layer.op("Div", layer.op("Mul", layer.op("Exp", second), size, part="size"), two, part="half_size")
        ends = [layer.op(op, centre, half_size, part=part) for op, part in (("Sub", "corner0"), ("Add", "corner1"))]
        return layer.op("Concat", *ends, out=out, part="decoded", axis=last)

    def scores(self, out: str = "") -> str:
        """Bring the scores to (batch, classes, priors), all classes in it."""
        layer = self.layer
        shape = layer.integers("conf_shape", [-1, self.priors, self.classes])
        conf = layer.op("Reshape", layer.bottoms[1].name, shape, part="conf")
        return layer.op("Transpose", conf, out=out, part="scores", perm=[0, 2, 1])

    def rows(self, out: str) -> None:
        """Suppress, sort and write the rows of the top."""
        layer, p, many = self.layer, self.p, len(self.wanted)
        nms = p.nms_param
        if p.HasField("nms_param") and nms.eta < 1:
            raise layer.refuse("an adaptive threshold (eta below 1) has no ONNX operator", got=f"eta {nms.eta:g}")
        wanted = layer.integers("classes", self.wanted)
        scores = layer.op("Gather", self.scores(), wanted, part="wanted_scores", axis=1)
        best = min(nms.top_k, self.priors) if nms.HasField("top_k") and nms.top_k > -1 else self.priors
        if best < 1:
            raise layer.refuse("top_k leaves no box", got=str(nms.top_k))
        values, places = (layer.graph.claim(f"{layer.name}/{part}") for part in ("best_scores", "best_places"))
        top_k = layer.integers("top_k", [best])
        layer.graph.node("TopK", [scores, top_k], [values, places], f"{layer.name}/best", {"axis": 2})
        corners = self._corners(places, best, wanted)
        # Each class of each image is a separate batch: the boxes before the suppression differ from class to class.
        flat_scores = layer.op("Reshape", values, layer.integers("one_class", [-1, 1, best]), part="flat_scores")
        threshold = p.confidence_threshold if p.HasField("confidence_threshold") else _LOWEST
        selected = layer.op(
            "NonMaxSuppression", self._ordered(corners), flat_scores, layer.integers("most", [best]),
            layer.floats("nms_threshold", [nms.nms_threshold]), layer.floats("score_threshold", [threshold]),
        )  # fmt: skip
        kept = self._kept(selected, values, best)
        # In memory the boxes are ordered by image, class and falling score: that is Caffe's order of rows.
        at = layer.op("Transpose", layer.op("NonZero", kept), part="at", perm=[1, 0])
        image, place = (layer.slice(at, [1], [i], [i + 1], part=part) for i, part in ((0, "image"), (1, "place")))
        class_ = layer.op("Div", place, layer.integers("per_class", [best]), part="class")
        label = layer.op("Gather", wanted, class_, part="label", axis=0)
        flat_values = layer.op("Reshape", values, layer.integers("flat_values", [-1, many * best]), part="all_scores")
        score = layer.over("Unsqueeze", layer.op("GatherND", flat_values, at, part="row_scores"), [1], part="score")
        flat_boxes = layer.op("Reshape", corners, layer.integers("flat_boxes", [-1, many * best, 4]), part="all_boxes")
        box = layer.op("GatherND", flat_boxes, at, part="row_boxes")
        columns = [layer.cast_to_float(image, part="image_f"), layer.cast_to_float(label, part="label_f"), score, box]
        found = layer.op("Concat", *columns, part="found", axis=1)
        rows = layer.op("Concat", found, self._none_found(at, values), part="rows", axis=0)
        layer.over("Unsqueeze", rows, [0, 1], out=out)

    def _corners(self, places: str, best: int, wanted: str) -> str:
        """Gather the boxes of the best places: (batch * classes, best, 4)."""
        layer = self.layer
        boxes = self.boxes()
        many = len(self.wanted)
        one = layer.op("Reshape", places, layer.integers("places_shape", [-1, many, best, 1]), part="places")
        repeated = layer.op("Expand", one, layer.integers("four", [1, 1, 1, 4]), part="places4")
        if self.shared:
            spread = layer.over("Unsqueeze", boxes, [1], part="boxes1")
            # Expand to the classes that are looked at, so that places can be looked up for each of them.
            spread = layer.op("Expand", spread, layer.integers("each_class", [1, many, 1, 1]), part="boxes_of_class")
        else:
            some = layer.op("Gather", boxes, wanted, part="wanted_boxes", axis=2)
            spread = layer.op("Transpose", some, part="boxes_of_class", perm=[0, 2, 1, 3])
        found = layer.op("GatherElements", spread, repeated, part="best_boxes", axis=2)
        return layer.op("Reshape", found, layer.integers("one_class_boxes", [-1, best, 4]), part="corners")

    def _ordered(self, corners: str) -> str:
        """Make boxes with swapped corners empty: in Caffe those overlap with nothing, ONNX would swap them."""
        layer = self.layer
        if self.p.code_type == _CENTER_SIZE:
            return corners  # a size is a power of e
        low, high = (layer.slice(corners, [2], [i], [i + 2], part=f"corner_{i}") for i in (0, 2))
        return layer.op("Concat", low, layer.op("Max", low, high, part="not_below"), part="ordered", axis=2)

    def _kept(self, selected: str, values: str, best: int) -> str:
        """Return a mask (batch, classes * best) of the boxes that suppression and `keep_top_k` leave."""
        layer, wide = self.layer, len(self.wanted) * best
        columns = [layer.slice(selected, [1], [i], [i + 1], part=part) for i, part in ((0, "group"), (2, "rank"))]
        start = layer.op("Mul", columns[0], layer.integers("group_size", [best]), part="group_start")
        flat = layer.over("Squeeze", layer.op("Add", start, columns[1], part="flat_place"), [1], part="flat")
        all_values = layer.op("Reshape", values, layer.integers("all", [-1]), part="values")
        shape = layer.op("Shape", all_values)
        lowest = layer.op("Expand", layer.number("nothing", float("-inf")), shape, part="no_scores")
        chosen = layer.op("Gather", all_values, flat, part="chosen_scores", axis=0)
        survivors = layer.op("ScatterElements", lowest, flat, chosen, part="survivors", axis=0)
        rows = layer.op("Reshape", survivors, layer.integers("by_image", [-1, wide]), part="survivors_by_image")
        keep = self.p.keep_top_k
        if keep < 0 or keep >= wide:
            return self._above(rows, part="kept")
        if keep == 0:
            raise layer.refuse("keep_top_k leaves no box", got="0")
        top, at = (layer.graph.claim(f"{layer.name}/{part}") for part in ("top_scores", "top_places"))
        most = layer.integers("keep_top_k", [keep])
        layer.graph.node("TopK", [rows, most], [top, at], f"{layer.name}/keep", {"axis": 1})
        unmarked, shape = layer.number("unmarked", 0.0), layer.op("Shape", rows, part="mask_shape")
        empty = layer.op("Expand", unmarked, shape, part="empty_mask")
        return layer.op("ScatterElements", empty, at, self._above(top, part="top_kept"), part="kept", axis=1)

    def _above(self, value: str, part: str) -> str:
        layer = self.layer
        lowest = layer.number(f"{part}_lowest", float("-inf"))
        return layer.cast_to_float(layer.op("Greater", value, lowest, part=f"{part}_flags"), part=part)

    def _none_found(self, at: str, values: str) -> str:
        """Return one row of (image, -1, ...) for each image if nothing was found, else no rows."""
        layer = self.layer
        images = layer.slice(layer.op("Shape", values, part="scores_shape"), [0], [0], [1], part="images")
        found = layer.slice(layer.op("Shape", at, part="found_shape"), [0], [0], [1], part="found_count")
        none = layer.op("Equal", found, layer.integers("zero", [0]), part="none")
        count = layer.op("Mul", images, layer.op("Cast", none, part="none_i", to=7), part="filler_rows")
        first, end = layer.integers("from", [0], ()), layer.over("Squeeze", count, [0], part="filler_end")
        numbers = layer.op("Range", first, end, layer.integers("by", [1], ()))
        first = layer.over("Unsqueeze", layer.cast_to_float(numbers, part="filler_f"), [1], part="filler_images")
        rest = layer.op("Concat", count, layer.integers("six", [6]), part="filler_shape", axis=0)
        minus = layer.op("Expand", layer.number("minus_one", -1.0), rest, part="filler_values")
        return layer.op("Concat", first, minus, part="filler", axis=1)


def _detection_output(layer: Layer) -> None:
    detection = _Detection(layer)
    if not layer.raw_detections:
        detection.rows(layer.y)
        return
    classes = () if detection.shared else (detection.classes,)
    for part, shape in (
        ("boxes", (detection.batch, detection.priors, *classes, 4)),
        ("scores", (detection.batch, detection.classes, detection.priors)),
    ):
        name = layer.graph.claim(f"{layer.y}/{part}")
        (detection.boxes if part == "boxes" else detection.scores)(out=name)
        layer.extra_outputs.append(Tensor(name, shape))


CONVERSIONS = {
    "PriorBox": Conversion(_prior_box, "an initializer", "sizes cut to whole numbers, as SSD's Caffe does"),
    "DetectionOutput": Conversion(
        _detection_output, "decoded boxes, TopK, NonMaxSuppression, ScatterElements, NonZero",
        "`--ssd raw`: boxes and scores; refused: `eta` below 1",
    ),
}  # fmt: skip
