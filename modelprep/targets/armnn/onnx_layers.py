"""What Arm NN's ONNX parser makes of each operation (armnnOnnxParser/OnnxParser.cpp)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from modelprep.formats.onnx.model import FLOAT, INT64, TYPES
from modelprep.targets.armnn import onnx_attributes as read
from modelprep.targets.armnn.arithmetic import u32
from modelprep.targets.armnn.network import DIVIDED, Constant, Info, Shape, Stop, crash
from modelprep.targets.armnn.onnx_parser import NO_ELEMENT, Known, Operations, Parser, check_type, listed

_Size = tuple[int, int]


def _floats(parser: Parser, node: Any, inputs: Sequence[int], rule: str, called: str = "node") -> None:
    """Refuse a node with another number of inputs or outputs, or of which an input is not float."""
    read.sizes(node, inputs, (1,), rule, called)
    for name in node.input:
        check_type(parser, node, name, FLOAT)


def fully_connected(parser: Parser, product: Any, add: Any) -> None:
    """Make a layer of a MatMul, and of the Add behind it that becomes its bias."""
    _floats(parser, product, (2,), "ON16", "matmulNode")
    source, weight = _split(parser, product)
    constants = {}
    if add is not None:
        _floats(parser, add, (2,), "ON15", "addNode->")
        bias = _split(parser, add)[1]
        _one_dimension(parser, bias)
        if parser.shape(weight).at(1) != parser.shape(bias).at(0):
            told = [listed(parser.info(name), name, parser.of(name).dtype) for name in (weight, bias)]
            raise Stop(
                f"Shape of weights '{weight}' and bias of following Add node '{add.name}' do not match : {told[0]} and "
                f"{told[1]} ( /!\\ bias should be a 1D tensor)", "ON16", f"Add {add.name}",
            )  # fmt: skip
        constants["bias"] = parser.weights(bias)
    constants["weights"] = parser.weights(weight)
    node = product if add is None else add
    parser.add("FullyConnected", node, [source], parser.shape(source), product.name, constants=constants,
               transpose=False)  # fmt: skip


def _split(parser: Parser, node: Any) -> tuple[str, str]:
    """Return the computed operand and the constant one."""
    one, two = node.input[:2]
    if parser.constant(one):
        return two, one
    if parser.constant(two):
        return one, two
    raise Stop(f"One of the input tensors ('{one}' or '{two}') should be constant in node '{node.name}'", "ON16")


def _one_dimension(parser: Parser, name: str) -> None:
    info = parser.info(name)
    if any(size != 1 for size in info.shape[:-1]):
        raise Stop(
            "Only tensors with shape [1, ..., 1, X] can be converted to 1D and "
            f"{listed(info, name, parser.of(name).dtype)}", "ON16",
        )  # fmt: skip
    parser.of(name).info = parser.reshaped(info, info.shape[-1:])


def _constant(parser: Parser, node: Any) -> None:
    if (count := len(node.attribute)) != 1:
        raise Stop(f"static_cast<size_t>(node.attribute_size()) = {count} is not valid, not in {{1}}.", "ON07")
    tensor = node.attribute[0].t if node.attribute[0].HasField("t") else None
    if tensor is None:
        raise Stop(f"Value not found for Constant node '{node.name}'", "ON07")
    if tensor.data_type != FLOAT:
        raise Stop(
            f"Datatype {TYPES.get(tensor.data_type, '')} is not valid for tensor '{tensor.name}' of node "
            f"'{node.name}', not in {{onnx::TensorProto::FLOAT}}.", "ON07",
        )  # fmt: skip
    name = _first(node.output)
    parser.of(name).tensor = tensor
    _constant_layer(parser, name, node.name)


def _constant_layer(parser: Parser, name: str, layer_name: str) -> None:
    values = parser.weights(name)
    layer = parser.network.add("Constant", layer_name, inputs=0, constants={"output": values})
    layer.out.info = values.info
    parser.makes(layer, name)


def _global_pool(parser: Parser, node: Any) -> None:
    source = _first(node.input)
    shape = parser.shape(source)
    # The descriptor's own strides are 0, which means the whole picture to the layer.
    width, height = shape.at(3), shape.at(2)
    _first(node.output)
    parser.add(
        "Pooling2d", node, [source], shape, algorithm="average", pool_width=width, pool_height=height, stride_x=0,
        stride_y=0, layout="NCHW", rounding="floor", exclude=True, **_pads((0, 0), (0, 0)),
    )  # fmt: skip


def _pool(parser: Parser, node: Any) -> None:
    counts = node.op_type == "AveragePool" and bool(read.whole(node, "count_include_pad", 0))
    _floats(parser, node, (1,), "ON13")
    if not any(attribute.name == "kernel_shape" for attribute in node.attribute):
        raise Stop(f"Could not find required attribute kernel_shape in node {node.name}", "ON13")
    given = read.wholes(node, "kernel_shape")
    source = node.input[0]
    height, width = read.pair(given, "kernel_shape")
    window = _window(parser, node, source, lambda: (height, width))
    parser.add(
        "Pooling2d", node, [source], parser.shape(source), algorithm="max" if node.op_type == "MaxPool" else "average",
        pool_width=width, pool_height=height, layout="NCHW", rounding="floor", exclude=not counts, **window,
    )  # fmt: skip


def _pads(down: _Size, across: _Size) -> dict[str, Any]:
    return {"pad_top": down[0], "pad_bottom": down[1], "pad_left": across[0], "pad_right": across[1]}


def _window(parser: Parser, node: Any, source: str, size: Callable[[], _Size]) -> dict[str, Any]:
    """Read strides and pads."""
    given = read.wholes(node, "strides")
    down, across = read.pair(given, "strides") if given else (1, 1)
    strides = {"stride_y": down, "stride_x": across}
    pads = read.wholes(node, "pads")
    if pads:
        if len(pads) < 4:
            raise crash(f"pads has {len(pads)} numbers, not 4", "ON19")
        return strides | _pads((pads[0], pads[2]), (pads[1], pads[3]))
    way = read.text(node, "auto_pad")
    if way in ("VALID", "", "NOTSET"):
        return strides | _pads((0, 0), (0, 0))
    if way not in ("SAME_LOWER", "SAME_UPPER"):
        raise Stop(
            f"Invalid auto_pad attribute for node {node.name}. Only SAME_UPPER, SAME_LOWER or VALID supported and "
            f"found {way}", "ON19",
        )  # fmt: skip
    shape = parser.shape(source)
    sizes = shape.at(2), shape.at(3)
    upper = way == "SAME_UPPER"
    found = [_same(n, w, s, upper=upper) for n, w, s in zip(sizes, size(), (down, across), strict=True)]
    return strides | _pads(found[0], found[1])


def _same(size: int, window: int, stride: int, *, upper: bool) -> _Size:
    if stride == 0:
        raise crash("a stride of 0", "ON19", status=DIVIDED)
    extra = u32(((size + stride - 1) // stride - 1) * stride + window - size)
    front = back = extra // 2
    if extra % 2:
        front, back = (front, back + 1) if upper else (front + 1, back)
    return front, back


def _reshape(parser: Parser, node: Any) -> None:
    read.sizes(node, (2,), (1,), "ON08")
    source, target = node.input[:2]
    check_type(parser, node, source, FLOAT)
    check_type(parser, node, target, INT64, "ON08")
    if not parser.constant(target):
        raise Stop(f"Shape '{target}' should be constant in Reshape layer '{node.name}'", "ON08")
    name = node.output[0]
    if parser.constant(source):
        parser.of(name).tensor = parser.of(source).tensor
        return
    given = parser.shape(source)
    if parser.of(name).info is None:
        parser.of(name).info = _reshaped(parser.of(target).tensor, given, name)
    _reshape_layer(parser, source, name, node.name)


def _reshaped(target: Any, given: Shape, name: str) -> Info:
    dims = [given.at(axis) if size == 0 else int(size) for axis, size in enumerate(target.int64_data)]
    if dims.count(-1) > 1:
        raise Stop(
            f"Error during creation of reshaped tensor '{name}'. At most one component of shape can be  -1 and here, "
            f"shape is [ {', '.join(map(str, dims))} ]", "ON08",
        )  # fmt: skip
    if -1 in dims:
        rest = -math.prod(dims)
        if rest == 0:
            raise crash("a division by zero", "ON08", status=DIVIDED)
        dims[dims.index(-1)] = given.elements // rest
    try:
        return Info(Shape(dims))
    except Stop as stop:
        # The numbers are in raw_data, which is not read: a shape of none.
        stop.rule = "ON09" if not dims else stop.rule
        raise


def _reshape_layer(parser: Parser, source: str, name: str, layer_name: str) -> None:
    info = parser.info(name)
    layer = parser.network.add("Reshape", layer_name, target=info.shape)
    layer.out.info = info
    parser.takes(layer, source)
    parser.makes(layer, name)


def _activation(parser: Parser, node: Any) -> None:
    _floats(parser, node, (1,), "ON13")
    function = {"Relu": "ReLu", "Sigmoid": "Sigmoid", "Tanh": "TanH", "LeakyRelu": "LeakyReLu"}[node.op_type]
    a = read.real(node, "alpha", 0.01) if function == "LeakyReLu" else 1.0
    parser.add("Activation", node, node.input, parser.shape(node.input[0]), function=function, a=a, b=1.0)


def _conv(parser: Parser, node: Any) -> None:
    _floats(parser, node, (2, 3), "ON11")
    source, weight = node.input[:2]
    shape = parser.shape(source)
    if len(shape) != 4:
        told = listed(parser.info(source), source, parser.of(source).dtype)
        raise Stop(f"ArmNN only supports 2D convolution and Conv layer '{node.name}' input {told}", "ON11")
    if not parser.constant(weight):
        raise Stop(f"Weights '{weight}' should be constant in Conv layer '{node.name}'", "ON11")
    dilations = read.wholes(node, "dilations")
    wide = next((number for number, value in enumerate(dilations) if value != 1), None)
    if wide is not None:
        raise Stop(
            f"ArmNN only supports Convolution layers with dilations [1,1], and node '{node.name}' has dilatation "
            f"[ {', '.join(map(str, dilations[: wide + 1]))}, ... ]", "ON11",
        )  # fmt: skip
    window = _window(parser, node, source, lambda: _kernel(parser, node, weight))
    group = read.whole(node, "group", 1)
    if group > 1 and group != shape[1]:
        what = "cannot be larger than" if group > shape[1] else "should be 1 or be equal to"
        raise Stop(
            f"Error parsing Convolution node: {node.name}. The 'group'={group} parameter {what} the channel of the "
            f"input shape={shape[1]} (in NCHW format).", "ON11",
        )  # fmt: skip
    weights = parser.weights(weight)
    if group > 1:
        weights = _depthwise(parser, weight, weights)
    constants = {"weights": weights}
    if len(node.input) == 3:
        if not parser.constant(node.input[2]):
            raise Stop(f"Bias '{node.input[2]}' should be constant in Conv layer '{node.name}'", "ON11")
        constants["bias"] = parser.weights(node.input[2])
    kind = "DepthwiseConvolution2d" if group > 1 else "Convolution2d"
    parser.add(kind, node, [source], shape, constants=constants, layout="NCHW", **window)


def _depthwise(parser: Parser, name: str, weights: Constant) -> Constant:
    """Take weights of [channels, 1, height, width] for [1, channels, height, width], whatever they are."""
    shape = weights.shape
    shape.at(1)
    info = parser.reshaped(weights.info, (1, shape[0], *shape[2:]))
    parser.of(name).info = info
    return Constant(info, lambda: weights.values().reshape(-1)[: info.shape.elements].reshape(info.shape))


def _kernel(parser: Parser, node: Any, weight: str) -> _Size:
    given = read.wholes(node, "kernel_shape")
    if given:
        return read.pair(given, "kernel_shape")
    shape = parser.shape(weight)
    return shape.at(2), shape.at(3)


def _add(parser: Parser, node: Any) -> None:
    _floats(parser, node, (2,), "ON15")
    names = list(node.input[:2])
    ranks = [len(parser.shape(name)) for name in names]
    if ranks[0] != ranks[1]:
        low = ranks.index(min(ranks))
        names[low] = _prepended(parser, names[low], max(ranks))
    shapes = [parser.shape(name) for name in names]
    if any(a != b and 1 not in (a, b) for a, b in zip(*shapes, strict=True)):
        told = [listed(parser.info(name), name, parser.of(name).dtype) for name in names]
        raise Stop(
            f"Broadcast is only supported for scalar or 1D tensors in Add node '{node.name}'. Input dimensions should "
            f"either match or one should be of size 1 and here, {told[0]} and {told[1]}", "ON15",
        )  # fmt: skip
    layer = parser.network.add("Addition", node.name, inputs=2)
    parser.note(layer, node, *shapes)
    for name, source in zip(names, node.input, strict=False):
        if parser.constant(name):
            _constant_layer(parser, name, f"Add:constant_of_{source}")
    parser.takes(layer, *names)
    parser.makes(layer, node.output[0])


def _prepended(parser: Parser, name: str, rank: int) -> str:
    info = parser.info(name)
    longer = f"reshape_output_{name}"
    parser.known[longer] = Known(parser.reshaped(info, (1,) * (rank - len(info.shape)) + info.shape))
    if parser.constant(name):
        parser.of(longer).tensor = parser.of(name).tensor
    else:
        _reshape_layer(parser, name, longer, f"Add:reshapeOf{name}")
    return longer


def _batch_norm(parser: Parser, node: Any) -> None:
    _floats(parser, node, (5,), "ON14")
    for name in node.input[1:]:
        if not parser.constant(name):
            raise Stop(f"Input tensor '{name}' should be constant in BatchNormalization node '{node.name}'", "ON14")
    epsilon = read.real(node, "epsilon", 1e-5)
    names = zip(("gamma", "beta", "mean", "variance"), node.input[1:], strict=True)
    constants = {what: parser.weights(name) for what, name in names}
    parser.add("BatchNormalization", node, node.input[:1], parser.shape(node.input[0]), constants=constants,
               epsilon=epsilon, layout="NCHW")  # fmt: skip


def _first(names: Any) -> str:
    if not names:
        raise Stop(NO_ELEMENT, "ON19", speaker="std")
    return str(names[0])


OPERATIONS: Operations = {
    "MatMul": fully_connected,
    "BatchNormalization": _batch_norm,
    "GlobalAveragePool": _global_pool,
    "AveragePool": _pool,
    "MaxPool": _pool,
    "Constant": _constant,
    "Reshape": _reshape,
    "Conv": _conv,
    "Add": _add,
    **dict.fromkeys(("Relu", "Sigmoid", "Tanh", "LeakyRelu"), _activation),
}
