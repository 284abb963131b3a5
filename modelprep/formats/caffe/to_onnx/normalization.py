"""Layers that divide by what they find around a value: LRN, MVN, Normalize, Softmax."""

from __future__ import annotations

from modelprep.formats.caffe.to_onnx.arithmetic import factor_dims
from modelprep.formats.caffe.to_onnx.layer import Conversion, Layer

_ACROSS = 0


def _lrn(layer: Layer) -> None:
    p, value, out = layer.proto.lrn_param, layer.bottoms[0].name, layer.tops[0].name
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
    p, bottom, top = layer.proto.mvn_param, layer.bottoms[0], layer.tops[0]
    value = bottom.name
    if layer.rank < 4:
        value = layer.reshape(value, bottom.shape, top.shape)
    axes = list(range(1 if p.across_channels else 2, 4))
    mean = layer.reduce("ReduceMean", value, axes, part="mean")
    if not p.normalize_variance:
        layer.op("Sub", value, mean, out=top.name)
        return
    centred = layer.op("Sub", value, mean)
    variance = layer.reduce("ReduceMean", layer.op("Mul", centred, centred, part="square"), axes, part="variance")
    deviation = layer.scaled(layer.op("Sqrt", variance), 1.0, float(p.eps), part="eps_")
    layer.op("Div", centred, deviation, out=top.name)


def _normalize(layer: Layer) -> None:
    p, value = layer.proto.norm_param, layer.bottoms[0].name
    if layer.rank != 4:
        raise layer.refuse("it needs four axes", got=f"{layer.rank}")
    axes = [1, 2, 3] if p.across_spatial else [1]
    total = layer.reduce("ReduceSum", layer.op("Mul", value, value, part="square"), axes, part="sum")
    norm = layer.op("Sqrt", layer.scaled(total, 1.0, float(p.eps), part="eps_"))
    dims = () if p.channel_shared else factor_dims(layer, (layer.blobs[0].count,), 1)
    layer.op("Mul", layer.op("Div", value, norm), layer.weight(0, "scale", dims), out=layer.tops[0].name)


def _softmax(layer: Layer) -> None:
    axis = layer.axis(layer.proto.softmax_param.axis)
    layer.softmax(layer.bottoms[0], axis, out=layer.tops[0].name)


CONVERSIONS = {
    "LRN": Conversion(_lrn, "LRN; Mul, AveragePool, Pow", "ACROSS_CHANNELS; WITHIN_CHANNEL"),
    "MVN": Conversion(_mvn, "ReduceMean, Sub, Mul, Sqrt, Div", "`eps` is added to the deviation, as Caffe does"),
    "Normalize": Conversion(_normalize, "Mul, ReduceSum, Sqrt, Div, Mul", "SSD"),
    "Softmax": Conversion(_softmax, "Softmax", "with Transpose around it before opset 13, if the axis is not the last"),
}
