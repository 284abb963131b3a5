"""The operations of Arm NN's TensorFlow parser that slide a window, normalize or resize.

Source: ``src/armnnTfParser/TfParser.cpp`` at tag v19.02.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelprep.targets.armnn.arithmetic import ceiling, divided, f32, to_u32, u32
from modelprep.targets.armnn.network import Constant, Info, Shape, Stop, crash
from modelprep.targets.armnn.optimizer import axes, placed, same_padding
from modelprep.targets.armnn.tf_parser import (  # fmt: skip
    Operation,
    Operator,
    TfParser,
    attribute,
    check_format,
    check_padding,
    text,
    whole_numbers,
)


def _axis_value(values: list[int], axis: int) -> int:
    """Return one of a window's numbers; behind a list that is too short lie zeros, but behind an empty one nothing."""
    if not values:
        raise crash("", "TF12")
    return values[axis] if axis < len(values) else 0


def _output(size: int, kernel: int, stride: int, padding: str) -> int:
    return to_u32(ceiling(divided(size if padding == "SAME" else u32(size - kernel + 1), stride)))


def _permuted(constant: Constant, order: tuple[int, int, int, int]) -> Constant:
    """Move axis i of a constant to place ``order[i]``."""
    sizes = [0, 0, 0, 0]
    for axis, place in enumerate(order):
        sizes[place] = constant.shape.at(axis)
    back = sorted(range(4), key=lambda axis: order[axis])
    return Constant(Info(Shape(sizes)), lambda: constant.values().transpose(back))


def _slid(
    sizes: Shape, layout: str, kernel: tuple[int, int], strides: list[int], padding: str
) -> tuple[dict[str, Any], int, int]:
    """Return a window's strides and padding, and the height and width of what it makes."""
    _, height, width = axes(layout)
    stride_x, stride_y = _axis_value(strides, width), _axis_value(strides, height)
    rows, columns = sizes.at(height), sizes.at(width)
    made = _output(rows, kernel[0], stride_y, padding), _output(columns, kernel[1], stride_x, padding)
    top, bottom = same_padding(rows, kernel[0], stride_y, padding, "TF12")
    left, right = same_padding(columns, kernel[1], stride_x, padding, "TF12")
    window = {"stride_x": stride_x, "stride_y": stride_y, "pad_top": top, "pad_bottom": bottom, "pad_left": left,
              "pad_right": right}  # fmt: skip
    return window, *made


def _convolution(parser: TfParser, node: Any) -> Operation:
    depthwise = node.op == "DepthwiseConv2dNative"
    taken, filters = parser.inputs(node, 2)
    slot = taken.slot
    constant = filters.operation.held("float32")
    if constant is None and depthwise:
        raise Stop("ArmNN only supports Depthwise Convolution layer with constant weights. Non const input found "
                   f"{filters.name} for node {node.name}", "TF13")  # fmt: skip
    if constant is None:
        raise Stop(f"ArmNN only supports Convolution layers with constant weights for {node.name}, input "
                   f"{filters.name}", "TF13")  # fmt: skip
    padding = text(node, "padding", "TF12")
    layout = text(node, "data_format", "TF11")
    strides = whole_numbers(node, "strides", "TF12")
    if not depthwise and any(step != 1 for step in whole_numbers(node, "dilations", "TF14", required=False)):
        raise Stop(f"ArmNN only supports Convolution layers with dilations [1,1,1,1] for {node.name}", "TF14")
    check_format(node, layout, node.op)
    _, height, width = axes(layout)
    _axis_value(strides, width), _axis_value(strides, height)
    slot.shape.at(height), slot.shape.at(width)
    if depthwise:
        weights = _permuted(constant, (2, 3, 1, 0))
        kernel, channels = (weights.shape[2], weights.shape[3]), u32(weights.shape[0] * weights.shape[1])
    else:
        weights = _permuted(constant, (1, 2, 3, 0) if layout == "NHWC" else (2, 3, 1, 0))
        kernel, channels = (weights.shape[height], weights.shape[width]), weights.shape[0]
    check_padding(node, padding)
    window, rows, columns = _slid(slot.shape, layout, kernel, strides, padding)
    info = Info(placed(layout, slot.shape[0], channels, rows, columns))
    kind = "DepthwiseConvolution2d" if depthwise else "Convolution2d"
    return parser.layer(kind, node, info, slot, constants={"weights": weights}, layout=layout, **window)


def _pooling(pool: str) -> Operator:
    def operator(parser: TfParser, node: Any) -> Operation:
        slot = parser.inputs(node, 1)[0].slot
        padding = text(node, "padding", "TF12")
        layout = text(node, "data_format", "TF11")
        strides = whole_numbers(node, "strides", "TF12")
        sizes = whole_numbers(node, "ksize", "TF12")
        check_format(node, layout, "Pooling2D")
        channels, height, width = axes(layout)
        _axis_value(strides, width)
        kernel = _axis_value(sizes, height), _axis_value(sizes, width)
        slot.shape.at(height), slot.shape.at(width)
        check_padding(node, padding)
        window, rows, columns = _slid(slot.shape, layout, kernel, strides, padding)
        info = Info(placed(layout, slot.shape[0], slot.shape.at(channels), rows, columns))
        return parser.layer(
            "Pooling2d", node, info, slot, layout=layout, algorithm=pool, exclude=True, rounding="floor",
            pool_height=kernel[0], pool_width=kernel[1], **window,
        )  # fmt: skip

    return operator


def _batch_norm(parser: TfParser, node: Any) -> Operation:
    taken, *rest = parser.inputs(node, 5)
    constants = {}
    for called, name, one in zip(
        ("scale", "offset", "mean", "variance"), ("gamma", "beta", "mean", "variance"), rest, strict=True
    ):
        constant = one.operation.held("float32")
        if constant is None:
            raise Stop(f"ArmNN only supports FusedBatchNormalization layers with constant {called}. Input {one.name}. "
                       f"Node {node.name}", "TF16")  # fmt: skip
        constants[name] = constant
    layout = check_format(node, text(node, "data_format", "TF11"), "FusedBatchNorm")
    epsilon = attribute(node, "epsilon", "f", "TF16")
    layer = parser.network.add("BatchNormalization", node.name, constants=constants, layout=layout, epsilon=epsilon)
    slot = taken.slot  # which may only now become a layer
    layer.out.info = slot.info
    slot.connect(layer)
    return Operation(node, layer.outputs)


def _lrn(parser: TfParser, node: Any) -> Operation:
    taken = parser.inputs(node, 1)[0]
    alpha, beta, bias = (attribute(node, name, "f", "TF32") for name in ("alpha", "beta", "bias"))
    radius = u32(attribute(node, "depth_radius", "i", "TF32"))
    slot = taken.slot
    return parser.layer("Normalization", node, Info(slot.shape), slot, layout="NHWC", channel="Across",
                        method="LocalBrightness", norm_size=u32(2 * radius + 1), alpha=f32(alpha), beta=f32(beta),
                        k=f32(bias))  # fmt: skip


def _resize(parser: TfParser, node: Any) -> Operation:
    taken, wanted = parser.inputs(node, 2)
    if wanted.operation.held("int32") is None:
        raise Stop(f"ArmNN only supports ResizeBilinear layers with constant sizes. Input {wanted.name}. Node "
                   f"{node.name}", "TF27")  # fmt: skip
    if attribute(node, "align_corners", "b", "TF27", required=False):
        raise Stop(f"ArmNN only supports ResizeBilinear layers with align_corners set to false. Node {node.name}",
                   "TF27")  # fmt: skip
    numbers = [u32(int(number)) for number in wanted.operation.numbers]
    slot = taken.slot
    height, width = _axis_value(numbers, 0), _axis_value(numbers, 1)
    shape = Shape((slot.shape[0], height, width, slot.shape.at(3)))
    return parser.layer("ResizeBilinear", node, Info(shape), slot, layout="NHWC", height=height, width=width)


WINDOWS: Mapping[str, Operator] = {
    "AvgPool": _pooling("average"),
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _convolution,
    "FusedBatchNorm": _batch_norm,
    "LRN": _lrn,
    "MaxPool": _pooling("max"),
    "ResizeBilinear": _resize,
}
