"""MNIST: drawn digits, and three networks fitted to them.

Each network is what the original is in shape and names; its convolutions are seeded integers, and only the last layer
is fitted, in closed form, to digits of other hands than those that are served.
"""

from __future__ import annotations

import struct
from functools import cache
from importlib import resources
from typing import Any

from demo import containers, digits, fit, graphdef
from demo.families import Made

SERVED = 1000
_TRAINED = 4000
_TRAINED_NETS = 2000
#: Least squares return values around 0 and 1; a softmax needs more between them for a clear answer.
_SHARPNESS = 16.0


def make() -> list[Made]:
    """Make the files of the three MNIST demos."""
    labels = digits.labels(SERVED, "served")
    pictures = served()
    model = onnx_model()
    beside = {}
    for number in range(3):
        for kind, data in zip(("input", "output"), onnx_sample(pictures[number]), strict=True):
            beside[f"mnist/test_data_set_{number}/{kind}_0.pb"] = data
    return [
        Made("mnist-t10k-images", containers.gz(idx(pictures.tobytes(), 0x0803, pictures.shape))),
        Made("mnist-t10k-labels", containers.gz(idx(bytes(labels), 0x0801, (SERVED,)))),
        Made("lenet-caffemodel", lenet()),
        Made("simple-mnist-tf", softmax_regression().encode("ascii")),
        Made("onnx-mnist", model, beside=beside),
        # The archive is a separate asset, for onnx_test_runner.
        Made("onnx-mnist-tgz", containers.tar_gz({"mnist/model.onnx": model, **beside})),
    ]


def idx(data: bytes, magic: int, shape: tuple[int, ...]) -> bytes:
    """Write an idx file."""
    return struct.pack(f">{1 + len(shape)}I", magic, *shape) + data


@cache
def served() -> Any:
    """Draw the digits that are served: uint8 (1000, 28, 28)."""
    return digits.draw(digits.labels(SERVED, "served"), "served")


@cache
def training() -> tuple[Any, list[int]]:
    """Draw the digits to fit to: uint8 (4000, 28, 28), and their labels."""
    labels = digits.labels(_TRAINED, "training")
    return digits.draw(labels, "training"), labels


# -- the Caffe LeNet


def lenet() -> bytes:
    """Make a LeNet of Arm's layout as a caffemodel; it takes grey values 0..255, as CaffeMnist-Armnn passes them."""
    import numpy as np

    from modelprep.formats.protos import load

    pictures, labels = training()
    pictures, labels = pictures[:_TRAINED_NETS], labels[:_TRAINED_NETS]
    conv1 = fit.integers((20, 1, 5, 5), 2, "lenet conv1")
    conv2 = fit.integers((50, 20, 5, 5), 1, "lenet conv2")
    ip1 = fit.integers((500, 800), 1, "lenet ip1")
    batches = []
    for start in range(0, len(pictures), 200):
        x = pictures[start : start + 200].astype(np.float64)[:, None]
        x = fit.max_pool(fit.conv(x, conv1), 2)
        x = fit.max_pool(fit.conv(x, conv2), 2)
        batches.append(np.maximum(fit.exact_matmul(x.reshape(len(x), -1), ip1.T), 0.0))
    weights, biases = fit.ridge(np.concatenate(batches), labels)
    # Powers of two bring the activations near 1 and change no digit of the weights.
    scale1, scale2, scale3 = 2.0**-11, 2.0**-5, 2.0**-3
    weights = weights / (scale1 * scale2 * scale3)
    blobs = {
        "conv1": (conv1 * scale1, np.zeros(20)),
        "conv2": (conv2 * scale2, np.zeros(50)),
        "ip1": (ip1 * scale3, np.zeros(500)),
        "ip2": (weights.T * _SHARPNESS, biases * _SHARPNESS),
    }
    net: Any = load("caffe", "modelprep.formats.caffe").message("NetParameter")()
    net.name = "LeNet"
    test_phase = 1

    def layer(name: str, type_: str, bottom: str, top: str = "") -> Any:
        added = net.layer.add(name=name, type=type_, phase=test_phase, top=[top or name])
        if bottom:
            added.bottom.append(bottom)
        for values in blobs.get(name, ()):
            blob = added.blobs.add()
            blob.shape.dim.extend(values.shape)
            blob.data.extend(values.astype(np.float32).reshape(-1).tolist())
        return added

    layer("data", "Input", "").input_param.shape.add().dim.extend([1, 1, 28, 28])
    below = "data"
    for number, outputs in (("1", 20), ("2", 50)):
        parameters = layer(f"conv{number}", "Convolution", below).convolution_param
        parameters.num_output = outputs
        parameters.kernel_size.append(5)
        parameters.stride.append(1)
        pooling = layer(f"pool{number}", "Pooling", f"conv{number}").pooling_param
        pooling.pool, pooling.kernel_size, pooling.stride = 0, 2, 2
        below = f"pool{number}"
    layer("ip1", "InnerProduct", below).inner_product_param.num_output = 500
    layer("relu1", "ReLU", "ip1", "ip1")
    layer("ip2", "InnerProduct", "ip1").inner_product_param.num_output = 10
    layer("prob", "Softmax", "ip2")
    return bytes(net.SerializeToString())


# -- the TensorFlow softmax regression


def softmax_regression() -> str:
    """Make the softmax regression as a text GraphDef; it takes 784 values 0..1, as TfMnist-Armnn passes them."""
    import numpy as np

    pictures, labels = training()
    flat = pictures.reshape(len(pictures), -1).astype(np.float64)
    weights, biases = fit.ridge(flat, labels, ridge=0.1, levels=255)
    return (
        graphdef.placeholder("Placeholder")
        + graphdef.constant("Variable", (weights * 255.0 * _SHARPNESS).astype(np.float32))
        + graphdef.constant("Variable_1", (biases * _SHARPNESS).astype(np.float32))
        + graphdef.node("MatMul", "MatMul", ["Placeholder", "Variable"], transpose_a=False, transpose_b=False)
        + graphdef.node("add", "Add", ["MatMul", "Variable_1"])
        + graphdef.node("Softmax", "Softmax", ["add"])
        + "library {\n}\n"
    )


# -- the ONNX net

_FLOAT, _INT64 = 1, 7


@cache
def _onnx_weights() -> tuple[Any, Any, Any, Any]:
    import numpy as np

    pictures, labels = training()
    kernels = fit.integers((8, 1, 5, 5), 2, "onnx Parameter5"), fit.integers((16, 8, 5, 5), 1, "onnx Parameter87")
    features = _onnx_features(pictures[:_TRAINED_NETS], *kernels)
    weights, biases = fit.ridge(features, labels[:_TRAINED_NETS])
    scale = 2.0**-5, 2.0**-6
    # The net is given 0..1, the fit was made on 0..255.
    weights = weights * 255.0 / (scale[0] * scale[1]) * _SHARPNESS
    shaped = weights.reshape(16, 4, 4, 10)
    return tuple(
        a.astype(np.float32) for a in (kernels[0] * scale[0], kernels[1] * scale[1], shaped, biases * _SHARPNESS)
    )


def _onnx_features(pictures: Any, first: Any, second: Any) -> Any:
    import numpy as np

    batches = []
    for start in range(0, len(pictures), 200):
        x = pictures[start : start + 200].astype(np.float64)[:, None]
        x = fit.max_pool(np.maximum(fit.conv(x, first, 2), 0.0), 2)
        x = fit.max_pool(np.maximum(fit.conv(x, second, 2), 0.0), 3)
        batches.append(x.reshape(len(x), -1))
    return np.concatenate(batches)


def onnx_message(name: str) -> Any:
    """Return the class of an ONNX message."""
    from modelprep.formats.protos import Schema

    return Schema("onnx", resources.files("demo").joinpath("onnx.tsv").read_text("utf-8")).message(name)


def onnx_model() -> bytes:
    """Make the ONNX zoo's MNIST network, opset 8, weights in `float_data` as there; it takes 0..1."""
    import numpy as np

    conv1, conv2, dense, bias = _onnx_weights()
    model = onnx_message("ModelProto")()
    model.ir_version, model.producer_name, model.producer_version = 3, "modelprep-demo", "1"
    model.opset_import.add(domain="", version=8)
    graph = model.graph
    graph.name = "CNTKGraph"

    def value(where: Any, name: str, type_: int, shape: tuple[int, ...]) -> None:
        tensor = where.add(name=name).type.tensor_type
        tensor.elem_type = type_
        for size in shape:
            tensor.shape.dim.add(dim_value=size)

    def weight(name: str, values: Any) -> None:
        integers = values.dtype == np.int64
        tensor = graph.initializer.add(name=name, data_type=_INT64 if integers else _FLOAT, dims=values.shape)
        (tensor.int64_data if integers else tensor.float_data).extend(values.reshape(-1).tolist())
        value(graph.input, name, tensor.data_type, values.shape)

    def node(op: str, name: str, inputs: list[str], output: str, **attributes: Any) -> None:
        added = graph.node.add(op_type=op, name=name, input=inputs, output=[output])
        for key, given in attributes.items():
            attribute = added.attribute.add(name=key)
            if isinstance(given, list):
                attribute.type = 7
                attribute.ints.extend(given)
            elif isinstance(given, str):
                attribute.type, attribute.s = 3, given.encode()
            else:
                attribute.type, attribute.i = 2, given

    def convolution(number: int, below: str, weights: str, plus: str, zeros: str, relu: str) -> None:
        node("Conv", f"Convolution{number}", [below, weights], f"Convolution{number}_Output_0", kernel_shape=[5, 5],
             strides=[1, 1], auto_pad="SAME_UPPER", group=1, dilations=[1, 1])  # fmt: skip
        node("Add", plus, [f"Convolution{number}_Output_0", zeros], f"{plus}_Output_0")
        node("Relu", relu, [f"{plus}_Output_0"], f"{relu}_Output_0")

    def pooling(number: int, below: str, size: int) -> None:
        node("MaxPool", f"Pooling{number}", [below], f"Pooling{number}_Output_0", kernel_shape=[size, size],
             strides=[size, size], pads=[0, 0, 0, 0], auto_pad="NOTSET")  # fmt: skip

    value(graph.input, "Input3", _FLOAT, (1, 1, 28, 28))
    weight("Parameter5", conv1)
    weight("Parameter6", np.zeros((8, 1, 1), np.float32))
    weight("Parameter87", conv2)
    weight("Parameter88", np.zeros((16, 1, 1), np.float32))
    weight("Pooling160_Output_0_reshape0_shape", np.array([1, 256], np.int64))
    weight("Parameter193", dense)
    weight("Parameter193_reshape1_shape", np.array([256, 10], np.int64))
    weight("Parameter194", bias.reshape(1, 10))
    node("Reshape", "Times212_reshape1", ["Parameter193", "Parameter193_reshape1_shape"], "Parameter193_reshape1")
    value(graph.value_info, "Parameter193_reshape1", _FLOAT, (256, 10))
    convolution(28, "Input3", "Parameter5", "Plus30", "Parameter6", "ReLU32")
    pooling(66, "ReLU32_Output_0", 2)
    convolution(110, "Pooling66_Output_0", "Parameter87", "Plus112", "Parameter88", "ReLU114")
    pooling(160, "ReLU114_Output_0", 3)
    node("Reshape", "Times212_reshape0", ["Pooling160_Output_0", "Pooling160_Output_0_reshape0_shape"],
         "Pooling160_Output_0_reshape0")  # fmt: skip
    node("MatMul", "Times212", ["Pooling160_Output_0_reshape0", "Parameter193_reshape1"], "Times212_Output_0")
    node("Add", "Plus214", ["Times212_Output_0", "Parameter194"], "Plus214_Output_0")
    value(graph.output, "Plus214_Output_0", _FLOAT, (1, 10))
    return bytes(model.SerializeToString())


def onnx_sample(picture: Any) -> tuple[bytes, bytes]:
    """Return a picture (values 0..1) and the scores it gets, as the TensorProtos that the zoo puts beside a model."""
    import numpy as np

    conv1, conv2, dense, bias = (weights.astype(np.float64) for weights in _onnx_weights())
    kernels = conv1 * 2.0**5, conv2 * 2.0**6  # back to integers, for which the sums are exact
    features = _onnx_features(picture[None], *kernels) * 2.0**-11 / 255.0
    scores = bias.copy()
    for feature, weights in zip(features[0], dense.reshape(256, 10), strict=True):
        scores += feature * weights  # one by one: the order of a matmul's sums is open
    return _tensor(picture.reshape(1, 1, 28, 28) / 255.0), _tensor(scores.reshape(1, 10))


def _tensor(values: Any) -> bytes:
    tensor = onnx_message("TensorProto")(dims=values.shape, data_type=_FLOAT, raw_data=values.astype("<f4").tobytes())
    return bytes(tensor.SerializeToString())
