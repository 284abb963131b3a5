"""What Arm NN's optimizer does to a network before it is loaded: reshapes merged, shapes inferred, backends chosen.

Source: ``src/armnn/Network.cpp`` (Optimize), ``src/armnn/optimizations/``, ``src/armnn/layers/*Layer.cpp`` at tag
v19.02. Every layer infers the shape of its output again; one that differs from what the parser noted is refused. The
backend is the reference one (``-c CpuRef``), which computes with float32 and uint8 only.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelprep.targets.armnn.arithmetic import ceiling, divided, floor, i32, to_u32, u32
from modelprep.targets.armnn.network import DIVIDED, ELEMENTWISE, Layer, Network, Shape, Stop, crash

#: Layers that are sorted again after merges, in all. Beyond it (25,000 layers and twenty merges), which of two layers
#: of one depth comes first may differ from the board.
_SORTED = 500_000


def optimize(network: Network) -> None:
    """Do in place what ``armnn::Optimize`` does.

    Raises Stop: a noted shape is not the inferred one, or no backend supports a layer's element type.
    """
    merge_reshapes(network)
    network.sort()
    for layer in network.layers:
        _validate(layer)
    _assign(network)


# -- reshapes ------------------------------------------------------------------------------------------------------


def merge_reshapes(network: Network) -> None:
    """Merge from the last layer to the first; layers that become unused are erased.

    A merge changes only the depth of the layers behind it, so that the remaining layers keep their order.
    """
    network.sort()
    waiting, left = list(network.layers), _SORTED
    while waiting:
        layer = waiting.pop()
        if not any(taker.kind == "Reshape" for slot in layer.outputs for taker, _ in slot.takers) and not layer.unused:
            continue  # nothing to merge
        _squash_equal(layer)
        _erase_unused(network, layer)
        if layer.kind == "Reshape" and not layer.unused:
            waiting += _join_consecutive(network, layer)
            _erase_unused(network, layer)
        if layer.unused:
            network.erase(layer)
        left -= len(network.layers)
        if left > 0:
            network.sort()


def _erase_unused(network: Network, layer: Layer) -> None:
    for slot in layer.outputs:
        for child, _ in list(slot.takers):
            if child.unused:
                network.erase(child)


def _squash_equal(layer: Layer) -> None:
    """Let one reshape stand for all that make the same of an output."""
    for slot in layer.outputs:
        first: dict[Shape, Layer] = {}
        for child, _ in slot.takers:
            if child.kind == "Reshape" and not child.unused:
                one = first.setdefault(child.params["target"], child)
                if one is not child:
                    child.out.move_all(one.out)


def _join_consecutive(network: Network, layer: Layer) -> list[Layer]:
    """Let the second of two reshapes take what the first one takes; return the reshapes that are new."""
    made = []
    for child, _ in layer.out.takers:
        if child.kind == "Reshape":
            parent = layer.source()
            if parent.shape != child.out.shape:
                merged = network.add("Reshape", f"merged-{layer.name}-with-{child.name}", before=layer,
                                     target=child.out.shape)  # fmt: skip
                merged.out.info = child.out.info
                parent.connect(merged)
                parent = merged.out
                made.append(merged)
            child.out.move_all(parent)
    return made


# -- shapes --------------------------------------------------------------------------------------------------------


def _validate(layer: Layer) -> None:
    if layer.kind == "Output" and layer.inputs[0] is None:
        raise Stop("OutputLayer: Input slot must be connected.", "C10", layer.name)
    if layer.kind == "Splitter":
        _splitter(layer)
    elif (shape := inferred(layer)) is not None and layer.out.shape != shape:
        title = _TITLES.get(layer.kind, f"{layer.kind}Layer")
        raise Stop(
            f"{title}: TensorShape set on OutputSlot[0] does not match the inferred shape. : "
            f"{layer.out.shape} != {shape}", "C3", layer.name,
        )  # fmt: skip


#: What a layer calls itself where that is not its kind and "Layer".
_TITLES = {"BatchToSpaceNd": "BatchToSpaceLayer", "StridedSlice": "StridedSlice"}


def inferred(layer: Layer) -> Shape | None:
    """Return the shape that a layer infers for its first output; None if it infers none; raises Stop if it cannot."""
    rule = _RULES.get(layer.kind)
    return None if rule is None else rule(layer)


def _elementwise(layer: Layer) -> Shape:
    first, second = layer.shapes
    return Shape(max(first.at(i), second.at(i)) for i in range(len(first)))


def _pooled(size: int, before: int, after: int, pool: int, stride: int, *, up: bool) -> int:
    steps = divided(u32(size + before + after - pool), stride)
    count = u32(to_u32(ceiling(steps) if up else floor(steps)) + 1)
    # A last window that would start behind the data is left out, which the parsers do not reckon with.
    if u32(u32(count - 1) * stride) >= u32(size + before):
        count = u32(count - 1)
    return count


def axes(layout: str) -> tuple[int, int, int]:
    """Return the axes of channels, height and width in a layout."""
    return (3, 1, 2) if layout == "NHWC" else (1, 2, 3)


def placed(layout: str, batch: int, channels: int, height: int, width: int) -> Shape:
    """Return a shape whose axes are in the order of a layout."""
    return Shape((batch, height, width, channels) if layout == "NHWC" else (batch, channels, height, width))


def same_padding(size: int, window: int, stride: int, padding: str, rule: str) -> tuple[int, int]:
    """Return the padding before and behind of TensorFlow's ``SAME``; none for another word."""
    if padding != "SAME":
        return 0, 0
    if stride == 0:
        raise crash("a stride of 0", rule, status=DIVIDED)
    extra = max(u32(u32(u32(size + stride - 1) // stride - 1) * stride + window) - size, 0)
    return extra // 2, extra - extra // 2


def left_open(sizes: Sequence[int], given: Shape, rule: str) -> int:
    """Return the size that a single -1 among others stands for in a reshape."""
    others = i32(-math.prod(sizes))
    if others < 0:
        raise Stop("bad numeric conversion: negative overflow", rule, speaker="std")
    if others == 0:
        raise crash("a division by zero", rule, status=DIVIDED)
    return given.elements // others


def _pooling(layer: Layer) -> Shape:
    p, shape = layer.params, layer.shapes[0]
    channels, height, width = axes(p["layout"])
    across, down = shape.at(width), shape.at(height)
    depth, batch = shape.at(channels), shape.at(0)
    rows = columns = 1
    if p["stride_x"] or p["stride_y"]:
        up = p["rounding"] == "ceiling"
        columns = _pooled(across, p["pad_left"], p["pad_right"], p["pool_width"], p["stride_x"], up=up)
        rows = _pooled(down, p["pad_top"], p["pad_bottom"], p["pool_height"], p["stride_y"], up=up)
    return placed(p["layout"], batch, depth, rows, columns)


def _slid(layer: Layer, size: int, before: int, after: int, kernel: int, stride: int) -> int:
    if stride == 0:
        raise crash("", "CF21" if layer.params["layout"] == "NCHW" else "TF12", layer.name, status=DIVIDED)
    return u32(1 + u32(size + before + after - kernel) // stride)


def _convolution(layer: Layer) -> Shape:
    p, shape, weights = layer.params, layer.shapes[0], layer.constants["weights"].shape
    _, height, width = axes(p["layout"])
    across, down = shape.at(width), shape.at(height)
    batch = shape.at(0)
    columns = _slid(layer, across, p["pad_left"], p["pad_right"], weights.at(width), p["stride_x"])
    rows = _slid(layer, down, p["pad_top"], p["pad_bottom"], weights.at(height), p["stride_y"])
    return placed(p["layout"], batch, weights.at(0), rows, columns)


def _depthwise(layer: Layer) -> Shape:
    p, shape, weights = layer.params, layer.shapes[0], layer.constants["weights"].shape
    channels, height, width = axes(p["layout"])
    batch, down, across, depth = (shape.at(i) for i in (0, height, width, channels))
    multiplier = weights.at(0)
    rows = _slid(layer, down, p["pad_top"], p["pad_bottom"], weights.at(2), p["stride_y"])
    columns = _slid(layer, across, p["pad_left"], p["pad_right"], weights.at(3), p["stride_x"])
    return placed(p["layout"], batch, depth * multiplier, rows, columns)


def _fully_connected(layer: Layer) -> Shape:
    weights = layer.constants["weights"].shape
    batch = layer.shapes[0].at(0)
    return Shape((batch, weights.at(0 if layer.params["transpose"] else 1)))


def _mean(layer: Layer) -> Shape:
    shape, over, keep = layer.shapes[0], layer.params["axes"], layer.params["keep_dims"]
    if not keep and over and len(over) >= len(shape):
        raise Stop("MeanLayer: Dimensions to reduce can not be bigger than input dimensions", "TF30", layer.name)
    if not over:
        sizes = [1] * (len(shape) if keep else 1)
    else:
        sizes = [1 if i in over else size for i, size in enumerate(shape) if keep or i not in over]
        rank = len(shape) if keep else len(shape) - len(over)
        sizes = (sizes + [1] * rank)[: max(rank, 1)]
    return Shape(sizes)


def _merger(layer: Layer) -> Shape:
    origins: Sequence[Sequence[int]] = layer.params["origins"]
    rank, axis, shapes = layer.params["rank"], layer.params["axis"], layer.shapes
    for shape in shapes:
        if len(shape) != rank:
            raise Stop(f"MergerLayer: Num Dimensions must match all inputs. : {rank} != {len(shape)}", "CF38",
                       layer.name)  # fmt: skip
    ends = [[u32(origin[d] + shape[d]) for d in range(rank)] for origin, shape in zip(origins, shapes, strict=True)]
    if _overlap([(origin[axis], end[axis]) for origin, end in zip(origins, ends, strict=True)
                 if all(end[d] > origin[d] for d in range(rank) if d != axis)]):  # fmt: skip
        raise Stop("MergerLayer: Some views overlap.", "CF38", layer.name)
    extent = [max((end[d] for end in ends), default=0) for d in range(rank)]
    total, volume = u32(sum(shape.elements for shape in shapes)), u32(math.prod(extent))
    if total != volume:
        raise Stop(f"MergerLayer: there are some gaps between views : {total} != {volume}", "CF38", layer.name)
    return Shape(extent)


def _overlap(spans: Sequence[tuple[int, int]]) -> bool:
    """Say whether one of two spans begins before the other ends, and ends behind where that begins.

    An end may lie before its beginning, as it is wrapped to 32 bits.
    """
    spans = sorted(spans)
    starts = [start for start, _ in spans]
    furthest: list[tuple[int, int]] = [(-1, -1)]  # of the first n: the two that end last
    for _, end in spans:
        first, second = furthest[-1]
        furthest.append((max(first, end), max(second, min(first, end))))
    for number, (start, end) in enumerate(spans):
        before = bisect_left(starts, end)  # those that begin before it ends, itself maybe among them
        if furthest[before][number < before and furthest[before][0] == end] > start:
            return True
    return False


def _splitter(layer: Layer) -> None:
    for slot, view in zip(layer.outputs, layer.params["views"], strict=True):
        if slot.shape != (inferred := Shape(view)):
            raise Stop(f"SplitterLayer: View sizes must match output tensor shapes. : {slot.shape} != {inferred}",
                       "TF24", layer.name)  # fmt: skip


def _resize(layer: Layer) -> Shape:
    p, shape = layer.params, layer.shapes[0]
    channels, _, _ = axes(p["layout"])
    depth, batch = shape.at(channels), shape.at(0)
    return placed(p["layout"], batch, depth, p["height"], p["width"])


def _gather(layer: Layer) -> Shape:
    params, indices = layer.shapes
    return Shape((*indices, *params[1:]))


def _space_to_batch(layer: Layer) -> Shape:
    block, pads, shape = layer.params["block"], layer.params["pads"], layer.shapes[0]
    if len(block) < 2:
        raise crash("a block shape of fewer than two dimensions", "TL28", layer.name)
    pads = [*pads, (0, 0), (0, 0)]  # what lies behind a list that is too short is most often zeros
    _, height, width = axes(layer.params["layout"])
    sizes = list(shape)
    sizes[0] *= math.prod(block)
    for axis, pad, by in ((height, pads[0], block[0]), (width, pads[1], block[1])):
        if by == 0:
            raise crash("a division by zero", "TL28", layer.name, status=DIVIDED)
        sizes[axis] = u32(shape.at(axis) + sum(pad)) // by
    return Shape(sizes)


def _batch_to_space(layer: Layer) -> Shape:
    block, crops, shape = layer.params["block"], layer.params["crops"], layer.shapes[0]
    channels, height, width = axes(layer.params["layout"])
    depth, overall = shape.at(channels), shape.at(0) * shape.at(height) * shape.at(width)
    if len(crops) < 2:
        raise crash("crops of fewer than two dimensions", "TL28", layer.name)
    if len(block) < 2:
        raise Stop("vector::_M_range_check", "TL28", layer.name, speaker="std")
    down, across = (
        u32(shape.at(axis) - sum(crop)) * (by or 1)
        for axis, crop, by in ((height, crops[0], block[0]), (width, crops[1], block[1]))
    )
    if u32(down * across) == 0:
        raise crash("a division by zero", "TL28", layer.name, status=DIVIDED)
    return placed(layer.params["layout"], u32(overall) // u32(down * across), depth, down, across)


def _strided_slice(layer: Layer) -> Shape:
    p, sizes = layer.params, []
    for axis, size in enumerate(layer.shapes[0]):
        if p["shrink_mask"] >> axis & 1:
            continue
        if axis >= min(len(p[name]) for name in ("begin", "end", "strides")):
            raise crash("begin, end or strides are shorter than the input has dimensions", "TL28", layer.name)
        start, stop, stride = cut(p, axis, size)
        if stride == 0:
            raise crash("a division by zero", "TL28", layer.name, status=DIVIDED)
        sizes.append(max(0, -(-(stop - start) // stride)))
    return Shape(sizes)


def cut(params: Mapping[str, Any], axis: int, size: int) -> tuple[int, int, int]:
    """Return start, stop and stride of a strided slice along an axis (armnn/Descriptors.cpp)."""
    lowest, highest = -(1 << 31), (1 << 31) - 1
    stride = params["strides"][axis]
    start = params["begin"][axis]
    if params["begin_mask"] >> axis & 1:
        start = lowest if stride > 0 else highest
    start = max(0, min(start + size if start < 0 else start, size - 1))
    if params["shrink_mask"] >> axis & 1:
        return start, start + 1, stride
    stop = params["end"][axis]
    if params["end_mask"] >> axis & 1:
        stop = highest if stride > 0 else lowest
    if stop < 0:
        stop += size
    return start, max(0, min(stop, size)) if stride > 0 else max(-1, min(stop, size - 1)), stride


_RULES: Mapping[str, Callable[[Layer], Shape]] = {
    **dict.fromkeys(
        ("Activation", "BatchNormalization", "Normalization", "Rsqrt", "Softmax"), lambda layer: layer.shapes[0]
    ),
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    "Constant": lambda layer: layer.constants["output"].shape,
    "Convolution2d": _convolution,
    "DepthwiseConvolution2d": _depthwise,
    "FullyConnected": _fully_connected,
    "Gather": _gather,
    "Mean": _mean,
    "Merger": _merger,
    "Pooling2d": _pooling,
    "Reshape": lambda layer: Shape(layer.params["target"]),
    "ResizeBilinear": _resize,
    "SpaceToBatchNd": _space_to_batch,
    "BatchToSpaceNd": _batch_to_space,
    "StridedSlice": _strided_slice,
    "DetectionPostProcess": lambda layer: Shape((1, layer.params["options"].room, 4)),
}


# -- backends ------------------------------------------------------------------------------------------------------


def _assign(network: Network) -> None:
    lines = []
    for layer in network.layers:
        for number, slot in enumerate(layer.outputs):
            if slot.info is not None and slot.info.dtype == "uint8" and slot.info.scale == 0:
                lines.append(
                    f"ERROR: output {number} of layer {layer.kind} ({layer.name}) is of type Quantized 8 bit but its "
                    "scale parameter has not been set"
                )
        if not _supported(layer):
            lines.append(f"ERROR: Layer of type {layer.kind} is not supported on any preferred backend [CpuRef ]")
            raise Stop("\n".join([*lines, "Optimize returned nullptr"]), "TF04", layer.name)
    if lines:
        raise Stop("\n".join([*lines, "Optimize returned nullptr"]), "TL29", "quantisation")


def _supported(layer: Layer) -> bool:
    slot = layer.source() if layer.inputs else layer.out
    assert slot.info is not None, "validated above"
    if layer.kind == "Constant":
        return slot.info.dtype != "bool"
    if layer.kind == "Output":
        return slot.info.dtype != "int32"
    return slot.info.dtype in ("float32", "uint8")
