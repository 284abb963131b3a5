"""What Arm NN's TensorFlow Lite parser makes of each operator (armnnTfLiteParser/TfLiteParser.cpp)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from modelprep.errors import StepError
from modelprep.targets.armnn import detection
from modelprep.targets.armnn.network import DIVIDED, Shape, Stop, crash
from modelprep.targets.armnn.optimizer import left_open
from modelprep.targets.armnn.tflite_parser import OPTIONS, Operation, Reading, Refused, check_count, input_at

_ELEMENTWISE = {
    "ADD": ("Addition", "Add"), "SUB": ("Subtraction", "Sub"), "MUL": ("Multiplication", "Mul"),
    "MAXIMUM": ("Maximum", "Maximum"), "MINIMUM": ("Minimum", "Minimum"),
}  # fmt: skip


def later(at: Reading) -> None:
    """Keep an operator of a later parser as a layer that is not checked."""
    inputs, outputs = at.inputs(), at.outputs(len(at.operator.outputs))
    variable = [tensor.index for tensor in inputs if tensor.bytes == 0]
    layer = at.layer("Unmodelled", at.operator.name, inputs=len(variable), outputs=len(outputs))
    for slot, tensor in zip(layer.outputs, outputs, strict=True):
        slot.info = at.info(tensor)
    at.takes(layer, *variable)
    at.makes(layer, at.operator.outputs)


def _convolution(at: Reading) -> None:
    depthwise = at.operator.name == "DEPTHWISE_CONV_2D"
    at.need_options()
    at.check_fused()
    across, down = at.unsigned("stride_w"), at.unsigned("stride_h")
    if depthwise:
        check_count(at.unsigned("depth_multiplier"), (1,), "CHECKED_NON_NEGATIVE(options->depth_multiplier)", "TL11")
    inputs, outputs = at.inputs(2, 3), at.outputs()
    given, weight = at.info(inputs[0]), at.info(inputs[1])
    height, width = given.shape.at(1), given.shape.at(2)
    window = weight.shape.at(1), weight.shape.at(2)
    order: tuple[int, ...] = ()
    if depthwise:
        channels, total = given.shape.at(3), weight.shape.at(3)
        if channels == 0:
            raise crash("a division by zero", "TL27", status=DIVIDED)
        weight, order = replace(weight, shape=Shape((*window, channels, total // channels))), (3, 2, 0, 1)
    pads = at.pads((height, window[0], down), (width, window[1], across))
    constants = {"weights": at.constant(inputs[1], weight, order)}
    if len(inputs) == 3:
        constants["bias"] = at.constant(inputs[2])
    kind, name = ("DepthwiseConvolution2d", "DepthwiseConv2D") if depthwise else ("Convolution2d", "Conv2D")
    at.add(kind, name, outputs[0], at.operator.inputs[:1], constants=constants, stride_y=down, stride_x=across,
           layout="NHWC", **pads)  # fmt: skip


def _pool(at: Reading) -> None:
    at.need_options()
    at.check_fused()
    across, down = at.unsigned("stride_w"), at.unsigned("stride_h")
    width, height = at.unsigned("filter_width"), at.unsigned("filter_height")
    (source,) = at.inputs(1)
    shape = at.info(source).shape
    sizes = shape.at(1), shape.at(2)
    pads = at.pads((sizes[0], height, down), (sizes[1], width, across))
    outputs = at.outputs()
    average = at.operator.name == "AVERAGE_POOL_2D"
    at.add(
        "Pooling2d", "AveragePool2D" if average else "MaxPool2D", outputs[0], at.operator.inputs,
        algorithm="average" if average else "max", pool_width=width, pool_height=height, stride_x=across, stride_y=down,
        exclude=True, rounding="floor", layout="NHWC", **pads,
    )  # fmt: skip


def _softmax(at: Reading) -> None:
    at.need_options()
    at.inputs(1)
    outputs = at.outputs()
    at.add("Softmax", "Softmax", outputs[0], at.operator.inputs, beta=float(cast("float", at.options["beta"])))


def _activation(at: Reading) -> None:
    at.inputs(1)
    outputs = at.outputs()
    function, a = {"RELU": ("ReLu", 0.0), "RELU6": ("BoundedReLu", 6.0), "LOGISTIC": ("Sigmoid", 0.0)}[at.operator.name]
    name = "SIGMOID" if function == "Sigmoid" else at.operator.name
    at.add("Activation", f"Activation:{name}", outputs[0], at.operator.inputs, function=function, a=a, b=0.0)


def _elementwise(at: Reading) -> None:
    inputs, outputs = at.inputs(2), at.outputs()
    infos = [at.info(tensor) for tensor in inputs]
    kind, name = _ELEMENTWISE[at.operator.name]
    layer = at.layer(kind, name, inputs=2)
    layer.out.info = at.info(outputs[0])
    sources = at.operator.inputs
    ranks = [len(info.shape) for info in infos]
    if ranks[0] == ranks[1]:
        at.takes(layer, *sources)
    else:
        # The operand of lower rank is reshaped and becomes the first, whichever it was.
        low = 1 if ranks[1] < ranks[0] else 0
        shape = Shape((1,) * abs(ranks[0] - ranks[1]) + infos[low].shape)
        between = at.parser.network.add("Reshape", f"Reshape_for:{layer.name}", target=shape)
        between.out.info = replace(infos[low], shape=shape)
        between.out.connect(layer)
        at.takes(between, sources[low])
        at.takes(layer, sources[1 - low], first=1)
    if at.operator.name in OPTIONS:
        at.need_options()
    at.finish(layer, ())


def _reshape(at: Reading) -> None:
    inputs, outputs = at.inputs(), at.outputs()
    given = at.info(input_at(inputs, 0))
    noted = at.info(outputs[0])
    at.need_options()
    dims = list(cast("tuple[int, ...]", at.options["new_shape"]))
    if dims.count(-1) > 1:
        raise Refused("At most one component of shape can be -1", "TL13")
    if -1 in dims:
        dims[dims.index(-1)] = left_open(dims, given.shape, "TL13")
    try:
        made = replace(given, shape=Shape(dims))
    except Stop as stop:
        stop.rule = "TL13"
        raise
    if len(inputs) > 1 and made.shape != outputs[0].shape:
        raise Refused(
            f"New shape defined in reshape parameters {made.shape} does not equal output shape {noted.shape}: ", "TL13"
        )
    layer = at.layer("Reshape", "Reshape", target=made.shape)
    layer.out.info = made
    at.finish(layer, at.operator.inputs[:1])


def _squeeze(at: Reading) -> None:
    (source,) = at.inputs(1)
    at.outputs()
    at.need_options()
    given = at.info(source)
    axes = cast("tuple[int, ...]", at.options["squeeze_dims"])
    negative = next((axis for axis in axes if axis < 0), None)
    if negative is not None:
        raise Refused(f"'i' must be non-negative, received: {negative}", "TL14")
    check_count(len(axes), (0, 1, 2, 3, 4), "squeezeDimsIn.size()", "TL14")
    kept = [size for axis, size in enumerate(given.shape) if size != 1 or (axes and axis not in axes)]
    shape = Shape(kept)
    layer = at.layer("Reshape", "Squeeze", target=shape)
    layer.out.info = replace(given, shape=shape)
    at.finish(layer, at.operator.inputs)


def _fully_connected(at: Reading) -> None:
    at.need_options()
    at.check_fused()
    inputs, outputs = at.inputs(), at.outputs()
    rank = len(at.info(input_at(inputs, 1)).shape)
    if rank != 2:
        raise Refused(f"Dimension {rank} for Fully Connected weights is not supported by Armnn.", "TL12")
    constants = {"weights": at.constant(inputs[1])}
    if len(inputs) == 3:
        constants["bias"] = at.constant(inputs[2])
    at.add("FullyConnected", "FullyConnected", outputs[0], at.operator.inputs[:1], constants=constants, transpose=True)


def _mean(at: Reading) -> None:
    inputs, outputs = at.inputs(), at.outputs()
    axes = at.numbers(input_at(inputs, 1), "TL15")
    given, made = at.info(inputs[0]), at.info(outputs[0])
    layer = at.layer("Mean", "Mean", axes=axes, keep_dims=len(given.shape) == len(made.shape), lite=True)
    layer.out.info = made
    at.finish(layer, at.operator.inputs[:1])


def _pad(at: Reading) -> None:
    inputs, outputs = at.inputs(), at.outputs()
    at.add("Pad", "Pad", outputs[0], at.operator.inputs[:1], pads=at.pairs(input_at(inputs, 1), "TL16"))


def _batch(at: Reading) -> None:
    inputs, outputs = at.inputs(3), at.outputs()
    block, pairs = at.numbers(inputs[1]), at.pairs(inputs[2])
    if at.operator.name == "SPACE_TO_BATCH_ND":
        kind, name, given = "SpaceToBatchNd", "SpaceToBatchND", {"pads": pairs}
    else:
        kind, name, given = "BatchToSpaceNd", "BatchToSpaceND", {"crops": pairs}
    at.add(kind, name, outputs[0], at.operator.inputs[:1], block=block, layout="NHWC", **given)


def _resize(at: Reading) -> None:
    inputs, outputs = at.inputs(2), at.outputs()
    size = at.numbers(inputs[1], "TL19")
    if len(size) < 2:
        raise crash(f"its size has {len(size)} numbers", "TL19")
    at.add("ResizeBilinear", "ResizeBilinear", outputs[0], at.operator.inputs[:1], height=size[0], width=size[1],
           layout="NHWC")  # fmt: skip


def _strided_slice(at: Reading) -> None:
    inputs, outputs = at.inputs(4), at.outputs()
    at.need_options()
    begin, end, strides = (at.numbers(tensor, signed=True) for tensor in inputs[1:])
    at.add(
        "StridedSlice", "StridedSlice", outputs[0], at.operator.inputs[:1], begin=begin, end=end, strides=strides,
        begin_mask=at.whole("begin_mask"), end_mask=at.whole("end_mask"), shrink_mask=at.whole("shrink_axis_mask"),
    )  # fmt: skip


def _concatenation(at: Reading) -> None:
    at.need_options()
    at.check_fused()
    inputs, outputs = at.inputs(), at.outputs()
    rank = len(at.info(input_at(inputs, 0)).shape)
    # C++: the remainder has the sign of the dividend, and -1 becomes a very large axis.
    axis = int(math.fmod(rank + at.whole("axis"), rank)) & 0xFFFFFFFF
    origins, reach = [], 0
    for tensor in inputs:
        shape = at.info(tensor).shape
        if len(shape) != rank:
            raise Refused(
                f"The number of dimensions: {len(shape)} for input tensors of the concatenation op should be {rank}",
                "TL18",
            )
        origins.append([reach if d == axis else 0 for d in range(rank)])
        reach += shape.at(axis)
    at.add("Merger", "Concatenation", outputs[0], at.operator.inputs, inputs=len(inputs), axis=axis, rank=rank,
           origins=origins)  # fmt: skip


def _detection(at: Reading) -> None:
    inputs, outputs = at.inputs(), at.outputs(4, "TL20")
    try:
        options = detection.read_options(at.operator.custom_options)
    except StepError:
        # What is no map has no keys for Arm NN, and a threshold that is not there is 0.
        raise Stop(detection.IOU_MESSAGE, "TL20") from None
    if not 0 < options.iou_threshold <= 1:
        raise Stop(detection.IOU_MESSAGE, "TL20")
    anchors = at.constant(input_at(inputs, 2))
    layer = at.layer(
        "DetectionPostProcess", "DetectionPostProcess", inputs=2, outputs=4, constants={"anchors": anchors},
        options=options,
    )  # fmt: skip
    room = options.room
    shapes = [Shape(dims) for dims in ((1, room, 4), (1, room), (1, room), (1,))]
    at.parser.overridden.extend(shapes)
    for slot, tensor, shape in zip(layer.outputs, outputs, shapes, strict=True):
        slot.info = at.info(tensor, shape)
    at.takes(layer, *at.operator.inputs[:2])
    at.makes(layer, at.operator.outputs)


OPERATORS: Mapping[str, Operation] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), _convolution),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), _pool),
    **dict.fromkeys(("RELU", "RELU6", "LOGISTIC"), _activation),
    **dict.fromkeys(("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"), _batch),
    "SOFTMAX": _softmax,
    "RESHAPE": _reshape,
    "SQUEEZE": _squeeze,
    "FULLY_CONNECTED": _fully_connected,
    "MEAN": _mean,
    "PAD": _pad,
    "RESIZE_BILINEAR": _resize,
    "STRIDED_SLICE": _strided_slice,
    "CONCATENATION": _concatenation,
    "CUSTOM": _detection,
}
