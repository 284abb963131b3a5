"""Pooling with Caffe's own window rules, and what is made of it: SPP, ROIPooling, Upsample by a pooling mask.

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
from modelprep.formats.caffe.shapes.windows import pooling_window
from modelprep.formats.caffe.to_onnx.layer import Conversion, Layer, Tensor

MAX, AVE, STOCHASTIC = 0, 1, 2


@dataclass(frozen=True)
class Windows:
    """The windows along one axis: how many of `kernel` cells, one every `stride`, the first at -`pad` of `size`."""

    size: int
    count: int
    kernel: int
    stride: int
    pad: int

    @property
    def end(self) -> int:
        """Padding behind the axis that makes exactly `count` windows."""
        return max(0, (self.count - 1) * self.stride + self.kernel - self.pad - self.size)

    def cells(self) -> list[int]:
        """Return for each window how many cells Caffe divides an average by, along this axis."""
        starts = [i * self.stride - self.pad for i in range(self.count)]
        return [min(start + self.kernel, self.size + self.pad) - start for start in starts]

    def empty(self) -> bool:
        """Whether a window holds no cell of the input at all."""
        return (self.count - 1) * self.stride - self.pad >= self.size or self.kernel <= self.pad


def pool(
    layer: Layer, method: int, value: str, axes: list[Windows], out: str, *, part: str = "", mask: str = ""
) -> None:
    """Add the nodes of one pooling.

    Raises StepError: stochastic pooling, or a window without any cell of the input: Caffe's result is no number then.
    """
    if method == STOCHASTIC:
        raise layer.refuse("stochastic pooling draws random numbers; Caffe cannot run it for inference on a CPU either")
    if any(axis.empty() for axis in axes):
        raise layer.refuse("a pooling window lies beyond the input altogether, and Caffe's result there is undefined",
                           got=f"{axes[0].size}x{axes[1].size} into {axes[0].count}x{axes[1].count}")  # fmt: skip
    whole = all(w.count == 1 and w.kernel == w.size and not w.pad for w in axes)
    if whole and not mask:
        layer.op("GlobalMaxPool" if method == MAX else "GlobalAveragePool", value, out=out, part=part)
        return
    window: dict[str, Any] = {
        "kernel_shape": [w.kernel for w in axes], "strides": [w.stride for w in axes],
        "pads": [*(w.pad for w in axes), *(w.end for w in axes)],
    }  # fmt: skip
    if method == MAX:
        if mask:
            name = layer.name if out else ""
            layer.graph.node("MaxPool", [value], [out, mask], name, window)
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


def _windows(layer: Layer) -> list[Windows]:
    bottom, top = layer.bottoms[0], layer.tops[0]
    sizes = layer.size(bottom, 2), layer.size(bottom, 3)
    kernel, stride, pad = pooling_window(Site(layer.proto, (bottom.shape,)), sizes)
    return [Windows(sizes[i], layer.size(top, 2 + i), kernel[i] or sizes[i], stride[i], pad[i]) for i in range(2)]


def _pooling(layer: Layer) -> None:
    axes, method = _windows(layer), layer.proto.pooling_param.pool
    if len(layer.tops) == 1:
        pool(layer, method, layer.bottoms[0].name, axes, layer.tops[0].name)
        return
    if method != MAX:
        raise layer.refuse("only maximum pooling has a second top", got="an average")
    # Caffe's mask counts within one channel and is of floats, ONNX's counts through the whole tensor.
    indices = layer.graph.claim(f"{layer.name}/indices")
    pool(layer, method, layer.bottoms[0].name, axes, layer.tops[0].name, mask=indices)
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
            axes.append(Windows(size, _count(size, kernel, pad), kernel, kernel, pad))
        if any(axis.count != bins for axis in axes):
            raise layer.refuse("the input is too small for the pyramid", got=f"{sizes[0]}x{sizes[1]}",
                               expected=f"{bins}x{bins} windows")  # fmt: skip
        if p.pyramid_height == 1:
            pool(layer, p.pool, bottom.name, axes, top.name)
            return
        value = layer.graph.claim(f"{layer.name}/level{level}")
        pool(layer, p.pool, bottom.name, axes, value, part=f"level{level}_")
        levels.append(layer.op("Flatten", value, axis=1))
    layer.op("Concat", *levels, out=top.name, axis=1)


def _count(size: int, kernel: int, pad: int) -> int:
    count = math.ceil((size + 2 * pad - kernel) / kernel) + 1
    return count - 1 if pad and (count - 1) * kernel >= size + pad else count


def _roi_pooling(layer: Layer) -> None:
    p = layer.proto.roi_pooling_param
    scale = float(p.spatial_scale) if p.HasField("spatial_scale") else 1.0
    layer.op(
        "MaxRoiPool", layer.bottoms[0].name, layer.bottoms[1].name, out=layer.tops[0].name,
        pooled_shape=[p.pooled_h, p.pooled_w], spatial_scale=scale,
    )  # fmt: skip


def unpool(layer: Layer, value: Tensor, mask: Tensor, top: Tensor) -> None:
    """Put each value where the mask of a Pooling layer says, and zeros around it (SegNet's Upsample)."""
    channels, height, width = (layer.size(top, i) for i in (1, 2, 3))
    batch = value.shape[0]
    places = layer.cast_to_integers(layer.reshape(mask.name, mask.shape, _flat(layer, mask), part="flat_mask"))
    updates = layer.reshape(value.name, value.shape, _flat(layer, value), part="flat_values")
    shape = layer.op("Shape", updates)
    leading = layer.slice(shape, [0], [0], [2], part="leading")
    whole = layer.op("Concat", leading, layer.integers("plane", [height * width]), part="shape_of_zeros", axis=0)
    zeros = layer.op("Expand", layer.number("zero", 0.0), whole, part="zeros")
    spread = layer.op("ScatterElements", zeros, places, updates, axis=2)
    layer.reshape(spread, (batch, channels, height * width), top.shape, out=top.name, part="unflatten")


def _flat(layer: Layer, tensor: Tensor) -> tuple[int | None, ...]:
    return (tensor.shape[0], tensor.shape[1], layer.size(tensor, 2) * layer.size(tensor, 3))


CONVERSIONS = {
    "Pooling": Conversion(
        _pooling, "MaxPool, AveragePool, Mul, GlobalMaxPool, GlobalAveragePool",
        "both rounding modes; averages count padding as Caffe does; refused: STOCHASTIC, windows beyond the input",
    ),
    "SPP": Conversion(_spp, "MaxPool or AveragePool, Flatten, Concat"),
    "ROIPooling": Conversion(_roi_pooling, "MaxRoiPool"),
}  # fmt: skip
