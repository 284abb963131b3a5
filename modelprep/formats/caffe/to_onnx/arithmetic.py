"""Layers that add, multiply, reduce and normalize.

Eltwise, Scale, Bias, Axpy, Reduction, ArgMax; BatchNorm, BN, LRN, MVN, Normalize, Softmax.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from modelprep.formats.caffe.messages import chosen
from modelprep.formats.caffe.shapes.base import Dim, count
from modelprep.formats.caffe.to_onnx.graph import float32
from modelprep.formats.caffe.to_onnx.layer import Conversion, Layer

_PROD, _SUM, _MAX = 0, 1, 2
_ACROSS = 0
_REDUCTIONS = {1: "ReduceSum", 2: "ReduceL1", 3: "ReduceSumSquare", 4: "ReduceMean"}


def _eltwise(layer: Layer) -> None:
    p = layer.proto.eltwise_param
    values, out = [bottom.name for bottom in layer.bottoms], layer.y
    if p.operation == _MAX:
        layer.op("Max", *values, out=out)
        return
    if p.operation == _SUM:
        values = [
            layer.scaled(value, factor, part=f"{i}_")
            for i, (value, factor) in enumerate(zip(values, p.coeff or [1.0] * len(values), strict=True))
        ]
    op = "Mul" if p.operation == _PROD else "Add"
    total = values[0]
    for i, value in enumerate(values[1:], 2):
        total = layer.op(op, total, value, out=out if i == len(values) else "", part=op.lower())


def _dims(layer: Layer, shape: Sequence[int], axis: int) -> tuple[int, ...]:
    """Return the shape in which factors for the axes from `axis` on broadcast over the first bottom."""
    return (*shape, *(1,) * (layer.rank - axis - len(shape))) if shape else ()


def _factor(layer: Layer, p: Any, part: str) -> str:
    """Return the second bottom, or else the first blob, as a value that broadcasts over the first bottom."""
    axis = layer.axis(p.axis)
    if len(layer.bottoms) == 1:
        return layer.weight(0, part, _dims(layer, layer.blobs[0].shape, axis))
    tensor, rank = layer.bottoms[1], len(layer.bottoms[1].shape)
    behind = layer.rank - axis - rank
    return tensor.name if behind <= 0 else layer.over("Unsqueeze", tensor.name, range(rank, rank + behind))


def _scale(layer: Layer) -> None:
    p = layer.proto.scale_param
    factor = _factor(layer, p, "scale")
    if not p.bias_term:
        layer.op("Mul", layer.x, factor, out=layer.y)
        return
    product, blob = layer.op("Mul", layer.x, factor), 2 - len(layer.bottoms)
    offset = layer.weight(blob, "bias", _dims(layer, layer.blobs[blob].shape, layer.axis(p.axis)))
    layer.op("Add", product, offset, out=layer.y)


def _statistics(layer: Layer) -> list[list[float]]:
    """Return a BatchNorm layer's mean and variance, divided by the moving average's factor as Caffe divides them."""
    *both, (factor, *more) = (layer.read(blob) for blob in layer.blobs)
    if more:
        raise layer.refuse("the moving average's factor is not one number", got=f"{len(more) + 1} numbers")
    times = 0.0 if factor == 0 else float32(1.0 / factor)
    return [[float32(times * value) for value in values] for values in both]


def _centred(layer: Layer, value: str, axes: Sequence[int]) -> tuple[str, str]:
    """Return a value less its mean over axes, and its variance over them."""
    mean = layer.over("ReduceMean", value, axes, part="mean", keepdims=1)
    centred = layer.op("Sub", value, mean)
    square = layer.op("Mul", centred, centred, part="square")
    return centred, layer.over("ReduceMean", square, axes, part="variance", keepdims=1)


def batch_norm(layer: Layer, scale: Layer | None = None) -> None:
    """Convert a BatchNorm layer, and the Scale layer behind it if that is folded into it."""
    p, epsilon = layer.proto.batch_norm_param, float(layer.proto.batch_norm_param.eps)
    if p.HasField("use_global_stats") and not p.use_global_stats:
        centred, of_batch = _centred(layer, layer.x, [0, *range(2, layer.rank)])
        deviation = layer.op("Sqrt", layer.scaled(of_batch, 1.0, epsilon, part="epsilon_"))
        layer.op("Div", centred, deviation, out=layer.y)
        return
    mean, variance = _statistics(layer)
    if layer.rank < 2:
        centred = layer.op("Sub", layer.x, layer.floats("mean", mean))
        layer.op("Div", centred, layer.floats("deviation", [math.sqrt(v + epsilon) for v in variance]), out=layer.y)
        return
    channels = len(mean)
    if scale is None:
        weight, bias = layer.floats("scale", [1.0] * channels), layer.floats("bias", [0.0] * channels)
    else:
        weight = scale.weight(0, "scale", (channels,))
        bias = scale.weight(1, "bias", (channels,)) if len(scale.blobs) > 1 else layer.floats("bias", [0.0] * channels)
    layer.op(
        "BatchNormalization", layer.x, weight, bias, layer.floats("mean", mean), layer.floats("variance", variance),
        out=layer.y, epsilon=epsilon,
    )  # fmt: skip


def _bn(layer: Layer) -> None:
    """Convert the BN of forks: scale and shift where it has two blobs (SegNet), statistics too with four (PSPNet)."""
    p = layer.proto.bn_param
    if len(layer.blobs) not in (2, 4) or layer.rank < 2:
        raise layer.refuse("in forks it has two blobs or four", got=f"{len(layer.blobs)} blobs, {layer.rank} axes")
    channels = (layer.blobs[0].count,)
    if len(layer.blobs) == 4:
        parts = [layer.weight(i, name, channels) for i, name in enumerate(("scale", "bias", "mean", "variance"))]
        epsilon = float(p.eps) if p.HasField("eps") else 1e-5
        layer.op("BatchNormalization", layer.x, *parts, out=layer.y, epsilon=epsilon)
    elif p.HasField("bn_mode") and chosen(p, "bn_mode") == "INFERENCE":
        scale, shift = (layer.weight(i, name, _dims(layer, channels, 1)) for i, name in ((0, "scale"), (1, "bias")))
        layer.op("Add", layer.op("Mul", layer.x, scale), shift, out=layer.y)
    else:
        raise layer.refuse("it takes the statistics of the batch", expected="bn_param { bn_mode: INFERENCE }")


def _axpy(layer: Layer) -> None:
    factor, value, other = layer.bottoms
    missing = range(len(factor.shape), len(value.shape))
    name = layer.over("Unsqueeze", factor.name, missing) if missing else factor.name
    layer.op("Add", layer.op("Mul", name, value.name), other.name, out=layer.y)


def _lrn(layer: Layer) -> None:
    p, value, out = layer.proto.lrn_param, layer.x, layer.y
    size = int(p.local_size)
    if size % 2 == 0:
        raise layer.refuse("local_size must be odd", got=str(size))
    if layer.rank != 4:
        raise layer.refuse("it needs four axes", got=f"{layer.rank}")
    if p.norm_region == _ACROSS:
        layer.op("LRN", value, out=out, alpha=float(p.alpha), beta=float(p.beta), bias=float(p.k), size=size)
        return
    # Caffe's own net for it: square, average with padding, (1 + alpha * average) ** -beta, product. It ignores k.
    square = layer.op("Mul", value, value, part="square")
    around = [size // 2] * 4
    mean = layer.op("AveragePool", square, kernel_shape=[size, size], strides=[1, 1], pads=around, count_include_pad=1)
    base = layer.scaled(mean, float(p.alpha), 1.0)
    layer.op("Mul", value, layer.op("Pow", base, layer.number("beta", -float(p.beta))), out=out)


def _mvn(layer: Layer) -> None:
    p, bottom, value = layer.proto.mvn_param, layer.bottoms[0], layer.x
    if layer.rank < 4:
        value = layer.reshape(value, bottom.shape, layer.tops[0].shape)
    axes = range(1 if p.across_channels else 2, 4)
    if not p.normalize_variance:
        mean = layer.over("ReduceMean", value, axes, part="mean", keepdims=1)
        layer.op("Sub", value, mean, out=layer.y)
        return
    centred, variance = _centred(layer, value, axes)
    deviation = layer.scaled(layer.op("Sqrt", variance), 1.0, float(p.eps), part="eps_")
    layer.op("Div", centred, deviation, out=layer.y)


def _normalize(layer: Layer) -> None:
    p, value = layer.proto.norm_param, layer.x
    if layer.rank != 4:
        raise layer.refuse("it needs four axes", got=f"{layer.rank}")
    axes = [1, 2, 3] if p.across_spatial else [1]
    square = layer.op("Mul", value, value, part="square")
    total = layer.over("ReduceSum", square, axes, part="sum", keepdims=1)
    norm = layer.op("Sqrt", layer.scaled(total, 1.0, float(p.eps), part="eps_"))
    dims = () if p.channel_shared else _dims(layer, (layer.blobs[0].count,), 1)
    layer.op("Mul", layer.op("Div", value, norm), layer.weight(0, "scale", dims), out=layer.y)


def _softmax(layer: Layer) -> None:
    """Normalize along one axis. Before opset 13 the operator takes that axis and all behind it as one."""
    axis, shape = layer.axis(layer.proto.softmax_param.axis), layer.bottoms[0].shape
    if layer.opset >= 13 or all(size == 1 for size in shape[axis + 1 :]):
        layer.op("Softmax", layer.x, out=layer.y, axis=axis)
        return
    order = [i for i in range(layer.rank) if i != axis] + [axis]
    normal = layer.op("Softmax", layer.op("Transpose", layer.x, perm=order), axis=layer.rank - 1)
    back = [order.index(i) for i in range(layer.rank)]
    layer.op("Transpose", normal, out=layer.y, part="transpose_back", perm=back)


def _reduction(layer: Layer) -> None:
    p = layer.proto.reduction_param
    axes = list(range(layer.axis(p.axis), layer.rank))
    op, coeff = _REDUCTIONS[p.operation], float(p.coeff)
    value = layer.over(op, layer.x, axes, out=layer.y if coeff == 1 else "", keepdims=0)
    if coeff != 1:
        layer.scaled(value, coeff, out=layer.y)


def _argmax(layer: Layer) -> None:
    p, bottom, top = layer.proto.argmax_param, layer.bottoms[0], layer.tops[0]
    value, shape, axis = bottom.name, bottom.shape, layer.axis(p.axis)
    if not p.HasField("axis"):
        shape, axis = (shape[0], count(shape, 1)), 1
        if len(bottom.shape) != 2:
            value = layer.op("Flatten", value, axis=1)
    size = shape[axis]
    if size is None or not 1 <= p.top_k <= size:
        raise layer.refuse("top_k is not within the axis", expected=f"1 to {size}", got=str(p.top_k))
    flat: tuple[Dim, ...] = (shape[0], int(p.top_k))
    if p.top_k == 1 and not p.out_max_val and layer.opset >= 12:
        place = layer.op("ArgMax", value, axis=axis, keepdims=1, select_last_index=1)
        if p.HasField("axis"):
            layer.cast_to_float(place, out=layer.y)
        else:
            layer.reshape(layer.cast_to_float(place), flat, top.shape, out=layer.y)
        return
    # Of equal values Caffe takes the one with the highest index first, ONNX the lowest: so it looks from behind.
    turned = layer.slice(value, [axis], [-1], [-(2**62)], steps=[-1], part="from_behind")
    values, places = (layer.graph.claim(f"{layer.name}/{part}") for part in ("values", "places"))
    layer.graph.node(
        "TopK", [turned, layer.integers("k", [p.top_k])], [values, places], f"{layer.name}/topk", {"axis": axis}
    )
    if p.HasField("axis"):
        if p.out_max_val:
            layer.op("Identity", values, out=layer.y)
        else:
            layer.cast_to_float(_from_front(layer, places, size), out=layer.y)
        return
    indices = layer.cast_to_float(_from_front(layer, places, size))
    if p.out_max_val:
        pair = [layer.over("Unsqueeze", v, [1], part=name) for name, v in (("indices", indices), ("maxima", values))]
        indices, flat = layer.op("Concat", *pair, axis=1), (shape[0], 2, int(p.top_k))
    layer.reshape(indices, flat, top.shape, out=layer.y)


def _from_front(layer: Layer, places: str, size: int) -> str:
    return layer.op("Sub", layer.integers("last", [size - 1], ()), places)


CONVERSIONS = {
    "Eltwise": Conversion(_eltwise, "Add, Mul, Max", "`coeff` as Mul"),
    "Scale": Conversion(_scale, "Mul, Add", "part of BatchNormalization where it works in place on a BatchNorm's top"),
    "Bias": Conversion(
        lambda layer: layer.op("Add", layer.x, _factor(layer, layer.proto.bias_param, "bias"), out=layer.y), "Add"
    ),
    "BatchNorm": Conversion(
        batch_norm, "BatchNormalization", "the statistics divided by the third blob; of the batch where "
        "`use_global_stats` is false",
    ),
    "BN": Conversion(_bn, "Mul, Add; BatchNormalization", "of SegNet in INFERENCE mode; of PSPNet with its statistics"),
    "Axpy": Conversion(_axpy, "Mul, Add"),
    "LRN": Conversion(_lrn, "LRN; Mul, AveragePool, Pow", "ACROSS_CHANNELS; WITHIN_CHANNEL"),
    "MVN": Conversion(_mvn, "ReduceMean, Sub, Mul, Sqrt, Div", "`eps` is added to the deviation, as Caffe does"),
    "Normalize": Conversion(_normalize, "Mul, ReduceSum, Sqrt, Div, Mul", "SSD"),
    "Softmax": Conversion(_softmax, "Softmax", "with Transpose around it before opset 13, if the axis is not the last"),
    "Reduction": Conversion(_reduction, "ReduceSum, ReduceL1, ReduceSumSquare, ReduceMean", "`coeff` as Mul"),
    "ArgMax": Conversion(
        _argmax, "ArgMax; Slice, TopK, Sub, Cast", "of equal values the one with the highest index, as Caffe"
    ),
}  # fmt: skip
