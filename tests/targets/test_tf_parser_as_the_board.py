"""What the real TfMobileNet-Armnn and TfMnist-Armnn of Arm NN 19.02 (x86-64, CpuRef) did with these graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from google.protobuf import text_format

from modelprep.formats.tensorflow.messages import message
from modelprep.targets.armnn.program import Binding, walk


def n(name: str, op: str, inputs: Sequence[str] = (), **attrs: str) -> str:
    given = ({"T": "type: DT_FLOAT"} | attrs) if op not in ("Const", "Placeholder") else attrs
    taken = "".join(f' input: "{source}"' for source in inputs)
    values = "".join(f' attr {{ key: "{key}" value {{ {value} }} }}' for key, value in given.items() if value)
    return f'node {{ name: "{name}" op: "{op}"{taken}{values} }}\n'


def const(name: str, dtype: str, shape: Sequence[int], values: str) -> str:
    sizes = "".join(f" dim {{ size: {size} }}" for size in shape)
    value = f"tensor {{ dtype: {dtype} tensor_shape {{{sizes} }} {values} }}"
    return n(name, "Const", dtype=f"type: {dtype}", value=value)


def real(name: str, shape: Sequence[int]) -> str:
    return const(name, "DT_FLOAT", shape, "float_val: 0.5")


def whole(name: str, *values: int, shape: Sequence[int] | None = None) -> str:
    listed = " ".join(f"int_val: {value}" for value in values)
    return const(name, "DT_INT32", [len(values)] if shape is None else shape, listed)


INPUT = n("input", "Placeholder", dtype="type: DT_FLOAT")
KEEP = {"keep_dims": "b: true"}
POOL = whole("ax", 1, 2) + n("pool", "Mean", ["input", "ax"], **KEEP)  # [1, 1, 1, 3]
FLAT = POOL + whole("s2", 1, 3) + n("p2", "Reshape", ["pool", "s2"])
WINDOW = {"strides": "list { i: 1 i: 2 i: 2 i: 1 }", "padding": 's: "SAME"', "data_format": 's: "NHWC"'}
POOLING = {**WINDOW, "ksize": "list { i: 1 i: 3 i: 3 i: 1 }"}
CONV = real("k", [3, 3, 3, 4]) + n("cv", "Conv2D", ["input", "k"], **WINDOW)  # [1, 112, 112, 4]
NORM = {"data_format": 's: "NHWC"', "epsilon": "f: 0.01", "is_training": "b: true"}
MISMATCH = "TensorShape set on OutputSlot[0] does not match the inferred shape. : "


def conv(**attrs: str) -> str:
    return real("k", [3, 3, 3, 4]) + n("x", "Conv2D", ["input", "k"], **{**WINDOW, **attrs})


def split(axis: int, count: int, used: str) -> str:
    return CONV + whole("d", axis, shape=[]) + n("sp", "Split", ["d", "cv"], num_split=f"i: {count}") + used


BOTH, FIRST = n("x", "Add", ["sp", "sp:1"]), n("x", "Relu", ["sp"])

#: Nodes up to `x` -> exit status, part of the message.
BOARD: Mapping[str, tuple[str, int, str]] = {
    "an activation": (POOL + n("x", "Relu", ["pool"]), 0, ""),
    # -- what the parser ignores, and what it does not come to
    "nodes that the output does not need": (POOL + n("z", "Frobnicate", ["nowhere"]) + n("x", "Relu", ["pool"]), 0, ""),
    "a control input": (POOL + n("no", "NoOp") + n("x", "Relu", ["pool", "^no", "^nowhere"]), 0, ""),
    "two nodes of one name": (POOL + n("x", "Frobnicate", ["pool"]) + n("x", "Relu", ["pool"]), 0, ""),
    "training": (POOL + "".join(real(c, [3]) for c in "abcd")
                 + n("x", "FusedBatchNorm", ["pool", *"abcd"], **NORM), 0, ""),
    "a Mul that only a Maximum takes": (
        POOL + const("a", "DT_FLOAT", [], "float_val: 0.2") + n("m", "Mul", ["pool", "a"])
        + n("x", "Maximum", ["m", "pool"]), 0, ""),
    "an output number of Identity is lost": (
        split(3, 2, n("i", "Identity", ["sp:1"]) + n("x", "Add", ["sp", "i"])), 139, ""),
    # -- Mean
    "Mean without keep_dims": (whole("ax", 1, 2) + n("x", "Mean", ["input", "ax"], keep_dims="b: false"), 1,
                               f"MeanLayer: {MISMATCH}[3] != [1,3]"),
    "Mean over negative axes": (whole("ax", -2, -3) + n("x", "Mean", ["input", "ax"], **KEEP), 0, ""),
    "Mean over an axis below the lowest": (whole("ax", -5) + n("x", "Mean", ["input", "ax"], **KEEP), 1,
                                           "Invalid dimension index: 4294967295 (number of dimensions is 4)"),
    "Mean with nothing said of keep_dims": (whole("ax", 1) + n("x", "Mean", ["input", "ax"]), 1,
                                            "Could not find required attribute keep_dims in node x"),
    # -- two operands
    "a product of four dimensions and two": (POOL + real("c", [1, 3]) + n("x", "Mul", ["pool", "c"]), 1,
                                             "ReshapeQueueDescriptor: Input tensor has 3 but output tensor has 1 elements."),  # noqa: E501
    "a sum of four dimensions and two": (POOL + real("c", [1, 3]) + n("x", "Add", ["pool", "c"]), 1,
                                         "Invalid dimension index: 2 (number of dimensions is 2)"),
    "the smaller of four dimensions and two": (POOL + real("c", [1, 3]) + n("x", "Minimum", ["pool", "c"]), 1,
                                               "Unsupported broadcast configuration for Minimum operation x"),
    "four channels on three": (POOL + real("c", [4]) + n("x", "Sub", ["pool", "c"]), 1,
                               f"SubtractionLayer: {MISMATCH}[1,1,1,3] != [1,1,1,4]"),
    "a bias of two dimensions": (
        POOL + real("c", [1, 3]) + n("x", "BiasAdd", ["pool", "c"], data_format='s: "NHWC"'), 1,
        "Unsupported bias for BiasAdd. It should be a 1D vector. Got 2 dimensions for input c. Node x"),
    "a bias without a layout": (POOL + real("c", [3]) + n("x", "BiasAdd", ["pool", "c"]), 1,
                                "Could not find required attribute data_format in node x"),
    "a comparison, gone on with": (POOL + real("c", [3]) + n("g", "Greater", ["pool", "c"]) + n("x", "Relu", ["g"]), 1,
                                   "Optimize returned nullptr"),
    # -- matrices
    "a transposed matrix": (
        FLAT + real("w", [3, 11]) + n("x", "MatMul", ["p2", "w"], transpose_b="b: true"), 0, ""),
    "a product of two tensors": (FLAT + n("x", "MatMul", ["p2", "p2"]), 1,
                                 "ArmNN only supports fully connected layers with constant weights. Inputs p2 and p2."),
    "a bias of another length": (
        FLAT + real("w", [3, 11]) + n("m", "MatMul", ["p2", "w"]) + real("b", [10]) + n("x", "Add", ["m", "b"]), 1,
        "Shape of matmul weights and bias do not match. AddNode x. MatMulNode m"),
    # -- windows
    "a window without a layout": (n("x", "MaxPool", ["input"], **{**POOLING, "data_format": ""}), 1,
                                  "Could not find required attribute data_format in node x"),
    "an unknown layout": (conv(data_format='s: "NCDHW"'), 1,
                          "Unsupported data format NCDHW passed for Conv2D node x. Only NHWC and NCHW supported"),
    "an unknown padding": (conv(padding='s: "EXPLICIT"'), 1, "Only 'SAME' and 'VALID' padding supported. Got EXPLICIT"),
    "strides of another kind": (conv(strides="i: 2"), 1,
                                "Attribute strides of node x expected to have 1 as tensorflow::AttrValue::ValueCase, but "  # noqa: E501
                                "found 3 instead"),
    "no strides": (conv(strides="list { }"), 139, ""),
    "a stride of 0": (conv(strides="list { i: 1 i: 0 i: 0 i: 1 }"), 136, ""),
    "dilation": (conv(dilations="list { i: 1 i: 2 i: 2 i: 1 }"), 1,
                 "ArmNN only supports Convolution layers with dilations [1,1,1,1] for x"),
    "a layout that the input does not have": (
        real("k", [3, 3, 3, 4]) + n("x", "Conv2D", ["input", "k"], **{**WINDOW, "data_format": 's: "NCHW"'}), 0, ""),
    "windows beyond the edge": (
        n("x", "MaxPool", ["input"], **{**POOLING, "ksize": "list { i: 1 i: 1 i: 1 i: 1 }",
                                        "strides": "list { i: 1 i: 3 i: 3 i: 1 }"}), 0, ""),
    # -- moving elements
    "a shape of other size": (POOL + whole("s", 1, 4) + n("x", "Reshape", ["pool", "s"]), 1,
                              "ReshapeQueueDescriptor: Input tensor has 3 but output tensor has 4 elements."),
    "a wrong shape that another Reshape follows": (
        POOL + whole("s", 7) + whole("t", 1, 3) + n("y", "Reshape", ["pool", "s"]) + n("x", "Reshape", ["y", "t"]), 0, ""),  # noqa: E501
    "two open sizes": (POOL + whole("s", -1, -1) + n("x", "Reshape", ["pool", "s"]), 1,
                       "At most one component of shape can be -1"),
    "an open size beside 0": (POOL + whole("s", 0, -1) + n("x", "Reshape", ["pool", "s"]), 136, ""),
    "a shape of five": (POOL + whole("s", 1, 1, 1, 1, 3) + n("x", "Reshape", ["pool", "s"]), 1,
                        "Tensor numDimensions must be less than or equal to MaxNumOfTensorDimensions"),
    "ExpandDims": (FLAT + whole("d", 1, shape=[]) + n("x", "ExpandDims", ["p2", "d"]), 1,
                   "Unexpected number of inputs for node x. Expected 1, found 2"),
    "joined along a negative axis": (
        POOL + whole("d", -1, shape=[]) + n("x", "ConcatV2", ["pool", "pool", "d"], N="i: 2"), 1,
        "Invalid dimension index: 4294967295 (number of dimensions is 4)"),
    "joined along the height": (
        POOL + whole("d", 2, shape=[]) + n("x", "ConcatV2", ["pool", "pool", "d"], N="i: 2"), 1,
        "Dimension 2 for concatenation is not supported by Armnn. Node x"),
    "split in two": (split(3, 2, BOTH), 0, ""),
    "split, one half used": (split(3, 2, FIRST), 139, ""),
    "split along a negative axis": (split(-1, 2, BOTH), 139, ""),
    "split unevenly": (split(3, 3, BOTH), 1, "Number of splits must evenly divide the dimension"),
    "split in none": (split(3, 0, FIRST), 136, ""),
    "negative padding": (whole("p", 0, 0, -1, 1, 1, 1, 0, 0, shape=[4, 2]) + n("x", "Pad", ["input", "p"]), 1,
                         "boost::bad_format_string: format-string is ill-formed"),
    "a size that lies open": (POOL + n("x", "ResizeBilinear", ["input", "pool"]), 1,
                              "ArmNN only supports ResizeBilinear layers with constant sizes. Input pool. Node x"),
    # -- constants
    "a constant of one value": (POOL + const("c", "DT_FLOAT", [3], "float_val: 1") + n("x", "Add", ["pool", "c"]), 0, ""),  # noqa: E501
    "a constant without values": (POOL + const("c", "DT_FLOAT", [3], "") + n("x", "Add", ["pool", "c"]), 1,
                                  "No tensor data found for Const node - c"),
    "a constant of 64 bits": (POOL + const("c", "DT_INT64", [3], "int64_val: 1") + n("x", "Add", ["pool", "c"]), 1,
                              "Unknown DataType DT_INT64 for node c"),
    "too many values": (
        POOL + const("c", "DT_FLOAT", [1], "float_val: 1 float_val: 2") + n("x", "Add", ["pool", "c"]), 1,
        "Number of elements (2) should be less than or equal to the number of elements implied by the shape argument (1)"),  # noqa: E501
    # -- order and names
    "two faults, the first operand's first": (
        POOL + n("e1", "Frobnicate", ["pool"]) + n("e2", "Relu", ["pool"], T="type: DT_HALF") + n("x", "Add", ["e2", "e1"]),  # noqa: E501
        1, "Got DT_HALF for Node e2"),
    "two faults, the other way round": (
        POOL + n("e1", "Frobnicate", ["pool"]) + n("e2", "Relu", ["pool"], T="type: DT_HALF") + n("x", "Add", ["e1", "e2"]),  # noqa: E501
        1, "Unsupported operation Frobnicate in tensorflow::GraphDef"),
    "a second placeholder": (POOL + n("p", "Placeholder", dtype="type: DT_FLOAT") + n("x", "Add", ["pool", "p"]), 1,
                             "Missing input shape for Placeholder 'p'"),
    "an input that is not there": (n("x", "Relu", ["nowhere"]), 1,
                                   "Can't find node 'nowhere', which is listed as an input of 'x'"),
    "a ring": (POOL + n("y", "Add", ["x", "pool"]) + n("x", "Relu", ["y"]), 1, "Cycle detected in graph"),
    "an output number that is none": (POOL + n("x", "Relu", ["pool:a"]), 1, "stoi"),
    "an output number too high": (POOL + n("x", "Relu", ["pool:101"]), 1, "Output tensor id is out of range for pool:101"),  # noqa: E501
    "an output that the node has not": (POOL + n("x", "Relu", ["pool:1"]), 1,
                                        "The requested output slot #1 for pool does not exist"),
    "Assert": (POOL + n("as", "Assert", ["pool"]) + n("x", "Relu", ["as"]), 1, "Node with name 'as' has not been parsed"),  # noqa: E501
    "a variable": (POOL + n("v", "VariableV2") + n("x", "Add", ["pool", "v"]), 1,
                   "Unsupported operation VariableV2 in tensorflow::GraphDef"),
}  # fmt: skip


def answer(path: Path, *, text: bool = False) -> tuple[int, str]:
    wanted = (Binding("Placeholder", ["Softmax"], 784, shapes={"Placeholder": (1, 784, 1, 1)}, text=True) if text
              else Binding("input", ["x"], 224 * 224 * 3, shapes={"input": (1, 224, 224, 3)}))  # fmt: skip
    _, stop = walk(path, "tf", wanted)
    return (stop.status, "\n".join(stop.said("TfMobileNet-Armnn"))) if stop else (0, "")


@pytest.mark.parametrize("what", BOARD)
def test_the_walk_ends_as_the_board_did(tmp_path: Path, what: str) -> None:
    nodes, status, message_ = BOARD[what]
    path = tmp_path / "graph.pb"
    path.write_bytes(text_format.Parse(INPUT + nodes, message("GraphDef")()).SerializeToString())
    found, said = answer(path)
    assert found == status
    assert message_ in said


MNIST = (n("Placeholder", "Placeholder", dtype="type: DT_FLOAT") + real("w", [784, 10])
         + n("m", "MatMul", ["Placeholder", "w"]) + n("Softmax", "Softmax", ["m"]))  # fmt: skip
REFUSED = "Failed to parse graph file"
TEXT: Mapping[str, tuple[str | bytes, str]] = {
    "a graph": (MNIST, ""),
    "with its versions": (MNIST + "versions { producer: 21 }", ""),
    "versions twice": (MNIST + "versions { producer: 21 } versions { producer: 21 }", REFUSED),
    "a library twice": (MNIST + "library { } library { }", REFUSED),
    "an attribute twice": (MNIST.replace("attr {", 'attr { key: "dtype" value { type: DT_FLOAT } } attr {', 1), ""),
    "a name twice": (MNIST.replace('op: "P', 'name: "q" op: "P'), REFUSED),
    "two values of one attribute": (MNIST.replace("type: DT_FLOAT", "type: DT_FLOAT i: 3", 1), REFUSED),
    "a field of TensorFlow 1.13": (
        MNIST.replace('op: "P', 'experimental_debug_info { original_node_names: "a" } op: "P'), REFUSED),
    "a type of TensorFlow 2": (MNIST.replace("DT_FLOAT", "DT_FLOAT8_E5M2", 1), REFUSED),
    "an unknown field": (MNIST + "foo: 1", REFUSED),
    "a byte of Latin-1 in a comment": (MNIST.encode() + b"# caf\xe9\n", ""),
    "a byte of Latin-1 in a name": (MNIST.encode().replace(b'name: "w"', b'device: "caf\xe9" name: "w"'), ""),
    "cut short": (MNIST[:-3], REFUSED),
    "an empty file": ("", "Couldn't find requested output node 'Softmax' in graph"),
    "a comment": ("# nothing\n", "Couldn't find requested output node 'Softmax' in graph"),
    "a web page": ("<!DOCTYPE html>", REFUSED),
    "binary": (text_format.Parse(MNIST, message("GraphDef")()).SerializeToString(), REFUSED),
}  # fmt: skip


@pytest.mark.parametrize("what", TEXT)
def test_a_text_graph_is_read_as_the_board_reads_it(tmp_path: Path, what: str) -> None:
    content, said = TEXT[what]
    path = tmp_path / "simple_mnist_tf.prototxt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert answer(path, text=True) == ((1, f"Armnn Error: {said}") if said else (0, ""))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Couldn't find requested output node 'x' in graph"),
        (b"<!DOCTYPE html>\n<html></html>", "Couldn't find requested output node 'x' in graph"),
        (bytes(64), "Couldn't find requested output node 'x' in graph"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff", "Failed to parse protobuf file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Failed to parse protobuf file"),
        (b"#!/bin/sh\necho hi\n", "Failed to parse protobuf file"),
    ],
)
def test_bytes_of_another_kind_are_no_graph_or_one_without_nodes(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "graph.pb"
    path.write_bytes(content)
    status, found = answer(path)
    assert status == 1
    assert said in found
