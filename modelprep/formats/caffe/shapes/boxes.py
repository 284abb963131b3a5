"""Shape rules of the layers that well-known forks of Caffe added: SSD's boxes, resampling.

Their parameters are looked up by name and may be missing from the schema; the shapes are then unknown, not wrong.
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
    if p.height and p.width:
        return Inferred(((*bottom[:2], p.height, p.width),))
    return Inferred(((*bottom[:2], None, None),))


def _upsample(site: Site) -> Inferred:
    site.need(1, 2)
    bottom, p = site.bottoms[0], site.param("upsample_param")
    if bottom is None or p is None or len(bottom) != 4:
        return Inferred((None,))
    scale = int(getattr(p, "scale", 2))
    return Inferred(((*bottom[:2], *(None if dim is None else dim * scale for dim in bottom[2:])),))


BOX_RULES: dict[str, Rule] = {
    "Permute": _permute,
    "Normalize": _normalize,
    "PriorBox": _prior_box,
    "DetectionOutput": _detection_output,
    "Interp": _interp,
    "Upsample": _upsample,
}
