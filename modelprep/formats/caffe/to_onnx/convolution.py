"""Convolution, its transpose, and Im2col."""

from __future__ import annotations

import struct

from modelprep.formats.caffe.shapes.base import Dim, Site, count
from modelprep.formats.caffe.shapes.windows import convolution_window, groups
from modelprep.formats.caffe.to_onnx.layer import Conversion, Layer, Tensor
from modelprep.formats.onnx.model import FLOAT


def _folded(layer: Layer, tensor: Tensor, axis: int, spatial: int) -> tuple[str, tuple[Dim, ...]]:
    """Return a value of the shape (batch, channels, spatial...) that ONNX wants: all axes before `axis` as one."""
    if axis == 1 and spatial:
        return tensor.name, tensor.shape
    channels_on = (*tensor.shape[axis:], *(1,) * (not spatial))
    outer = count(tensor.shape, 0, axis)
    shape = (outer, *channels_on)
    return layer.reshape(tensor.name, tensor.shape, shape, part="fold"), shape


def _convolve(layer: Layer, *, transposed: bool) -> None:
    p = layer.proto.convolution_param
    axis = layer.axis(p.axis)
    spatial = layer.rank - axis - 1
    kernel, stride, pad, dilation = convolution_window(Site(layer.proto, (layer.bottoms[0].shape,)), spatial)
    dims = None if spatial else (*layer.blobs[0].shape, 1)
    group = groups(layer.proto, layer.bottoms[0].shape[axis])
    weights = [layer.weight(0, "weight", dims)]
    if p.bias_term:
        weights.append(layer.weight(1, "bias"))
    for bottom, top in zip(layer.bottoms, layer.tops, strict=True):
        value, shape = _folded(layer, bottom, axis, spatial)
        straight = value == bottom.name
        ends = list(pad)
        if not transposed:
            ends = [
                _overhang(bottom, top, axis + 1 + i, window)
                for i, window in enumerate(zip(kernel, stride, pad, dilation, strict=True))
            ]
        made = layer.op(
            "ConvTranspose" if transposed else "Conv", value, *weights, out=top.name if straight else "",
            kernel_shape=kernel or [1], strides=stride or [1], dilations=dilation or [1],
            pads=[*pad, *ends] or [0, 0], group=group,
        )  # fmt: skip
        if not straight:
            inner = (shape[0], int(p.num_output), *(top.shape[axis + 1 :] or (1,)))
            layer.reshape(made, inner, top.shape, out=top.name, part="unfold")


def _overhang(bottom: Tensor, top: Tensor, axis: int, window: tuple[int, int, int, int]) -> int:
    """Return the padding behind an axis: as in front, but for a window that overhangs, which sees zeros there."""
    kernel, stride, pad, dilation = window
    have, made = bottom.shape[axis], top.shape[axis]
    if have is None or made is None:
        return pad
    return max(pad, (made - 1) * stride + dilation * (kernel - 1) + 1 - pad - have)


def _convolution(layer: Layer) -> None:
    _convolve(layer, transposed=False)


def _deconvolution(layer: Layer) -> None:
    _convolve(layer, transposed=True)


def _im2col(layer: Layer) -> None:
    """Unroll windows by a convolution whose kernels hold a single one each: x * 1 + y * 0 + ... is x itself."""
    p = layer.proto.convolution_param
    axis = layer.axis(p.axis)
    spatial = layer.rank - axis - 1
    if axis != 1 or not spatial:
        raise layer.refuse("windows are unrolled behind axis 1 only", got=f"axis {axis}")
    kernel, stride, pad, dilation = convolution_window(Site(layer.proto, (layer.bottoms[0].shape,)), spatial)
    channels = layer.size(layer.bottoms[0], 1)
    cells = 1
    for size in kernel:
        cells *= size
    one = b"".join(struct.pack(f"<{cells}f", *(float(i == j) for j in range(cells))) for i in range(cells))
    weight = layer.graph.constant(f"{layer.name}/cells", (channels * cells, 1, *kernel), one * channels, FLOAT)
    layer.op(
        "Conv", layer.bottoms[0].name, weight, out=layer.tops[0].name, kernel_shape=kernel, strides=stride,
        dilations=dilation, pads=[*pad, *pad], group=channels,
    )  # fmt: skip


_NOTES = "groups, dilation, any number of spatial axes, any axis, several bottoms"
CONVERSIONS = {
    "Convolution": Conversion(_convolution, "Conv", _NOTES),
    "DepthwiseConvolution": Conversion(_convolution, "Conv", "by its `group`"),
    "ConvolutionDepthwise": Conversion(_convolution, "Conv", "a group for each channel"),
    "Deconvolution": Conversion(_deconvolution, "ConvTranspose", _NOTES),
    "Im2col": Conversion(_im2col, "Conv", "with kernels of a single one"),
}
