"""Layers that add and multiply: Eltwise, Scale, Bias, BatchNorm, Axpy."""

from __future__ import annotations

import math
from collections.abc import Sequence

from modelprep.formats.caffe.to_onnx.graph import float32
from modelprep.formats.caffe.to_onnx.layer import Conversion, Layer, Tensor

_PROD, _SUM, _MAX = 0, 1, 2


def _eltwise(layer: Layer) -> None:
    p = layer.proto.eltwise_param
    values, out = [bottom.name for bottom in layer.bottoms], layer.tops[0].name
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


def _aligned(layer: Layer, tensor: Tensor, axis: int) -> str:
    """Return a value that broadcasts over the first bottom, whose axes it covers from `axis` on."""
    behind = layer.rank - axis - len(tensor.shape)
    if behind <= 0:
        return tensor.name
    rank = len(tensor.shape)
    return layer.unsqueeze(tensor.name, list(range(rank, rank + behind)))


def factor_dims(layer: Layer, shape: Sequence[int], axis: int) -> tuple[int, ...]:
    """Return the shape in which factors for the axes from `axis` on broadcast over the first bottom."""
    return (*shape, *(1,) * (layer.rank - axis - len(shape))) if shape else ()


def _scale(layer: Layer) -> None:
    p, value, out = layer.proto.scale_param, layer.bottoms[0].name, layer.tops[0].name
    axis = layer.axis(p.axis) if p.num_axes or len(layer.bottoms) == 2 else 0
    if len(layer.bottoms) == 2:
        factor, bias = _aligned(layer, layer.bottoms[1], axis), 0
    else:
        factor, bias = layer.weight(0, "scale", factor_dims(layer, layer.blobs[0].shape, axis)), 1
    if not p.bias_term:
        layer.op("Mul", value, factor, out=out)
        return
    product = layer.op("Mul", value, factor)
    offset = layer.weight(bias, "bias", factor_dims(layer, layer.blobs[bias].shape, axis))
    layer.op("Add", product, offset, out=out)


def _bias(layer: Layer) -> None:
    p = layer.proto.bias_param
    axis = layer.axis(p.axis) if p.num_axes or len(layer.bottoms) == 2 else 0
    if len(layer.bottoms) == 2:
        offset = _aligned(layer, layer.bottoms[1], axis)
    else:
        offset = layer.weight(0, "bias", factor_dims(layer, layer.blobs[0].shape, axis))
    layer.op("Add", layer.bottoms[0].name, offset, out=layer.tops[0].name)


def statistics(layer: Layer) -> tuple[list[float], list[float]]:
    """Return a BatchNorm layer's mean and variance, divided by the moving average's factor as Caffe divides them.

    Raises StepError: the factor is not one number.
    """
    mean, variance, (factor, *more) = (layer.read(blob) for blob in layer.blobs)
    if more:
        raise layer.refuse("the moving average's factor is not one number", got=f"{len(more) + 1} numbers")
    times = 0.0 if factor == 0 else float32(1.0 / factor)
    return [float32(times * value) for value in mean], [float32(times * value) for value in variance]


def batch_norm(layer: Layer, scale: Layer | None = None) -> None:
    """Convert a BatchNorm layer, together with the Scale layer behind it where that is folded into it."""
    p, value, out = layer.proto.batch_norm_param, layer.bottoms[0].name, layer.tops[0].name
    epsilon = float(p.eps)
    if p.HasField("use_global_stats") and not p.use_global_stats:
        _batch_statistics(layer, epsilon)
        return
    mean, variance = statistics(layer)
    if layer.rank < 2:
        centred = layer.op("Sub", value, layer.floats("mean", mean))
        layer.op("Div", centred, layer.floats("deviation", [math.sqrt(v + epsilon) for v in variance]), out=out)
        return
    channels = len(mean)
    if scale is None:
        weight, bias = layer.floats("scale", [1.0] * channels), layer.floats("bias", [0.0] * channels)
    else:
        weight = scale.weight(0, "scale", (channels,))
        bias = scale.weight(1, "bias", (channels,)) if len(scale.blobs) > 1 else layer.floats("bias", [0.0] * channels)
    layer.op(
        "BatchNormalization", value, weight, bias, layer.floats("mean", mean), layer.floats("variance", variance),
        out=out, epsilon=epsilon,
    )  # fmt: skip


def _batch_statistics(layer: Layer, epsilon: float) -> None:
    axes = [0, *range(2, layer.rank)]
    centred = layer.op("Sub", layer.bottoms[0].name, layer.reduce("ReduceMean", layer.bottoms[0].name, axes,
                                                                  part="mean"))  # fmt: skip
    variance = layer.reduce("ReduceMean", layer.op("Mul", centred, centred, part="square"), axes, part="variance")
    deviation = layer.op("Sqrt", layer.scaled(variance, 1.0, epsilon, part="epsilon_"))
    layer.op("Div", centred, deviation, out=layer.tops[0].name)


def _bn(layer: Layer) -> None:
    """Convert the BN of forks: scale and shift where it has two blobs (SegNet), statistics too with four (PSPNet)."""
    p, value, out = layer.proto.bn_param, layer.bottoms[0].name, layer.tops[0].name
    if len(layer.blobs) not in (2, 4) or layer.rank < 2:
        raise layer.refuse("forks give it two blobs or four", got=f"{len(layer.blobs)} blobs, {layer.rank} axes")
    inference = p.DESCRIPTOR.enum_types_by_name["BNMode"].values_by_name["INFERENCE"].number
    channels = (layer.blobs[0].count,)
    if len(layer.blobs) == 4:
        parts = [layer.weight(i, name, channels) for i, name in enumerate(("scale", "bias", "mean", "variance"))]
        epsilon = float(p.eps) if p.HasField("eps") else 1e-5
        layer.op("BatchNormalization", value, *parts, out=out, epsilon=epsilon)
    elif p.bn_mode == inference and p.HasField("bn_mode"):
        scale, shift = (
            layer.weight(i, name, factor_dims(layer, channels, 1)) for i, name in ((0, "scale"), (1, "bias"))
        )
        layer.op("Add", layer.op("Mul", value, scale), shift, out=out)
    else:
        raise layer.refuse("it takes the statistics of the batch", expected="bn_param { bn_mode: INFERENCE }")


def _axpy(layer: Layer) -> None:
    factor, value, other = layer.bottoms
    wide = len(value.shape) - len(factor.shape)
    name = layer.unsqueeze(factor.name, [*range(len(factor.shape), len(value.shape))]) if wide > 0 else factor.name
    layer.op("Add", layer.op("Mul", name, value.name), other.name, out=layer.tops[0].name)


CONVERSIONS = {
    "Eltwise": Conversion(_eltwise, "Add, Mul, Max", "`coeff` as Mul"),
    "Scale": Conversion(_scale, "Mul, Add", "part of BatchNormalization where it works in place on a BatchNorm's top"),
    "Bias": Conversion(_bias, "Add"),
    "BatchNorm": Conversion(
        batch_norm, "BatchNormalization", "the statistics divided by the third blob; of the batch where "
        "`use_global_stats` is false",
    ),
    "BN": Conversion(_bn, "Mul, Add; BatchNormalization", "of SegNet in INFERENCE mode; of PSPNet with its statistics"),
    "Axpy": Conversion(_axpy, "Mul, Add"),
}  # fmt: skip
