"""Layers that compute each value from one value: ReLU and similar, Power, Exp, Log, Threshold, Clip."""

from __future__ import annotations

import math

from modelprep.formats.caffe.to_onnx.layer import Conversion, Layer, Rule


def _plain(op: str) -> Rule:
    return lambda layer: layer.op(op, layer.x, out=layer.y)


def _relu(layer: Layer) -> None:
    if slope := float(layer.proto.relu_param.negative_slope):
        layer.op("LeakyRelu", layer.x, out=layer.y, alpha=slope)
    else:
        layer.op("Relu", layer.x, out=layer.y)


def _clipped(layer: Layer, value: str, low: float, high: float, *, out: str = "") -> str:
    return layer.op("Clip", value, layer.number("min", low), layer.number("max", high), out=out)


def _clip(layer: Layer) -> None:
    p = layer.proto.clip_param
    if p.min > p.max:
        raise layer.refuse("min is greater than max", got=f"{p.min:g} and {p.max:g}")
    _clipped(layer, layer.x, p.min, p.max, out=layer.y)


def _prelu(layer: Layer) -> None:
    behind = (1,) * max(0, layer.rank - 2)
    dims = (1,) if layer.proto.prelu_param.channel_shared else (layer.blobs[0].count, *behind)
    layer.op("PRelu", layer.x, layer.weight(0, "slope", dims), out=layer.y)


def _power(layer: Layer) -> None:
    p, value, out = layer.proto.power_param, layer.x, layer.y
    power, scale, shift = p.power, p.scale, p.shift
    if power == 0 or scale == 0:
        # Caffe ignores the input then.
        try:
            constant = 1.0 if power == 0 else math.pow(shift, power)
        except (ValueError, OverflowError, ZeroDivisionError):
            raise layer.refuse("the result is not a number", got=f"{shift:g} to the power of {power:g}") from None
        shape = layer.op("Shape", value)
        layer.op("Expand", layer.number("value", constant), shape, out=out)
        return
    value = layer.scaled(value, scale, shift, out=out if power == 1 else "")
    if power == 2:
        layer.op("Mul", value, value, out=out, part="square")
    elif power == 0.5:
        layer.op("Sqrt", value, out=out)
    elif power != 1:
        layer.op("Pow", value, layer.number("power", power), out=out)


def _exp(layer: Layer) -> None:
    p = layer.proto.exp_param
    log_base = _log_of_base(layer, p.base)
    factor = math.exp(p.shift * log_base)
    inner = layer.scaled(layer.x, log_base * p.scale, part="inner_")
    if factor == 1:
        layer.op("Exp", inner, out=layer.y)
    else:
        layer.scaled(layer.op("Exp", inner), factor, out=layer.y, part="outer_")


def _log(layer: Layer) -> None:
    p = layer.proto.log_param
    log_base = _log_of_base(layer, p.base)
    if log_base == 0:
        raise layer.refuse("a logarithm to the base 1 is no number")
    inner = layer.scaled(layer.x, p.scale, p.shift, part="inner_")
    if log_base == 1:
        layer.op("Log", inner, out=layer.y)
    else:
        layer.scaled(layer.op("Log", inner), 1.0 / log_base, out=layer.y, part="outer_")


def _log_of_base(layer: Layer, base: float) -> float:
    if base == -1:
        return 1.0
    if base <= 0:
        raise layer.refuse("the base must be positive", expected="-1 (for e) or a positive number", got=f"{base:g}")
    return math.log(base)


def _threshold(layer: Layer) -> None:
    threshold = layer.number("threshold", layer.proto.threshold_param.threshold)
    layer.cast_to_float(layer.op("Greater", layer.x, threshold), out=layer.y)


def _swish(layer: Layer) -> None:
    gate = layer.op("Sigmoid", layer.scaled(layer.x, layer.proto.swish_param.beta))
    layer.op("Mul", layer.x, gate, out=layer.y, part="product")


def _hard_swish(layer: Layer) -> None:
    gate = _clipped(layer, layer.scaled(layer.x, 1.0, 3.0), 0.0, 6.0)
    product = layer.op("Mul", layer.x, gate, part="product")
    layer.op("Div", product, layer.number("six", 6.0), out=layer.y)


def _mish(layer: Layer) -> None:
    gate = layer.op("Tanh", layer.op("Softplus", layer.x))
    layer.op("Mul", layer.x, gate, out=layer.y, part="product")


CONVERSIONS = {
    "ReLU": Conversion(_relu, "Relu, LeakyRelu", "`negative_slope` of any sign"),
    "ReLU6": Conversion(lambda layer: _clipped(layer, layer.x, 0.0, 6.0, out=layer.y), "Clip"),
    "PReLU": Conversion(_prelu, "PRelu", "one slope for each channel, or one for all"),
    "ELU": Conversion(
        lambda layer: layer.op("Elu", layer.x, out=layer.y, alpha=float(layer.proto.elu_param.alpha)), "Elu"
    ),
    "Sigmoid": Conversion(_plain("Sigmoid"), "Sigmoid"),
    "TanH": Conversion(_plain("Tanh"), "Tanh"),
    "AbsVal": Conversion(_plain("Abs"), "Abs"),
    "BNLL": Conversion(_plain("Softplus"), "Softplus"),
    "Power": Conversion(_power, "Mul, Add, Pow", "a constant where `power` or `scale` is 0, as in Caffe"),
    "Exp": Conversion(_exp, "Mul, Exp, Mul", "`base` -1 stands for e"),
    "Log": Conversion(_log, "Mul, Add, Log, Mul", "`base` -1 stands for e"),
    "Threshold": Conversion(_threshold, "Greater, Cast"),
    "Clip": Conversion(_clip, "Clip"),
    "Swish": Conversion(_swish, "Mul, Sigmoid, Mul"),
    "HardSwish": Conversion(_hard_swish, "Add, Clip, Mul, Div", "x * relu6(x + 3) / 6"),
    "Mish": Conversion(_mish, "Softplus, Tanh, Mul"),
}
