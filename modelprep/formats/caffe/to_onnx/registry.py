"""Which layer type is converted how, and why the others are refused."""

from __future__ import annotations

from collections.abc import Mapping

from modelprep.formats.caffe.to_onnx import activation, arithmetic, convolution, pooling, recurrent, shaping, ssd
from modelprep.formats.caffe.to_onnx.layer import Conversion

_FAMILIES = (activation, arithmetic, convolution, pooling, recurrent, shaping, ssd)
CONVERSIONS: Mapping[str, Conversion] = {
    type_: conversion for family in _FAMILIES for type_, conversion in family.CONVERSIONS.items()
}

_TRAINING = "it belongs to training; --keep TOP drops the layers that an output does not need"
_DATA = "it reads data from elsewhere; take the net's deploy.prototxt, whose Input layer has the shape"

#: Layer type -> why there is no exact conversion.
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(
        ("Accuracy", "ContrastiveLoss", "EuclideanLoss", "HingeLoss", "InfogainLoss", "MultiBoxLoss",
         "MultinomialLogisticLoss", "SigmoidCrossEntropyLoss", "SmoothL1Loss", "SoftmaxWithLoss", "HDF5Output",
         "DetectionEvaluate"),
        _TRAINING,
    ),
    **dict.fromkeys(
        ("AnnotatedData", "Data", "HDF5Data", "ImageData", "MemoryData", "VideoData", "WindowData"), _DATA
    ),
    "PSROIPooling": "ONNX has no operator that averages a part of the channels for each bin",
    "SyncBN": "its statistics belong to a training on several machines; convert the net's deploy.prototxt, with BN",
    "HardSigmoid": "forks of Caffe do not agree on its slope and offset",
    "Python": "what it computes is defined in a Python module, not in the net",
    "LSTMUnit": "it is a part of Caffe's own LSTM, and no layer of a net",
}  # fmt: skip
