"""Shape rules of the layers that slide a window: convolution, its transpose, pooling and similar ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelprep.errors import StepError
from modelprep.formats.caffe.messages import chosen
from modelprep.formats.caffe.shapes.base import Dim, Inferred, Rule, Shape, Site, count, show


def _per_axis(
    site: Site, name: str, many: Any, pair: tuple[int, int] | None, axes: int, default: int | None
) -> list[int]:
    """Read one of kernel_size, stride, pad, dilation: ``*_h`` and ``*_w``, else one value for all, else one an axis."""
    if pair is not None:
        if axes != 2:
            raise site.fail(f"{name}_h and {name}_w are for two spatial axes", got=f"{axes} spatial axes")
        if len(many):
            raise site.fail(f"either {name} or {name}_h and {name}_w, not both")
        return list(pair)
    values = [int(value) for value in many]
    if not values:
        if default is None:
            raise site.fail(f"{name} is not given")
        return [default] * axes
    if len(values) not in (1, axes):
        raise site.fail(f"{name} is given for a wrong number of axes", expected=f"1 or {axes}", got=str(len(values)))
    return values * axes if len(values) == 1 else values


def _pair(param: Any, name: str) -> tuple[int, int] | None:
    high, wide = f"{name}_h", f"{name}_w"
    if param.HasField(high) or param.HasField(wide):
        return getattr(param, high), getattr(param, wide)
    return None


def convolution_window(site: Site, axes: int) -> tuple[list[int], list[int], list[int], list[int]]:
    """Return kernel, stride, pad and dilation of a convolution, one value a spatial axis.

    Raises StepError: a value is missing, contradictory, or zero where Caffe requires more.
    """
    p = site.layer.convolution_param
    name = "kernel_size" if p.kernel_size else "kernel"
    kernel = _per_axis(site, name, p.kernel_size, _pair(p, "kernel"), axes, None)
    stride = _per_axis(site, "stride", p.stride, _pair(p, "stride"), axes, 1)
    pad = _per_axis(site, "pad", p.pad, _pair(p, "pad"), axes, 0)
    dilation = _per_axis(site, "dilation", p.dilation, None, axes, 1)
    if min(kernel, default=1) < 1 or min(stride, default=1) < 1:
        raise site.fail("kernel and stride must be at least 1", got=f"kernel {kernel}, stride {stride}")
    return kernel, stride, pad, dilation


def groups(layer: Any, channels: Dim) -> int:
    """Return the groups of a convolution; a ConvolutionDepthwise writes none and has one for each channel."""
    return channels or 1 if layer.type == "ConvolutionDepthwise" else int(layer.convolution_param.group)


def _convolve(site: Site) -> Inferred:
    p = site.layer.convolution_param
    transposed, outputs = site.layer.type == "Deconvolution", int(p.num_output)
    if outputs < 1 or p.group < 1:
        raise site.fail("num_output and group must be at least 1", got=f"num_output {outputs}, group {p.group}")
    bottom = site.bottoms[0]
    # An unknown number of axes means a picture: Caffe nets of other ranks write their shape.
    rank = 4 if bottom is None else len(bottom)
    axis = site.axis(p.axis, rank)
    kernel, stride, pad, dilation = convolution_window(site, rank - axis - 1)
    channels: Dim = None if bottom is None else bottom[axis]
    group = groups(site.layer, channels)
    if outputs % group or (channels is not None and channels % group):
        got = f"{channels} channels, {outputs} outputs, {group} groups"
        raise site.fail("group does not divide the channels", got=got)
    inputs = None if channels is None else channels // group
    matrix: Shape = (channels, outputs // group, *kernel) if transposed else (outputs, inputs, *kernel)
    weights = (matrix, (outputs,)) if p.bias_term else (matrix,)
    if bottom is None:
        return Inferred((), weights, None)
    tops: list[Shape] = []
    for shape in site.bottoms:
        if shape is None or len(shape) != rank:
            tops.append(None)
            continue
        spatial: list[Dim] = []
        for dim, k, s, q, d in zip(shape[axis + 1 :], kernel, stride, pad, dilation, strict=True):
            extent = d * (k - 1) + 1
            if dim is None:
                spatial.append(None)
                continue
            # Like C++, towards zero: a window that overhangs by less than a stride still results in one value.
            size = s * (dim - 1) + extent - 2 * q if transposed else int((dim + 2 * q - extent) / s) + 1
            if size < 1:
                raise _too_large(site, dim + 2 * q, extent)
            spatial.append(size)
        tops.append((*shape[:axis], outputs, *spatial))
    places = count((site.bottoms if transposed else tops)[0], axis + 1)
    outer, volume = count(bottom, 0, axis), count(matrix)
    macs = None if places is None or outer is None or volume is None else outer * places * volume * len(tops)
    return Inferred(tuple(tops), weights, macs)


def _too_large(site: Site, most: int, size: int) -> StepError:
    return site.fail("the window is larger than the padded input", expected=f"at most {most}", got=str(size))


def pooling_window(site: Site, size: Sequence[Dim]) -> tuple[list[Dim], list[int], list[int]]:
    """Return kernel, stride and pad of a Pooling layer for an input of this height and width.

    Raises StepError: missing, contradictory, or of a size that Caffe refuses.
    """
    p = site.layer.pooling_param
    if p.global_pooling:
        if p.HasField("kernel_size") or _pair(p, "kernel"):
            raise site.fail("global_pooling takes no kernel size")
        return [*size], [1, 1], [0, 0]
    if p.HasField("kernel_size"):
        kernel: list[Dim] = [p.kernel_size] * 2
    elif p.HasField("kernel_h") and p.HasField("kernel_w"):
        kernel = [p.kernel_h, p.kernel_w]
    else:
        raise site.fail("kernel_size (or kernel_h and kernel_w) is not given")
    stride = list(_pair(p, "stride") or (p.stride, p.stride))
    pad = list(_pair(p, "pad") or (p.pad, p.pad))
    for k, s, q in zip(kernel, stride, pad, strict=True):
        if not k or s < 1 or q >= k:
            what = "kernel and stride must be at least 1, and the padding smaller than the kernel"
            raise site.fail(what, got=f"kernel {k}, stride {s}, pad {q}")
    return kernel, stride, pad


def pooled(dim: int, kernel: int, stride: int, pad: int, *, floor: bool, clip: bool) -> int:
    """Return a pooled size: rounded up (or down), and less a last window that would start in the padding."""
    room = dim + 2 * pad - kernel
    size = (room // stride if floor else -(-room // stride)) + 1
    return size - 1 if clip and (size - 1) * stride >= dim + pad else size


def _pooling(site: Site) -> Inferred:
    site.need_four_axes()
    bottom, p = site.bottoms[0], site.layer.pooling_param
    if bottom is None:
        pooling_window(site, (None, None))
        return Inferred(())
    floor = chosen(p, "round_mode") == "FLOOR"
    kernel, stride, pad = pooling_window(site, bottom[2:4])
    if any(pad) and chosen(p, "pool") == "STOCHASTIC":
        raise site.fail("stochastic pooling takes no padding", got=f"pad {pad}")
    # Caffe clips both axes as soon as either is padded.
    clip = any(pad)
    spatial: list[Dim] = []
    for dim, k, s, q in zip(bottom[2:], kernel, stride, pad, strict=True):
        if dim is None or k is None:
            spatial.append(1 if p.global_pooling else None)
            continue
        size = pooled(dim, k, s, q, floor=floor, clip=clip)
        if size < 1:
            raise _too_large(site, dim + 2 * q, k)
        spatial.append(size)
    return Inferred(((*bottom[:2], *spatial),) * len(site.layer.top))


def _lrn(site: Site) -> Inferred:
    site.need_four_axes()
    return Inferred(site.bottoms)


def _mvn(site: Site) -> Inferred:
    """Return four axes for any bottom: Caffe reshapes the top by the old (num, channels, height, width)."""
    bottom = site.known[0]
    if len(bottom) > 4:
        raise site.fail("MVN takes four axes at most", got=show(bottom))
    return Inferred(((*bottom, *(1,) * (4 - len(bottom))),))


def _spp(site: Site) -> Inferred:
    site.need_four_axes()
    bottom, height = site.known[0], int(site.layer.spp_param.pyramid_height)
    if height == 1:
        return Inferred(((*bottom[:2], 1, 1),))
    bins, channels = (4**height - 1) // 3, bottom[1]
    return Inferred(((bottom[0], None if channels is None else channels * bins),))


def _crop(site: Site) -> Inferred:
    (data, like), p = site.known, site.layer.crop_param
    axis = site.axis(p.axis, len(data))
    offsets = list(p.offset) or [0]
    if len(like) != len(data) or len(offsets) not in (1, len(data) - axis):
        raise site.fail(
            "Crop needs bottoms of equal rank and one offset, or one an axis",
            got=f"{show(data)}, {show(like)}, {len(p.offset)} offsets",
        )
    for i in range(axis, len(data)):
        offset = offsets[0] if len(offsets) == 1 else offsets[i - axis]
        have, want = data[i], like[i]
        if have is not None and want is not None and have - offset < want:
            raise site.fail("the crop goes beyond the input", expected=f"at most {have - offset}", got=str(want))
    return Inferred(((*data[:axis], *like[axis:]),))


def _im2col(site: Site) -> Inferred:
    bottom = site.known[0]
    axis = site.axis(site.layer.convolution_param.axis, len(bottom))
    kernel, stride, pad, dilation = convolution_window(site, len(bottom) - axis - 1)
    channels = count((bottom[axis], *kernel))
    spatial = [
        None if dim is None else int((dim + 2 * q - d * (k - 1) - 1) / s) + 1
        for dim, k, s, q, d in zip(bottom[axis + 1 :], kernel, stride, pad, dilation, strict=True)
    ]
    return Inferred(((*bottom[:axis], channels, *spatial),))


WINDOW_RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("Convolution", "DepthwiseConvolution", "ConvolutionDepthwise", "Deconvolution"), Rule(_convolve, 1)
    ),
    "Pooling": Rule(_pooling, 1, 1),
    "SPP": Rule(_spp, 1, 1, known=True),
    "LRN": Rule(_lrn, 1, 1),
    "MVN": Rule(_mvn, 1, 1, known=True),
    "Crop": Rule(_crop, 2, 2, known=True),
    "Im2col": Rule(_im2col, 1, 1, known=True),
}
