"""Shape rules of the layers that well-known forks of Caffe added: SSD's boxes, regions, resampling.

Facts: the layers' own ``Reshape`` in the forks that ``forks.tsv`` names.
"""

from __future__ import annotations

from modelprep.formats.caffe.shapes.base import Dim, Inferred, Rule, Site, count, show


def _permute(site: Site) -> Inferred:
    bottom, order = site.known[0], list(site.layer.permute_param.order)
    if len(set(order)) != len(order) or any(axis >= len(bottom) for axis in order):
        raise site.fail("the order names an axis twice, or one that is not there", got=f"{order} of {show(bottom)}")
    order += [axis for axis in range(len(bottom)) if axis not in order]
    return Inferred((tuple(bottom[axis] for axis in order),))


def _normalize(site: Site) -> Inferred:
    bottom = site.bottoms[0]
    channels: Dim = bottom[1] if bottom is not None and len(bottom) > 1 else None
    return Inferred((bottom,), ((),) if site.layer.norm_param.channel_shared else ((channels,),))


def _prior_box(site: Site) -> Inferred:
    bottom, p, ratios = site.bottoms[0], site.layer.prior_box_param, [1.0]
    for ratio in p.aspect_ratio:
        for value in (ratio, 1.0 / ratio) if p.flip and ratio else (ratio,):
            if all(abs(value - known) >= 1e-6 for known in ratios):
                ratios.append(value)
    cells = count(bottom, 2) if bottom is not None and len(bottom) == 4 else None
    priors = len(ratios) * len(p.min_size) + len(p.max_size)
    return Inferred(((1, 2, None if cells is None else cells * priors * 4),))


def _roi_pooling(site: Site) -> Inferred:
    (data, rois), p = site.known, site.layer.roi_pooling_param
    if p.pooled_h < 1 or p.pooled_w < 1:
        raise site.fail("pooled_h and pooled_w must be at least 1", got=f"{p.pooled_h} and {p.pooled_w}")
    if len(data) != 4 or count(rois, 1) not in (5, None):
        what = "ROIPooling needs a picture's blob and regions of five numbers each"
        raise site.fail(what, got=f"{show(data)} and {show(rois)}")
    return Inferred(((rois[0], data[1], p.pooled_h, p.pooled_w),))


def _axpy(site: Site) -> Inferred:
    factor, value, other = site.bottoms
    if factor is None or value is None or other is None:
        return Inferred((other,))
    if factor[:2] != value[:2] or count(factor, 2) not in (1, None) or value != other:
        what = "Axpy needs a factor for each channel and two blobs of one shape"
        raise site.fail(what, got=", ".join(map(show, site.bottoms)))
    return Inferred((other,))


def _interp(site: Site) -> Inferred:
    bottom, p = site.bottoms[0], site.layer.interp_param
    if bottom is None or len(bottom) != 4:
        return Inferred(())
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
    bottom, p = site.bottoms[0], site.layer.upsample_param
    if bottom is None or len(bottom) != 4:
        return Inferred(())
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
    boxes, p = site.bottoms[1], site.layer.psroi_pooling_param
    return Inferred(((None if boxes is None else boxes[0], p.output_dim, p.group_size, p.group_size),), None)


def _unweighed(site: Site) -> Inferred:
    """Shape each top as the first bottom; which weights there are depends on the fork."""
    return Inferred((site.bottoms[0],) * len(site.layer.top), None)


def _continuation(site: Site) -> Inferred:
    p = site.layer.continuation_indicator_param
    return Inferred(((p.time_step or None, p.batch_size or None),))


BOX_RULES: dict[str, Rule] = {
    "Permute": Rule(_permute, 1, 1, known=True),
    "Normalize": Rule(_normalize, 1, 1),
    "PriorBox": Rule(_prior_box, 1),
    # How many boxes there are is known only when the net runs; Caffe starts with one.
    "DetectionOutput": Rule(lambda _: Inferred(((1, 1, None, 7),)), 3),
    "Interp": Rule(_interp, 1, 2),
    "Upsample": Rule(_upsample, 1, 2),
    "ROIPooling": Rule(_roi_pooling, 2, 2, known=True),
    "PSROIPooling": Rule(_psroi_pooling, 2, 2),
    "Axpy": Rule(_axpy, 3, 3),
    **dict.fromkeys(("BN", "SyncBN", "SpatialDropout"), Rule(_unweighed, 1)),
    "ContinuationIndicator": Rule(_continuation),
}
