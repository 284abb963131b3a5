"""Layers of Caffe's forks, which the real Caffe here does not have: random nets, and what they compute in float64.

The references are written from the forks' published definitions, not from the converter: loops over windows and boxes
where the converter has operators.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
from layer_cases import Case, Maker, four, layer, number, some

Numbers = dict[str, Any]
#: Given inputs and the layer's weights, the tops.
Reference = Callable[[Any, Numbers, list[Any]], Numbers]
FORKS: dict[str, tuple[Maker, Reference]] = {}


def fork(type_: str, maker: Maker) -> Callable[[Reference], Reference]:
    def keep(reference: Reference) -> Reference:
        FORKS[type_] = (maker, reference)
        return reference

    return keep


def _elementwise(type_: str, function: Callable[[Any], Any]) -> None:
    FORKS[type_] = (
        lambda r: Case(layer(type_), {"x": some(r)}, {"x": ("normal", 4)}),
        lambda proto, given, blobs: {"y": function(given["x"])},
    )


_elementwise("ReLU6", lambda x: np.minimum(np.maximum(x, 0), 6))
_elementwise("HardSwish", lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6)
_elementwise("Mish", lambda x: x * np.tanh(np.log1p(np.exp(x))))


@fork("Clip", lambda r: Case(layer("Clip", f"clip_param {{ min: {number(r, -3, 0)} max: {number(r, 0, 3)} }}"),
                             {"x": some(r)}))  # fmt: skip
def _clip(proto: Any, given: Numbers, blobs: list[Any]) -> Numbers:
    return {"y": np.minimum(np.maximum(given["x"], proto.clip_param.min), proto.clip_param.max)}


def _make_batch_norm(r: random.Random) -> Case:
    shape = (r.randint(2, 3), r.randint(1, 4), r.randint(3, 6), r.randint(3, 6))
    return Case(layer("BatchNorm", "batch_norm_param { use_global_stats: false }"), {"x": shape})


@fork("BatchNorm", _make_batch_norm)  # of the batch: the Caffe here divides by the root of eps alone
def _batch_norm(proto: Any, given: Numbers, blobs: list[Any]) -> Numbers:
    x = given["x"]
    mean = x.mean((0, 2, 3), keepdims=True)
    return {"y": (x - mean) / np.sqrt(((x - mean) ** 2).mean((0, 2, 3), keepdims=True) + proto.batch_norm_param.eps)}


def _make_bn(r: random.Random) -> Case:
    return Case(layer("BN", "bn_param { bn_mode: INFERENCE }"), {"x": four(r)})


@fork("BN", _make_bn)
def _bn(proto: Any, given: Numbers, blobs: list[Any]) -> Numbers:
    wide = [blob.reshape(1, -1, 1, 1) for blob in blobs]
    return {"y": given["x"] * wide[0] + wide[1]}


def _make_bn_statistics(r: random.Random) -> Case:
    return Case(layer("BN", "bn_param { frozen: true }"), {"x": four(r)})


@fork("BN with statistics", _make_bn_statistics)
def _bn_statistics(proto: Any, given: Numbers, blobs: list[Any]) -> Numbers:
    slope, bias, mean, variance = (blob.reshape(1, -1, 1, 1) for blob in blobs)
    return {"y": slope * (given["x"] - mean) / np.sqrt(variance + 1e-5) + bias}


FORKS["SpatialDropout"] = (
    lambda r: Case(layer("SpatialDropout"), {"x": four(r)}),
    lambda proto, given, blobs: {"y": given["x"]},
)


def _make_depthwise(type_: str) -> Maker:
    def make(r: random.Random) -> Case:
        channels = r.randint(1, 5)
        text = f"num_output: {channels} kernel_size: 3 pad: {r.randint(0, 1)} stride: {r.randint(1, 2)}"
        text += f" group: {channels}" if type_ == "DepthwiseConvolution" else ""
        return Case(layer(type_, f"convolution_param {{ {text} }}"), {"x": (2, channels, r.randint(4, 7), 6)})

    return make


def _depthwise(proto: Any, given: Numbers, blobs: list[Any]) -> Numbers:
    p, x = proto.convolution_param, given["x"]
    pad, stride = p.pad[0], p.stride[0]
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    high, wide = ((size - 3) // stride + 1 for size in x.shape[2:])
    y = np.zeros((*x.shape[:2], high, wide))
    for i in range(high):
        for j in range(wide):
            window = x[:, :, i * stride : i * stride + 3, j * stride : j * stride + 3]
            y[:, :, i, j] = (window * blobs[0][:, 0]).sum((2, 3)) + blobs[1]
    return {"y": y}


for _type in ("DepthwiseConvolution", "ConvolutionDepthwise"):
    FORKS[_type] = (_make_depthwise(_type), _depthwise)


def _make_axpy(r: random.Random) -> Case:
    shape = four(r)
    return Case(layer("Axpy", "", "a x z"), {"a": r.choice([shape[:2], (*shape[:2], 1, 1)]), "x": shape, "z": shape})


@fork("Axpy", _make_axpy)
def _axpy(proto: Any, given: Numbers, blobs: list[Any]) -> Numbers:
    return {"y": given["a"].reshape(*given["x"].shape[:2], 1, 1) * given["x"] + given["z"]}


def _make_shuffle(r: random.Random) -> Case:
    group = r.randint(1, 4)
    shape = (r.randint(1, 2), group * r.randint(1, 4), r.randint(1, 4), r.randint(1, 4))
    return Case(layer("ShuffleChannel", f"shuffle_channel_param {{ group: {group} }}"), {"x": shape})


@fork("ShuffleChannel", _make_shuffle)
def _shuffle(proto: Any, given: Numbers, blobs: list[Any]) -> Numbers:
    x, group = given["x"], proto.shuffle_channel_param.group
    columns = x.shape[1] // group
    y = np.empty_like(x)
    for i in range(group):
        for j in range(columns):
            y[:, j * group + i] = x[:, i * columns + j]
    return {"y": y}


def _make_interp(r: random.Random) -> Case:
    text = r.choice([
        f"height: {r.randint(1, 12)} width: {r.randint(1, 12)}", f"zoom_factor: {r.randint(1, 4)}",
        f"shrink_factor: {r.randint(1, 4)}", f"shrink_factor: {r.randint(1, 3)} zoom_factor: {r.randint(1, 3)}", "like",
    ])  # fmt: skip
    inputs = {"x": four(r, 4, 8)}
    if text == "like":
        inputs["like"] = four(r, 2, 9)
        return Case(layer("Interp", "", "x like"), inputs)
    text += r.choice(["", f" pad_beg: -{r.randint(0, 1)} pad_end: -{r.randint(0, 2)}"])
    return Case(layer("Interp", f"interp_param {{ {text} }}"), inputs)


def _zoomed(size: int, p: Any, given: int) -> int:
    if p.HasField("shrink_factor") or p.HasField("zoom_factor"):
        size = (size - 1) // (p.shrink_factor or 1) + 1
        return size + (size - 1) * ((p.zoom_factor or 1) - 1)
    return given


@fork("Interp", _make_interp)
def _interp(proto: Any, given: Numbers, blobs: list[Any]) -> Numbers:
    x, p = given["x"], proto.interp_param
    x = x[:, :, -p.pad_beg : x.shape[2] + p.pad_end, -p.pad_beg : x.shape[3] + p.pad_end]
    height, width = _zoomed(x.shape[2], p, p.height), _zoomed(x.shape[3], p, p.width)
    if "like" in given:
        x, (height, width) = given["x"], given["like"].shape[2:]
    y = np.zeros((*x.shape[:2], height, width))
    for i in range(height):
        for j in range(width):
            at = [k * (have - 1) / (want - 1) if want > 1 else 0.0
                  for k, have, want in ((i, x.shape[2], height), (j, x.shape[3], width))]  # fmt: skip
            (a, fa), (b, fb) = ((int(v + 1e-9), v - int(v + 1e-9)) for v in at)
            a2, b2 = min(a + 1, x.shape[2] - 1), min(b + 1, x.shape[3] - 1)
            y[:, :, i, j] = (1 - fa) * ((1 - fb) * x[:, :, a, b] + fb * x[:, :, a, b2]) + fa * (
                (1 - fb) * x[:, :, a2, b] + fb * x[:, :, a2, b2]
            )
    return {"y": y}


def _make_upsample(r: random.Random) -> Case:
    return Case(layer("Upsample", f"upsample_param {{ scale: {r.randint(1, 4)} }}"), {"x": four(r, 1, 5)})


@fork("Upsample", _make_upsample)
def _upsample(proto: Any, given: Numbers, blobs: list[Any]) -> Numbers:
    scale = proto.upsample_param.scale
    return {"y": given["x"].repeat(scale, 2).repeat(scale, 3)}


def _make_unpool(r: random.Random) -> Case:
    shape = (r.randint(1, 2), r.randint(1, 3), 2 * r.randint(1, 4), 2 * r.randint(1, 4))
    pool = layer("Pooling", "pooling_param { pool: MAX kernel_size: 2 stride: 2 }", tops="p m", name="pool")
    text = r.choice(["", "scale: 2", f"upsample_h: {shape[2]} upsample_w: {shape[3]}"])
    return Case(pool + layer("Upsample", f"upsample_param {{ {text} }}", "p m"), {"x": shape})


@fork("Upsample with a mask", _make_unpool)
def _unpool(proto: Any, given: Numbers, blobs: list[Any]) -> Numbers:
    x = given["x"]
    y = np.zeros_like(x)
    for n, c, i, j in np.ndindex(x.shape[0], x.shape[1], x.shape[2] // 2, x.shape[3] // 2):
        window = x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        a, b = np.unravel_index(window.argmax(), window.shape)
        y[n, c, 2 * i + a, 2 * j + b] = window.max()
    return {"y": y}


def _make_roi(r: random.Random) -> Case:
    shape = (2, r.randint(1, 3), r.randint(6, 10), r.randint(6, 10))
    text = f"pooled_h: {r.randint(1, 4)} pooled_w: {r.randint(1, 4)} spatial_scale: {r.choice([1, 0.5, 0.0625])}"
    return Case(
        layer("ROIPooling", f"roi_pooling_param {{ {text} }}", "x rois"), {"x": shape, "rois": (r.randint(1, 5), 5)},
        {"rois": ("rois", 12)},
    )  # fmt: skip


def _rounded(value: float) -> int:
    return math.floor(value + 0.5)


@fork("ROIPooling", _make_roi)
def _roi(proto: Any, given: Numbers, blobs: list[Any]) -> Numbers:
    p, x = proto.roi_pooling_param, given["x"]
    height, width = x.shape[2:]
    y = np.zeros((len(given["rois"]), x.shape[1], p.pooled_h, p.pooled_w))
    for n, (image, x1, y1, x2, y2) in enumerate(given["rois"]):
        left, top, right, bottom = (_rounded(v * p.spatial_scale) for v in (x1, y1, x2, y2))
        high, wide = max(bottom - top + 1, 1) / p.pooled_h, max(right - left + 1, 1) / p.pooled_w
        for i in range(p.pooled_h):
            for j in range(p.pooled_w):
                rows = slice(min(max(top + math.floor(i * high), 0), height),
                             min(max(top + math.ceil((i + 1) * high), 0), height))  # fmt: skip
                columns = slice(min(max(left + math.floor(j * wide), 0), width),
                                min(max(left + math.ceil((j + 1) * wide), 0), width))  # fmt: skip
                part = x[int(image), :, rows, columns]
                if part.size:
                    y[n, :, i, j] = part.max((1, 2))
    return {"y": y}


def _make_normalize(r: random.Random) -> Case:
    text = r.choice(["", "across_spatial: false "]) + r.choice(["", "channel_shared: false "])
    return Case(layer("Normalize", f"norm_param {{ {text} }}"), {"x": four(r)})


@fork("Normalize", _make_normalize)
def _normalize(proto: Any, given: Numbers, blobs: list[Any]) -> Numbers:
    p, x = proto.norm_param, given["x"]
    norm = np.sqrt((x**2).sum((1, 2, 3) if p.across_spatial else 1, keepdims=True) + p.eps)
    scale = blobs[0] if p.channel_shared else blobs[0].reshape(1, -1, 1, 1)
    return {"y": x / norm * scale}


def _make_priors(r: random.Random) -> Case:
    many = r.randint(1, 2)
    sizes = sorted(r.sample(range(10, 60), 2 * many))
    text = "".join(f" min_size: {size}" for size in sizes[:many])
    text += r.choice(["", "".join(f" max_size: {size}" for size in sizes[many:])])
    text += r.choice(["", " aspect_ratio: 2", " aspect_ratio: 2 aspect_ratio: 3"]) + r.choice(["", " flip: false"])
    text += r.choice(["", " clip: true"]) + r.choice(["", " variance: 0.2", " variance: 0.1 variance: 0.1 "
                                                      "variance: 0.2 variance: 0.2"])  # fmt: skip
    text += r.choice(["", " step: 16", " step_h: 8 step_w: 16", " img_size: 100", " img_h: 90 img_w: 120"])
    text += r.choice(["", " offset: 0.25"])
    inputs = {"x": (r.randint(1, 2), 3, r.randint(1, 4), r.randint(1, 4)), "image": (1, 3, 64, r.randint(60, 70))}
    return Case(layer("PriorBox", f"prior_box_param {{{text} }}", "x image"), inputs)


@fork("PriorBox", _make_priors)
def _priors(proto: Any, given: Numbers, blobs: list[Any]) -> Numbers:
    p = proto.prior_box_param
    rows, columns = given["x"].shape[2:]
    high = p.img_h or p.img_size or given["image"].shape[2]
    wide = p.img_w or p.img_size or given["image"].shape[3]
    step_h, step_w = p.step or p.step_h or high / rows, p.step or p.step_w or wide / columns
    ratios = [1.0]
    for ratio in p.aspect_ratio:
        ratios += [ratio, 1 / ratio] if p.flip else [ratio]
    boxes = []
    for i in range(rows):
        for j in range(columns):
            for k, size in enumerate(p.min_size):
                whole = int(size)
                sides = [(whole, whole)]
                if p.max_size:
                    sides.append((math.sqrt(whole * int(p.max_size[k])),) * 2)
                sides += [(whole * math.sqrt(ratio), whole / math.sqrt(ratio)) for ratio in ratios[1:]]
                for w, h in sides:
                    x, y = (j + p.offset) * step_w, (i + p.offset) * step_h
                    boxes += [(x - w / 2) / wide, (y - h / 2) / high, (x + w / 2) / wide, (y + h / 2) / high]
    first = np.array(boxes)
    if p.clip:
        first = first.clip(0, 1)
    variance = list(p.variance) or [0.1]
    second = np.resize(np.array(variance), len(boxes))
    return {"y": np.stack([first, second])[None]}


def _make_detection(r: random.Random) -> Case:
    classes, priors, batch = r.randint(2, 5), r.randint(3, 12), r.randint(1, 3)
    shared = r.random() < 0.7
    text = f"num_classes: {classes} share_location: {str(shared).lower()} "
    code = r.choice(["CENTER_SIZE", "CENTER_SIZE", "CORNER", "CORNER_SIZE"])
    text += f"background_label_id: {r.choice([0, 0, -1, 1])} code_type: {code} "
    text += r.choice(["", f"keep_top_k: {r.randint(1, 8)} "]) + r.choice(["", "variance_encoded_in_target: true "])
    text += r.choice(["", f"confidence_threshold: {r.choice([0.01, 0.3, 0.6, 2])} "])
    top_k = r.choice(["", f"top_k: {r.randint(1, 9)} "])
    text += f"nms_param {{ nms_threshold: {r.choice([0.3, 0.45, 0.6])} {top_k}}}"
    return Case(
        layer("DetectionOutput", f"detection_output_param {{ {text} }}", "loc conf priors"),
        {"loc": (batch, priors * 4 * (1 if shared else classes)), "conf": (batch, priors * classes),
         "priors": (1, 2, priors * 4)},
        {"loc": ("normal", 1), "conf": ("unit", 1), "priors": ("priors", 1)},
    )  # fmt: skip


def _overlap(a: Any, b: Any) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) if box[2] > box[0] and box[3] > box[1] else 0.0 for box in (a, b))
    return float(width * height / (areas - width * height))


def _decode(code: int, encoded: bool, loc: Any, prior: Any, variance: Any) -> list[float]:
    moved = loc if encoded else loc * variance
    width, height = prior[2] - prior[0], prior[3] - prior[1]
    if code == 1:
        return list(prior + moved)
    if code == 3:
        return list(prior + moved * np.array([width, height, width, height]))
    x, y = moved[0] * width + (prior[0] + prior[2]) / 2, moved[1] * height + (prior[1] + prior[3]) / 2
    w, h = math.exp(moved[2]) * width, math.exp(moved[3]) * height
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


@fork("DetectionOutput", _make_detection)
def _detection(proto: Any, given: Numbers, blobs: list[Any]) -> Numbers:
    p = proto.detection_output_param
    batch, classes = given["loc"].shape[0], p.num_classes
    priors, variances = given["priors"][0].reshape(2, -1, 4)
    loc = given["loc"].reshape(batch, len(priors), -1, 4)
    conf = given["conf"].reshape(batch, len(priors), classes)
    rows = []
    for image in range(batch):
        kept: list[tuple[float, int, list[float]]] = []
        for label in range(classes):
            if label == p.background_label_id:
                continue
            which = 0 if p.share_location else label
            boxes = [
                _decode(p.code_type, p.variance_encoded_in_target, loc[image, i, which], priors[i], variances[i])
                for i in range(len(priors))
            ]
            scores = conf[image, :, label]
            threshold = p.confidence_threshold if p.HasField("confidence_threshold") else -np.inf
            order = sorted((i for i in range(len(priors)) if scores[i] > threshold), key=lambda i: -scores[i])
            if p.nms_param.HasField("top_k"):
                order = order[: p.nms_param.top_k]
            mine: list[int] = []
            for i in order:
                if all(_overlap(boxes[i], boxes[j]) <= p.nms_param.nms_threshold for j in mine):
                    mine.append(i)
            kept += [(float(scores[i]), label, boxes[i]) for i in mine]
        if p.keep_top_k > -1 and len(kept) > p.keep_top_k:
            kept = sorted(kept, key=lambda row: -row[0])[: p.keep_top_k]
        kept.sort(key=lambda row: (row[1], -row[0]))
        rows += [[image, label, score, *box] for score, label, box in kept]
    return {"y": np.array(rows or [[image, *[-1] * 6] for image in range(batch)], float)[None, None]}
