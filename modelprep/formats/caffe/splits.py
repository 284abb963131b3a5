"""Split layers, as Caffe inserts them where one blob is read more than once (``InsertSplits`` of Caffe 1.0).

Caffe adds gradients up in them; for inference they do nothing, but a model that Caffe saved has them, and its bottoms
bear their names.
"""

from __future__ import annotations

from modelprep.errors import StepError, nearest
from modelprep.formats.caffe.messages import LayerParameter, NetParameter, copy_of, new, replace_layers

#: Characters that the names of inserted layers and their tops may have in all; 60 a name are usual.
MAX_NAMES = 8 << 20

#: A top: (index of its layer, index among the layer's tops).
_Top = tuple[int, int]


def split_layer_name(layer: str, blob: str, top: int) -> str:
    """Return the name of the Split layer behind a top of a layer."""
    return f"{blob}_{layer}_{top}_split"


def split_blob_name(layer: str, blob: str, top: int, reader: int) -> str:
    """Return the name of the blob that the reader of number `reader` gets from that Split layer."""
    return f"{split_layer_name(layer, blob, top)}_{reader}"


def insert_splits(net: NetParameter) -> NetParameter:
    """Make a copy of a net in which every top that is read more than once goes through a Split layer.

    A loss weight that is not zero counts as a reader, the first one; it moves to the Split layer. Layers that work in
    place make a top of their own, so a chain of them needs no split.

    Raises StepError: when a bottom is no top of a layer before it (the nearest known blob is named), or when names are
    so long that the new ones, of which each reader gets one, would fill the memory.
    """
    sources, readers, losses = _wiring(net)
    long = sum(
        count * (len(net.layer[index].name) + len(net.layer[index].top[position]))
        for (index, position), count in readers.items()
        if count > 1
    )
    if long > MAX_NAMES:
        raise StepError(
            "the names of layers and blobs are too long for the Split layers that Caffe would insert",
            expected=f"at most {MAX_NAMES} characters in all the new names",
            got=str(long),
        )
    taken: dict[_Top, int] = {}
    layers: list[LayerParameter] = []
    for index, original in enumerate(net.layer):
        layer = copy_of(original)
        layers.append(layer)
        for position, blob in enumerate(original.bottom):
            top = sources[index, position]
            if readers[top] > 1:
                taken[top] = taken.get(top, -1) + 1
                layer.bottom[position] = split_blob_name(net.layer[top[0]].name, blob, top[1], taken[top])
        for position, blob in enumerate(original.top):
            top = (index, position)
            count = readers.get(top, 0)
            if count < 2:
                continue
            weight = losses.get(top, 0.0)
            layers.append(_split(original.name, blob, position, count, weight))
            if weight:
                layer.ClearField("loss_weight")
                taken[top] = taken.get(top, -1) + 1
    result = copy_of(net)
    replace_layers(result, layers)
    return result


def _wiring(net: NetParameter) -> tuple[dict[tuple[int, int], _Top], dict[_Top, int], dict[_Top, float]]:
    """Find the top behind every bottom, how often each top is read, and the loss weight of each."""
    last: dict[str, _Top] = {}
    sources: dict[tuple[int, int], _Top] = {}
    readers: dict[_Top, int] = {}
    losses: dict[_Top, float] = {}
    for index, layer in enumerate(net.layer):
        for position, blob in enumerate(layer.bottom):
            if blob not in last:
                raise _unknown_bottom(net, index, position, list(last))
            top = last[blob]
            sources[index, position] = top
            readers[top] = readers.get(top, 0) + 1
        for position, blob in enumerate(layer.top):
            last[blob] = (index, position)
        for blob, weight in zip(layer.top, layer.loss_weight, strict=False):
            top = last[blob]
            losses[top] = weight
            if weight:
                readers[top] = readers.get(top, 0) + 1
    return sources, readers, losses


def _unknown_bottom(net: NetParameter, index: int, position: int, known: list[str]) -> StepError:
    layer = net.layer[index]
    blob = layer.bottom[position]
    later = next((other.name for other in net.layer[index:] if blob in other.top), None)
    if later is not None:
        hint = f"layer '{later}' makes it, further down; Caffe wants layers in order"
    elif not known:
        hint = (
            "the net has no layer of type Input before it: of a net for training (train_val.prototxt) give the "
            "deploy.prototxt; is the 'input:' header missing its dimensions?"
        )
    else:
        hint = nearest(blob, known)
    return StepError(
        f"Unknown blob '{blob}' as bottom {position}",
        where=f"layer '{layer.name}' of type {layer.type or '(none)'}",
        expected="a top of a layer before it",
        got=blob,
        hint=hint or None,
    )


def _split(layer: str, blob: str, position: int, count: int, weight: float) -> LayerParameter:
    split = new("LayerParameter")
    split.bottom.append(blob)
    split.name = split_layer_name(layer, blob, position)
    split.type = "Split"
    split.top.extend(split_blob_name(layer, blob, position, reader) for reader in range(count))
    if weight:
        split.loss_weight.extend([weight] + [0.0] * (count - 1))
    return split
