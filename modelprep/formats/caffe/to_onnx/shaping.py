"""Layers that compute nothing: they provide values (Input, DummyData), or move them (Reshape, Concat, Slice, Crop)."""

from __future__ import annotations

from modelprep.formats.caffe.to_onnx.layer import Conversion, Layer


def _reshape(layer: Layer) -> None:
    layer.reshape(layer.x, layer.bottoms[0].shape, layer.tops[0].shape, out=layer.y)


def _flatten(layer: Layer) -> None:
    p = layer.proto.flatten_param
    if layer.axis(p.axis) == 1 and layer.axis(p.end_axis) == layer.rank - 1:
        layer.op("Flatten", layer.x, out=layer.y, axis=1)
    else:
        _reshape(layer)


def _permute(layer: Layer) -> None:
    order = list(layer.proto.permute_param.order)
    order += [axis for axis in range(layer.rank) if axis not in order]
    layer.op("Transpose", layer.x, out=layer.y, perm=order)


def _tile(layer: Layer) -> None:
    p = layer.proto.tile_param
    repeats = [1] * layer.rank
    repeats[layer.axis(p.axis)] = p.tiles
    layer.op("Tile", layer.x, layer.integers("repeats", repeats), out=layer.y)


def _concat(layer: Layer) -> None:
    p = layer.proto.concat_param
    axis = int(p.concat_dim) if p.HasField("concat_dim") else layer.axis(p.axis)
    layer.op("Concat", *(bottom.name for bottom in layer.bottoms), out=layer.y, axis=axis)


def _slice(layer: Layer) -> None:
    p = layer.proto.slice_param
    axis = layer.axis(int(p.slice_dim) if p.HasField("slice_dim") else p.axis)
    sizes = [layer.size(top, axis) for top in layer.tops]
    names = [top.name for top in layer.tops]
    if layer.opset >= 13:
        layer.graph.node("Split", [layer.x, layer.integers("split", sizes)], names, layer.name, {"axis": axis})
    else:
        layer.graph.node("Split", [layer.x], names, layer.name, {"axis": axis, "split": sizes})


def _crop(layer: Layer) -> None:
    p, (data, _), top = layer.proto.crop_param, layer.bottoms, layer.tops[0]
    first = layer.axis(p.axis)
    offsets = list(p.offset) or [0]
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
    batch, _, *rest = bottom.shape
    parts = layer.reshape(bottom.name, bottom.shape, (batch, group, channels // group, *rest), part="split")
    turned = layer.op("Transpose", parts, perm=[0, 2, 1, *range(3, layer.rank + 1)])
    layer.reshape(turned, (batch, channels // group, group, *rest), top.shape, out=top.name, part="join")


def _filter(layer: Layer) -> None:
    *data, selector = layer.bottoms
    flags = layer.op("Cast", selector.name, part="flags", to=9)
    if len(selector.shape) != 1:
        flags = layer.op("Reshape", flags, layer.integers("flat", [-1]))
    for bottom, top in zip(data, layer.tops, strict=True):
        layer.op("Compress", bottom.name, flags, out=top.name, axis=0)


def _nothing(layer: Layer) -> None:
    """Add no node: an Input's tops are the graph's inputs; Silence has no tops."""


def _dummy_data(layer: Layer) -> None:
    fillers = list(layer.proto.dummy_data_param.data_filler)
    for i, top in enumerate(layer.tops):
        filler = fillers[i] if len(fillers) > 1 else fillers[0] if fillers else None
        if filler is not None and filler.type != "constant":
            raise layer.refuse("it draws random numbers", got=f"filler '{filler.type}'", expected="a constant filler")
        value = 0.0 if filler is None else float(filler.value)
        shape = layer.integers("shape", [layer.size(top, axis) for axis in range(len(top.shape))])
        layer.op("Expand", layer.number("value", value), shape, out=top.name)


def _continuation(layer: Layer) -> None:
    """Write CRNN's continuation flags: 0 for the first time step, 1 for the others."""
    top = layer.tops[0]
    steps, batch = layer.size(top, 0), layer.size(top, 1)
    flags = layer.floats("flags", [float(i >= batch) for i in range(steps * batch)], (steps, batch))
    layer.op("Identity", flags, out=top.name)


def _alias(layer: Layer) -> None:
    """Give the value other names, where a layer that computes nothing makes a graph's output."""
    for top in layer.tops:
        layer.op("Identity", layer.x, out=top.name)


CONVERSIONS = {
    "Reshape": Conversion(_reshape, "Reshape", "0, -1, `axis` and `num_axes`"),
    "Flatten": Conversion(_flatten, "Flatten, Reshape"),
    "Permute": Conversion(_permute, "Transpose"),
    "Tile": Conversion(_tile, "Tile"),
    "Concat": Conversion(_concat, "Concat"),
    "Slice": Conversion(_slice, "Split"),
    "Crop": Conversion(_crop, "Slice"),
    "ShuffleChannel": Conversion(_shuffle, "Reshape, Transpose, Reshape"),
    "BatchReindex": Conversion(
        lambda layer: layer.op("Gather", layer.x, layer.cast_to_integers(layer.bottoms[1].name), out=layer.y, axis=0),
        "Cast, Gather",
    ),
    "Filter": Conversion(_filter, "Cast, Compress"),
    "Input": Conversion(_nothing, "an input of the graph", "its shape must be written; legacy headers too"),
    "Parameter": Conversion(
        lambda layer: layer.op("Identity", layer.weight(0, "value"), out=layer.y), "an initializer"
    ),
    "DummyData": Conversion(_dummy_data, "Expand", "with a constant filler"),
    "ContinuationIndicator": Conversion(_continuation, "an initializer", "CRNN"),
    **dict.fromkeys(("Dropout", "SpatialDropout", "Split"), Conversion(_alias, "nothing")),
    "Silence": Conversion(_nothing, "nothing"),
}
