"""All upgrades of a net to today's form, in the order in which Caffe makes them (``UpgradeNetAsNeeded``).

Each upgrade changes a net in place and returns what it changed, in words. Source: the behaviour of Caffe 1.0,
util/upgrade_proto.cpp.
"""

from __future__ import annotations

from modelprep.errors import StepError
from modelprep.formats.caffe import forks
from modelprep.formats.caffe.messages import NetParameter, chosen, copy_of, new, replace_layers
from modelprep.formats.caffe.upgrades.v0 import upgrade_v0
from modelprep.formats.caffe.upgrades.v1 import upgrade_data_transformation, upgrade_v1

#: The name of the Input layer that Caffe makes of a legacy header, for any name of the input blob.
LEGACY_INPUT_LAYER = "input"
#: Mean, variance and the moving average's factor.
BATCH_NORM_BLOBS = 3


def upgrade(net: NetParameter) -> list[str]:
    """Bring a net to today's form, in place.

    Returns what was changed, in words; empty if nothing was. Raises StepError: the net cannot be upgraded.
    """
    steps = (upgrade_v0, upgrade_data_transformation, upgrade_v1, _inputs, _batch_norm, _ceil_mode)
    return [change for step in steps for change in step(net)]


def _inputs(net: NetParameter) -> list[str]:
    """Turn a legacy header (``input`` with ``input_shape`` or ``input_dim``) into a first layer of type Input.

    All inputs become tops of one layer named ``input``. Shapes have priority over dimensions. An ``input`` with neither
    (as old caffemodels have it) is dropped: its shape comes from elsewhere. Fewer shapes or dimensions than the inputs
    need are refused (Caffe reads past the end).
    """
    if not net.input:
        return []
    names, shapes, dims = list(net.input), list(net.input_shape), list(net.input_dim)
    if shapes and len(shapes) < len(names):
        raise StepError(
            "The net's header has too few input shapes",
            where=f"input '{names[len(shapes)]}'",
            expected=f"{len(names)} input_shape, one for each input",
            got=str(len(shapes)),
        )
    if dims and not shapes and len(dims) < 4 * len(names):
        raise StepError(
            "The net's header has too few input dimensions",
            where=f"input '{names[len(dims) // 4]}'",
            expected=f"{4 * len(names)} input_dim, four for each input",
            got=str(len(dims)),
            hint="for an input with fewer axes write input_shape { dim: ... }",
        )
    said = f"the header's input {', '.join(names)} has no dimensions and was dropped"
    if shapes or dims:
        layer = new("LayerParameter")
        layer.name, layer.type = LEGACY_INPUT_LAYER, "Input"
        layer.top.extend(names)
        for index in range(len(names)):
            dim = shapes[index].dim if shapes else dims[4 * index : 4 * index + 4]
            layer.input_param.shape.add(dim=dim)
        replace_layers(net, [layer, *net.layer])
        said = f"the header's input {', '.join(names)} became an Input layer named '{LEGACY_INPUT_LAYER}'"
    for name in ("input", "input_shape", "input_dim"):
        net.ClearField(name)
    return [said]


def _batch_norm(net: NetParameter) -> list[str]:
    """Set learning rate and decay to 0 in the three ``param`` entries that old BatchNorm layers had to carry.

    A name stays. Layers with fewer entries get theirs when Caffe sets them up (see ``prepare``).
    """
    said = []
    for layer in net.layer:
        if layer.type != "BatchNorm" or len(layer.param) != BATCH_NORM_BLOBS or any(forks.fields_in(layer)):
            continue
        before = [copy_of(spec) for spec in layer.param]
        for spec in layer.param:
            spec.lr_mult = spec.decay_mult = 0.0
        if list(layer.param) != before:
            said.append(f"layer '{layer.name}': lr_mult and decay_mult of an old BatchNorm were set to 0")
    return said


def _ceil_mode(net: NetParameter) -> list[str]:
    """Write ``ceil_mode`` of a Pooling layer as BVLC Caffe's ``round_mode``; refuse a contradiction.

    The field comes from a pull request to Caffe (3057) that many published nets are written for, and from OpenCV's
    reader: false rounds the pooled size down, true up, which is the default.
    """
    said = []
    for layer in net.layer:
        p = layer.pooling_param
        if not layer.HasField("pooling_param") or not p.HasField("ceil_mode"):
            continue
        if p.HasField("round_mode") and (mode := chosen(p, "round_mode")) != ("CEIL" if p.ceil_mode else "FLOOR"):
            raise StepError(
                "ceil_mode and round_mode contradict each other",
                where=f"layer '{layer.name}' ({layer.type})",
                got=f"ceil_mode: {str(p.ceil_mode).lower()}, round_mode: {mode}",
            )
        if p.ceil_mode:
            said.append(f"layer '{layer.name}': ceil_mode: true was removed, Caffe rounds up without it")
        else:
            p.round_mode = p.DESCRIPTOR.fields_by_name["round_mode"].enum_type.values_by_name["FLOOR"].number
            said.append(f"layer '{layer.name}': ceil_mode: false became round_mode: FLOOR")
        p.ClearField("ceil_mode")
    return said
