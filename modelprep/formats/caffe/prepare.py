"""The net that Caffe has after it read a prototxt, and that it would save: structure only, no weights.

``caffe.Net(prototxt, TEST).save(file)`` upgrades the net, drops the layers of other phases, inserts Split layers, lets
every layer set itself up (some change their own parameters then), and writes name and layers, nothing else.
Source: the behaviour of Caffe 1.0 (net.cpp, util/upgrade_proto.cpp, util/insert_splits.cpp, the layers' LayerSetUp).
"""

from __future__ import annotations

from modelprep.errors import StepError, nearest
from modelprep.formats.caffe import forks
from modelprep.formats.caffe.messages import PHASES, LayerParameter, NetParameter, copy_of, new, replace_layers
from modelprep.formats.caffe.phase import filter_net
from modelprep.formats.caffe.upgrades import BATCH_NORM_BLOBS, upgrade

#: Characters that the names of inserted layers and their tops may have in all; 60 a name are usual.
MAX_NAMES = 8 << 20

#: A top: (index of its layer, index among the layer's tops).
_Top = tuple[int, int]
#: Layers of class LossLayer: without a loss_weight they get one of 1 when they are set up.
_LOSSES = frozenset((
    "ContrastiveLoss", "EuclideanLoss", "HingeLoss", "InfogainLoss", "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss", "SoftmaxWithLoss",
))  # fmt: skip


def prepare(net: NetParameter, phase: str = "TEST") -> NetParameter:
    """Make the net that ``caffe.Net(net, phase).save()`` writes, without weights.

    Returns its ``name`` (written even if empty) and its V2 layers, each with a phase; ``blobs`` are empty. Raises
    StepError: when Caffe would refuse the net's structure.
    """
    upgraded = copy_of(net)
    upgrade(upgraded)
    split = insert_splits(filter_net(upgraded, phase))
    result = new("NetParameter")
    result.name = split.name
    result.layer.extend(split.layer)
    _check_wiring(result)
    for layer in result.layer:
        _set_up(layer, PHASES[phase])
    return result


def _set_up(layer: LayerParameter, phase: int) -> None:
    """Change a layer's own parameters as Caffe does when it sets the layer up."""
    layer.ClearField("blobs")
    if not layer.HasField("phase"):
        layer.phase = phase
    _check_count(layer, "propagate_down", "bottom", len(layer.bottom))
    if layer.type == "BatchNorm" and not any(forks.fields_in(layer)):
        _fix_batch_norm(layer)
    elif layer.type in _LOSSES and not layer.loss_weight:
        layer.loss_weight.append(1.0)
    # A loss layer makes its one top itself when it is not written.
    _check_count(layer, "loss_weight", "top", max(len(layer.top), int(layer.type in _LOSSES)))


def _check_count(layer: LayerParameter, field: str, blob: str, count: int) -> None:
    """Check that a field has no values, or one for each bottom or top."""
    given = len(getattr(layer, field))
    if given not in (0, count):
        what, expected = f"{field} is written for some of the {blob}s", f"none, or {count}, one for each {blob}"
        raise StepError(what, where=f"layer '{layer.name}'", expected=expected, got=str(given))


def _fix_batch_norm(layer: LayerParameter) -> None:
    """Add a BatchNorm layer's three fixed entries; its statistics are not trained."""
    if len(layer.param) > BATCH_NORM_BLOBS:
        what, where = "A BatchNorm layer has too many param entries", f"layer '{layer.name}'"
        raise StepError(what, where=where, expected=f"at most {BATCH_NORM_BLOBS}", got=str(len(layer.param)))
    for index, spec in enumerate(layer.param):
        if spec.lr_mult != 0:
            raise StepError(
                "The statistics of a BatchNorm layer are not trained",
                where=f"layer '{layer.name}', param {index}",
                expected="lr_mult: 0, or no param entries at all",
                got=f"lr_mult: {spec.lr_mult:g}",
            )
    while len(layer.param) < BATCH_NORM_BLOBS:
        layer.param.add().lr_mult = 0.0


def _check_wiring(net: NetParameter) -> None:
    """Check that every top has one maker, layers that work in place aside, as ``Net::AppendTop`` does."""
    maker: dict[str, str] = {}
    for layer in net.layer:
        for index, blob in enumerate(layer.top):
            in_place = index < len(layer.bottom) and layer.bottom[index] == blob
            if blob in maker and not in_place:
                raise StepError(
                    f"The blob '{blob}' is made by two layers",
                    where=f"layer '{layer.name}' of type {layer.type}, top {index}",
                    expected="one maker, or a layer that works in place on a blob that no other layer reads",
                    got=f"layer '{maker[blob]}' made it before",
                )
            maker[blob] = layer.name


def _split_name(layer: str, blob: str, top: int) -> str:
    """Return the name of the Split layer behind a top; its own tops have their number behind it."""
    return f"{blob}_{layer}_{top}_split"


def insert_splits(net: NetParameter) -> NetParameter:
    """Make a copy of a net in which every top that is read more than once goes through a Split layer.

    Caffe adds up gradients in them (``InsertSplits`` of Caffe 1.0); for inference they do nothing, but a model that
    Caffe saved has them. A loss weight that is not zero counts as a reader, the first one; it moves to the Split layer.
    Layers that work in place make another top, so a chain of them needs no split.

    Raises StepError: a bottom is no top of a layer before it, or the new names, one for each reader, would be so long
    that they fill the memory.
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
                layer.bottom[position] = f"{_split_name(net.layer[top[0]].name, blob, top[1])}_{taken[top]}"
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
        hint = f"layer '{later}' makes it, further down; Caffe requires layers in order"
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
    name = _split_name(layer, blob, position)
    split = new("LayerParameter")
    split.name, split.type = name, "Split"
    split.bottom.append(blob)
    split.top.extend(f"{name}_{reader}" for reader in range(count))
    if weight:
        split.loss_weight.extend([weight] + [0.0] * (count - 1))
    return split
