"""V1 layers (``layers``, types as an enum) become V2 layers (``layer``, types as strings).

The behaviour is that of ``UpgradeV1Net`` and ``UpgradeNetDataTransformation`` of Caffe 1.0 (util/upgrade_proto.cpp).
"""

from __future__ import annotations

from modelprep.errors import StepError
from modelprep.formats.caffe.messages import LayerParameter, NetParameter, V1LayerParameter, assign, chosen, new

#: V1 enum values and the type strings of V2.
V1_TYPES = {
    "NONE": "", "ABSVAL": "AbsVal", "ACCURACY": "Accuracy", "ARGMAX": "ArgMax", "BNLL": "BNLL", "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss", "CONVOLUTION": "Convolution", "DECONVOLUTION": "Deconvolution",
    "DATA": "Data", "DROPOUT": "Dropout", "DUMMY_DATA": "DummyData", "EUCLIDEAN_LOSS": "EuclideanLoss",
    "ELTWISE": "Eltwise", "EXP": "Exp", "FLATTEN": "Flatten", "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss", "IM2COL": "Im2col", "IMAGE_DATA": "ImageData", "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct", "LRN": "LRN", "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss", "MVN": "MVN", "POOLING": "Pooling", "POWER": "Power",
    "RELU": "ReLU", "SIGMOID": "Sigmoid", "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence", "SOFTMAX": "Softmax", "SOFTMAX_LOSS": "SoftmaxWithLoss", "SPLIT": "Split", "SLICE": "Slice",
    "TANH": "TanH", "WINDOW_DATA": "WindowData", "THRESHOLD": "Threshold",
}  # fmt: skip

#: V1 types whose parameters once had the fields of ``transform_param``.
_DATA_TYPES = {"DATA": "data_param", "IMAGE_DATA": "image_data_param", "WINDOW_DATA": "window_data_param"}
_TRANSFORM = ("scale", "mean_file", "crop_size", "mirror")
#: Four lists with an entry for each blob, which became one list of ParamSpec.
_OF_BLOBS = {"param": "name", "blob_share_mode": "share_mode", "blobs_lr": "lr_mult", "weight_decay": "decay_mult"}


def upgrade_data_transformation(net: NetParameter) -> list[str]:
    """Move scale, mean_file, crop_size and mirror of V1 data layers to ``transform_param``, in place.

    As in Caffe, if one layer needs it, every data layer gets a ``transform_param``. Returns what was changed.
    """
    data = [(layer, name) for layer in net.layers if (name := _DATA_TYPES.get(chosen(layer, "type")))]
    if not any(getattr(layer, name).HasField(one) for layer, name in data for one in _TRANSFORM):
        return []
    said = []
    for layer, name in data:
        old, transform = getattr(layer, name), layer.transform_param
        old.SetInParent()
        transform.SetInParent()
        moved = [one for one in _TRANSFORM if old.HasField(one)]
        for one in moved:
            setattr(transform, one, getattr(old, one))
            old.ClearField(one)
        if moved:
            said.append(f"layer '{layer.name}': {', '.join(moved)} moved from {name} to transform_param")
    return said


def upgrade_v1(net: NetParameter) -> list[str]:
    """Turn V1 layers into V2 layers, in place.

    Returns what was changed. Raises StepError: when a net has both ``layer`` and ``layers``, which Caffe refuses too.
    """
    if not net.layers:
        return []
    if net.layer:
        raise StepError(
            "The net has both 'layer' and 'layers' entries",
            where=f"layer '{net.layer[0].name}' and layers '{net.layers[0].name}'",
            expected="one form: 'layer' with type: \"Convolution\", or the old 'layers' with type: CONVOLUTION",
            hint="write all of them in the same form; Caffe refuses the mixture too",
        )
    count = len(net.layers)
    upgraded = [_upgrade_layer(layer) for layer in net.layers]
    net.ClearField("layers")
    net.layer.extend(upgraded)
    return [f"{count} V1 layers became V2 layers"]


def _upgrade_layer(old: V1LayerParameter) -> LayerParameter:
    layer = new("LayerParameter")
    if old.HasField("layer"):
        raise StepError("a V0 layer is left inside a V1 layer", where=f"layers '{old.name}'")
    for descriptor, value in old.ListFields():
        # V2 has a field of the same name for every other field of V1.
        if descriptor.name != "type" and descriptor.name not in _OF_BLOBS:
            assign(layer, descriptor.name, value)
    if old.HasField("type"):
        layer.type = V1_TYPES[chosen(old, "type")]
    for v1, name in _OF_BLOBS.items():
        for index, value in enumerate(getattr(old, v1)):
            if index == len(layer.param):
                layer.param.add()
            setattr(layer.param[index], name, value)
    return layer
