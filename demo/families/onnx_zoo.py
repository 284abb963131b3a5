"""Models of the ONNX zoo with their test sets, small: a mean over the picture and one score a class."""

from __future__ import annotations

from typing import Any

from demo import containers
from demo.families import Made
from demo.families.mnist import onnx_message

_FLOAT, _INT64 = 1, 7
_CLASSES = 1000


def make() -> list[Made]:
    """Make MobileNet v2 and SqueezeNet."""
    output = "mobilenetv20_output_flatten0_reshape0"
    mobilenet = model("data", 224, output, (1, _CLASSES), opset=7)
    beside = _sets("mobilenetv2-1.0", 3, 224, (1, _CLASSES))
    tgz = containers.tar_gz({"mobilenetv2-1.0/mobilenetv2-1.0.onnx": mobilenet, **beside})
    # The original takes 224 x 224; its twelve test sets would make up most of the stand-in.
    squeezenet = model("data_0", 32, "softmaxout_1", (1, _CLASSES, 1, 1), opset=8)
    sets = _sets("squeezenet", 12, 32, (1, _CLASSES, 1, 1))
    return [
        Made("onnx-mobilenet-v2", mobilenet, beside=beside),
        Made("onnx-mobilenet-v2-tgz", tgz),
        Made("onnx-squeezenet-tgz", containers.tar_gz({"squeezenet/model.onnx": squeezenet, **sets})),
    ]


def _weights() -> Any:
    import numpy as np

    # Sixteenths: sums of a few of them are exact in any order.
    return ((np.arange(3 * _CLASSES) * 7 % 61 - 30) / 16).astype(np.float32).reshape(3, _CLASSES)


def model(given: str, side: int, answer: str, shape: tuple[int, ...], *, opset: int) -> bytes:
    """Write a model: GlobalAveragePool, Reshape, MatMul, Reshape."""
    made = onnx_message("ModelProto")()
    made.ir_version, made.producer_name, made.producer_version = 3, "modelprep-demo", "1"
    made.opset_import.add(domain="", version=opset)
    graph = made.graph
    graph.name = "stand-in"

    def value(where: Any, name: str, type_: int, dims: tuple[int, ...]) -> None:
        tensor = where.add(name=name).type.tensor_type
        tensor.elem_type = type_
        for size in dims:
            tensor.shape.dim.add(dim_value=size)

    def integers(name: str, values: tuple[int, ...]) -> None:
        graph.initializer.add(name=name, data_type=_INT64, dims=[len(values)]).int64_data.extend(values)
        value(graph.input, name, _INT64, (len(values),))

    value(graph.input, given, _FLOAT, (1, 3, side, side))
    weights = _weights()
    graph.initializer.add(name="weights", data_type=_FLOAT, dims=weights.shape).float_data.extend(
        weights.reshape(-1).tolist()
    )
    value(graph.input, "weights", _FLOAT, weights.shape)
    integers("flat_shape", (1, 3))
    integers("answer_shape", shape)
    nodes = (
        ("GlobalAveragePool", [given], "pooled"),
        ("Reshape", ["pooled", "flat_shape"], "flat"),
        ("MatMul", ["flat", "weights"], "scores"),
        ("Reshape", ["scores", "answer_shape"], answer),
    )
    for op, inputs, output in nodes:
        graph.node.add(op_type=op, name=f"{output}_node", input=inputs, output=[output])
    value(graph.output, answer, _FLOAT, shape)
    return bytes(made.SerializeToString())


def _sets(folder: str, count: int, side: int, shape: tuple[int, ...]) -> dict[str, bytes]:
    """Make test sets: pictures of one colour, whose mean is exact, and the scores they get."""
    import numpy as np

    found = {}
    for number in range(count):
        colour = np.array([number, number + 1, 2 * number + 1], np.float32) / 16
        picture = np.broadcast_to(colour[None, :, None, None], (1, 3, side, side))
        scores = (colour[:, None] * _weights()).sum(axis=0)
        for kind, values in (("input", picture), ("output", scores.reshape(shape))):
            tensor = onnx_message("TensorProto")(
                dims=values.shape, data_type=_FLOAT, raw_data=values.astype("<f4").tobytes()
            )
            found[f"{folder}/test_data_set_{number}/{kind}_0.pb"] = bytes(tensor.SerializeToString())
    return found
