"""Layers that multiply by weights: Convolution, its transpose, InnerProduct, Embed; and Im2col."""

from __future__ import annotations

import struct
from math import prod

from modelprep.formats.caffe.shapes.base import Dim, Site, count
from modelprep.formats.caffe.shapes.windows import convolution_window, groups
from modelprep.formats.caffe.to_onnx.layer import Conversion, Layer, Tensor
from modelprep.formats.onnx.model import FLOAT


def _folded(layer: Layer, tensor: Tensor, axis: int, spatial: int) -> tuple[str, tuple[Dim, ...]]:
    """Return a value of the shape (batch, channels, spatial...) that ONNX requires: all axes before `axis` as one."""
    if axis == 1 and spatial:
        return tensor.name, tensor.shape
    shape = (count(tensor.shape, 0, axis), *tensor.shape[axis:], *(1,) * (not spatial))
    return layer.reshape(tensor.name, tensor.shape, shape, part="fold"), shape


def _windows(layer: Layer) -> tuple[int, int, tuple[list[int], ...]]:
    """Return the channels' axis, the number of spatial axes, and kernel, stride, pad and dilation along these."""
    axis = layer.axis(layer.proto.convolution_param.axis)
    spatial = layer.rank - axis - 1
    return axis, spatial, convolution_window(Site(layer.proto, (layer.bottoms[0].shape,)), spatial)


def _convolution(layer: Layer) -> None:
    p, transposed = layer.proto.convolution_param, layer.proto.type == "Deconvolution"
    axis, spatial, (kernel, stride, pad, dilation) = _windows(layer)
    dims = None if spatial else (*layer.blobs[0].shape, 1)
    group = groups(layer.proto, layer.bottoms[0].shape[axis])
    weights = [layer.weight(0, "weight", dims)]
    if p.bias_term:
        weights.append(layer.weight(1, "bias"))
    for bottom, top in zip(layer.bottoms, layer.tops, strict=True):
        value, shape = _folded(layer, bottom, axis, spatial)
        straight = value == bottom.name
        windows = enumerate(zip(kernel, stride, pad, dilation, strict=True), axis + 1)
        ends = pad if transposed else [_overhang(bottom, top, i, window) for i, window in windows]
        made = layer.op(
            "ConvTranspose" if transposed else "Conv", value, *weights, out=top.name if straight else "",
            kernel_shape=kernel or [1], strides=stride or [1], dilations=dilation or [1],
            pads=[*pad, *ends] or [0, 0], group=group,
        )  # fmt: skip
        if not straight:
            inner = (shape[0], int(p.num_output), *(top.shape[axis + 1 :] or (1,)))
            layer.reshape(made, inner, top.shape, out=top.name, part="unfold")


def _overhang(bottom: Tensor, top: Tensor, axis: int, window: tuple[int, int, int, int]) -> int:
    """Return the padding behind an axis: as in front, or more for a window that overhangs, which covers zeros there."""
    kernel, stride, pad, dilation = window
    have, made = bottom.shape[axis], top.shape[axis]
    if have is None or made is None:
        return pad
    return max(pad, (made - 1) * stride + dilation * (kernel - 1) + 1 - pad - have)


def _im2col(layer: Layer) -> None:
    """Unroll windows by a convolution whose kernels have a single 1 each: x * 1 + y * 0 + ... is x itself."""
    axis, spatial, (kernel, stride, pad, dilation) = _windows(layer)
    if axis != 1 or not spatial:
        raise layer.refuse("windows are unrolled behind axis 1 only", got=f"axis {axis}")
    channels = layer.size(layer.bottoms[0], 1)
    cells = prod(kernel)
    one = b"".join(struct.pack(f"<{cells}f", *(float(i == j) for j in range(cells))) for i in range(cells))
    weight = layer.graph.constant(f"{layer.name}/cells", (channels * cells, 1, *kernel), one * channels, FLOAT)
    layer.op(
        "Conv", layer.x, weight, out=layer.y, kernel_shape=kernel, strides=stride,
        dilations=dilation, pads=[*pad, *pad], group=channels,
    )  # fmt: skip


_NOTES = "groups, dilation, any number of spatial axes, any axis, several bottoms"


def _inner_product(layer: Layer) -> None:
    p, bottom, top = layer.proto.inner_product_param, layer.bottoms[0], layer.tops[0]
    axis = layer.axis(p.axis)
    value, flat = layer.x, axis == 1
    inputs = layer.blobs[0].shape[0 if p.transpose else 1]
    if not flat:
        value = layer.reshape(value, bottom.shape, (None, inputs), part="fold")
    elif layer.rank != 2:
        value = layer.op("Flatten", value, axis=1)
    weights = [layer.weight(0, "weight")]
    if p.bias_term:
        weights.append(layer.weight(1, "bias"))
    made = layer.op("Gemm", value, *weights, out=top.name if flat else "", transB=int(not p.transpose))
    if not flat:
        layer.reshape(made, (None, int(p.num_output)), top.shape, out=top.name, part="unfold")


def _embed(layer: Layer) -> None:
    bias, rows = layer.proto.embed_param.bias_term, layer.cast_to_integers(layer.x)
    found = layer.op("Gather", layer.weight(0, "weight"), rows, out="" if bias else layer.y, axis=0)
    if bias:
        layer.op("Add", found, layer.weight(1, "bias"), out=layer.y)


CONVERSIONS = {
    "Convolution": Conversion(_convolution, "Conv", _NOTES),
    "DepthwiseConvolution": Conversion(_convolution, "Conv", "by its `group`"),
    "ConvolutionDepthwise": Conversion(_convolution, "Conv", "a group for each channel"),
    "Deconvolution": Conversion(_convolution, "ConvTranspose", _NOTES),
    "Im2col": Conversion(_im2col, "Conv", "with kernels of a single one"),
    "InnerProduct": Conversion(_inner_product, "Flatten, Gemm", "any axis, `transpose`"),
    "Embed": Conversion(_embed, "Cast, Gather, Add"),
}
