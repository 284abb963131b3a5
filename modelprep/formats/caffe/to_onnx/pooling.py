"""Layers that change the resolution: Pooling with Caffe's own window rules, SPP, ROIPooling, Interp, Upsample.

Caffe rounds the number of windows up, and its average divides by the cells of a window that are in the input or in the
padding, but not by those beyond the padding. ``ceil_mode`` says other things in other runtimes and opsets; so the
windows are written with explicit padding, and an average whose windows overhang is multiplied by a constant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

from modelprep.formats.caffe.shapes.base import Site
from modelprep.formats.caffe.shapes.windows import pooled, pooling_window
from modelprep.formats.caffe.to_onnx.layer import Conversion, Layer, Tensor

_MAX, _STOCHASTIC = 0, 2


@dataclass(frozen=True)
class _Windows:
    """The windows along one axis: how many of `kernel` cells, one every `stride`, the first at -`pad` of `size`."""

    size: int
    count: int
    kernel: int
    stride: int
    pad: int

    @property
    def end(self) -> int:
        """The padding behind the axis that makes exactly `count` windows."""
        return max(0, (self.count - 1) * self.stride + self.kernel - self.pad - self.size)

    def cells(self) -> list[int]:
        """Return for each window how many cells Caffe divides an average by, along this axis."""
        starts = [i * self.stride - self.pad for i in range(self.count)]
        return [min(start + self.kernel, self.size + self.pad) - start for start in starts]

    def empty(self) -> bool:
        """Return whether a window has no cell of the input."""
        return (self.count - 1) * self.stride - self.pad >= self.size or self.kernel <= self.pad


def _pool(
    layer: Layer, method: int, value: str, axes: list[_Windows], out: str, *, part: str = "", mask: str = ""
) -> None:
    """Add the nodes of one pooling; refuse windows without any cell of the input: Caffe's result is no number then."""
    if method == _STOCHASTIC:
        raise layer.refuse("stochastic pooling draws random numbers; Caffe cannot run it for inference on a CPU either")
    if any(axis.empty() for axis in axes):
        why = "a pooling window is entirely beyond the input, and Caffe's result there is undefined"
        raise layer.refuse(why, got=f"{axes[0].size}x{axes[1].size} into {axes[0].count}x{axes[1].count}")
    whole = all(w.count == 1 and w.kernel == w.size and not w.pad for w in axes)
    if whole and not mask:
        layer.op("GlobalMaxPool" if method == _MAX else "GlobalAveragePool", value, out=out, part=part)
        return
    window: dict[str, Any] = {
        "kernel_shape": [w.kernel for w in axes], "strides": [w.stride for w in axes],
        "pads": [*(w.pad for w in axes), *(w.end for w in axes)],
    }  # fmt: skip
    if method == _MAX:
        if mask:
            layer.graph.node("MaxPool", [value], [out, mask], layer.name, window)
        else:
            layer.op("MaxPool", value, out=out, part=part, **window)
        return
    cells = [h * w for h, w in product(*(axis.cells() for axis in axes))]
    full = axes[0].kernel * axes[1].kernel
    if all(count == full for count in cells):
        layer.op("AveragePool", value, out=out, part=part, count_include_pad=1, **window)
        return
    mean = layer.op("AveragePool", value, part=f"{part}average", count_include_pad=1, **window)
    factors = layer.floats(f"{part}cells", [full / count for count in cells], (1, 1, axes[0].count, axes[1].count))
    layer.op("Mul", mean, factors, out=out, part=part)


def _windows(layer: Layer) -> list[_Windows]:
    bottom, top = layer.bottoms[0], layer.tops[0]
    sizes = layer.size(bottom, 2), layer.size(bottom, 3)
    kernel, stride, pad = pooling_window(Site(layer.proto, (bottom.shape,)), sizes)
    return [_Windows(sizes[i], layer.size(top, 2 + i), kernel[i] or sizes[i], stride[i], pad[i]) for i in range(2)]


def _pooling(layer: Layer) -> None:
    axes, method = _windows(layer), layer.proto.pooling_param.pool
    if len(layer.tops) == 1:
        _pool(layer, method, layer.x, axes, layer.y)
        return
    if method != _MAX:
        raise layer.refuse("only maximum pooling has a second top", got="an average")
    # Caffe's mask counts within one channel and is of floats, ONNX's counts through the whole tensor.
    indices = layer.graph.claim(f"{layer.name}/indices")
    _pool(layer, method, layer.x, axes, layer.y, mask=indices)
    within = layer.op("Mod", indices, layer.integers("plane", [axes[0].size * axes[1].size], ()))
    layer.cast_to_float(within, out=layer.tops[1].name, part="mask")


def _spp(layer: Layer) -> None:
    p, bottom, top = layer.proto.spp_param, layer.bottoms[0], layer.tops[0]
    if layer.rank != 4:
        raise layer.refuse("it needs four axes", got=f"{layer.rank}")
    sizes = layer.size(bottom, 2), layer.size(bottom, 3)
    levels = []
    for level in range(p.pyramid_height):
        bins = 2**level
        axes = []
        for size in sizes:
            kernel = math.ceil(size / bins)
            pad = (kernel * bins - size + 1) // 2
            count = pooled(size, kernel, kernel, pad, floor=False, clip=pad > 0)
            axes.append(_Windows(size, count, kernel, kernel, pad))
        if any(axis.count != bins for axis in axes):
            got, expected = f"{sizes[0]}x{sizes[1]}", f"{bins}x{bins} windows"
            raise layer.refuse("the input is too small for the pyramid", got=got, expected=expected)
        if p.pyramid_height == 1:
            _pool(layer, p.pool, bottom.name, axes, top.name)
            return
        value = layer.graph.claim(f"{layer.name}/level{level}")
        _pool(layer, p.pool, bottom.name, axes, value, part=f"level{level}_")
        levels.append(layer.op("Flatten", value, axis=1))
    layer.op("Concat", *levels, out=top.name, axis=1)


def _roi_pooling(layer: Layer) -> None:
    p = layer.proto.roi_pooling_param
    scale = float(p.spatial_scale) if p.HasField("spatial_scale") else 1.0
    layer.op(
        "MaxRoiPool", layer.x, layer.bottoms[1].name, out=layer.y,
        pooled_shape=[p.pooled_h, p.pooled_w], spatial_scale=scale,
    )  # fmt: skip


def _unpool(layer: Layer, value: Tensor, mask: Tensor, top: Tensor) -> None:
    """Put each value where the mask of a Pooling layer says, and zeros around it (SegNet's Upsample)."""
    channels, height, width = (layer.size(top, i) for i in (1, 2, 3))
    places = layer.cast_to_integers(layer.reshape(mask.name, mask.shape, _flat(layer, mask), part="flat_mask"))
    updates = layer.reshape(value.name, value.shape, _flat(layer, value), part="flat_values")
    leading = layer.slice(layer.op("Shape", updates), [0], [0], [2], part="leading")
    whole = layer.op("Concat", leading, layer.integers("plane", [height * width]), part="shape_of_zeros", axis=0)
    zeros = layer.op("Expand", layer.number("zero", 0.0), whole, part="zeros")
    spread = layer.op("ScatterElements", zeros, places, updates, axis=2)
    layer.reshape(spread, (value.shape[0], channels, height * width), top.shape, out=top.name, part="unflatten")


def _flat(layer: Layer, tensor: Tensor) -> tuple[int | None, ...]:
    return (tensor.shape[0], tensor.shape[1], layer.size(tensor, 2) * layer.size(tensor, 3))


def _resize(layer: Layer, value: str, **attributes: str) -> None:
    """Add a Resize to the height and width of the top; batch and channels are read from the value."""
    leading = layer.slice(layer.op("Shape", value), [0], [0], [2], part="leading")
    height_width = layer.integers("size", [layer.size(layer.tops[0], i) for i in (2, 3)])
    sizes = layer.op("Concat", leading, height_width, part="sizes", axis=0)
    # Regions and scales are optional from opset 13 on.
    unused = ("", "") if layer.opset >= 13 else [layer.floats(name, []) for name in ("no_roi", "no_scales")]
    layer.op("Resize", value, *unused, sizes, out=layer.y, **attributes)


def _interp(layer: Layer) -> None:
    p, value = layer.proto.interp_param, layer.x
    if p.pad_beg or p.pad_end:
        ends = [layer.size(layer.bottoms[0], i) + p.pad_end for i in (2, 3)]
        value = layer.slice(value, [2, 3], [-p.pad_beg] * 2, ends, part="cropped")
    _resize(layer, value, mode="linear", coordinate_transformation_mode="align_corners")


def _upsample(layer: Layer) -> None:
    if len(layer.bottoms) == 2:
        _unpool(layer, *layer.bottoms, layer.tops[0])
    else:
        _resize(
            layer, layer.x, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
        )  # fmt: skip


CONVERSIONS = {
    "Pooling": Conversion(
        _pooling, "MaxPool, AveragePool, Mul, GlobalMaxPool, GlobalAveragePool",
        "both rounding modes; averages count padding as Caffe does; refused: STOCHASTIC, windows beyond the input",
    ),
    "SPP": Conversion(_spp, "MaxPool or AveragePool, Flatten, Concat"),
    "ROIPooling": Conversion(_roi_pooling, "MaxRoiPool"),
    "Interp": Conversion(_interp, "Slice, Resize", "bilinear with aligned corners; the pads crop"),
    "Upsample": Conversion(
        _upsample, "Resize; Reshape, Cast, ScatterElements", "nearest; with a pooling mask as second bottom: unpooling"
    ),
}  # fmt: skip
