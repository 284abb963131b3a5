"""A Caffe net computed by NumPy in double precision: who is how far from the exact numbers.

Plain definitions, layer by layer; the types that the networks of :mod:`networks` have, and no others.
"""

# ruff: noqa: ARG001, ARG005 - every layer is a function of the same three arguments

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Values = list[Any]


def _pair(p: Any, name: str, many: Any, default: int) -> tuple[int, int]:
    if p.HasField(f"{name}_h") or p.HasField(f"{name}_w"):
        return getattr(p, f"{name}_h"), getattr(p, f"{name}_w")
    values = [int(v) for v in many] if hasattr(many, "__len__") else [int(many)]
    values = values or [default]
    return (values[0], values[-1])


def _convolution(layer: Any, x: Values, w: Values) -> Values:
    p = layer.convolution_param
    kernel, stride = _pair(p, "kernel", p.kernel_size, 1), _pair(p, "stride", p.stride, 1)
    pad, dilation = _pair(p, "pad", p.pad, 0), ([int(d) for d in p.dilation] or [1])[0]
    x0 = np.pad(x[0], ((0, 0), (0, 0), (pad[0],) * 2, (pad[1],) * 2))
    size = [(x0.shape[2 + i] - dilation * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(2)]
    group, batch = p.group, x0.shape[0]
    channels, outputs = x0.shape[1] // group, p.num_output // group
    y = np.zeros((batch, group, outputs, size[0] * size[1]))
    weights = w[0].reshape(group, outputs, channels, *kernel)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            a, b = i * dilation, j * dilation
            part = x0[:, :, a : a + stride[0] * (size[0] - 1) + 1 : stride[0],
                      b : b + stride[1] * (size[1] - 1) + 1 : stride[1]]  # fmt: skip
            y += weights[:, :, :, i, j] @ part.reshape(batch, group, channels, -1)
    y = y.reshape(batch, p.num_output, *size)
    return [y + w[1].reshape(1, -1, 1, 1) if p.bias_term else y]


def _deconvolution(layer: Any, x: Values, w: Values) -> Values:
    p = layer.convolution_param
    kernel, stride, pad = (
        _pair(p, "kernel", p.kernel_size, 1),
        _pair(p, "stride", p.stride, 1),
        _pair(p, "pad", p.pad, 0),
    )
    batch, channels, height, width = x[0].shape
    size = [stride[i] * (x[0].shape[2 + i] - 1) + kernel[i] for i in range(2)]
    group, outputs = p.group, p.num_output // p.group
    y = np.zeros((batch, p.num_output, *size))
    flat = x[0].reshape(batch, group, channels // group, -1)
    weights = w[0].reshape(group, channels // group, outputs, *kernel)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            part = (weights[:, :, :, i, j].transpose(0, 2, 1) @ flat).reshape(batch, p.num_output, height, width)
            y[:, :, i : i + stride[0] * height : stride[0], j : j + stride[1] * width : stride[1]] += part
    y = y[:, :, pad[0] : size[0] - pad[0], pad[1] : size[1] - pad[1]]
    return [y + w[1].reshape(1, -1, 1, 1) if p.bias_term else y]


def _pooling(layer: Any, x: Values, w: Values) -> Values:
    p, x0 = layer.pooling_param, x[0]
    if p.global_pooling:
        return [x0.max((2, 3), keepdims=True) if p.pool == 0 else x0.mean((2, 3), keepdims=True)]
    kernel, stride = _pair(p, "kernel", p.kernel_size, 1), _pair(p, "stride", p.stride, 1)
    pad, sides = _pair(p, "pad", p.pad, 0), x0.shape[2:]
    size = []
    for i in range(2):
        n = -(-(sides[i] + 2 * pad[i] - kernel[i]) // stride[i]) + 1
        size.append(n - 1 if any(pad) and (n - 1) * stride[i] >= sides[i] + pad[i] else n)
    y, mask = np.zeros((*x0.shape[:2], *size)), np.zeros((*x0.shape[:2], *size))
    for i in range(size[0]):
        for j in range(size[1]):
            a, b = i * stride[0] - pad[0], j * stride[1] - pad[1]
            cells = (min(a + kernel[0], sides[0] + pad[0]) - a) * (min(b + kernel[1], sides[1] + pad[1]) - b)
            part = x0[:, :, max(a, 0) : a + kernel[0], max(b, 0) : b + kernel[1]]
            if p.pool == 1:
                y[:, :, i, j] = part.sum((2, 3)) / cells
                continue
            flat = part.reshape(*part.shape[:2], -1)
            at = flat.argmax(2)
            y[:, :, i, j] = flat.max(2)
            mask[:, :, i, j] = (max(a, 0) + at // part.shape[3]) * sides[1] + max(b, 0) + at % part.shape[3]
    return [y, mask]


def _lrn(layer: Any, x: Values, w: Values) -> Values:
    p, square, half = layer.lrn_param, x[0] ** 2, layer.lrn_param.local_size // 2
    if p.norm_region == 0:
        padded = np.pad(square, ((0, 0), (half, half), (0, 0), (0, 0)))
        total = sum(padded[:, i : i + x[0].shape[1]] for i in range(p.local_size))
        return [x[0] / (p.k + p.alpha / p.local_size * total) ** p.beta]
    padded = np.pad(square, ((0, 0), (0, 0), (half, half), (half, half)))
    height, width = x[0].shape[2:]
    total = sum(padded[:, :, i : i + height, j : j + width] for i in range(p.local_size) for j in range(p.local_size))
    return [x[0] * (1 + p.alpha * total / p.local_size**2) ** -p.beta]


def _wide(value: Any) -> Any:
    return value.reshape(1, -1, 1, 1)


def _batch_norm(layer: Any, x: Values, w: Values) -> Values:
    scale = 0.0 if w[2][0] == 0 else 1 / w[2][0]
    return [(x[0] - _wide(w[0]) * scale) / np.sqrt(_wide(w[1]) * scale + layer.batch_norm_param.eps)]


def _scale(layer: Any, x: Values, w: Values) -> Values:
    return [x[0] * _wide(w[0]) + (_wide(w[1]) if layer.scale_param.bias_term else 0)]


def _eltwise(layer: Any, x: Values, w: Values) -> Values:
    p = layer.eltwise_param
    if p.operation == 1:
        return [sum(c * v for c, v in zip(p.coeff or [1] * len(x), x, strict=True))]
    return [np.prod(x, axis=0) if p.operation == 0 else np.max(x, axis=0)]


def _softmax(layer: Any, x: Values, w: Values) -> Values:
    axis = layer.softmax_param.axis
    power = np.exp(x[0] - x[0].max(axis, keepdims=True))
    return [power / power.sum(axis, keepdims=True)]


def _normalize(layer: Any, x: Values, w: Values) -> Values:
    p = layer.norm_param
    norm = np.sqrt((x[0] ** 2).sum((1, 2, 3) if p.across_spatial else 1, keepdims=True) + p.eps)
    return [x[0] / norm * _wide(w[0])]


def _upsample(layer: Any, x: Values, w: Values) -> Values:
    p, (n, c, h, width) = layer.upsample_param, x[0].shape
    size = (p.upsample_h or 2 * h, p.upsample_w or 2 * width)
    y = np.zeros((n, c, size[0] * size[1]))
    np.put_along_axis(y, x[1].reshape(n, c, -1).astype(int), x[0].reshape(n, c, -1), 2)
    return [y.reshape(n, c, *size)]


def _crop(layer: Any, x: Values, w: Values) -> Values:
    p, axis = layer.crop_param, layer.crop_param.axis
    offsets = [int(o) for o in p.offset] or [0]
    index = [slice(None)] * axis
    for i in range(axis, x[0].ndim):
        offset = offsets[0] if len(offsets) == 1 else offsets[i - axis]
        index.append(slice(offset, offset + x[1].shape[i]))
    return [x[0][tuple(index)]]


def _slice(layer: Any, x: Values, w: Values) -> Values:
    p = layer.slice_param
    return list(np.split(x[0], [int(v) for v in p.slice_point] or len(layer.top), axis=p.axis))


def _inner_product(layer: Any, x: Values, w: Values) -> Values:
    flat = x[0].reshape(x[0].shape[0], -1) @ w[0].T
    return [flat + w[1] if layer.inner_product_param.bias_term else flat]


def _relu(layer: Any, x: Values, w: Values) -> Values:
    return [np.where(x[0] > 0, x[0], x[0] * layer.relu_param.negative_slope)]


def _clip6(layer: Any, x: Values, w: Values) -> Values:
    return [x[0].clip(0, 6)]


def _prelu(layer: Any, x: Values, w: Values) -> Values:
    return [np.where(x[0] > 0, x[0], x[0] * (_wide(w[0]) if x[0].ndim == 4 else w[0]))]


def _same(layer: Any, x: Values, w: Values) -> Values:
    return [x[0]] * len(layer.top)


LAYERS: dict[str, Callable[[Any, Values, Values], Values]] = {
    "Convolution": _convolution, "Deconvolution": _deconvolution, "Pooling": _pooling, "LRN": _lrn,
    "InnerProduct": _inner_product, "BatchNorm": _batch_norm, "Scale": _scale, "ReLU": _relu, "ReLU6": _clip6,
    "PReLU": _prelu, "Eltwise": _eltwise, "Softmax": _softmax, "Normalize": _normalize, "Upsample": _upsample,
    "Crop": _crop, "Slice": _slice, "Dropout": _same,
    "BN": lambda layer, x, w: [x[0] * _wide(w[0]) + _wide(w[1])],
    "Concat": lambda layer, x, w: [np.concatenate(x, layer.concat_param.axis)],
    "Sigmoid": lambda layer, x, w: [1 / (1 + np.exp(-x[0]))],
    "Permute": lambda layer, x, w: [x[0].transpose([int(a) for a in layer.permute_param.order])],
    "Flatten": lambda layer, x, w: [x[0].reshape(x[0].shape[0], -1)],
    "Silence": lambda layer, x, w: [],
}  # fmt: skip


def evaluate(
    net: Any, shapes: Any, weights: Callable[[int], Values], given: dict[str, Any], wanted: list[str]
) -> dict[str, Any]:
    """Compute the wanted blobs of a net.

    Parameters
    ----------
    net, shapes
        V2 layers, and what shape inference found for them.
    weights
        Gives the weights of a layer, by its number.
    given, wanted
        Inputs by name, and the blobs to return.

    Raises
    ------
    KeyError
        A layer type has no definition here.
    """
    values = {name: value.astype(np.float64) for name, value in given.items()}
    for i, layer in enumerate(net.layer):
        if layer.type == "Input" or any(bottom not in values for bottom in layer.bottom):
            continue
        if layer.type == "Reshape":
            made = [values[layer.bottom[0]].reshape(shapes.layers[i].tops[0])]
        elif layer.type in LAYERS:
            blobs = [blob.astype(np.float64) for blob in weights(i)]
            made = LAYERS[layer.type](layer, [values[bottom] for bottom in layer.bottom], blobs)
        else:
            continue  # a wanted blob behind it will be missing
        values.update(zip(layer.top, made, strict=False))
        if all(name in values for name in wanted) and layer.top and layer.top[-1] == wanted[-1]:
            last_use = {bottom for later in net.layer[i + 1 :] for bottom in later.bottom}
            if not last_use & set(wanted):
                break
    return {name: values[name] for name in wanted}
