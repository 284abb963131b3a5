"""Shape rules of the layers that well-known forks of Caffe added: SSD's boxes, regions, resampling.

Facts: the layers' own ``Reshape`` in the forks that ``forks.tsv`` names.
"""

from __future__ import annotations

from typing import Any

from modelprep.formats.caffe.shapes.base import Dim, Inferred, Rule, Site, count, show


def _permute(site: Site) -> Inferred:
    site.need(1, 1)
    bottom, p = site.bottoms[0], site.param("permute_param")
    if bottom is None or p is None:
        return Inferred((None,))
    order = [int(axis) for axis in p.order]
    if len(set(order)) != len(order) or any(axis >= len(bottom) for axis in order):
        raise site.fail("the order names an axis twice, or one that is not there", got=f"{order} of {show(bottom)}")
    order += [axis for axis in range(len(bottom)) if axis not in order]
    return Inferred((tuple(bottom[axis] for axis in order),))


def _normalize(site: Site) -> Inferred:
    site.need(1, 1)
    bottom, p = site.bottoms[0], site.param("norm_param")
    if p is None:
        return Inferred((bottom,), None)
    channels: Dim = bottom[1] if bottom is not None and len(bottom) > 1 else None
    return Inferred((bottom,), ((),) if p.channel_shared else ((channels,),))


def _prior_box(site: Site) -> Inferred:
    site.need(1)
    bottom, p = site.bottoms[0], site.param("prior_box_param")
    if bottom is None or p is None or len(bottom) != 4:
        return Inferred(((1, 2, None),))
    cells = count(bottom, 2)
    return Inferred(((1, 2, None if cells is None else cells * _priors(p) * 4),))


def _priors(p: Any) -> int:
    ratios = [1.0]
    for ratio in p.aspect_ratio:
        for value in (ratio, 1.0 / ratio) if p.flip and ratio else (ratio,):
            if all(abs(value - known) >= 1e-6 for known in ratios):
                ratios.append(value)
    return len(ratios) * len(p.min_size) + len(p.max_size)


def _detection_output(site: Site) -> Inferred:
    site.need(3)
    # How many boxes there are is known only when the net runs; Caffe starts with one.
    return Inferred(((1, 1, None, 7),))


def _roi_pooling(site: Site) -> Inferred:
    site.need(2, 2)
    (data, rois), p = site.bottoms, site.param("roi_pooling_param")
    if p is None or data is None or rois is None:
        return Inferred((None,))
    if p.pooled_h < 1 or p.pooled_w < 1:
        raise site.fail("pooled_h and pooled_w must be at least 1", got=f"{p.pooled_h} and {p.pooled_w}")
    if len(data) != 4 or count(rois, 1) not in (5, None):
        raise site.fail(
            "ROIPooling needs a picture's blob and regions of five numbers each", got=f"{show(data)} and {show(rois)}"
        )
    return Inferred(((rois[0], data[1], p.pooled_h, p.pooled_w),))


def _axpy(site: Site) -> Inferred:
    site.need(3, 3)
    factor, value, other = site.bottoms
    if factor is None or value is None or other is None:
        return Inferred((other,))
    if factor[:2] != value[:2] or count(factor, 2) not in (1, None) or value != other:
        raise site.fail(
            "Axpy needs a factor for each channel and two blobs of one shape", got=", ".join(map(show, site.bottoms))
        )
    return Inferred((other,))


def _interp(site: Site) -> Inferred:
    site.need(1, 2)
    bottom, p = site.bottoms[0], site.param("interp_param")
    if bottom is None or p is None or len(bottom) != 4:
        return Inferred((None,))
    if len(site.bottoms) == 2:
        like = site.bottoms[1]
        return Inferred((None if like is None else (*bottom[:2], *like[2:]),))
    if max(p.pad_beg, p.pad_end) > 0:
        raise site.fail("the pads of Interp crop: they must not be positive", got=f"{p.pad_beg} and {p.pad_end}")
    zoom, shrink = p.HasField("zoom_factor"), p.HasField("shrink_factor")
    factors = [p.zoom_factor if zoom else 1, p.shrink_factor if shrink else 1]
    if min(factors) < 1:
        raise site.fail("the factors must be at least 1", got=f"zoom {factors[0]}, shrink {factors[1]}")
    sizes: list[Dim] = []
    for dim, given in zip(bottom[2:], (p.height, p.width), strict=True):
        size = None if dim is None else dim + p.pad_beg + p.pad_end
        if not (zoom or shrink) or (zoom and shrink and p.height and p.width):
            if not (p.height and p.width):
                raise site.fail("neither a size nor a factor is given")
            sizes.append(given)
        elif size is None:
            sizes.append(None)
        else:
            shrunk = (size - 1) // factors[1] + 1
            sizes.append(shrunk + (shrunk - 1) * (factors[0] - 1))
        if size is not None and size < 1:
            raise site.fail("the pads leave nothing of the input", got=show(bottom))
    return Inferred(((*bottom[:2], *sizes),))


def _upsample(site: Site) -> Inferred:
    site.need(1, 2)
    bottom, p = site.bottoms[0], site.param("upsample_param")
    if bottom is None or p is None or len(bottom) != 4:
        return Inferred((None,))
    if p.HasField("upsample_h") and p.HasField("upsample_w"):
        return Inferred(((*bottom[:2], p.upsample_h, p.upsample_w),))
    # SegNet's layer, with a mask, doubles by default; YOLO's, without one, does nothing by default.
    usual = p.scale if p.HasField("scale") else 2 if len(site.bottoms) == 2 else 1
    sizes = [
        None if dim is None else dim * (factor if p.HasField(name) else usual) - pad
        for dim, factor, name, pad in zip(
            bottom[2:], (p.scale_h, p.scale_w), ("scale_h", "scale_w"), (p.pad_out_h, p.pad_out_w), strict=True
        )
    ]
    return Inferred(((*bottom[:2], *sizes),))


def _psroi_pooling(site: Site) -> Inferred:
    site.need(2, 2)
    boxes, p = site.bottoms[1], site.param("psroi_pooling_param")
    return Inferred(((None if boxes is None else boxes[0], p.output_dim, p.group_size, p.group_size),), None)


def _unweighed(site: Site) -> Inferred:
    """Shape each top as the first bottom; which weights there are depends on the fork."""
    site.need(1)
    return Inferred((site.bottoms[0],) * len(site.layer.top), None)


def _continuation(site: Site) -> Inferred:
    p = site.param("continuation_indicator_param")
    return Inferred(((p.time_step or None, p.batch_size or None),))


BOX_RULES: dict[str, Rule] = {
    "Permute": _permute,
    "Normalize": _normalize,
    "PriorBox": _prior_box,
    "DetectionOutput": _detection_output,
    "Interp": _interp,
    "Upsample": _upsample,
    "ROIPooling": _roi_pooling,
    "PSROIPooling": _psroi_pooling,
    "Axpy": _axpy,
    "BN": _unweighed,
    "SyncBN": _unweighed,
    "SpatialDropout": _unweighed,
    "ContinuationIndicator": _continuation,
}
