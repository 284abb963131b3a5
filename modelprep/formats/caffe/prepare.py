"""The net that Caffe has after it read a prototxt, and that it would save: structure only, no weights.

``caffe.Net(prototxt, TEST).save(file)`` upgrades the net, drops the layers of other phases, inserts Split layers, lets
every layer set itself up (some change their own parameters then), and writes name and layers, nothing else.
Source: the behaviour of Caffe 1.0 (net.cpp, util/upgrade_proto.cpp, util/insert_splits.cpp, the layers' LayerSetUp).
"""

from __future__ import annotations

from modelprep.errors import StepError
from modelprep.formats.caffe import forks
from modelprep.formats.caffe.messages import PHASES, LayerParameter, NetParameter, copy_of, new
from modelprep.formats.caffe.phase import filter_net
from modelprep.formats.caffe.splits import insert_splits
from modelprep.formats.caffe.upgrades import BATCH_NORM_BLOBS, upgrade

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
    if layer.propagate_down and len(layer.propagate_down) != len(layer.bottom):
        raise StepError(
            "propagate_down is written for some of the bottoms",
            where=f"layer '{layer.name}'",
            expected=f"none, or {len(layer.bottom)}, one for each bottom",
            got=str(len(layer.propagate_down)),
        )
    if layer.type == "BatchNorm" and not any(forks.fields_in(layer)):
        _fix_batch_norm(layer)
    elif layer.type in _LOSSES and not layer.loss_weight:
        layer.loss_weight.append(1.0)
    # A loss layer makes its one top itself when it is not written.
    tops = max(len(layer.top), 1) if layer.type in _LOSSES else len(layer.top)
    if layer.loss_weight and len(layer.loss_weight) != tops:
        raise StepError(
            "loss_weight is written for some of the tops",
            where=f"layer '{layer.name}'",
            expected=f"none, or {tops}, one for each top",
            got=str(len(layer.loss_weight)),
        )


def _fix_batch_norm(layer: LayerParameter) -> None:
    """Add a BatchNorm layer's three fixed entries; its statistics are no parameters to be learnt."""
    if len(layer.param) > BATCH_NORM_BLOBS:
        raise StepError(
            "A BatchNorm layer has too many param entries",
            where=f"layer '{layer.name}'",
            expected=f"at most {BATCH_NORM_BLOBS}",
            got=str(len(layer.param)),
        )
    for index, spec in enumerate(layer.param):
        if spec.lr_mult != 0:
            raise StepError(
                "The statistics of a BatchNorm layer are no parameters to be learnt",
                where=f"layer '{layer.name}', param {index}",
                expected="lr_mult: 0, or no param entries at all",
                got=f"lr_mult: {spec.lr_mult:g}",
            )
    while len(layer.param) < BATCH_NORM_BLOBS:
        layer.param.add().lr_mult = 0.0


def _check_wiring(net: NetParameter) -> None:
    """Hold every top to have one maker, but for layers that work in place, as ``Net::AppendTop`` does."""
    maker: dict[str, str] = {}
    for layer in net.layer:
        for index, blob in enumerate(layer.top):
            in_place = index < len(layer.bottom) and layer.bottom[index] == blob
            if blob in maker and not in_place:
                raise StepError(
                    f"The blob '{blob}' is made by two layers",
                    where=f"layer '{layer.name}' of type {layer.type}, top {index}",
                    expected="one maker, or a layer that works in place on a blob that nobody else reads",
                    got=f"layer '{maker[blob]}' made it before",
                )
            maker[blob] = layer.name
