"""Layers that reduce: Reduction, ArgMax."""

from __future__ import annotations

from modelprep.formats.caffe.shapes.base import Dim, count
from modelprep.formats.caffe.to_onnx.layer import Conversion, Layer

_REDUCTIONS = {1: "ReduceSum", 2: "ReduceL1", 3: "ReduceSumSquare", 4: "ReduceMean"}


def _reduction(layer: Layer) -> None:
    p = layer.proto.reduction_param
    axes = list(range(layer.axis(p.axis), layer.rank))
    op, coeff, out = _REDUCTIONS[p.operation], float(p.coeff), layer.tops[0].name
    value = layer.reduce(op, layer.bottoms[0].name, axes, keep=False, out=out if coeff == 1 else "")
    if coeff != 1:
        layer.scaled(value, coeff, out=out)


def _argmax(layer: Layer) -> None:
    p, bottom, top = layer.proto.argmax_param, layer.bottoms[0], layer.tops[0]
    value, shape, axis = bottom.name, bottom.shape, layer.axis(p.axis)
    if not p.HasField("axis"):
        shape, axis = (shape[0], count(shape, 1)), 1
        if len(bottom.shape) != 2:
            value = layer.op("Flatten", value, axis=1)
    size = shape[axis]
    if size is None or not 1 <= p.top_k <= size:
        raise layer.refuse("top_k is not within the axis", expected=f"1 to {size}", got=str(p.top_k))
    flat: tuple[Dim, ...] = (shape[0], int(p.top_k))
    if p.top_k == 1 and not p.out_max_val and layer.opset >= 12:
        place = layer.op("ArgMax", value, axis=axis, keepdims=1, select_last_index=1)
        if p.HasField("axis"):
            layer.cast_to_float(place, out=top.name)
        else:
            layer.reshape(layer.cast_to_float(place), flat, top.shape, out=top.name)
        return
    # Of equal values Caffe takes the one with the highest index first, ONNX the lowest: so it looks from behind.
    turned = layer.slice(value, [axis], [-1], [-(2**62)], steps=[-1], part="from_behind")
    values, places = (layer.graph.claim(f"{layer.name}/{part}") for part in ("values", "places"))
    layer.graph.node(
        "TopK", [turned, layer.integers("k", [p.top_k])], [values, places], f"{layer.name}/topk", {"axis": axis}
    )
    if p.HasField("axis"):
        if p.out_max_val:
            layer.op("Identity", values, out=top.name)
        else:
            layer.cast_to_float(_from_front(layer, places, size), out=top.name)
        return
    indices = layer.cast_to_float(_from_front(layer, places, size))
    if p.out_max_val:
        pair = [layer.unsqueeze(part, [1], part=name) for name, part in (("indices", indices), ("maxima", values))]
        indices, flat = layer.op("Concat", *pair, axis=1), (shape[0], 2, int(p.top_k))
    layer.reshape(indices, flat, top.shape, out=top.name)


def _from_front(layer: Layer, places: str, size: int) -> str:
    return layer.op("Sub", layer.integers("last", [size - 1], ()), places)


CONVERSIONS = {
    "Reduction": Conversion(_reduction, "ReduceSum, ReduceL1, ReduceSumSquare, ReduceMean", "`coeff` as Mul"),
    "ArgMax": Conversion(
        _argmax, "ArgMax; Slice, TopK, Sub, Cast", "of equal values the one with the highest index, as Caffe"
    ),
}
