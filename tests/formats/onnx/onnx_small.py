"""Small ONNX models made with the onnx library, and what onnxruntime makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

onnx = pytest.importorskip("onnx", reason="the extra onnx makes the models of these tests")
np = pytest.importorskip("numpy")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def net(
    batch: int | str = 1,
    *,
    raw: bool = True,
    listed: bool = False,
    opset: int = 8,
    channels: int = 8,
    tail: str = "reshape",
) -> Any:
    """Return a network of operators that Arm NN 19.02 has: Conv, BatchNormalization, Relu, pooling, MatMul and Add.

    `tail` is what stands between the features and the MatMul: ``reshape`` (a constant INT64 shape that spells the batch
    out), ``flatten``, or ``dropout`` (Flatten, Dropout and an Identity at the end).
    """
    rng = np.random.default_rng(1)
    features = channels * 4 * 4
    arrays = {
        "w": rng.normal(size=(channels, 3, 3, 3)).astype("f4"),
        "b": rng.normal(size=channels).astype("f4"),
        "scale": rng.normal(size=channels).astype("f4"),
        "bias": rng.normal(size=channels).astype("f4"),
        "mean": rng.normal(size=channels).astype("f4"),
        "var": rng.uniform(0.5, 2, size=channels).astype("f4"),
        "fc": rng.normal(size=(features, 10)).astype("f4"),
        "fcb": rng.normal(size=(1, 10)).astype("f4"),
    }
    if tail == "reshape":
        arrays["shape"] = np.array([batch if isinstance(batch, int) else -1, features], "i8")
    constants = []
    for name, array in arrays.items():
        if raw:
            constants.append(numpy_helper.from_array(array, name))
        else:
            dtype = INT64 if array.dtype == np.int64 else FLOAT
            constants.append(helper.make_tensor(name, dtype, array.shape, array.ravel().tolist()))
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["conv"], name="conv", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("BatchNormalization", ["conv", "scale", "bias", "mean", "var"], ["norm"], name="norm"),
        helper.make_node("Relu", ["norm"], ["relu"], name="relu"),
        helper.make_node("MaxPool", ["relu"], ["pool"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
    ]
    if tail == "reshape":
        nodes.append(helper.make_node("Reshape", ["pool", "shape"], ["flat"], name="flat"))
    else:
        nodes.append(helper.make_node("Flatten", ["pool"], ["flat"], name="flat"))
    if tail == "dropout":
        nodes.append(helper.make_node("Dropout", ["flat"], ["dropped"], name="drop"))
    nodes.append(helper.make_node("MatMul", ["dropped" if tail == "dropout" else "flat", "fc"], ["mul"], name="mul"))
    last = "sum" if tail == "dropout" else "prob"
    nodes.append(helper.make_node("Add", ["mul", "fcb"], [last], name="add"))
    if tail == "dropout":
        nodes.append(helper.make_node("Identity", [last], ["prob"], name="end"))
    inputs = [helper.make_tensor_value_info("image", FLOAT, [batch, 3, 8, 8])]
    if listed:
        inputs += [helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in constants]
    graph = helper.make_graph(
        nodes, "small", inputs, [helper.make_tensor_value_info("prob", FLOAT, [batch, 10])], constants,
        value_info=[helper.make_tensor_value_info("conv", FLOAT, [batch, channels, 8, 8])],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=3 if listed else 7)


def save(model: Any, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def run(path: Path, feeds: dict[str, Any]) -> list[Any]:
    """Run a model with onnxruntime, without its optimiser, so that equal means equal."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is the oracle here")
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))


def with_weights_as_inputs(source: Path) -> Path:
    """Save a model again with its initializers among the inputs.

    onnxruntime packs constant weights beforehand and overridable ones not, which differs in the last bit. Models are
    compared on equal terms, then, and bit for bit.
    """
    model = onnx.load(str(source))
    listed = {value.name for value in model.graph.input}
    model.graph.input.extend(
        helper.make_tensor_value_info(t.name, t.data_type, list(t.dims))
        for t in model.graph.initializer
        if t.name not in listed
    )
    return save(model, source.with_name(f"listed-{source.name}"))


def image(batch: int = 1, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(batch, 3, 8, 8)).astype("f4")


def call(step: str, output: Path, **params: Any) -> Any:
    """Run a step with its defaults filled in."""
    from modelprep.steps import Call, find

    found = find(step)
    filled = {name: params.get(name, param.default) for name, param in found.params.items()}
    return found.run(Call(filled, output))
