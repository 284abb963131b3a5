"""What Arm NN's optimiser does to a network before it is loaded: reshapes merged, shapes inferred, backends chosen.

Source: ``src/armnn/Network.cpp`` (Optimize), ``src/armnn/optimizations/``, ``src/armnn/layers/*Layer.cpp`` at tag
v19.02. Every layer infers the shape of its output again; one that differs from what the parser noted is refused. The
backend is the reference one (``-c CpuRef``), which computes with float32 and uint8 only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from modelprep.targets.armnn.arithmetic import ceiling, divided, floor, to_u32, u32
from modelprep.targets.armnn.network import DIVIDED, Layer, Network, Shape, Stop


def optimise(network: Network) -> None:
    """Do in place what ``armnn::Optimize`` does.

    Raises
    ------
    Stop
        A noted shape is not the inferred one, or no backend computes with a layer's element type.
    """
    _merge_reshapes(network)
    network.sort()
    for layer in network.layers:
        _validate(layer)
    for layer in network.layers:
        if not _supported(layer):
            raise Stop("Optimize returned nullptr", "TF04", layer.name)


# -- reshapes ------------------------------------------------------------------------------------------------------


def _merge_reshapes(network: Network) -> None:
    """Walk from the last layer to the first; what nobody takes any more is erased on the way."""
    network.sort()
    place = len(network.layers)
    while place > 0:
        place -= 1
        layer = network.layers[place]
        for merge in (_squash_equal, _join_consecutive):
            merge(network, layer)
            if layer.unused:
                network.sort()
                place = network.layers.index(layer)
                network.erase(layer)
                break
        network.sort()
        if layer in network.layers:
            place = network.layers.index(layer)


def _reshapes_of(network: Network, layer: Layer, do: Callable[[Layer], None]) -> None:
    for slot in layer.outputs:
        position = 0
        while position < len(slot.takers):
            child = slot.takers[position][0]
            position += 1
            if child.kind == "Reshape":
                do(child)
        for child, _ in list(slot.takers):
            if child in network.layers and child.unused:
                network.erase(child)


def _squash_equal(network: Network, layer: Layer) -> None:
    """Let one reshape stand for all that make the same of an output."""

    def squash(child: Layer) -> None:
        base = child.source()
        if child.unused or len(base.takers) < 2:
            return
        for sibling, _ in list(base.takers):
            if sibling is not child and sibling.kind == "Reshape" and sibling.params == child.params:
                sibling.out.move_all(child.out)

    _reshapes_of(network, layer, squash)


def _join_consecutive(network: Network, layer: Layer) -> None:
    """Let the second of two reshapes take what the first one takes."""
    if layer.kind != "Reshape":
        return

    def join(child: Layer) -> None:
        parent = layer.source()
        if parent.shape != child.out.shape:
            merged = network.add("Reshape", f"merged-{layer.name}-with-{child.name}", before=layer,
                                 target=child.out.shape)  # fmt: skip
            merged.out.info = child.out.info
            parent.connect(merged)
            parent = merged.out
        child.out.move_all(parent)

    _reshapes_of(network, layer, join)


# -- shapes --------------------------------------------------------------------------------------------------------


def _validate(layer: Layer) -> None:
    rule = _RULES.get(layer.kind)
    if rule is not None:
        rule(layer)


def _differs(layer: Layer, inferred: Shape, text: str = "") -> None:
    noted = layer.out.shape
    if noted != inferred:
        name = text or f"{layer.kind}Layer: TensorShape set on OutputSlot[0] does not match the inferred shape."
        raise Stop(f"{name} : {noted} != {inferred}", "C3", layer.name)


def _same(layer: Layer) -> None:
    _differs(layer, layer.shapes[0])


def _elementwise(layer: Layer) -> None:
    first, second = layer.shapes
    _differs(layer, Shape(max(first.at(i), second.at(i)) for i in range(len(first))))


def _pooled(size: int, before: int, after: int, pool: int, stride: int, *, up: bool) -> int:
    steps = divided(u32(size + before + after - pool), stride)
    count = u32(to_u32(ceiling(steps) if up else floor(steps)) + 1)
    # A last window that would start behind the data is left out, which the parsers do not reckon with.
    if u32(u32(count - 1) * stride) >= u32(size + before):
        count = u32(count - 1)
    return count


def axes(layout: str) -> tuple[int, int, int]:
    """Give the axes of channels, height and width in a layout."""
    return (3, 1, 2) if layout == "NHWC" else (1, 2, 3)


def _placed(layout: str, batch: int, channels: int, height: int, width: int) -> Shape:
    return Shape((batch, height, width, channels) if layout == "NHWC" else (batch, channels, height, width))


def _pooling(layer: Layer) -> None:
    p, shape = layer.params, layer.shapes[0]
    channels, height, width = axes(p["layout"])
    across, down = shape.at(width), shape.at(height)
    depth, batch = shape.at(channels), shape.at(0)
    rows = columns = 1
    if p["stride_x"] or p["stride_y"]:
        up = p["rounding"] == "ceiling"
        columns = _pooled(across, p["pad_left"], p["pad_right"], p["pool_width"], p["stride_x"], up=up)
        rows = _pooled(down, p["pad_top"], p["pad_bottom"], p["pool_height"], p["stride_y"], up=up)
    _differs(layer, _placed(p["layout"], batch, depth, rows, columns))


def _slid(layer: Layer, size: int, before: int, after: int, kernel: int, stride: int) -> int:
    if stride == 0:
        raise Stop.signal(DIVIDED, "CF21" if layer.params["layout"] == "NCHW" else "TF12", layer.name)
    return u32(1 + u32(size + before + after - kernel) // stride)


def _convolution(layer: Layer) -> None:
    p, shape, weights = layer.params, layer.shapes[0], layer.constants["weights"].shape
    _, height, width = axes(p["layout"])
    across, down = shape.at(width), shape.at(height)
    batch = shape.at(0)
    columns = _slid(layer, across, p["pad_left"], p["pad_right"], weights.at(width), p["stride_x"])
    rows = _slid(layer, down, p["pad_top"], p["pad_bottom"], weights.at(height), p["stride_y"])
    _differs(layer, _placed(p["layout"], batch, weights.at(0), rows, columns))


def _depthwise(layer: Layer) -> None:
    p, shape, weights = layer.params, layer.shapes[0], layer.constants["weights"].shape
    channels, height, width = axes(p["layout"])
    batch, down, across, depth = (shape.at(i) for i in (0, height, width, channels))
    multiplier = weights.at(0)
    rows = _slid(layer, down, p["pad_top"], p["pad_bottom"], weights.at(2), p["stride_y"])
    columns = _slid(layer, across, p["pad_left"], p["pad_right"], weights.at(3), p["stride_x"])
    _differs(layer, _placed(p["layout"], batch, depth * multiplier, rows, columns))


def _fully_connected(layer: Layer) -> None:
    weights = layer.constants["weights"].shape
    batch = layer.shapes[0].at(0)
    _differs(layer, Shape((batch, weights.at(0 if layer.params["transpose"] else 1))))


def _reshape(layer: Layer) -> None:
    _differs(layer, layer.params["target"])


def _constant(layer: Layer) -> None:
    _differs(layer, layer.constants["output"].shape)


def _mean(layer: Layer) -> None:
    shape, over, keep = layer.shapes[0], layer.params["axes"], layer.params["keep_dims"]
    if not keep and over and len(over) >= len(shape):
        raise Stop("MeanLayer: Dimensions to reduce can not be bigger than input dimensions", "TF30", layer.name)
    if not over:
        sizes = [1] * (len(shape) if keep else 1)
    else:
        sizes = [1 if i in over else size for i, size in enumerate(shape) if keep or i not in over]
        rank = len(shape) if keep else len(shape) - len(over)
        sizes = (sizes + [1] * rank)[: max(rank, 1)]
    _differs(layer, Shape(sizes))


def _merger(layer: Layer) -> None:
    origins: Sequence[Sequence[int]] = layer.params["origins"]
    rank, shapes = layer.params["rank"], layer.shapes
    for shape in shapes:
        if len(shape) != rank:
            raise Stop(f"MergerLayer: Num Dimensions must match all inputs. : {rank} != {len(shape)}", "CF38",
                       layer.name)  # fmt: skip
    ends = [[u32(origin[d] + shape[d]) for d in range(rank)] for origin, shape in zip(origins, shapes, strict=True)]
    for a in range(len(shapes)):
        for b in range(a):
            if all(ends[a][d] > origins[b][d] and ends[b][d] > origins[a][d] for d in range(rank)):
                raise Stop("MergerLayer: Some views overlap.", "CF38", layer.name)
    extent = [max((end[d] for end in ends), default=0) for d in range(rank)]
    total, volume = u32(sum(shape.elements for shape in shapes)), u32(math.prod(extent))
    if total != volume:
        raise Stop(f"MergerLayer: there are some gaps between views : {total} != {volume}", "CF38", layer.name)
    _differs(layer, Shape(extent))


def _splitter(layer: Layer) -> None:
    for slot, view in zip(layer.outputs, layer.params["views"], strict=True):
        if slot.shape != (inferred := Shape(view)):
            raise Stop(f"SplitterLayer: View sizes must match output tensor shapes. : {slot.shape} != {inferred}",
                       "TF24", layer.name)  # fmt: skip


def _resize(layer: Layer) -> None:
    p, shape = layer.params, layer.shapes[0]
    channels, _, _ = axes(p["layout"])
    depth, batch = shape.at(channels), shape.at(0)
    _differs(layer, _placed(p["layout"], batch, depth, p["height"], p["width"]))


def _gather(layer: Layer) -> None:
    params, indices = layer.shapes
    _differs(layer, Shape((*indices, *params[1:])))


_RULES: Mapping[str, Callable[[Layer], None]] = {
    **dict.fromkeys(("Activation", "BatchNormalization", "Normalization", "Rsqrt", "Softmax"), _same),
    **dict.fromkeys(
        ("Addition", "Division", "Equal", "Greater", "Maximum", "Minimum", "Multiplication", "Subtraction"),
        _elementwise,
    ),
    "Constant": _constant,
    "Convolution2d": _convolution,
    "DepthwiseConvolution2d": _depthwise,
    "FullyConnected": _fully_connected,
    "Gather": _gather,
    "Mean": _mean,
    "Merger": _merger,
    "Pooling2d": _pooling,
    "Reshape": _reshape,
    "ResizeBilinear": _resize,
    "Splitter": _splitter,
}


# -- backends ------------------------------------------------------------------------------------------------------


def _supported(layer: Layer) -> bool:
    slot = layer.source() if layer.inputs else layer.out
    assert slot.info is not None, "validated above"
    if layer.kind == "Constant":
        return slot.info.dtype != "bool"
    if layer.kind == "Output":
        return slot.info.dtype != "int32"
    return slot.info.dtype in ("float32", "uint8")
