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


def _interp(site: Site) -> Inferred:
    site.need(1, 2)
    bottom, p = site.bottoms[0], site.param("interp_param")
    if bottom is None or p is None or len(bottom) != 4:
        return Inferred((None,))

    def resized(dim: Dim, given: int) -> Dim:
        if given and p.HasField("shrink_factor") == p.HasField("zoom_factor"):
            return given
        if dim is None or not (p.HasField("shrink_factor") or p.HasField("zoom_factor")):
            return None
        size = (dim + p.pad_beg + p.pad_end - 1) // max(1, p.shrink_factor) + 1
        return int(size + (size - 1) * (max(1, p.zoom_factor) - 1))

    return Inferred(((*bottom[:2], resized(bottom[2], p.height), resized(bottom[3], p.width)),))


def _upsample(site: Site) -> Inferred:
    site.need(1, 2)
    bottom, p = site.bottoms[0], site.param("upsample_param")
    if bottom is None or p is None or len(bottom) != 4:
        return Inferred((None,))
    if p.upsample_h and p.upsample_w:
        return Inferred(((*bottom[:2], p.upsample_h, p.upsample_w),))
    scale = p.scale or 2
    factors = ((p.scale_h or scale, p.pad_out_h), (p.scale_w or scale, p.pad_out_w))
    sides = (None if dim is None else dim * by - less for dim, (by, less) in zip(bottom[2:], factors, strict=True))
    return Inferred(((*bottom[:2], *sides),))


def _roi_pooling(site: Site) -> Inferred:
    site.need(2, 2)
    data, boxes = site.bottoms
    p = site.param("roi_pooling_param")
    many = None if boxes is None else boxes[0]
    return Inferred(((many, None if data is None else data[1], p.pooled_h or None, p.pooled_w or None),), None)


def _psroi_pooling(site: Site) -> Inferred:
    site.need(2, 2)
    boxes, p = site.bottoms[1], site.param("psroi_pooling_param")
    return Inferred(((None if boxes is None else boxes[0], p.output_dim, p.group_size, p.group_size),), None)


def _unweighed(site: Site) -> Inferred:
    """Give each top the first bottom's shape; which weights there are depends on the fork."""
    site.need(1)
    return Inferred((site.bottoms[0],) * len(site.layer.top), None)


def _axpy(site: Site) -> Inferred:
    site.need(3, 3)
    return Inferred((site.bottoms[1],))


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
