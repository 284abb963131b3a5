"""The layer types of Arm NN's Caffe parser, each as the parser reads it.

Source: ``src/armnnCaffeParser/CaffeParser.cpp`` at tag v19.02. Fields that are not written count where the parser looks
for their presence (pooling method, strides, ``bias_term`` of Scale), whatever Caffe's default is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from modelprep.targets.armnn.arithmetic import ceiling, divided, f32, i64, to_i32, to_u32, u32
from modelprep.targets.armnn.caffe_layer import LayerMessage
from modelprep.targets.armnn.caffe_parser import CaffeParser, Operator
from modelprep.targets.armnn.network import Constant, Info, Shape, Stop, crash

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Stands for a kernel or stride that is not written.
_NOT_FOUND = 0xFFFFFFFF


def _counts(layer: LayerMessage, bottoms: int, tops: int, rule: str) -> None:
    for what, asked, there in (("inputs", bottoms, layer.bottoms), ("outputs", tops, layer.tops)):
        if len(there) != asked:
            raise Stop(f"Invalid number of {what} requested {asked} for layer {layer.name} while only {len(there)} "
                       "present.", rule)  # fmt: skip


def _one(parser: CaffeParser, layer: LayerMessage, rule: str) -> Shape:
    """Refuse a layer that has not one bottom and one top; return the shape of its bottom."""
    _counts(layer, 1, 1, rule)
    return parser.slot(layer.bottoms[0]).shape


def _input(parser: CaffeParser, layer: LayerMessage) -> None:
    _counts(layer, 0, 1, "CF11")
    made = parser.network.add("Input", layer.name, inputs=0, id=len(parser.network.inputs))
    shapes = layer.message.input_param.shape
    own = Shape(shapes[0].dim) if shapes and shapes[0].dim else None
    passed = parser.shapes.get(layer.name)
    if passed is not None and own and (len(own) < len(passed) or own[1:4] != passed[1:4]):
        raise Stop(f"Parsed input shape for '{layer.name}' is incompatible with the override provided.", "CF12")
    shape = own if passed is None else Shape(passed)
    if shape is None:
        raise Stop(f"No input descriptor given for '{layer.name}' and no input shape found in caffe model.", "CF13")
    made.out.info = Info(shape)
    if layer.name in parser.network.inputs:
        raise Stop(f"Id {made.params['id']} used by more than one {layer.name} layer", "C4", layer.name)
    parser.network.inputs[layer.name] = (made.params["id"], made.out.info)
    parser.set_slot(layer.tops[0], made.out)


def _pair(p: Any, stem: str, repeated: str, default: int) -> tuple[int, int]:
    values = getattr(p, repeated)
    first = int(values[0]) if len(values) else default
    height, width = f"{stem}_h", f"{stem}_w"
    return (int(getattr(p, height)) if p.HasField(height) else first,
            int(getattr(p, width)) if p.HasField(width) else first)  # fmt: skip


def _single(p: Any, exact: str, fallback: str, default: int) -> int:
    if p.HasField(exact):
        return int(getattr(p, exact))
    return int(getattr(p, fallback)) if p.HasField(fallback) else default


def _reached(size: int, pad: int, kernel: int, stride: int) -> int:
    return to_i32(divided(f32(i64(size + u32(2 * pad) - kernel)), stride)) + 1


def _count(*sizes: int) -> int:
    """Multiply sizes as the parser does for a vector: 64 bits, and no negative ones."""
    total = i64(math.prod(sizes))
    if total < 0:
        raise Stop("bad numeric conversion: negative overflow", "CF21", speaker="std")
    if total > 1 << 32:
        text = "cannot create std::vector larger than max_size()" if total > 1 << 61 else "std::bad_alloc"
        raise Stop(text, "CF21", speaker="std")
    return total


def _weights(values: Callable[[], NDArray[Any]], shape: Shape, start: int = 0) -> Constant:
    """Take a constant of a shape from the numbers of a blob, from number `start` on."""
    return Constant(Info(shape), lambda: values()[start : start + shape.elements].reshape(shape))


def _convolution(parser: CaffeParser, layer: LayerMessage) -> None:
    shape, p = _one(parser, layer, "CF21"), layer.message.convolution_param
    groups = p.group if p.HasField("group") else 1
    kernel = _pair(p, "kernel", "kernel_size", _NOT_FOUND)
    stride = _pair(p, "stride", "stride", 1)
    pad = _pair(p, "pad", "pad", 0)
    if groups > p.num_output:
        raise Stop(f"Error parsing Convolution: {layer.name}. The 'group'={groups} parameter cannot be larger than the "
                   f"number of filters supplied ='{p.num_output}'.", "CF21")  # fmt: skip
    if len(shape) != 4:
        raise Stop(f"Convolution input shape is expected to have 4 dimensions. {layer.name}'s input has only "
                   f"{len(shape)}.", "CF21")  # fmt: skip
    if groups > shape[1] and groups > 1:
        raise Stop(f"Error parsing Convolution: {layer.name}. The 'group'={groups} parameter cannot be larger than the "
                   f"channel of the input shape={shape[1]} (in NCHW format).", "CF21")  # fmt: skip
    window: dict[str, Any] = {"pad_left": pad[1], "pad_right": pad[1], "pad_top": pad[0], "pad_bottom": pad[0],
              "stride_x": stride[1], "stride_y": stride[0], "layout": "NCHW"}  # fmt: skip
    bias = p.bias_term if p.HasField("bias_term") else True
    rows = _reached(shape[2], pad[0], kernel[0], stride[0])
    columns = _reached(shape[3], pad[1], kernel[1], stride[1])
    if 1 < groups < shape[1]:
        _grouped(parser, layer, window, kernel, (rows, columns), bias=bias)
        return
    depthwise = groups > 1
    filters = 1 if depthwise else p.num_output
    weights = layer.blob(0, _count(shape[1], filters, *kernel))
    constants = {"weights": _weights(weights, Shape((filters, shape[1], *kernel)))}
    if bias:
        constants["bias"] = _weights(layer.blob(1, p.num_output), Shape((p.num_output,)))
    kind = "DepthwiseConvolution2d" if depthwise else "Convolution2d"
    parser.add(layer, kind, Shape((shape[0], p.num_output, rows, columns)), constants=constants, **window)


def _grouped(
    parser: CaffeParser, layer: LayerMessage, window: Mapping[str, Any], kernel: tuple[int, int],
    reached: tuple[int, int], *, bias: bool,
) -> None:  # fmt: skip
    """Add a splitter, one convolution a group, and a merger."""
    p, slot = layer.message.convolution_param, parser.slot(layer.bottoms[0])
    groups, shape = p.group, slot.shape
    part = Shape((shape[0], shape[1] // groups, *shape[2:]))
    filters = p.num_output // groups
    splitter = parser.network.add("Splitter", f"splitter_{layer.bottoms[0]}", outputs=groups)
    splitter.params = {"origins": [(0, part[1] * group, 0, 0) for group in range(groups)], "views": [part] * groups}
    slot.connect(splitter)
    for out in splitter.outputs:
        out.info = Info(part)
    weights = layer.blob(0, _count(groups, part[1], filters, *kernel))
    biases = layer.blob(1, groups * filters) if bias else None
    taken = Shape((filters, part[1], *kernel))
    made = Shape((shape[0], filters, *reached))
    convolutions = []
    for group in range(groups):
        constants = {"weights": _weights(weights, taken, group * taken.elements)}
        if biases is not None:
            constants["bias"] = _weights(biases, Shape((filters,)), group * filters)
        name = layer.name if group == 0 else f"{layer.name}_{group}"
        convolution = parser.network.add("Convolution2d", name, constants=constants, **window)
        splitter.outputs[group].connect(convolution)
        convolution.out.info = Info(made)
        convolutions.append(convolution)
    merger = parser.network.add("Merger", layer.name, inputs=groups, rank=4, axis=1,
                                origins=[(0, filters * group, 0, 0) for group in range(groups)])  # fmt: skip
    for group, convolution in enumerate(convolutions):
        convolution.out.connect(merger, group)
    merger.out.info = Info(Shape((made[0], made[1] * groups, made[2], made[3])))
    parser.set_slot(layer.tops[0], merger.out)


def _pooling(parser: CaffeParser, layer: LayerMessage) -> None:
    shape, p = _one(parser, layer, "CF25"), layer.message.pooling_param
    whole = p.HasField("global_pooling")
    kernel_h = _single(p, "kernel_h", "kernel_size", _NOT_FOUND)
    kernel_w = _single(p, "kernel_w", "kernel_size", _NOT_FOUND)
    if _NOT_FOUND in (kernel_h, kernel_w) and whole:
        kernel_h, kernel_w = shape.at(2), shape.at(3)
    # A slip of the parser: the vertical stride serves both axes.
    stride = _single(p, "stride_h", "stride", _NOT_FOUND)
    if stride == _NOT_FOUND and whole:
        stride = 1
    pad_h, pad_w = _single(p, "pad_h", "pad", 0), _single(p, "pad_w", "pad", 0)
    if not p.HasField("pool"):
        raise Stop(f"No Pooling Method Defined for {layer.name}", "CF25")
    if p.pool == 2:
        raise Stop(f"Pooling Layer: Stochastic Pooling Not Supported. Layer={layer.name}", "CF25")

    def pooled(size: int, pad: int, kernel: int) -> int:
        return u32(to_u32(ceiling(divided(u32(size + 2 * pad - kernel), stride))) + 1)

    batch, channels = shape.at(0), shape.at(1)
    rows, columns = pooled(shape.at(2), pad_h, kernel_h), pooled(shape.at(3), pad_w, kernel_w)
    parser.add(
        layer, "Pooling2d", Shape((batch, channels, rows, columns)), layout="NCHW", exclude=False, rounding="ceiling",
        algorithm="max" if p.pool == 0 else "average", pad_left=pad_w, pad_right=pad_w, pad_top=pad_h,
        pad_bottom=pad_h, stride_x=stride, stride_y=stride, pool_width=kernel_w, pool_height=kernel_h,
    )  # fmt: skip


def _relu(parser: CaffeParser, layer: LayerMessage) -> None:
    shape, slope = _one(parser, layer, "CF30"), layer.message.relu_param.negative_slope
    parser.add(layer, "Activation", shape, function="LeakyReLu" if slope else "ReLu", a=slope)


def _lrn(parser: CaffeParser, layer: LayerMessage) -> None:
    shape, p = _one(parser, layer, "CF31"), layer.message.lrn_param
    for name, called in (("local_size", "local_size"), ("alpha", "Alpha"), ("beta", "Beta")):
        if not p.HasField(name):
            raise Stop(f"{called} not defined for LRN layer {layer.name}", "CF31")
    within = p.HasField("norm_region") and p.norm_region == 1
    parser.add(
        layer, "Normalization", shape, layout="NCHW", channel="Within" if within else "Across",
        method="LocalBrightness", norm_size=p.local_size, alpha=divided(p.alpha, p.local_size), beta=p.beta,
        k=p.k if p.HasField("k") else 1.0,
    )  # fmt: skip


def _inner_product(parser: CaffeParser, layer: LayerMessage) -> None:
    shape, p = _one(parser, layer, "CF32"), layer.message.inner_product_param
    taken = u32(shape.at(1) * math.prod(shape[2:]))
    constants = {"weights": layer.pointer(0, Shape((p.num_output, taken))),
                 "bias": layer.pointer(1, Shape((p.num_output,)))}  # fmt: skip
    transpose = p.transpose if p.HasField("transpose") else True
    parser.add(layer, "FullyConnected", Shape((shape[0], p.num_output)), constants=constants, transpose=transpose)


def _softmax(parser: CaffeParser, layer: LayerMessage) -> None:
    parser.add(layer, "Softmax", _one(parser, layer, "CF35"), beta=1.0)


def _eltwise(parser: CaffeParser, layer: LayerMessage) -> None:
    _counts(layer, 2, 1, "CF36")
    shape = parser.slot(layer.bottoms[0]).shape
    p = layer.message.eltwise_param
    operation = p.operation if p.HasField("operation") else 1
    kind = {0: "Multiplication", 1: "Addition"}.get(operation)
    if kind is None:
        raise Stop(f"Unsupported operation {operation} in Eltwise layer {layer.name}", "CF36")
    parser.add(layer, kind, shape, inputs=2)


def _concat(parser: CaffeParser, layer: LayerMessage) -> None:
    origins, channels = [], 0
    sizes = [0, 0, 0, 0]
    for bottom in layer.bottoms:
        shape = parser.slot(bottom).shape
        if len(shape) != 4:
            raise Stop("The number of dimensions for input tensors of the concatenation op should be 4. Inputs of "
                       f"{layer.name} has {len(shape)} dimensions.", "CF38")  # fmt: skip
        sizes = list(shape)
        origins.append((0, channels, 0, 0))
        channels = u32(channels + shape[1])
    sizes[1] = channels
    shape = Shape(sizes)
    if not layer.tops:
        raise crash("", "CF38")
    parser.add(layer, "Merger", shape, inputs=len(layer.bottoms), origins=origins, rank=4, axis=1)


def _batch_norm(parser: CaffeParser, layer: LayerMessage) -> None:
    shape, p = _one(parser, layer, "CF41"), layer.message.batch_norm_param
    if p.HasField("use_global_stats") and not p.use_global_stats:
        raise Stop(f"Error parsing Batch Norm layer '{layer.name}': Parameter 'use_global_stats' is set to false, "
                   "which is unsupported (value used for training).", "CF40")  # fmt: skip
    channels = shape.at(1)
    mean, variance = layer.blob(0, channels), layer.blob(1, channels)
    if len(layer.blobs) < 3 or not layer.blobs[2].count:
        raise crash("", "CF41")
    factor = layer.blob(2, layer.blobs[2].count)

    def scaled(values: Callable[[], NDArray[Any]]) -> Callable[[], NDArray[Any]]:
        def read() -> NDArray[Any]:
            import numpy as np

            moving = factor()[0]
            return values() * (np.float32(1) / moving) if moving else values()

        return read

    _normalize(parser, layer, shape, mean=scaled(mean), variance=scaled(variance), epsilon=p.eps)


def _scale(parser: CaffeParser, layer: LayerMessage) -> None:
    shape, p = _one(parser, layer, "CF42"), layer.message.scale_param
    if p.axis != 1:
        raise Stop(f"Loading Scale Layer: Only axis 1 is supported currently. Layer={layer.name} Axis={p.axis}", "CF42")
    channels = shape.at(1)
    gamma = layer.blob(0, channels)
    beta = layer.blob(1, channels) if p.HasField("bias_term") else None
    _normalize(parser, layer, shape, gamma=gamma, beta=beta, epsilon=0.0)


def _normalize(
    parser: CaffeParser, layer: LayerMessage, shape: Shape, *, epsilon: float,
    **values: Callable[[], NDArray[Any]] | None,
) -> None:  # fmt: skip
    """Add a batch normalization; what is not given does nothing."""
    each = Shape((shape.at(1),))

    def all_of(number: float) -> Callable[[], NDArray[Any]]:
        def read() -> NDArray[Any]:
            import numpy as np

            return np.full(each, number, np.float32)

        return read

    neutral = {"mean": 0.0, "variance": 1.0, "beta": 0.0, "gamma": 1.0}
    constants = {name: Constant(Info(each), values.get(name) or all_of(number)) for name, number in neutral.items()}
    parser.add(layer, "BatchNormalization", shape, constants=constants, layout="NCHW", epsilon=epsilon)


def _split(parser: CaffeParser, layer: LayerMessage) -> None:
    if len(layer.bottoms) != 1:
        raise Stop(f"Split layer '{layer.name}' should have exactly 1 bottom. #bottoms={len(layer.bottoms)}", "CF18")
    slot = parser.slot(layer.bottoms[0])
    for top in layer.tops:
        parser.set_slot(top, slot)


def _dropout(parser: CaffeParser, layer: LayerMessage) -> None:
    if len(layer.bottoms) != 1 or len(layer.tops) != 1:
        raise Stop(f"Dropout layer '{layer.name}' should have exactly 1 bottom and 1 top. "
                   f"#bottoms={len(layer.bottoms)} #tops={len(layer.tops)}", "CF44")  # fmt: skip
    parser.set_slot(layer.tops[0], parser.slot(layer.bottoms[0]))


OPERATORS: Mapping[str, Operator] = {
    "BatchNorm": _batch_norm,
    "Concat": _concat,
    "Convolution": _convolution,
    "Dropout": _dropout,
    "Eltwise": _eltwise,
    "InnerProduct": _inner_product,
    "Input": _input,
    "LRN": _lrn,
    "Pooling": _pooling,
    "ReLU": _relu,
    "Scale": _scale,
    "Softmax": _softmax,
    "Split": _split,
}
