"""Layers that move values and compute nothing: Reshape, Permute, Concat, Slice, Crop and their kin."""

from __future__ import annotations

from modelprep.formats.caffe.shapes.base import Dim
from modelprep.formats.caffe.to_onnx.layer import Conversion, Layer


def _reshape(layer: Layer) -> None:
    bottom, top = layer.bottoms[0], layer.tops[0]
    layer.reshape(bottom.name, bottom.shape, top.shape, out=top.name)


def _flatten(layer: Layer) -> None:
    p = layer.proto.flatten_param
    if layer.axis(p.axis) == 1 and layer.axis(p.end_axis) == layer.rank - 1:
        layer.op("Flatten", layer.bottoms[0].name, out=layer.tops[0].name, axis=1)
    else:
        _reshape(layer)


def _permute(layer: Layer) -> None:
    order = [int(axis) for axis in layer.proto.permute_param.order]
    order += [axis for axis in range(layer.rank) if axis not in order]
    layer.op("Transpose", layer.bottoms[0].name, out=layer.tops[0].name, perm=order)


def _tile(layer: Layer) -> None:
    p = layer.proto.tile_param
    repeats = [1] * layer.rank
    repeats[layer.axis(p.axis)] = p.tiles
    layer.op("Tile", layer.bottoms[0].name, layer.integers("repeats", repeats), out=layer.tops[0].name)


def _concat(layer: Layer) -> None:
    p = layer.proto.concat_param
    axis = int(p.concat_dim) if p.HasField("concat_dim") else layer.axis(p.axis)
    layer.op("Concat", *(bottom.name for bottom in layer.bottoms), out=layer.tops[0].name, axis=axis)


def _slice(layer: Layer) -> None:
    p = layer.proto.slice_param
    axis = layer.axis(int(p.slice_dim) if p.HasField("slice_dim") else p.axis)
    sizes = [layer.size(top, axis) for top in layer.tops]
    layer.split(layer.bottoms[0].name, axis, sizes, [top.name for top in layer.tops])


def _crop(layer: Layer) -> None:
    p, (data, _), top = layer.proto.crop_param, layer.bottoms, layer.tops[0]
    first = layer.axis(p.axis)
    offsets = [int(offset) for offset in p.offset] or [0]
    axes, starts, ends = [], [], []
    for i in range(first, layer.rank):
        offset = offsets[0] if len(offsets) == 1 else offsets[i - first]
        if data.shape[i] is None and top.shape[i] is None and not offset:
            continue  # the batch, which both have in common
        axes.append(i)
        starts.append(offset)
        ends.append(offset + layer.size(top, i))
    if axes:
        layer.slice(data.name, axes, starts, ends, out=top.name)
    else:
        layer.op("Identity", data.name, out=top.name)


def _shuffle(layer: Layer) -> None:
    p, bottom, top = layer.proto.shuffle_channel_param, layer.bottoms[0], layer.tops[0]
    channels, group = layer.size(bottom, 1), int(p.group) if p.HasField("group") else 1
    if group < 1 or channels % group:
        raise layer.refuse("group does not divide the channels", got=f"{channels} channels, {group} groups")
    rest: tuple[Dim, ...] = bottom.shape[2:]
    split: tuple[Dim, ...] = (bottom.shape[0], group, channels // group, *rest)
    parts = layer.reshape(bottom.name, bottom.shape, split, part="split")
    turned = layer.op("Transpose", parts, perm=[0, 2, 1, *range(3, len(split))])
    swapped: tuple[Dim, ...] = (bottom.shape[0], channels // group, group, *rest)
    layer.reshape(turned, swapped, top.shape, out=top.name, part="join")


def _batch_reindex(layer: Layer) -> None:
    data, order = layer.bottoms
    layer.op("Gather", data.name, layer.cast_to_integers(order.name), out=layer.tops[0].name, axis=0)


def _filter(layer: Layer) -> None:
    *data, selector = layer.bottoms
    flags = layer.op("Cast", selector.name, part="flags", to=9)
    if len(selector.shape) != 1:
        flags = layer.op("Reshape", flags, layer.integers("flat", [-1]))
    for bottom, top in zip(data, layer.tops, strict=True):
        layer.op("Compress", bottom.name, flags, out=top.name, axis=0)


CONVERSIONS = {
    "Reshape": Conversion(_reshape, "Reshape", "0, -1, `axis` and `num_axes`"),
    "Flatten": Conversion(_flatten, "Flatten, Reshape"),
    "Permute": Conversion(_permute, "Transpose"),
    "Tile": Conversion(_tile, "Tile"),
    "Concat": Conversion(_concat, "Concat"),
    "Slice": Conversion(_slice, "Split"),
    "Crop": Conversion(_crop, "Slice"),
    "ShuffleChannel": Conversion(_shuffle, "Reshape, Transpose, Reshape"),
    "BatchReindex": Conversion(_batch_reindex, "Cast, Gather"),
    "Filter": Conversion(_filter, "Cast, Compress"),
}
