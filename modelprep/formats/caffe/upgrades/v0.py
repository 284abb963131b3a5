"""V0 layers (Caffe of 2013: a V0LayerParameter inside a V1 ``layers`` entry) become V1 layers.

The behaviour is that of ``UpgradeV0Net`` of Caffe 1.0 (util/upgrade_proto.cpp): V0 had one flat message for all
types of layer, so each field goes to a place that depends on the layer's type; padding was a layer of its own.
"""

from __future__ import annotations

from modelprep.errors import StepError, nearest
from modelprep.formats.caffe.messages import NetParameter, V1LayerParameter, assign, copy_of

#: V0 type strings and the V1 enum values that they became.
_TYPES = {
    "accuracy": "ACCURACY", "bnll": "BNLL", "concat": "CONCAT", "conv": "CONVOLUTION", "data": "DATA",
    "dropout": "DROPOUT", "euclidean_loss": "EUCLIDEAN_LOSS", "flatten": "FLATTEN", "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT", "im2col": "IM2COL", "images": "IMAGE_DATA", "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT", "lrn": "LRN", "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING", "relu": "RELU", "sigmoid": "SIGMOID", "softmax": "SOFTMAX", "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT", "tanh": "TANH", "window_data": "WINDOW_DATA",
}  # fmt: skip

_CONV, _INNER, _POOL = "convolution_param", "inner_product_param", "pooling_param"
_DATA, _IMAGES, _WINDOW = "data_param", "image_data_param", "window_data_param"

#: V0 field -> {V0 layer type: (V1 parameter message, its field)}; "" stands for every type. In V0's field order, which
#: does not show in the result, as a message is written in field order.
_FIELDS: dict[str, dict[str, tuple[str, str]]] = {
    "num_output": {"conv": (_CONV, "num_output"), "innerproduct": (_INNER, "num_output")},
    "biasterm": {"conv": (_CONV, "bias_term"), "innerproduct": (_INNER, "bias_term")},
    "weight_filler": {"conv": (_CONV, "weight_filler"), "innerproduct": (_INNER, "weight_filler")},
    "bias_filler": {"conv": (_CONV, "bias_filler"), "innerproduct": (_INNER, "bias_filler")},
    "pad": {"conv": (_CONV, "pad"), "pool": (_POOL, "pad")},
    "kernelsize": {"conv": (_CONV, "kernel_size"), "pool": (_POOL, "kernel_size")},
    "group": {"conv": (_CONV, "group")},
    "stride": {"conv": (_CONV, "stride"), "pool": (_POOL, "stride")},
    "pool": {"pool": (_POOL, "pool")},
    "dropout_ratio": {"dropout": ("dropout_param", "dropout_ratio")},
    "local_size": {"lrn": ("lrn_param", "local_size")},
    "alpha": {"lrn": ("lrn_param", "alpha")},
    "beta": {"lrn": ("lrn_param", "beta")},
    "k": {"lrn": ("lrn_param", "k")},
    "source": {
        "data": (_DATA, "source"), "hdf5_data": ("hdf5_data_param", "source"), "images": (_IMAGES, "source"),
        "window_data": (_WINDOW, "source"), "infogain_loss": ("infogain_loss_param", "source"),
    },
    "scale": {"": ("transform_param", "scale")},
    "meanfile": {"": ("transform_param", "mean_file")},
    "batchsize": {
        "data": (_DATA, "batch_size"), "hdf5_data": ("hdf5_data_param", "batch_size"),
        "images": (_IMAGES, "batch_size"), "window_data": (_WINDOW, "batch_size"),
    },
    "cropsize": {"": ("transform_param", "crop_size")},
    "mirror": {"": ("transform_param", "mirror")},
    "rand_skip": {"data": (_DATA, "rand_skip"), "images": (_IMAGES, "rand_skip")},
    "shuffle_images": {"images": (_IMAGES, "shuffle")},
    "new_height": {"images": (_IMAGES, "new_height")},
    "new_width": {"images": (_IMAGES, "new_width")},
    "concat_dim": {"concat": ("concat_param", "concat_dim")},
    "det_fg_threshold": {"window_data": (_WINDOW, "fg_threshold")},
    "det_bg_threshold": {"window_data": (_WINDOW, "bg_threshold")},
    "det_fg_fraction": {"window_data": (_WINDOW, "fg_fraction")},
    "det_context_pad": {"window_data": (_WINDOW, "context_pad")},
    "det_crop_mode": {"window_data": (_WINDOW, "crop_mode")},
    "hdf5_output_param": {"hdf5_output": ("", "hdf5_output_param")},
}  # fmt: skip
_LISTS = ("blobs", "blobs_lr", "weight_decay")


def upgrade_v0(net: NetParameter) -> list[str]:
    """Turn V0 layers into V1 layers, in place; padding layers go into the layers they pad.

    The net keeps its name, inputs, input dimensions and ``force_backward``, the only other fields of V0.

    Returns what was changed, and which fields were dropped because the layer's type has no use for them (Caffe warns of
    them and continues too). Raises StepError: an unknown layer type, a padding layer that Caffe cannot fold, or an
    unknown bottom.
    """
    if not any(layer.HasField("layer") for layer in net.layers):
        return []
    before, folded = len(net.layers), _fold_padding(net)
    for field in net.DESCRIPTOR.fields:
        if field.name not in ("name", "input", "input_dim", "force_backward"):
            net.ClearField(field.name)
    dropped = [words for layer in folded for words in _upgrade_layer(layer, net.layers.add())]
    said = [f"{len(folded)} V0 layers became V1 layers"]
    if before != len(folded):
        said.append(f"{before - len(folded)} padding layers went into the layers they pad")
    return said + dropped


def _title(layer: V1LayerParameter) -> str:
    return f"layer '{layer.layer.name}'"


def _fold_padding(net: NetParameter) -> list[V1LayerParameter]:
    """Return the layers without padding layers; their pad and bottom are with the layer that they fed."""
    made_by: dict[str, V1LayerParameter | None] = dict.fromkeys(net.input)
    kept = []
    for layer in net.layers:
        twin = copy_of(layer)
        if layer.layer.type != "padding":
            kept.append(twin)
        for index, blob in enumerate(layer.bottom):
            if blob not in made_by:
                raise StepError(
                    f"Unknown blob '{blob}' as bottom {index}",
                    where=_title(layer),
                    expected="a top of a layer before it, or an input of the net",
                    hint=nearest(blob, list(made_by)) or None,
                )
            source = made_by[blob]
            if source is None or source.layer.type != "padding":
                continue
            alone = all(len(blobs) == 1 for blobs in (layer.bottom, source.bottom, source.top))
            if layer.layer.type not in ("conv", "pool") or not alone:
                raise StepError(
                    "A padding layer that Caffe cannot fold",
                    where=f"{_title(source)}, read by {_title(layer)} of type '{layer.layer.type}'",
                    expected="padding of one blob, read by one conv or pool layer that has no other bottom",
                )
            twin.layer.pad = source.layer.pad
            twin.bottom[index] = source.bottom[0]
        for blob in layer.top:
            made_by[blob] = layer
    return kept


def _upgrade_layer(old: V1LayerParameter, layer: V1LayerParameter) -> list[str]:
    """Fill a V1 layer from one that holds a V0 layer; return what could not be carried over."""
    dropped = []
    layer.bottom.extend(old.bottom)
    layer.top.extend(old.top)
    if not old.HasField("layer"):
        raise StepError(
            "The net mixes V0 layers with layers of another form",
            where=f"layers '{old.name}' (top {', '.join(old.top) or 'none'})",
            expected="a 'layer { ... }' inside each 'layers { ... }'",
        )
    v0 = old.layer
    if v0.HasField("name"):
        layer.name = v0.name
    if v0.HasField("type"):
        if v0.type not in _TYPES:
            raise StepError(
                f"Unknown V0 layer type '{v0.type}'", where=_title(old), hint=nearest(v0.type, list(_TYPES)) or None
            )
        types = layer.DESCRIPTOR.fields_by_name["type"].enum_type
        layer.type = types.values_by_name[_TYPES[v0.type]].number
    for name in _LISTS:
        assign(layer, name, getattr(v0, name))
    for field, value in v0.ListFields():
        places = _FIELDS.get(field.name, {})
        if place := places.get("") or places.get(v0.type):
            assign(getattr(layer, place[0]) if place[0] else layer, place[1], value)
        elif field.name not in ("name", "type", *_LISTS):
            why = f"since a V0 layer of type '{v0.type}' does not know it"
            dropped.append(f"{_title(old)}: '{field.name}' was dropped, {why}")
    return dropped
