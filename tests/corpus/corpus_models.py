"""Models made at random for the corpus command: ONNX graphs as exporters write them, TF Lite files, graphs, Caffe nets.

    python tests/corpus/corpus_models.py FOLDER --count 2000

The same seed gives the same model. onnx's own test models of single operators come with them, once each.
"""

from __future__ import annotations

import argparse
import random
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

for part in ("formats/tflite", "formats/caffe"):
    sys.path.append(str(Path(__file__).parents[1] / part))


def onnx_graph(seed: int) -> bytes:
    """Return a chain of layers with a head, of any opset, batch and way to write its sizes."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    dice, rng = random.Random(seed), np.random.default_rng(seed)
    opset = dice.choice([7, 8, 9, 10, 11, 12, 13, 14, 17, 18, 21])
    number = dice.choice([1, 2, 4, 8])
    batch: Any = dice.choice([number, number, "N"])
    channels, size = dice.choice([1, 3]), dice.choice([6, 8])
    nodes: list[Any] = []
    constants: dict[str, Any] = {}
    shape = [number, channels, size, size]
    value = "x"

    def add(operator: str, *more: str, **attributes: Any) -> str:
        result = f"v{len(nodes)}"
        name = f"node{len(nodes)}" if dice.random() < 0.7 else ""
        nodes.append(helper.make_node(operator, [value, *more], [result], name=name, **attributes))
        return result

    def constant(array: Any) -> str:
        name = f"c{len(constants) + len(nodes)}"
        while name in constants:
            name += "_"
        if dice.random() < 0.3:
            nodes.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array)))
        else:
            constants[name] = array
        return name

    def weights(*dims: int) -> str:
        return constant(rng.normal(size=dims).astype("f4"))

    def axes(operator: str, at: list[int], since: int, **more: Any) -> str:
        if opset < since:
            return add(operator, axes=at, **more)
        return add(operator, constant(np.array(at, "i8")), **more)

    for _ in range(dice.randint(1, 5)):
        kind = dice.choice(
            ["conv", "pool", "relu", "norm", "scale", "pad", "softmax", "slice", "split", "clip", "up", "lrn"]
        )
        if kind == "conv" and shape[2] >= 3:
            out = dice.choice([2, 4])
            value = add(
                "Conv", weights(out, shape[1], 3, 3), *([weights(out)] if dice.random() < 0.5 else []), pads=[1] * 4
            )
            shape[1] = out
        elif kind == "pool" and shape[2] >= 4 and shape[3] >= 4:
            value = add(dice.choice(["MaxPool", "AveragePool"]), kernel_shape=[2, 2], strides=[2, 2])
            shape[2:] = [shape[2] // 2, shape[3] // 2]
        elif kind == "relu":
            value = add(dice.choice(["Relu", "Sigmoid", "Tanh", "Identity", "LeakyRelu", "Elu"]))
        elif kind == "norm":
            dims = (shape[1],)
            moments = [weights(*dims), weights(*dims), weights(*dims), constant(rng.uniform(0.5, 2, dims).astype("f4"))]
            value = add("BatchNormalization", *moments)
        elif kind == "scale":
            dims = dice.choice([(1,), (shape[1], 1, 1), (1, shape[1], 1, 1)])
            value = add(dice.choice(["Add", "Mul", "Sub"]), weights(*dims))
        elif kind == "pad":
            pads = [0, 0, 1, 1, 0, 0, 1, 1]
            value = add("Pad", pads=pads) if opset < 11 else add("Pad", constant(np.array(pads, "i8")))
            shape[2:] = [shape[2] + 2, shape[3] + 2]
        elif kind == "softmax":
            value = add(
                dice.choice(["Softmax", "LogSoftmax"]), axis=dice.choice([1, 2, 3, *([-1] if opset >= 11 else [])])
            )
        elif kind == "slice" and shape[2] >= 4:
            starts, ends = [1], [shape[2]]
            if opset < 10:
                value = add("Slice", starts=starts, ends=ends, axes=[2])
            else:
                value = add("Slice", *(constant(np.array(each, "i8")) for each in (starts, ends, [2])))
            shape[2] -= 1
        elif kind == "split" and shape[2] % 2 == 0:
            nodes.append(helper.make_node("Split", [value], [f"s{len(nodes)}", f"t{len(nodes)}"], axis=2,
                                          **({"num_outputs": 2} if opset >= 18 else {})))  # fmt: skip
            value = nodes[-1].output[0]
            shape[2] //= 2
        elif kind == "clip":
            value = (
                add("Clip", min=-1.0, max=1.0)
                if opset < 11
                else add("Clip", *(constant(np.array(v, "f4")) for v in (-1, 1)))
            )
        elif kind == "up" and opset >= 9:
            scales = constant(np.array([1, 1, 2, 2], "f4"))
            if opset < 11:
                value = add("Upsample" if opset < 10 else "Resize", scales)
            else:
                roi = "" if opset >= 13 else constant(np.zeros(0, "f4"))
                mode = dice.choice(
                    [{"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, {"mode": "linear"}]
                )
                value = add("Resize", roi, scales, **mode)
            shape[2:] = [2 * shape[2], 2 * shape[3]]
        elif kind == "lrn":
            value = add("LRN", size=3)
    features = shape[1] * shape[2] * shape[3]
    head = dice.choice(["flatten", "reshape", "literal", "view", "mean", "transpose", "concat", "filled", "none"])
    result: list[Any] | None = [batch, features]
    if head == "flatten":
        value = add("Flatten")
    elif head == "reshape":
        value = add("Reshape", constant(np.array([dice.choice([0, -1]), features], "i8")))
    elif head == "literal":
        value = add("Reshape", constant(np.array([number if batch == number else -1, features], "i8")))
    elif head == "view":
        picture = value
        value = add("Shape")
        value = add("Gather", constant(np.array(0, "i8")), axis=0)
        value = axes("Unsqueeze", [0], 13)
        value = add("Concat", constant(np.array([-1], "i8")), axis=0)
        nodes[-1].name = "sizes"
        nodes.append(helper.make_node("Reshape", [picture, value], ["viewed"]))
        value = "viewed"
    elif head == "mean":
        value = axes("ReduceMean", [2, 3], 18, keepdims=0)
        features, result = shape[1], [batch, shape[1]]
    elif head == "transpose":
        value = add("Transpose", perm=[1, 0, 2, 3])
        value = add(
            "Reshape", constant(np.array([shape[1], number if batch == number else -1, shape[2] * shape[3]], "i8"))
        )
        value = add("Transpose", perm=[1, 0, 2])
        value = add("Flatten")
    elif head == "concat" and batch == number:
        value = add("Flatten")
        value = add("Concat", constant(np.repeat(rng.normal(size=(1, 2)).astype("f4"), number, 0)), axis=1)
        features, result = features + 2, [batch, features + 2]
    elif head == "filled" and batch == number and opset >= 9:
        value = add("Flatten")
        nodes.append(helper.make_node("ConstantOfShape", [constant(np.array([number, 3], "i8"))], ["filled"]))
        value = add("Concat", "filled", axis=1)
        features, result = features + 3, [batch, features + 3]
    else:
        head, result = "none", [batch, *shape[1:]]
    if head != "none" and dice.random() < 0.6:
        scaled = {"alpha": dice.choice([1.0, 0.5]), "beta": dice.choice([1.0, 2.0])} if dice.random() < 0.3 else {}
        transposed = dice.random() < 0.5
        matrix = weights(3, features) if transposed else weights(features, 3)
        value = add("Gemm", matrix, weights(3), transB=int(transposed), **scaled)
        result = [batch, 3]
        if dice.random() < 0.5:
            value = add("Softmax", axis=1)
    if dice.random() < 0.2:
        result = ["out_0", *result[1:]]
    ir = dice.choice([3, 4]) if opset < 10 else 10 if opset > 18 else 8
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, channels, size, size])]
    if ir == 3:
        inputs += [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in constants.items()
        ]
    graph = helper.make_graph(
        nodes, "made", inputs, [helper.make_tensor_value_info(value, TensorProto.FLOAT, result)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    data: bytes = model.SerializeToString()
    return data


def tensorflow_graph(seed: int) -> bytes:
    """Return a frozen graph of a few layers."""
    from modelprep.formats.tensorflow.messages import message

    dice = random.Random(seed)
    graph = message("GraphDef")()

    def node(name: str, operator: str, *inputs: str) -> Any:
        made = graph.node.add(name=name, op=operator, input=inputs)
        key = "dtype" if operator in ("Const", "Placeholder") else "T"
        made.attr[key].type = 1
        return made

    def constant(name: str, dims: list[int]) -> str:
        tensor = node(name, "Const").attr["value"].tensor
        tensor.dtype = 1
        count = 1
        for size in dims:
            tensor.tensor_shape.dim.add(size=size)
            count *= size
        tensor.float_val.extend(dice.uniform(-1, 1) for _ in range(count))
        return name

    width = dice.choice([2, 3, 5])
    given = node("input", "Placeholder")
    for size in (dice.choice([1, -1]), width):
        given.attr["shape"].shape.dim.add(size=size)
    last = "input"
    for index in range(dice.randint(1, 6)):
        name = f"scope/layer{index}"
        kind = dice.choice(
            [
                "MatMul",
                "Add",
                "AddV2",
                "Mul",
                "Sub",
                "Relu",
                "Relu6",
                "Tanh",
                "Sigmoid",
                "Identity",
                "BiasAdd",
                "Softmax",
            ]
        )
        if kind == "MatMul":
            out = dice.choice([2, 4])
            node(name, kind, last, constant(f"{name}/w", [width, out]))
            width = out
        elif kind in ("Add", "AddV2", "Mul", "Sub", "BiasAdd"):
            node(name, kind, last, constant(f"{name}/b", [width]))
        else:
            node(name, kind, last)
        last = name
    data: bytes = graph.SerializeToString(deterministic=True)
    return data


def tflite_file(seed: int) -> bytes:
    """Return a TF Lite file with parts left out."""
    from test_tflite_acceptance import generated

    return generated(seed)


def caffe_net(seed: int) -> bytes:
    """Return a prototxt over the whole schema."""
    from generated_nets import text

    return text(seed)


#: Suffix -> how a model is made, and its share of all.
MAKERS: dict[str, tuple[Callable[[int], bytes], float]] = {
    ".onnx": (onnx_graph, 0.55), ".pb": (tensorflow_graph, 0.15), ".tflite": (tflite_file, 0.15),
    ".prototxt": (caffe_net, 0.15),
}  # fmt: skip


def operators() -> dict[str, bytes]:
    """Return onnx's own test models of single operators, by name."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    return {case.name: case.model.SerializeToString() for case in cases if case.model is not None}


def write(folder: Path, count: int, *, first: int = 0, library: int = 0) -> int:
    """Write models into a folder; give how many. `library` of them are onnx's own."""
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for suffix, (make, share) in MAKERS.items():
        for seed in range(first, first + int(count * share)):
            (folder / f"{suffix[1:]}-{seed}{suffix}").write_bytes(make(seed))
            written += 1
    if library:
        known = sorted(operators().items())
        for name, data in random.Random(first).sample(known, min(library, len(known))):
            (folder / f"{name}.onnx").write_bytes(data)
            written += 1
    return written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--library", type=int, default=400, help="how many of onnx's own test models come with them")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    given = parser.parse_args()
    print(write(given.folder, given.count, first=given.first, library=given.library), "models")
