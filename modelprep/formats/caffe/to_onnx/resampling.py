"""Layers of forks that change the resolution: Interp (DeepLab, PSPNet), Upsample (SegNet, and YOLO's)."""

from __future__ import annotations

from modelprep.formats.caffe.to_onnx.layer import Conversion, Layer
from modelprep.formats.caffe.to_onnx.pooling import unpool


def _resize(layer: Layer, value: str, height: int, width: int, out: str, *, mode: str) -> None:
    """Add a Resize to a size. Sizes need those of batch and channels too, which are asked for when the model runs."""
    leading = layer.slice(layer.op("Shape", value), [0], [0], [2], part="leading")
    sizes = layer.op("Concat", leading, layer.integers("size", [height, width]), part="sizes", axis=0)
    inputs = [value, "", "", sizes]
    if layer.opset < 13:  # both were not optional there
        inputs[1] = layer.floats("no_roi", [])
        inputs[2] = layer.floats("no_scales", [])
    if mode == "linear":
        layer.op("Resize", *inputs, out=out, mode="linear", coordinate_transformation_mode="align_corners")
    else:
        layer.op("Resize", *inputs, out=out, mode="nearest", coordinate_transformation_mode="asymmetric",
                 nearest_mode="floor")  # fmt: skip


def _interp(layer: Layer) -> None:
    p, bottom, top = layer.proto.interp_param, layer.bottoms[0], layer.tops[0]
    value, before, after = bottom.name, -p.pad_beg, -p.pad_end
    if before or after:
        ends = [layer.size(bottom, i) - after for i in (2, 3)]
        value = layer.slice(value, [2, 3], [before, before], ends, part="cropped")
    _resize(layer, value, layer.size(top, 2), layer.size(top, 3), top.name, mode="linear")


def _upsample(layer: Layer) -> None:
    bottom, top = layer.bottoms[0], layer.tops[0]
    if len(layer.bottoms) == 2:
        unpool(layer, bottom, layer.bottoms[1], top)
    else:
        _resize(layer, bottom.name, layer.size(top, 2), layer.size(top, 3), top.name, mode="nearest")


CONVERSIONS = {
    "Interp": Conversion(_interp, "Slice, Resize", "bilinear with aligned corners; the pads crop"),
    "Upsample": Conversion(
        _upsample, "Resize; Reshape, Cast, ScatterElements", "nearest; with a pooling mask as second bottom: unpooling"
    ),
}
