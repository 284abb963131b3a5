"""All upgrades of a net to today's form, in the order in which Caffe makes them (``UpgradeNetAsNeeded``).

The single upgrades change a net in place and say in words what they changed; an empty list means that there was nothing
to do. Source: the behaviour of Caffe 1.0, util/upgrade_proto.cpp.
"""

from __future__ import annotations

from modelprep.errors import StepError
from modelprep.formats.caffe import forks
from modelprep.formats.caffe.messages import LayerParameter, NetParameter, copy_of, new, replace_layers
from modelprep.formats.caffe.upgrades.v0 import upgrade_v0
from modelprep.formats.caffe.upgrades.v1 import upgrade_data_transformation, upgrade_v1

#: The name that Caffe gives the Input layer it makes of a legacy header, whatever the input blob is called.
LEGACY_INPUT_LAYER = "input"
#: Mean, variance and the moving average's factor.
BATCH_NORM_BLOBS = 3


def upgrade(net: NetParameter) -> list[str]:
    """Bring a net to today's form, in place.

    Returns what was changed, in words; empty when the net was in today's form. Raises StepError: when the net cannot be
    upgraded; see the single upgrades.
    """
    return [
        *upgrade_v0(net),
        *upgrade_data_transformation(net),
        *upgrade_v1(net),
        *upgrade_inputs(net),
        *upgrade_batch_norm(net),
        *upgrade_ceil_mode(net),
    ]


def upgrade_inputs(net: NetParameter) -> list[str]:
    """Turn a legacy header (``input`` with ``input_shape`` or ``input_dim``) into a first layer of type Input.

    In place. All inputs become tops of one layer named ``input``. Shapes win over dimensions where both are there. An
    ``input`` with neither (as old caffemodels have it) is dropped: there the net's shapes come from elsewhere.

    Raises StepError: when there are fewer shapes or dimensions than the inputs need (Caffe reads past the end there).
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
        layer.input_param.SetInParent()
        for index in range(len(names)):
            shape = layer.input_param.shape.add()
            if shapes:
                shape.CopyFrom(shapes[index])
            else:
                shape.dim.extend(dims[4 * index : 4 * index + 4])
        replace_layers(net, [layer, *net.layer])
        said = f"the header's input {', '.join(names)} became an Input layer named '{LEGACY_INPUT_LAYER}'"
    for name in ("input", "input_shape", "input_dim"):
        net.ClearField(name)
    return [said]


def _is_old_batch_norm(layer: LayerParameter) -> bool:
    return layer.type == "BatchNorm" and len(layer.param) == BATCH_NORM_BLOBS and not any(forks.fields_in(layer))


def upgrade_batch_norm(net: NetParameter) -> list[str]:
    """Fix the three ``param`` entries that old BatchNorm layers had to carry, in place.

    Their learning rate and decay become 0, whatever was written; a name stays. Layers with fewer entries get theirs
    when Caffe sets them up (see ``prepare``).
    """
    said = []
    for layer in net.layer:
        if not _is_old_batch_norm(layer):
            continue
        before = [copy_of(spec) for spec in layer.param]
        for spec in layer.param:
            spec.lr_mult = 0.0
            spec.decay_mult = 0.0
        if list(layer.param) != before:
            said.append(f"layer '{layer.name}': lr_mult and decay_mult of an old BatchNorm were set to 0")
    return said


def upgrade_ceil_mode(net: NetParameter) -> list[str]:
    """Write ``ceil_mode`` of a Pooling layer as BVLC Caffe's ``round_mode``, in place.

    The field is that of a pull request to Caffe (3057) that many published nets are written for, and of OpenCV's
    reader: false rounds the pooled size down, true up, which is what a layer without either does.

    Raises StepError: both are written, and say different things.
    """
    said = []
    for layer in net.layer:
        p = layer.pooling_param
        if not layer.HasField("pooling_param") or not p.HasField("ceil_mode"):
            continue
        up, down = (p.DESCRIPTOR.fields_by_name["round_mode"].enum_type.values_by_name[n] for n in ("CEIL", "FLOOR"))
        mode = up if p.ceil_mode else down
        if p.HasField("round_mode") and p.round_mode != mode.number:
            raise StepError(
                "ceil_mode and round_mode contradict each other",
                where=f"layer '{layer.name}' ({layer.type})",
                got=f"ceil_mode: {str(p.ceil_mode).lower()}, round_mode: {(down if p.ceil_mode else up).name}",
            )
        if mode is down:
            p.round_mode = down.number
            said.append(f"layer '{layer.name}': ceil_mode: false became round_mode: FLOOR")
        else:
            said.append(f"layer '{layer.name}': ceil_mode: true was taken out, Caffe rounds up without it")
        p.ClearField("ceil_mode")
    return said
