"""Loading a network: what Arm NN's queue descriptors ask of every layer, and what only running it brings to light.

Source: ``src/backends/backendsCommon/WorkloadData.cpp`` (Validate), ``src/armnn/LoadedNetwork.cpp`` and the reference
workloads at tag v19.02.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelprep.targets.armnn.arithmetic import f32, u32
from modelprep.targets.armnn.network import ELEMENTWISE, Info, Layer, Network, Shape, Stop, crash
from modelprep.targets.armnn.optimizer import axes

#: The largest signed number of 32 bits.
_LARGEST = (1 << 31) - 1
#: Bytes behind weights from which on there is surely no memory of the program's; what is nearer is read.
_FAR = 1 << 24


def load(network: Network) -> None:
    """Check an optimized network as loading it does; raises Stop if a descriptor refuses its layer."""
    for layer in network.layers:
        if layer.kind in _RULES:
            _RULES[layer.kind](layer)


#: The axes of its input that a layer asks for when it is run.
_AXES: Mapping[str, Callable[[Mapping[str, Any]], Sequence[int]]] = {
    **dict.fromkeys(("BatchNormalization", "Normalization"), lambda params: axes(params["layout"])),
    "Softmax": lambda _: (1,),
    "Mean": lambda params: params["axes"],
}


def run(network: Network) -> None:
    """Run the checks that a loaded network's layers make at run time; raises Stop if one stops or crashes."""
    for layer in network.layers:
        _run(layer)


def _run(layer: Layer) -> None:
    """Check what running a layer brings to light."""
    asked = _AXES.get(layer.kind)
    try:
        for axis in asked(layer.params) if asked is not None else ():
            layer.shapes[0].at(axis)
    except Stop as stop:
        rule = ("TL15" if layer.params.get("lite") else "TF30") if layer.kind == "Mean" else stop.rule
        raise Stop(stop.message, rule, layer.name, running=True) from None
    weights, bias = layer.constants.get("weights"), layer.constants.get("bias")
    numbers = [value for value in layer.params.values() if isinstance(value, int)]
    if layer.kind == "Pooling2d" and max(*numbers, *layer.shapes[0], *layer.out.shape) > _LARGEST:
        raise Stop("bad numeric conversion: positive overflow", "CF26", layer.name, speaker="std", running=True)
    if "Convolution2d" in layer.kind and bias is not None and not bias.shape.elements:
        raise Stop("Bias is enabled but the bias data is invalid", "CF21", layer.name, running=True)
    lost = layer.kind == "Mean" and 0 in layer.shapes[0]
    lost = lost or any(math.prod(slot.shape) > slot.shape.elements for slot in layer.outputs)
    if layer.kind == "FullyConnected" and weights is not None:
        read = layer.shapes[0].elements // max(1, layer.shapes[0].at(0)) * layer.out.shape.at(1)
        if 4 * (read - weights.shape.elements) > _FAR:
            raise crash("", "C3", layer.name, running=True)
    # 19.02 resizes bytes by planes: more of them than the result has are written behind its memory.
    if layer.params.get("by_planes") and layer.shapes[0].at(1) > layer.out.shape.at(1):
        raise crash("", "TL19", layer.name, running=True)
    # The type of the first input decides what is written.
    given = layer.source().info if layer.inputs else None
    made = {slot.info.dtype for slot in layer.outputs if slot.info is not None}
    if given is not None and given.dtype == "float32" and "uint8" in made:
        raise crash("", "TL29", layer.name, running=True)
    if lost or (weights is not None and weights.missing) or not all(slot.takers for slot in layer.outputs):
        # There is no memory for weights without values, for an unused output, or for all of a tensor whose size does
        # not fit in 32 bits; a mean over no elements never ends.
        rule = {"Splitter": "TF24", "Mean": "TF30"}.get(layer.kind, "CF33")
        raise crash("", rule, layer.name, running=True)


# -- descriptors ---------------------------------------------------------------------------------------------------


def _refuse(layer: Layer, text: str) -> Stop:
    return Stop(f"{layer.kind}QueueDescriptor: {text}", "C3", layer.name, speaker="load")


def _rank(layer: Layer, shape: Shape, rank: int, what: str) -> None:
    if len(shape) != rank:
        raise _refuse(layer, f"Expected {rank} but got {len(shape)} dimensions for {what} tensor.")


def _match(layer: Layer, first: Shape, second: Shape, names: str) -> None:
    if first != second:
        raise _refuse(layer, f"{names} must have identical shapes")


def _same(layer: Layer) -> None:
    _match(layer, layer.shapes[0], layer.out.shape, "input & output")


def _broadcast(layer: Layer) -> None:
    first, second = layer.shapes
    if len(first) != len(second):
        raise _refuse(layer, "Tensors first input & second input must have the same number of dimensions in order to "
                             "be broadcasted")  # fmt: skip
    if any(a != b and a != 1 and b != 1 for a, b in zip(first, second, strict=True)):
        raise Stop("Broadcasting is not possible for incompatible shapes", "TF19", layer.name, speaker="load")
    if Shape(map(max, first, second)) != layer.out.shape:
        raise _refuse(layer, "The tensor shape resulting from adding first input & second input does not match the "
                             "output shape")  # fmt: skip


def _splitter(layer: Layer) -> None:
    _windows(layer, [slot.shape for slot in layer.outputs], layer.shapes[0], "input")


def _merger(layer: Layer) -> None:
    if not layer.inputs:
        raise _refuse(layer, "At least one input needs to be provided.")
    first, axis = layer.shapes[0], layer.params["axis"]
    if axis > len(first):
        raise Stop("Invalid Concatenation Axis provided", "TF23", layer.name, speaker="load")
    if len(first) - axis != 1:
        _windows(layer, layer.shapes, layer.out.shape, "output")


def _windows(layer: Layer, parts: Sequence[Shape], whole: Shape, what: str) -> None:
    """Check that the parts of a tensor are inside it; `what`: which of the layer's tensors is the whole one."""
    for number, (origin, part) in enumerate(zip(layer.params["origins"], parts, strict=True)):
        if len(origin) != len(whole):
            raise _refuse(layer, f"Window origin have to have the same dimensionality as the {what} tensor. Window "
                                 f"origin (index: {number}) has {len(origin)} dimensions, the {what} tensor has "
                                 f"{len(whole)} dimensions.")  # fmt: skip
        if any(u32(at + size) > most for at, size, most in zip(origin, part, whole, strict=False)):
            raise _refuse(layer, f"Window extent coordinates must be smaller or equal than the size of the {what} in "
                                 "that coord.")  # fmt: skip


def _fully_connected(layer: Layer) -> None:
    _rank(layer, layer.out.shape, 2, "output")
    if len(layer.shapes[0]) not in (2, 4):
        raise _refuse(layer, "Input tensor must have 2 or 4 dimensions.")
    _rank(layer, layer.constants["weights"].shape, 2, "weight")
    _bias_rank(layer)
    _quantized(layer)


def _bias_rank(layer: Layer) -> None:
    if "bias" in layer.constants:
        _rank(layer, layer.constants["bias"].shape, 1, "bias")


def _batch_normalization(layer: Layer) -> None:
    _same(layer)
    names = ("mean", "variance", "beta", "gamma")
    for name in names:
        _rank(layer, layer.constants[name].shape, 1, name)
    for name in names[1:]:
        _match(layer, layer.constants["mean"].shape, layer.constants[name].shape, f"mean & {name}")


def _convolution(layer: Layer) -> None:
    _four_dimensions(layer)
    weights = layer.constants["weights"].shape
    _rank(layer, weights, 4, "weight")
    if layer.kind == "DepthwiseConvolution2d":
        channels = layer.out.shape[axes(layer.params["layout"])[0]]
        if u32(weights[0] * weights[1]) != channels:
            raise _refuse(layer, f"output_channels (provided {channels}) should be equal to input_channels "
                                 f"(provided {weights[1]}) multiplied by channel_multiplier "
                                 f"(provided {weights[0]}).")  # fmt: skip
    _bias_rank(layer)
    _quantized(layer)


def _four_dimensions(layer: Layer) -> None:
    _rank(layer, layer.shapes[0], 4, "input")
    _rank(layer, layer.out.shape, 4, "output")


def _reshape(layer: Layer) -> None:
    before, after = layer.shapes[0].elements, layer.out.shape.elements
    if before != after:
        raise _refuse(layer, f"Input tensor has {before} but output tensor has {after} elements.")


def _mean(layer: Layer) -> None:
    shape, over = layer.shapes[0], layer.params["axes"]
    reduced = max(len(shape) - len(over), 1) if over else 1
    rank = len(shape) if layer.params["keep_dims"] else reduced
    _rank(layer, layer.out.shape, rank, "output")


def _pad(layer: Layer) -> None:
    shape, pads = layer.shapes[0], layer.params["pads"]
    _rank(layer, layer.out.shape, len(shape), "output")
    if len(pads) != len(shape):
        raise Stop("Pad List should contain the same number of entries as there are dimensions in the input tensor "
                   f"that is {len(shape)} entries  not {len(pads)} entries.", "TF29", layer.name,
                   speaker="load")  # fmt: skip


def _gather(layer: Layer) -> None:
    indices = layer.source(1).noted
    if indices.dtype != "int32":
        raise _refuse(layer, "Indices tensor type must be int32.")
    _rank(layer, layer.out.shape, len(layer.shapes[0]) - 1 + len(indices.shape), "output")


def _space_to_batch(layer: Layer) -> None:
    _four_dimensions(layer)
    block, pads, shape = layer.params["block"], layer.params["pads"], layer.shapes[0]
    if len(block) != 2:
        raise Stop("Block Shape must contain 2 spatial dimensions", "TL28", layer.name, speaker="load")
    if len(pads) != len(block):
        text = "Pad List must contain the same number of dimensions as Block Shape."
        raise Stop(text, "TL28", layer.name, speaker="load")
    channels, height, width = axes(layer.params["layout"])
    down, across = shape[height] + sum(pads[0]), shape[width] + sum(pads[1])
    count, made = shape[0] * down * across * shape[channels], layer.out.shape.elements
    if count != made:
        raise _refuse(layer, f"Input tensor has {count} after padding but output tensor has {made} elements.")
    if down % block[0] or across % block[1]:
        text = "Input shape after padding must be divisible by Block Shape in all spatial dimensions"
        raise Stop(text, "TL28", layer.name, speaker="load")


def _strided_slice(layer: Layer) -> None:
    rank = len(layer.shapes[0])
    for name, word in (("begin", "Begin"), ("end", "End"), ("strides", "Stride")):
        if len(layer.params[name]) != rank:
            text = f"StridedSliceLayer: {word} length must be of rank input0({rank})"
            raise Stop(text, "TL28", layer.name, speaker="load")


def _detection(layer: Layer) -> None:
    encodings, scores = layer.shapes
    boxes, classes, values, number = layer.outputs
    for shape, rank, what in (
        (encodings, 3, "box encodings"), (scores, 3, "scores"), (layer.constants["anchors"].shape, 2, "anchors"),
        (boxes.shape, 3, "detection boxes"), (values.shape, 2, "detection scores"),
        (classes.shape, 2, "detection classes"), (number.shape, 1, "num detections"),
    ):  # fmt: skip
        _rank(layer, shape, rank, what)
    for slot, what in ((boxes, "boxes"), (values, "scores"), (classes, "classes")):
        _type(layer, slot.info, "float32", f"detection {what}")
    _type(layer, number.info, "float32", "num detections")
    if scores[2] != layer.params["options"].classes + 1:
        raise _refuse(layer, "Number of classes with background should be equal to number of classes + 1.")


# -- bytes ---------------------------------------------------------------------------------------------------------

_NAMES = {"float32": "Float32", "uint8": "Unsigned8", "int32": "Signed32", "bool": "Boolean"}


def _type(layer: Layer, info: Info | None, dtype: str, what: str) -> None:
    if info is not None and info.dtype != dtype:
        raise _refuse(layer, f"Expected data type {_NAMES[dtype]} but got {_NAMES[info.dtype]} for {what} tensor.")


def _quantized(layer: Layer) -> None:
    """Check types and scales of the weights of a convolution or a fully connected layer."""
    given, made, weights = layer.source().noted, layer.out.noted, layer.constants["weights"].info
    if layer.kind == "Convolution2d":
        _type(layer, weights, given.dtype, "weight")
    if (bias := layer.constants.get("bias")) is not None:
        wanted = "int32" if given.dtype == "uint8" else "float32"
        if layer.kind == "Convolution2d":
            _type(layer, bias.info, wanted, "bias")
        _bias_scale(layer, bias.info, f32(f32(given.scale) * f32(weights.scale)))
        _type(layer, bias.info, wanted, "bias")
    if made.dtype == "uint8" and f32(made.scale) <= f32(f32(given.scale) * f32(weights.scale)):
        raise _refuse(layer, "Quantization scale of output is not greater than the product of the input and weights "
                             "tensors")  # fmt: skip


def _bias_scale(layer: Layer, bias: Info, wanted: float) -> None:
    if bias.offset != 0:
        raise _refuse(layer, f"Expected zero quantization offset for bias tensor but got {bias.offset}")
    if abs(f32(bias.scale) - wanted) > f32(1e-8):
        raise _refuse(
            layer,
            f"Expected {wanted:.10g} quantization scale for bias tensor (the product of the input and weight scales), "
            f"but got {f32(bias.scale):.10g}",
        )


_RULES: Mapping[str, Callable[[Layer], None]] = {
    **dict.fromkeys(("Activation", "Normalization", "Rsqrt", "Softmax"), _same),
    **dict.fromkeys(ELEMENTWISE, _broadcast),
    **dict.fromkeys(("Convolution2d", "DepthwiseConvolution2d"), _convolution),
    **dict.fromkeys(("Pooling2d", "ResizeBilinear"), _four_dimensions),
    "BatchNormalization": _batch_normalization,
    "FullyConnected": _fully_connected,
    "Gather": _gather,
    "Mean": _mean,
    "Merger": _merger,
    "Pad": _pad,
    "Reshape": _reshape,
    "Splitter": _splitter,
    "SpaceToBatchNd": _space_to_batch,
    "StridedSlice": _strided_slice,
    "DetectionPostProcess": _detection,
}
