"""Convolution, pooling and resizing as Arm NN's reference backend computes them, in numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from modelprep.formats.picture.resize import bilinear
from modelprep.targets.armnn.network import Layer
from modelprep.targets.armnn.optimizer import axes


def _heights_first(layer: Layer, values: Any) -> Any:
    """Return values of a layer as (batch, height, width, channels)."""
    return values if layer.params["layout"] == "NHWC" else values.transpose(0, 2, 3, 1)


def _as_laid_out(layer: Layer, values: Any) -> Any:
    return values if layer.params["layout"] == "NHWC" else values.transpose(0, 3, 1, 2)


def _out(layer: Layer) -> tuple[int, int]:
    _, height, width = axes(layer.params["layout"])
    return layer.out.shape[height], layer.out.shape[width]


def _patches(layer: Layer, x: Any, window: tuple[int, int], fill: float = 0) -> Any:
    """Return every window of x (batch, height, width, channels) as (batch, rows, columns, channels, *window)."""
    import numpy as np

    p, (rows, columns) = layer.params, _out(layer)
    if p["pad_top"] >> 30 or p["pad_left"] >> 30:
        # Negative padding wraps to 32 bits: the windows see only padding.
        return np.full((x.shape[0], rows, columns, x.shape[3], *window), fill, x.dtype)
    reach = [
        max(0, (count - 1) * stride + size - front - x.shape[axis])
        for count, stride, size, front, axis in (
            (rows, p["stride_y"], window[0], p["pad_top"], 1),
            (columns, p["stride_x"], window[1], p["pad_left"], 2),
        )
    ]
    pads = ((0, 0), (p["pad_top"], reach[0]), (p["pad_left"], reach[1]), (0, 0))
    padded = np.pad(x, pads, constant_values=fill) if any(map(any, pads)) else x
    every = np.lib.stride_tricks.sliding_window_view(padded, window, axis=(1, 2))
    return every[:, :: max(1, p["stride_y"]), :: max(1, p["stride_x"])][:, :rows, :columns]


def _kernels(layer: Layer, weights: Any) -> Any:
    """Return weights as (outputs, channels, height, width); depthwise (multiplier, channels, height, width)."""
    if layer.kind == "DepthwiseConvolution2d" or layer.params["layout"] == "NCHW":
        return weights
    return weights.transpose(0, 3, 1, 2)


def _convolved(layer: Layer, x: Any, weights: Any) -> Any:
    import numpy as np

    kernels = _kernels(layer, weights)
    patches = _patches(layer, _heights_first(layer, x), kernels.shape[2:])
    if layer.kind == "DepthwiseConvolution2d":
        found = np.einsum("bijchw,mchw->bijcm", patches, kernels, optimize=True)
        return found.reshape(*found.shape[:3], -1)
    # Channels beyond those of the weights are ignored.
    patches = patches[:, :, :, : kernels.shape[1]]
    shape = patches.shape[:3]
    return (patches.reshape(-1, kernels[0].size) @ kernels.reshape(len(kernels), -1).T).reshape(*shape, -1)


def convolve(layer: Layer, values: Sequence[Any]) -> Any:
    """Convolve float32 values."""
    found = _convolved(layer, values[0], layer.constants["weights"].values())
    if (bias := layer.constants.get("bias")) is not None:
        found = found + bias.values().reshape(-1)
    return _as_laid_out(layer, found)


def convolve_bytes(layer: Layer, x: Any) -> Any:
    """Convolve bytes: whole sums, scaled by a 32-bit fixed-point factor with gemmlowp's rounding."""
    import numpy as np

    given, made, weights = layer.source().noted, layer.out.noted, layer.constants["weights"]
    # Sums of products of bytes stay far below 2**53: doubles hold them exactly, and multiply fast.
    kernels = weights.values().astype(np.float64) - weights.info.offset
    sums = _convolved(layer, x.astype(np.float64) - given.offset, kernels).astype(np.int64)
    if (bias := layer.constants.get("bias")) is not None:
        sums = sums + bias.values().reshape(-1)
    factor = np.float32(given.scale) * np.float32(weights.info.scale) / np.float32(made.scale)
    found = np.clip(_scaled(sums, float(factor)) + made.offset, 0, 255)
    return _as_laid_out(layer, found.astype(np.uint8))


def _scaled(sums: Any, factor: float) -> Any:
    """Multiply whole numbers by a factor below one (ConvImpl.cpp: QuantizedMultiplierSmallerThanOne)."""
    import numpy as np

    fraction, exponent = math.frexp(factor)
    fixed, shift = math.floor(fraction * (1 << 31) + 0.5), -exponent
    if fixed == 1 << 31:
        fixed, shift = fixed // 2, shift - 1
    products = sums * fixed
    nudged = products + np.where(products >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))
    mask = (1 << shift) - 1
    return (high >> shift) + ((high & mask) > (mask >> 1) + (high < 0))


def pool(layer: Layer, values: Sequence[Any]) -> Any:
    """Take the highest or the mean of windows; padding counts or not, as the parser has it."""
    import numpy as np

    p, x = layer.params, _heights_first(layer, values[0])
    highest, lowest = p["algorithm"] == "max", -np.finfo(np.float32).max
    if not (p["stride_x"] or p["stride_y"]):
        whole = x.max((1, 2), keepdims=True) if highest else x.mean((1, 2), np.float32, keepdims=True)
        return _as_laid_out(layer, whole)
    window = (p["pool_height"], p["pool_width"])
    if 0 in window:
        return np.full(layer.out.shape, lowest if highest else np.nan, np.float32)
    if highest:
        found = _patches(layer, x, window, lowest).max(axis=(-1, -2))
        return _as_laid_out(layer, np.where(found == lowest, 0, found))
    sums = _patches(layer, x, window).sum(axis=(-1, -2), dtype=np.float32)
    rows, columns = _out(layer)
    down = _reach(x.shape[1], p["pool_height"], p["stride_y"], p["pad_top"], p["pad_bottom"], rows, p["exclude"])
    across = _reach(x.shape[2], p["pool_width"], p["stride_x"], p["pad_left"], p["pad_right"], columns, p["exclude"])
    area = np.maximum(np.outer(down, across), 1).astype(np.float32)
    return _as_laid_out(layer, sums / area[None, :, :, None])


def _reach(size: int, window: int, stride: int, front: int, back: int, count: int, exclude: bool) -> list[int]:
    """Return over how many places each window's mean is taken."""
    low, high = (0, size) if exclude else (-front, size + back)
    starts = [place * stride - front for place in range(count)]
    return [max(0, min(start + window, size + back, high) - max(low, start)) for start in starts]


def resize(layer: Layer, values: Sequence[Any]) -> Any:
    """Resize float32 values; by planes where 19.02 takes the second dimension for the channels."""
    import numpy as np

    x = values[0]
    if layer.params.get("by_planes"):
        found: Any = np.zeros(layer.out.shape, np.float32)
        planes = bilinear(x.transpose(0, 2, 3, 1), *layer.out.shape[2:]).transpose(0, 3, 1, 2)
        found[:, : planes.shape[1]] = planes
        return found
    return _as_laid_out(layer, bilinear(_heights_first(layer, x), *_out(layer)))
