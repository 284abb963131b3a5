"""ONNX and TF Lite models that were run in the real programs of Arm NN 19.02 (-c CpuRef): same status, same words.

Each case is a small network that the board passes, changed in one place; ANSWERS holds what the program did with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from detectors import Graph

from modelprep.check.lint import lint
from modelprep.check.lint.request import Asked
from modelprep.formats.onnx.model import messages as onnx_messages
from modelprep.targets.armnn_tests import of_version

np = pytest.importorskip("numpy", reason="the models are made with numpy")

ONNX, TFLITE = of_version()["OnnxMobileNet-Armnn"], of_version()["TfLiteMobilenetV2Quantized-Armnn"]
FLOAT, INT64, DOUBLE = 1, 7, 11

# -- ONNX: pool, reshape, matrix product with a bias ------------------------------------------------------------------


def value(into: Any, name: str, shape: tuple[int, ...], kind: int = FLOAT) -> Any:
    made = into.add(name=name)
    made.type.tensor_type.elem_type = kind
    for size in shape:
        made.type.tensor_type.shape.dim.add().dim_value = size
    return made


def onnx_base() -> Any:
    model = onnx_messages("ModelProto")()
    model.ir_version = 3
    model.opset_import.add(version=8)
    graph = model.graph
    value(graph.input, ONNX.input_name, ONNX.input_shape)
    value(graph.output, ONNX.outputs[0], (1, 1000))
    for name, shape, kind in (("shape", (2,), INT64), ("w", (3, 1000), FLOAT), ("b", (1, 1000), FLOAT)):
        tensor = graph.initializer.add(name=name, dims=shape, data_type=kind)
        value(graph.input, name, shape, kind)
        if kind == INT64:
            tensor.int64_data.extend((1, 3))
        else:
            tensor.float_data.extend([0.5] * int(np.prod(shape)))
    pool = graph.node.add(op_type="AveragePool", name="pool", input=[ONNX.input_name], output=["pooled"])
    for name, numbers in (("kernel_shape", [224, 224]), ("strides", [1, 1])):
        pool.attribute.add(name=name, type=7).ints.extend(numbers)
    graph.node.add(op_type="Reshape", name="flatten", input=["pooled", "shape"], output=["flat"])
    graph.node.add(op_type="MatMul", name="product", input=["flat", "w"], output=["sums"])
    graph.node.add(op_type="Add", name="bias", input=["sums", "b"], output=[ONNX.outputs[0]])
    return model


def onnx(change: Callable[[Any], Any]) -> bytes:
    model = onnx_base()
    change(model.graph)
    return bytes(model.SerializeToString())


def dims(info: Any) -> Any:
    return info.type.tensor_type.shape.dim


def swapped(graph: Any) -> None:
    nodes = [type(node).FromString(node.SerializeToString()) for node in graph.node]
    del graph.node[:]
    graph.node.extend([nodes[1], nodes[0], *nodes[2:]])


def whole_picture(graph: Any) -> None:
    graph.node[1].input[0] = ONNX.input_name
    graph.initializer[0].int64_data[1] = -1


def constant(graph: Any) -> None:
    tensor = graph.initializer[1]
    node = graph.node.add(op_type="Constant", name="weights", output=["w"])
    node.attribute.add(name="value", type=4).t.CopyFrom(tensor)
    del graph.initializer[1], graph.input[2]


def raw(graph: Any) -> None:
    tensor = graph.initializer[1]
    tensor.raw_data = np.array(tensor.float_data, "f4").tobytes()
    del tensor.float_data[:]


ONNX_CASES: Mapping[str, Callable[[Any], Any]] = {
    "as it is": lambda _: None,
    "another input name": lambda g: (setattr(g.input[0], "name", "x"), g.node[0].input.__setitem__(0, "x")),
    "another output name": lambda g: (setattr(g.output[0], "name", "y"), g.node[3].output.__setitem__(0, "y")),
    "output of 999": lambda g: setattr(dims(g.output[0])[1], "dim_value", 999),
    "value_info of another size": lambda g: value(g.value_info, "pooled", (1, 3, 2, 2)),
    "value_info of rank 5": lambda g: value(g.value_info, "pooled", (1, 3, 1, 1, 1)),
    "batch has a name": lambda g: setattr(dims(g.input[0])[0], "dim_param", "N"),
    "batch of 2": lambda g: setattr(dims(g.input[0])[0], "dim_value", 2),
    "a second output": lambda g: value(g.output, "flat", (1, 3)),
    "a second input": lambda g: (value(g.input, "x", (1, 3)), g.node.add(op_type="Relu", input=["x"], output=["r"])),
    "an input of doubles": lambda g: value(g.input, "x", (1,), DOUBLE),
    "no outputs": lambda g: g.ClearField("output"),
    "weights in raw_data": raw,
    "weights not among the inputs": lambda g: g.input.__delitem__(2),
    "weights from a Constant": constant,
    "one weight too few": lambda g: g.initializer[1].float_data.pop(),
    "a product with far too few weights": whole_picture,
    "nodes out of order": swapped,
    "an operation that is not known": lambda g: setattr(g.node[0], "op_type", "LpPool"),
    "another domain": lambda g: setattr(g.node[0], "domain", "com.example"),
    "a dead branch": lambda g: g.node.add(op_type="Relu", name="r", input=["flat"], output=["dead"]),
    "a dead branch that is not known": lambda g: g.node.add(op_type="Exp", name="e", input=["flat"], output=["dead"]),
    "an input that nothing makes": lambda g: g.node[1].input.__setitem__(0, "nothing"),
    "kernel_shape is missing": lambda g: g.node[0].attribute.__delitem__(0),
    "strides of another type": lambda g: setattr(g.node[0].attribute[1], "type", 1),
    "a stride of -1": lambda g: g.node[0].attribute[1].ints.__setitem__(0, -1),
    "a shape of two -1": lambda g: g.initializer[0].int64_data.__setitem__(slice(None), (-1, -1)),
    "a bias of two rows": lambda g: (setattr(dims(g.input[3])[0], "dim_value", 2),
                                     g.initializer[2].float_data.extend([0.0] * 1000)),
    "an Add of one input": lambda g: g.node[3].input.pop(),
    "nothing makes the output": lambda g: g.node.__delitem__(3),
    "an output made twice": lambda g: g.node.add().CopyFrom(g.node[3]),
}  # fmt: skip

# -- TF Lite: pool, dense layer, softmax ------------------------------------------------------------------------------


def tflite_base() -> Any:
    graph = Graph()
    schema = graph.schema
    picture = graph.tensor("input", (1, 224, 224, 3), dtype="UINT8", scale=1 / 128, zero_point=128)
    mean = graph.tensor("mean", (1, 1, 1, 3), dtype="UINT8", scale=1 / 128, zero_point=128)
    pool = schema.Pool2DOptionsT()
    pool.padding, pool.strideW, pool.strideH, pool.filterWidth, pool.filterHeight = 1, 1, 1, 224, 224
    graph.operator("AVERAGE_POOL_2D", [picture], [mean], pool)
    weights = graph.tensor("w", (1001, 3), np.full((1001, 3), 130, "u1"), dtype="UINT8", scale=0.01, zero_point=128)
    bias = graph.tensor("b", (1001,), np.zeros(1001, "i4"), dtype="INT32", scale=0.01 / 128)
    sums = graph.tensor("sums", (1, 1001), dtype="UINT8", scale=0.25)
    graph.operator("FULLY_CONNECTED", [mean, weights, bias], [sums], schema.FullyConnectedOptionsT())
    out = graph.tensor("output", (1, 1001), dtype="UINT8", scale=1 / 256)
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    graph.operator("SOFTMAX", [sums], [out], softmax)
    graph.graph.inputs, graph.graph.outputs = [picture], [out]
    return graph


def tflite(change: Callable[[Any], Any]) -> bytes:
    graph = tflite_base()
    change(graph)
    return bytes(graph.bytes())


def extra(name: str, code: int = 0) -> Callable[[Any], None]:
    def change(graph: Any) -> None:
        dead = graph.tensor("dead", (1, 1001), dtype="UINT8", scale=0.25)
        graph.operator(name, [5], [dead])
        if code:
            graph.model.operatorCodes[-1].builtinCode = graph.model.operatorCodes[-1].deprecatedBuiltinCode = code

    return change


def mean_over(*axes: int) -> Callable[[Any], None]:
    def change(graph: Any) -> None:
        operator = graph.graph.operators[0]
        places = graph.tensor("axes", (len(axes),), np.array(axes, "i4"), dtype="INT32")
        graph.operator("MEAN", [0, places], [1], graph.schema.ReducerOptionsT())
        operator.opcodeIndex, operator.inputs = len(graph.model.operatorCodes) - 1, [0, places]
        operator.builtinOptions, operator.builtinOptionsType = None, 0
        graph.graph.operators.pop()

    return change


def tensor(graph: Any, number: int) -> Any:
    return graph.graph.tensors[number]


def through(operator: str, rows: int = 4, wanted: int = 4, dtype: str = "UINT8") -> Callable[[Any], None]:
    """Put another operator between two poolings, the first of which makes `dtype`."""

    def change(g: Any) -> None:
        like, first = {"scale": 1 / 128, "zero_point": 128}, g.graph.operators[0]
        small = g.tensor("small", (1, rows, rows, 3), dtype=dtype, **like)
        between = g.tensor("between", (1, wanted, wanted, 3), dtype="UINT8", **like)
        mean, options = first.outputs[0], first.builtinOptions
        first.outputs = [small]
        options.strideW = options.strideH = options.filterWidth = options.filterHeight = 224 // rows
        size = [g.tensor("size", (2,), np.array([wanted] * 2, "i4"), dtype="INT32")] if "RESIZE" in operator else []
        g.operator(operator, [small, *size], [between], g.schema.ResizeBilinearOptionsT() if size else None)
        pool = g.schema.Pool2DOptionsT()
        pool.padding = g.schema.Padding.VALID
        pool.strideW = pool.strideH = pool.filterWidth = pool.filterHeight = wanted
        g.operator("AVERAGE_POOL_2D", [between], [mean], pool)
        operators = g.graph.operators
        g.graph.operators = [operators[0], *operators[-2:], *operators[1:-2]]

    return change


TFLITE_CASES: Mapping[str, Callable[[Any], Any]] = {
    "as it is": lambda _: None,
    "another output name": lambda g: setattr(tensor(g, 5), "name", "Softmax"),
    "two outputs": lambda g: g.graph.outputs.append(4),
    "the same output twice": lambda g: g.graph.outputs.append(5),
    "output of rank 1": lambda g: setattr(tensor(g, 5), "shape", [1001]),
    "output of rank 0": lambda g: setattr(tensor(g, 5), "shape", []),
    "a dimension of -1": lambda g: setattr(tensor(g, 1), "shape", [-1, 1, 1, 3]),
    "five dimensions": lambda g: setattr(tensor(g, 1), "shape", [1, 1, 1, 1, 3]),
    "the mean is 2x2": lambda g: setattr(tensor(g, 1), "shape", [1, 2, 2, 3]),
    "an input without a scale": lambda g: setattr(tensor(g, 0), "quantization", None),
    "two scales": lambda g: tensor(g, 2).quantization.scale.append(0.5),
    "int8": lambda g: setattr(tensor(g, 1), "type", g.schema.TensorType.INT8),
    "a bias of another scale": lambda g: setattr(tensor(g, 3).quantization, "scale", [0.5]),
    "sums of too fine a scale": lambda g: setattr(tensor(g, 4).quantization, "scale", [1e-6]),
    "weights cut short": lambda g: setattr(g.model.buffers[tensor(g, 2).buffer], "data", np.zeros(9, "u1")),
    "weights of rank 3": lambda g: setattr(tensor(g, 2), "shape", [1, 1001, 3]),
    "pool without options": lambda g: (setattr(g.graph.operators[0], "builtinOptions", None),
                                       setattr(g.graph.operators[0], "builtinOptionsType", 0)),
    "a stride of -1": lambda g: setattr(g.graph.operators[0].builtinOptions, "strideW", -1),
    "an activation that is not known": lambda g: setattr(
        g.graph.operators[1].builtinOptions, "fusedActivationFunction", 2
    ),
    "no bias": lambda g: setattr(g.graph.operators[1], "inputs", [1, 2]),
    "an input left out": lambda g: setattr(g.graph.operators[1], "inputs", [1, 2, -1]),
    "softmax of two": lambda g: setattr(g.graph.operators[2], "inputs", [4, 4]),
    "operators out of order": lambda g: g.graph.operators.reverse(),
    "a dead operator": extra("RELU"),
    "a dead operator that is not known": extra("RELU", 28),
    "a dead operator newer than the schema": extra("RELU", 118),
    "a tensor made twice": lambda g: g.operator("RELU", [4], [5]),
    "a second input": lambda g: (g.tensor("x", (1, 4), dtype="UINT8", scale=0.1), g.graph.inputs.append(6)),
    "mean over 1 and 2": mean_over(1, 2),
    "mean over -3 and -2": mean_over(-3, -2),
    "mean over one axis": mean_over(1),
    "bytes resized to fewer rows": through("RESIZE_BILINEAR", 8, 4),
    "bytes resized to more rows": through("RESIZE_BILINEAR", 4, 8),
    "float throughout": lambda g: [
        (setattr(one, "type", g.schema.TensorType.FLOAT32), setattr(one, "quantization", None))
        for place, one in enumerate(g.graph.tensors) if place in (0, 1, 4, 5)
    ],
}  # fmt: skip

#: What the programs did: exit status, and how the line begins that tells why (none for a crash). 0: it loads and runs.
ANSWERS: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "onnx": {
        "as it is": (0, ""),
        "another input name": (1, "The input layer 'data' does not exist"),
        "another output name": (1, "The output layer 'mobilenetv20_output_flatten0_reshape0' doe"),
        "output of 999": (1, "FullyConnectedLayer: TensorShape set on OutputSlot[0] does n"),
        "value_info of another size": (1, "Pooling2dLayer: TensorShape set on OutputSlot[0] does not ma"),
        "value_info of rank 5": (1, "Tensor numDimensions must be less than or equal to MaxNumOfT"),
        "batch has a name": (1, "An error occurred when preparing the network workloads:  Res"),
        "batch of 2": (1, "An error occurred when preparing the network workloads:  Res"),
        "a second output": (1, "No tensor supplied for output 1"),
        "a second input": (0, ""),
        "an input of doubles": (1, "'DOUBLE' is not a currently supported datatype for tensor x."),
        "no outputs": (1, "The given model does not have any outputs"),
        "weights in raw_data": (1, "The number of data provided (0) does not match the tensor 'w"),
        "weights not among the inputs": (139, ""),
        "weights from a Constant": (1, "One of the input tensors ('flat' or 'w') should be constant"),
        "one weight too few": (1, "The number of data provided (2999) does not match the tensor"),
        "a product with far too few weights": (139, ""),
        "nodes out of order": (139, ""),
        "an operation that is not known": (1, "Unsupported operation LpPool for node 'pool'"),
        "another domain": (0, ""),
        "a dead branch": (0, ""),
        "a dead branch that is not known": (1, "Unsupported operation Exp for node 'e'"),
        "an input that nothing makes": (139, ""),
        "kernel_shape is missing": (1, "Could not find required attribute kernel_shape in node pool"),
        "strides of another type": (1, "Attribute strides of node pool expected to have INTS as onnx"),
        "a stride of -1": (1, "'CHECKED_INT32(attrValue.ints().Get(attriNum))' must be non-"),
        "a shape of two -1": (1, "Error during creation of reshaped tensor 'flat'. At most one"),
        "a bias of two rows": (1, "Only tensors with shape [1, ..., 1, X] can be converted to 1"),
        "an Add of one input": (1, "WARNING: OnnxMobileNet-Armnn: An error has occurred when run"),
        "nothing makes the output": (1, "OutputLayer: Input slot must be connected."),
        "an output made twice": (1, "WARNING: OnnxMobileNet-Armnn: An error has occurred when run"),
    },
    "tflite": {
        "as it is": (0, ""),
        "another output name": (1, "No output binding found for subgraph:0 and name:output. Poss"),
        "two outputs": (1, "No tensor supplied for output 1024"),
        "the same output twice": (139, ""),
        "output of rank 1": (1, "SoftmaxLayer: TensorShape set on OutputSlot[0] does not matc"),
        "output of rank 0": (1, "Tensor numDimensions must be greater than 0"),
        "a dimension of -1": (1, "Failed to parse operator #0 within subgraph #0 error: 'i' mu"),
        "five dimensions": (1, "Tensor numDimensions must be less than or equal to MaxNumOfT"),
        "the mean is 2x2": (1, "Pooling2dLayer: TensorShape set on OutputSlot[0] does not ma"),
        "an input without a scale": (1, "ERROR: output 0 of layer Input (input) is of type Quantized"),
        "two scales": (1, "Failed to parse operator #1 within subgraph #0 error: tensor"),
        "int8": (1, "Failed to parse operator #0 within subgraph #0 error: Unsupp"),
        "a bias of another scale": (1, "An error occurred when preparing the network workloads:  Ful"),
        "sums of too fine a scale": (1, "An error occurred when preparing the network workloads:  Ful"),
        "weights cut short": (1, "Failed to parse operator #1 within subgraph #0 error: Buffer"),
        "weights of rank 3": (1, "Failed to parse operator #1 within subgraph #0 error: Dimens"),
        "pool without options": (139, ""),
        "a stride of -1": (1, "Failed to parse operator #0 within subgraph #0 error: 'optio"),
        "an activation that is not known": (1, "Failed to parse operator #1 within subgraph #0 error: TfLite"),
        "no bias": (0, ""),
        "an input left out": (1, "Failed to parse operator #1 within subgraph #0 error: 'opera"),
        "softmax of two": (1, "Failed to parse operator #2 within subgraph #0 error: inputs"),
        "operators out of order": (0, ""),
        "a dead operator": (0, ""),
        "a dead operator that is not known": (1, "Failed to parse operator #3 within subgraph #0 error: Operat"),
        "a dead operator newer than the schema": (1, "Failed to parse operator #3 within subgraph #0 error: Operat"),
        "a tensor made twice": (1, "Failed to parse operator #3 within subgraph #0 error: Anothe"),
        "a second input": (0, ""),
        "mean over 1 and 2": (0, ""),
        "mean over -3 and -2": (1, "MeanLayer: TensorShape set on OutputSlot[0] does not match t"),
        "mean over one axis": (1, "MeanLayer: TensorShape set on OutputSlot[0] does not match t"),
        "bytes resized to fewer rows": (139, ""),
        "bytes resized to more rows": (0, ""),
        "float throughout": (1, "An error occurred when preparing the network workloads:  Ful"),
    },
}


def answer(path: Path, parser: Any, test: Any) -> tuple[int, str]:
    """Return what ends the program before it judges a class; 0 where nothing does."""
    for finding in lint(path, parser, Asked.by_test(test)):
        if finding.status is not None:
            return finding.status, finding.message.splitlines()[0] if finding.message else ""
    return 0, ""


@pytest.mark.parametrize("name", ONNX_CASES)
def test_onnx_models_end_as_they_did_on_the_board(name: str, tmp_path: Path) -> None:
    path = tmp_path / ONNX.model
    path.write_bytes(onnx(ONNX_CASES[name]))
    status, said = answer(path, "onnx", ONNX)
    assert (status, said[:60].rstrip()) == ANSWERS["onnx"][name]


@pytest.mark.parametrize("name", TFLITE_CASES)
def test_tflite_models_end_as_they_did_on_the_board(name: str, tmp_path: Path) -> None:
    path = tmp_path / TFLITE.model
    path.write_bytes(tflite(TFLITE_CASES[name]))
    status, said = answer(path, "tflite", TFLITE)
    assert (status, said[:60].rstrip()) == ANSWERS["tflite"][name]


def test_the_network_that_arm_nn_makes_computes_what_the_runtimes_compute(tmp_path: Path) -> None:
    from modelprep.check.runtimes import isolated, reference

    pytest.importorskip("onnxruntime", reason="compared with onnxruntime")
    rng = np.random.default_rng(1)
    path = tmp_path / "net.onnx"
    path.write_bytes(
        onnx(lambda g: g.initializer[1].float_data.__setitem__(slice(None), rng.normal(size=3000).tolist()))
    )
    picture = rng.normal(size=ONNX.input_shape).astype("f4")
    theirs = isolated.ready(path, "onnx", ONNX.input_name, ONNX.input_shape, ONNX.outputs).run(picture)[0]
    ours = reference.ready(path, "onnx", ONNX.input_name, ONNX.outputs, "19.02").run(picture)[0]
    assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_floats_written_into_bytes_end_the_program_by_a_signal(tmp_path: Path) -> None:
    # It writes behind its memory; of two such models the real program ended one with 134 and one with 139.
    path = tmp_path / TFLITE.model
    path.write_bytes(tflite(through("RELU", dtype="FLOAT32")))
    status, said = answer(path, "tflite", TFLITE)
    assert (status, said) == (139, "")


def test_19_02_resizes_bytes_as_if_the_rows_were_planes_and_20_08_does_not(tmp_path: Path) -> None:
    from modelprep.targets.armnn import compute, files, optimizer

    path = tmp_path / "net.tflite"
    g = Graph()
    like = {"dtype": "UINT8", "scale": 0.5, "zero_point": 10}
    given, made = g.tensor("in", (1, 2, 2, 3), **like), g.tensor("out", (1, 4, 4, 3), **like)
    size = g.tensor("size", (2,), np.array([4, 4], "i4"), dtype="INT32")
    g.operator("RESIZE_BILINEAR", [given, size], [made], g.schema.ResizeBilinearOptionsT())
    g.graph.inputs, g.graph.outputs = [given], [made]
    path.write_bytes(g.bytes())
    pixels = np.arange(12, dtype="u1").reshape(1, 2, 2, 3) * 20

    def answer(version: str) -> Any:
        network, stops = files.tflite_network(path, version)
        assert not stops
        optimizer.optimize(network)
        return compute.run(network, {network.inputs["in"][0]: pixels})[network.outputs["out"][0]]

    # Along a row each second pixel lies between two; the last has none beyond it.
    across = np.stack([pixels[:, :, 0], (pixels[:, :, 0] // 2 + pixels[:, :, 1] // 2), *[pixels[:, :, 1]] * 2], 2)
    # Two rows are resized, and nothing is written to the other two: they are 0, which is the byte 10.
    assert (answer("19.02") == np.concatenate([across, np.full((1, 2, 4, 3), 10)], 1)).all()
    down = np.stack([across[:, 0], across[:, 0] // 2 + across[:, 1] // 2, *[across[:, 1]] * 2], 1)
    assert (answer("20.08") == down).all()
