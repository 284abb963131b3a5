"""Runs a loaded network in numpy, with the arithmetic of Arm NN's reference backend (backends/reference/workloads).

Slower than the runtimes that models are made for, but it computes what the board computes of a network: what a parser
ignores is ignored, and bytes are rounded as the reference backend rounds them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelprep.errors import MissingTool
from modelprep.formats.arrays import Array
from modelprep.targets.armnn import compute_windows as windows
from modelprep.targets.armnn.detection import detect
from modelprep.targets.armnn.network import DType, Info, Layer, Network
from modelprep.targets.armnn.optimizer import axes, cut

Values = Sequence[Any]


def run(network: Network, fed: Mapping[int, Array]) -> dict[int, Array]:
    """Run a network.

    `network`: optimized. `fed`: binding number -> values of an input: float32, uint8 or int32, any shape of as many
    elements. Returns binding number -> values of an output, of the shape and type that the network notes. Raises
    MissingTool: it has a layer that is not modelled here.
    """
    import numpy as np

    made: dict[int, list[Any]] = {}
    found: dict[int, Array] = {}
    left = {id(slot): len(slot.takers) for layer in network.layers for slot in layer.outputs}
    with np.errstate(all="ignore"):
        for layer in network.layers:
            if layer.kind == "Input":
                info = layer.out.noted
                made[id(layer)] = [np.asarray(fed[layer.params["id"]]).astype(info.dtype).reshape(info.shape)]
                continue
            slots = [slot for slot in layer.inputs if slot is not None]
            values = [made[id(slot.layer)][slot.index] for slot in slots]
            if layer.kind == "Output":
                found[layer.params["id"]] = values[0]
            else:
                made[id(layer)] = _run(layer, values)
            for slot in slots:
                left[id(slot)] -= 1
                if not left[id(slot)]:
                    made[id(slot.layer)][slot.index] = None
    return found


def _run(layer: Layer, values: Values) -> list[Any]:
    import numpy as np

    if layer.kind in _AS_STORED:
        shapes = [slot.shape for slot in layer.outputs]
        results = _AS_STORED[layer.kind](layer, values)
        return [np.asarray(value).reshape(shape) for value, shape in zip(results, shapes, strict=True)]
    info = layer.out.noted
    if info.dtype == "uint8" and layer.kind in ("Convolution2d", "DepthwiseConvolution2d"):
        return [windows.convolve_bytes(layer, values[0]).reshape(info.shape)]
    compute = _REAL.get(layer.kind)
    if compute is None:
        raise MissingTool(f"a layer of kind {layer.kind} is not modelled here", where=layer.name)
    result = compute(layer, [_real(value, layer.source(place).noted) for place, value in enumerate(values)])
    return [_stored(np.asarray(result).reshape(info.shape), info)]


def _real(values: Any, info: Info) -> Any:
    """Return the real numbers that stored ones stand for (armnn::Dequantize)."""
    import numpy as np

    if info.dtype == "float32":
        return np.asarray(values, np.float32)
    if info.dtype == "int32" and info.scale == 0:
        return np.asarray(values).astype(np.float32)
    return (values.astype(np.int64) - info.offset).astype(np.float32) * np.float32(info.scale)


def _stored(values: Any, info: Info) -> Any:
    """Round real numbers to what is stored (armnn::Quantize): halves away from zero."""
    import numpy as np

    if info.dtype != "uint8":
        return values.astype(info.dtype)
    scaled = values / np.float32(info.scale)
    rounded = np.copysign(np.floor(np.abs(scaled) + np.float32(0.5)), scaled) + info.offset
    return np.clip(np.nan_to_num(rounded), 0, 255).astype(np.uint8)


# -- layers that move numbers about as they are stored ----------------------------------------------------------------


def _box(origin: Sequence[int], sizes: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(at, at + size) for at, size in zip(origin, sizes, strict=True))


def _merger(layer: Layer, values: Values) -> list[Any]:
    import numpy as np

    found = np.zeros(layer.out.shape, values[0].dtype)
    for value, origin in zip(values, layer.params["origins"], strict=True):
        found[_box(origin, value.shape)] = value
    return [found]


def _splitter(layer: Layer, values: Values) -> list[Any]:
    places = zip(layer.params["origins"], layer.outputs, strict=True)
    return [values[0][_box(origin, slot.shape)] for origin, slot in places]


def _pad(layer: Layer, values: Values) -> list[Any]:
    import numpy as np

    found = np.zeros(layer.out.shape, values[0].dtype)
    found[_box([front for front, _ in layer.params["pads"]], values[0].shape)] = values[0]
    return [found]


def _strided_slice(layer: Layer, values: Values) -> list[Any]:
    import numpy as np

    found = values[0]
    for axis, size in enumerate(values[0].shape):
        start, stop, stride = cut(layer.params, axis, size)
        found = np.take(found, range(start, stop, stride), axis)
    return [found]


def _space_to_batch(layer: Layer, values: Values) -> list[Any]:
    import numpy as np

    (down, across), pads = layer.params["block"], layer.params["pads"]
    x = np.pad(values[0], ((0, 0), pads[0], pads[1], (0, 0)))
    batch, height, width, depth = x.shape
    x = x.reshape(batch, height // down, down, width // across, across, depth)
    return [x.transpose(2, 4, 0, 1, 3, 5)]


def _batch_to_space(layer: Layer, values: Values) -> list[Any]:
    (down, across), crops = layer.params["block"], layer.params["crops"]
    batch, height, width, depth = values[0].shape
    x = values[0].reshape(down, across, batch // (down * across), height, width, depth)
    x = x.transpose(2, 3, 0, 4, 1, 5).reshape(batch // (down * across), height * down, width * across, depth)
    (top, bottom), (left, right) = crops
    return [x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]]


def _detection(layer: Layer, values: Values) -> list[Any]:
    """Find boxes; 19.02 reads the memory of scores and anchors as the type of the boxes, whatever theirs is."""
    import numpy as np

    anchors = layer.constants["anchors"]
    infos = [layer.source(0).noted, layer.source(1).noted, anchors.info]
    values = [*values, anchors.values()]
    if layer.params.get("as_boxes"):
        read_as: DType = "uint8" if infos[0].dtype == "uint8" else "float32"
        size = np.dtype(read_as).itemsize
        memory = [np.ascontiguousarray(value).tobytes().ljust(size * value.size, b"\0") for value in values]
        values = [np.frombuffer(m, read_as, v.size).reshape(v.shape) for m, v in zip(memory, values, strict=True)]
        infos = [replace(info, dtype=read_as) for info in infos]
    encodings, scores, boxes = map(_real, values, infos)
    return list(detect(encodings, scores, boxes, layer.params["options"]))


_AS_STORED: Mapping[str, Callable[[Layer, Values], list[Any]]] = {
    "Constant": lambda layer, _: [layer.constants["output"].values()],
    "Reshape": lambda _, values: [values[0]],
    "Merger": _merger,
    "Splitter": _splitter,
    "Pad": _pad,
    "StridedSlice": _strided_slice,
    "SpaceToBatchNd": _space_to_batch,
    "BatchToSpaceNd": _batch_to_space,
    "DetectionPostProcess": _detection,
}

# -- layers that compute with real numbers ----------------------------------------------------------------------------


def _activation(layer: Layer, values: Values) -> Any:
    import numpy as np

    x, a, b = values[0], np.float32(layer.params.get("a", 0)), np.float32(layer.params.get("b", 0))
    functions: Mapping[str, Callable[[], Any]] = {
        "ReLu": lambda: np.maximum(x, np.float32(0)),
        "BoundedReLu": lambda: np.minimum(a, np.maximum(b, x)),
        "Sigmoid": lambda: np.float32(1) / (np.float32(1) + np.exp(-x)),
        "TanH": lambda: a * np.tanh(b * x),
        "LeakyReLu": lambda: np.where(x > 0, x, x * a),
        "SoftReLu": lambda: np.log(np.float32(1) + np.exp(x)),
    }
    return functions[layer.params["function"]]()


def _softmax(layer: Layer, values: Values) -> Any:
    # Rows of the second dimension, as many as the first says, whatever comes behind.
    import numpy as np

    rows, columns = values[0].shape[:2]
    found = np.zeros(values[0].size, np.float32)
    x = values[0].reshape(-1)[: rows * columns].reshape(rows, columns)
    powers = np.exp((x - x.max(axis=1, keepdims=True)) * np.float32(layer.params["beta"]))
    found[: rows * columns] = (powers / powers.sum(axis=1, keepdims=True)).reshape(-1)
    return found


def _constant(layer: Layer, name: str) -> Any:
    return _real(layer.constants[name].values(), layer.constants[name].info)


def _fully_connected(layer: Layer, values: Values) -> Any:
    import numpy as np

    outputs = layer.out.shape[1]
    rows = values[0].reshape(values[0].shape[0], -1)
    count = rows.shape[1]
    flat = np.resize(_constant(layer, "weights").reshape(-1), outputs * count)
    found = rows @ (flat.reshape(outputs, count).T if layer.params["transpose"] else flat.reshape(count, outputs))
    return found + np.resize(_constant(layer, "bias"), outputs) if "bias" in layer.constants else found


def _batch_norm(layer: Layer, values: Values) -> Any:
    import numpy as np

    shape = [1] * values[0].ndim
    shape[axes(layer.params["layout"])[0]] = -1
    mean, variance, beta, gamma = (
        _constant(layer, name).reshape(shape) for name in ("mean", "variance", "beta", "gamma")
    )
    by = gamma / np.sqrt(variance + np.float32(layer.params["epsilon"]))
    return by * values[0] + (beta - by * mean)


def _mean(layer: Layer, values: Values) -> Any:
    over = layer.params["axes"] or range(values[0].ndim)
    return values[0].mean(axis=tuple(dict.fromkeys(over)), dtype="f4")


def _maximum(_: Layer, values: Values) -> Any:
    import numpy as np

    return np.maximum(*values)


def _minimum(_: Layer, values: Values) -> Any:
    import numpy as np

    return np.minimum(*values)


def _rsqrt(_: Layer, values: Values) -> Any:
    import numpy as np

    return np.float32(1) / np.sqrt(values[0])


_REAL: Mapping[str, Callable[[Layer, Values], Any]] = {
    "Activation": _activation,
    "Softmax": _softmax,
    "FullyConnected": _fully_connected,
    "BatchNormalization": _batch_norm,
    "Mean": _mean,
    **dict.fromkeys(("Convolution2d", "DepthwiseConvolution2d"), windows.convolve),
    "Pooling2d": windows.pool,
    "ResizeBilinear": windows.resize,
    "Addition": lambda _, values: values[0] + values[1],
    "Subtraction": lambda _, values: values[0] - values[1],
    "Multiplication": lambda _, values: values[0] * values[1],
    "Division": lambda _, values: values[0] / values[1],
    "Maximum": _maximum,
    "Minimum": _minimum,
    "Equal": lambda _, values: values[0] == values[1],
    "Greater": lambda _, values: values[0] > values[1],
    "Rsqrt": _rsqrt,
}
