"""Layers that multiply by a matrix, or look a row of it up: InnerProduct, Embed."""

from __future__ import annotations

from modelprep.formats.caffe.to_onnx.layer import Conversion, Layer


def _inner_product(layer: Layer) -> None:
    p, bottom, top = layer.proto.inner_product_param, layer.bottoms[0], layer.tops[0]
    axis = layer.axis(p.axis)
    value, flat = bottom.name, axis == 1
    inputs = layer.blobs[0].shape[0 if p.transpose else 1]
    if axis != 1:
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
    p, out = layer.proto.embed_param, layer.tops[0].name
    rows = layer.cast_to_integers(layer.bottoms[0].name)
    found = layer.op("Gather", layer.weight(0, "weight"), rows, out="" if p.bias_term else out, axis=0)
    if p.bias_term:
        layer.op("Add", found, layer.weight(1, "bias"), out=out)


CONVERSIONS = {
    "InnerProduct": Conversion(_inner_product, "Flatten, Gemm", "any axis, `transpose`"),
    "Embed": Conversion(_embed, "Cast, Gather, Add"),
}
