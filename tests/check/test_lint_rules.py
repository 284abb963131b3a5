"""Every rule of the four parsers: a model that goes against it, or why no model file can."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from formats.tflite.tiny_tflite import Builder, T

from modelprep.check.lint import examine, lint
from modelprep.check.lint.request import Asked, Parser
from modelprep.cli.main import invoke
from modelprep.errors import UsageError
from modelprep.formats.caffe import messages, prototxt
from modelprep.formats.caffe.shapes import infer
from modelprep.formats.onnx.model import messages as onnx_messages
from modelprep.targets.armnn_rules import rules

#: Rules that state a fact about the parser or the board, which no model file can break by itself.
FACTS = {
    **dict.fromkeys(("EU01", "EU02", "EU03"), "Vela's own answers: test_lint_for_the_npu.py"),
    "C2": "shapes left open are told parser by parser: CF13, TF07, TL06, ON05",
    "C4": "names are told parser by parser: CF06, TF03, TL21, ON17",
    "C5": "a fact about a backend; the default backends fall back to the reference one",
    "CF04": "a fact: what no output needs is not looked at (test_what_no_output_needs_is_left_alone)",
    "CF09": "a fact: such fields are skipped; two phases in one file end as CF17",
    "CF14": "a fact: the shape of a net-level input must be passed; that it is not is CF13",
    "CF16": "a fact: in-place layers in a chain are taken (the LeNet's ReLU is one)",
    "CF18": "a fact: Split layers are taken",
    "TF06": "a fact: a scalar is taken as a vector",
    "TF08": "a fact: control inputs are dropped",
    "TF20": "a fact about broadcasting; the refused forms are TF19",
    "TF22": "a fact: a pattern that is recognised",
    "TF35": "a fact about tool chains; the operations are TF01",
    "TL17": "a fact: operands of lower rank are taken",
    "TL22": "a fact: the test's data have to fit it, which is C11",
    "ON12": "a fact: another depth multiplier than 1 is C3",
    "ON18": "a fact: the test's data have to fit it, which is C11",
}

Case = tuple[Path, Parser, Asked]

# -- Caffe ---------------------------------------------------------------------------------------------------------

DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 4 dim: 9 dim: 9 } } }\n'


def one(type_: str, params: str = "", *, bottoms: int = 1, tops: str = 'top: "x"') -> str:
    return DATA + f'layer {{ name: "x" type: "{type_}" ' + 'bottom: "data" ' * bottoms + f"{tops} {params} }}"


def flat(then: str) -> str:
    dense = one("InnerProduct", "inner_product_param { num_output: 2 }")
    return f'{dense} layer {{ name: "y" bottom: "x" top: "y" {then} }}'


def caffe(
    text: str,
    asked: Asked | None = None,
    *,
    change: Callable[[Any], None] | None = None,
    weights: bool = True,
) -> Callable[[Path], Case]:
    """A net with blobs of zeros wherever Caffe would have them, then changed."""

    def make(folder: Path) -> Case:
        net = prototxt.read(text)
        if weights:
            for layer, around in zip(net.layer, infer.infer(net).layers, strict=True):
                for shape in around.weights or ():
                    blob = layer.blobs.add()
                    count = 1
                    for size in shape or ():
                        blob.shape.dim.append(size or 1)
                        count *= size or 1
                    blob.data.extend([0.0] * count)
        if change is not None:
            change(net)
        return written(folder, "net.caffemodel", net.SerializeToString()), "caffe", asked or Asked()

    return make


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def file(name: str, content: bytes, parser: Parser, asked: Asked | None = None) -> Callable[[Path], Case]:
    return lambda folder: (written(folder, name, content), parser, asked or Asked())


def v1(folder: Path) -> Case:
    net = messages.message_class("NetParameter")(input=["data"], input_dim=[1, 1, 1, 1])
    layer = net.layers.add(name="a", type=14, bottom=["data"], top=["a"])  # INNER_PRODUCT
    layer.inner_product_param.num_output, layer.inner_product_param.bias_term = 1, False
    layer.blobs.add(num=1, channels=1, height=1, width=1).data.append(1)
    return written(folder, "old.caffemodel", net.SerializeToString()), "caffe", Asked()


def longer(net: Any) -> None:
    blob = net.layer[1].blobs[0]
    blob.shape.dim[:] = [len(blob.data) + 1]
    blob.data.append(0)


def double(net: Any) -> None:
    blob = net.layer[1].blobs[0]
    blob.double_data.extend(blob.data)
    del blob.data[:]


CONV = "convolution_param { num_output: 2 kernel_size: 3 }"
DENSE = "inner_product_param { num_output: 2 }"
FED = Asked(input_name="data", input_shape=(1, 4, 9, 9))
CAFFE: Mapping[str, Callable[[Path], Case]] = {
    "CF01": caffe(one("Convolution", CONV), weights=False),
    "CF02": v1,
    "CF03": file("empty.caffemodel", b"", "caffe"),
    "CF05": caffe(one("Sigmoid")),
    "CF06": caffe(one("ReLU"), Asked(input_name="input", input_shape=(1, 4, 9, 9))),
    "CF07": caffe(one("ReLU").replace('bottom: "data"', 'bottom: "nothing"'), weights=False),
    "CF08": file("page.caffemodel", b"<!DOCTYPE html><html></html>", "caffe"),
    "CF10": caffe(one("Convolution", CONV), change=double),
    "CF11": caffe('layer { name: "d" type: "Input" top: "a" top: "b" input_param { shape { dim: 1 dim: 3 } } }'),
    "CF12": caffe(one("ReLU"), Asked(input_name="data", input_shape=(1, 3, 9, 9), shape_passed=True)),
    "CF13": caffe('input: "data" layer { name: "x" type: "ReLU" bottom: "data" top: "x" }', weights=False),
    "CF15": caffe(one("ReLU").replace("dim: 1 dim: 4", "dim: 64 dim: 4"), FED),
    "CF17": caffe(
        DATA + 'layer { name: "a" type: "ReLU" bottom: "data" top: "r" } '
        'layer { name: "b" type: "Eltwise" bottom: "r" bottom: "data" top: "r" }'
    ),
    "CF19": caffe(one("Split", tops='top: "x" top: "x"')),
    "CF20": caffe(one("Convolution", CONV.replace("}", "dilation: 2 }"))),
    "CF21": caffe(one("Convolution", CONV).replace("dim: 1 dim: 4", "dim: 4")),
    "CF22": caffe(one("Convolution", CONV.replace("}", "kernel_size: 1 }"))),
    "CF23": caffe(one("Convolution", CONV), change=longer),
    "CF24": caffe(one("Convolution", "convolution_param { num_output: 8 kernel_size: 3 group: 4 }")),
    "CF25": caffe(one("Pooling", "pooling_param { kernel_size: 2 stride: 2 }")),
    "CF26": caffe(one("Pooling", "pooling_param { pool: MAX kernel_size: 2 }")),
    "CF27": caffe(one("Pooling", "pooling_param { pool: MAX kernel_size: 2 stride_h: 2 stride_w: 1 }")),
    "CF28": caffe(one("Pooling", "pooling_param { pool: MAX kernel_size: 2 stride: 2 round_mode: FLOOR }")),
    "CF29": caffe(one("Pooling", "pooling_param { pool: MAX kernel_size: 2 stride: 1 global_pooling: false }")),
    "CF30": caffe(one("ReLU", bottoms=2)),
    "CF31": caffe(one("LRN", "lrn_param { local_size: 5 }")),
    "CF32": caffe(one("InnerProduct", DENSE.replace("}", "bias_term: false }"))),
    "CF33": caffe(one("InnerProduct", DENSE), change=longer),
    "CF34": caffe(one("InnerProduct", DENSE.replace("}", "transpose: true }"))),
    "CF35": caffe(one("Softmax", "softmax_param { axis: 2 }")),
    "CF36": caffe(one("Eltwise", "eltwise_param { operation: MAX }", bottoms=2)),
    "CF37": caffe(one("Eltwise", "eltwise_param { coeff: 1 coeff: -1 }", bottoms=2)),
    "CF38": caffe(flat('type: "Concat"').replace('bottom: "x" top: "y"', 'bottom: "x" bottom: "x" top: "y"')),
    "CF39": caffe(one("Concat", "concat_param { axis: 2 }", bottoms=2)),
    "CF40": caffe(one("BatchNorm", "batch_norm_param { use_global_stats: false }")),
    "CF41": caffe(one("BatchNorm"), change=lambda net: net.layer[1].blobs.pop()),
    "CF42": caffe(one("Scale", "scale_param { axis: 2 }")),
    "CF43": caffe(one("Scale", "scale_param { bias_term: false }")),
    "CF44": caffe(one("Dropout", bottoms=2), weights=False),
    "C1": caffe(
        'layer { name: "d" type: "Input" top: "a" input_param { shape { dim: 1 dim: 1 dim: 1 dim: 1 dim: 1 } } }'
    ),
    "C3": caffe(one("Convolution", "convolution_param { num_output: 2 kernel_size: 30 }"), weights=False),
}

# -- TensorFlow ----------------------------------------------------------------------------------------------------


def n(name: str, op: str, inputs: Sequence[str] = (), **attrs: str) -> str:
    fields = "".join(f' input: "{source}"' for source in inputs)
    values = {"T": "type: DT_FLOAT"} | attrs if op not in ("Const", "Placeholder") else attrs
    fields += "".join(f' attr {{ key: "{key}" value {{ {value} }} }}' for key, value in values.items() if value)
    return f'node {{ name: "{name}" op: "{op}"{fields} }}\n'


def floats(name: str, shape: Sequence[int], values: Sequence[float] = (0.5,)) -> str:
    return _const(name, "DT_FLOAT", shape, "".join(f" float_val: {value}" for value in values))


def whole(name: str, values: Sequence[int]) -> str:
    return _const(name, "DT_INT32", [len(values)], "".join(f" int_val: {value}" for value in values))


def _const(name: str, dtype: str, shape: Sequence[int], values: str) -> str:
    dims = "".join(f" dim {{ size: {size} }}" for size in shape)
    value = f"tensor {{ dtype: {dtype} tensor_shape {{{dims} }}{values} }}"
    return n(name, "Const", dtype=f"type: {dtype}", value=value)


X = n("x", "Placeholder", dtype="type: DT_FLOAT", shape="shape { " + "dim { size: 4 } " * 4 + "}")
WINDOW = {"strides": "list { i: 1 i: 1 i: 1 i: 1 }", "padding": 's: "SAME"', "data_format": 's: "NHWC"'}
KERNEL = floats("w", [1, 1, 4, 4])
ONES = "list { i: 1 i: 1 i: 1 i: 1 }"


def tf(text: str, asked: Asked | None = None) -> Callable[[Path], Case]:
    return file("graph.pbtxt", (X + text).encode(), "tf", asked)


NORM = "".join(floats(name, [4]) for name in "abcd")
TF: Mapping[str, Callable[[Path], Case]] = {
    "TF36": file("graph.pb", b'node { name: "x" op: "NoOp" }', "tf", Asked(text=False)),
    "TF01": tf(n("y", "Elu", ["x"])),
    "TF02": tf(n("y", "VariableV2")),
    "TF03": tf(n("y", "Relu", ["x"]), Asked(outputs=("Softmax",))),
    "TF04": tf(n("y", "Relu", ["x"], T="type: DT_HALF")),
    "TF05": tf(floats("c", [2], [1, 2, 3])),
    "TF07": tf(n("keep_prob", "Placeholder", dtype="type: DT_FLOAT")),
    "TF09": tf(n("y", "Relu", ["x:101"])),
    "TF10": tf(n("r", "Relu", ["x"]) + n("y", "Relu", ["r:1"])),
    "TF11": tf(KERNEL + n("y", "Conv2D", ["x", "w"], **WINDOW | {"data_format": ""})),
    "TF12": tf(KERNEL + n("y", "Conv2D", ["x", "w"], **WINDOW | {"padding": 's: "EXPLICIT"'})),
    "TF13": tf(n("y", "Conv2D", ["x", "x"], **WINDOW)),
    "TF14": tf(KERNEL + n("y", "Conv2D", ["x", "w"], **WINDOW, dilations="list { i: 1 i: 2 i: 2 i: 1 }")),
    "TF15": tf(KERNEL + n("y", "DepthwiseConv2dNative", ["x", "w"], **WINDOW,
                          dilations="list { i: 1 i: 2 i: 2 i: 1 }")),
    "TF16": tf(NORM + n("y", "FusedBatchNorm", ["x", *"abcd"], data_format='s: "NHWC"', epsilon="f: 0.1",
                        is_training="b: true")),
    "TF17": tf(n("y", "MatMul", ["x", "x"])),
    "TF18": tf(KERNEL + n("y", "MatMul", ["x", "w"], transpose_b="b: true")),
    "TF19": tf(floats("c", [2, 2]) + n("y", "Minimum", ["x", "c"])),
    "TF21": tf(floats("c", [2, 2]) + n("y", "BiasAdd", ["x", "c"], data_format='s: "NHWC"')),
    "TF23": tf(whole("a", [2]) + n("y", "ConcatV2", ["x", "x", "a"], N="i: 2", Tidx="type: DT_INT32")),
    "TF24": tf(whole("a", [0]) + n("y", "Split", ["a", "x"], num_split="i: 2")),
    "TF25": tf(whole("s", [-1, -1]) + n("y", "Reshape", ["x", "s"], Tshape="type: DT_INT32")),
    "TF26": tf(n("y", "Shape", ["x"], out_type="type: DT_INT64")),
    "TF27": tf(whole("s", [8, 8]) + n("y", "ResizeBilinear", ["x", "s"], align_corners="b: true")),
    "TF28": tf(whole("s", [1, 1, 1, 1, 1, 1]) + n("r", "Reshape", ["x", "s"]) +
               n("y", "Squeeze", ["r"], squeeze_dims="list { i: 0 }")),
    "TF29": tf(whole("s", [0, -1]) + n("y", "Pad", ["x", "s"])),
    "TF30": tf(n("y", "Mean", ["x", "x"], keep_dims="b: true")),
    "TF31": tf(whole("a", [0]) + n("y", "ExpandDims", ["x", "a"])),
    "TF32": tf(n("y", "LRN", ["x"], alpha="f: 1")),
    "TF33": tf(n("y", "Softmax", ["x"])),
    "TF34": tf(n("y", "Relu", ["x", "x"])),
}  # fmt: skip

# -- TF Lite -------------------------------------------------------------------------------------------------------

FLOAT, HALF, INT32, UINT8, INT64 = 0, 1, 2, 3, 4
CODES = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 4, "FULLY_CONNECTED": 9, "RESHAPE": 22, "RESIZE_BILINEAR": 23, "TANH": 28,
         "CUSTOM": 32, "PAD": 34, "MEAN": 40, "SQUEEZE": 43, "ADD": 0, "CONCATENATION": 2, "STRIDED_SLICE": 45,
         "AVERAGE_POOL_2D": 1, "RELU": 19}  # fmt: skip
#: BuiltinOptions number of each.
OPTIONS = {
    "CONV_2D": 1,
    "DEPTHWISE_CONV_2D": 2,
    "FULLY_CONNECTED": 8,
    "RESHAPE": 17,
    "RESIZE_BILINEAR": 15,
    "ADD": 11,
    "SQUEEZE": 30,
    "CONCATENATION": 10,
    "STRIDED_SLICE": 32,
    "AVERAGE_POOL_2D": 5,
}


def t(name: str, shape: Sequence[int], *, dtype: int = FLOAT, data: bytes = b"", scales: int = 0) -> dict[str, Any]:
    return {"name": name, "shape": shape, "dtype": dtype, "data": data, "scales": scales}


def tflite(
    op: str,
    tensors: Sequence[dict[str, Any]],
    *,
    inputs: Sequence[int] | None = None,
    outputs: Sequence[int] | None = None,
    options: T | None = None,
    custom: str = "",
    subgraphs: int = 1,
    asked: Asked | None = None,
) -> Callable[[Path], Case]:
    """A file of one operator: the last tensor is what it makes, the first what it is fed."""
    last = len(tensors) - 1
    buffers = [T({})]
    tables = []
    for tensor in tensors:
        number = 0
        if tensor["data"]:
            number = len(buffers)
            buffers.append(T({0: ("[u8]", tensor["data"])}))
        slots: dict[int, tuple[str, Any]] = {
            0: ("[i32]", tensor["shape"]), 1: ("i8", tensor["dtype"]), 2: ("u32", number), 3: ("text", tensor["name"]),
        }  # fmt: skip
        if tensor["scales"]:
            slots[4] = ("table", T({2: ("[f32]", [1.0] * tensor["scales"]), 3: ("[i64]", [0] * tensor["scales"])}))
        tables.append(T(slots))
    operator: dict[int, tuple[str, Any]] = {
        0: ("u32", 0),
        1: ("[i32]", list(range(last)) if inputs is None else inputs),
        2: ("[i32]", [last] if outputs is None else outputs),
    }
    if options is not None:
        operator |= {3: ("u8", OPTIONS[op]), 4: ("table", options)}
    graph = T({0: ("tables", tables), 1: ("[i32]", [0]), 2: ("[i32]", [last]), 3: ("tables", [T(operator)])})
    code: dict[int, tuple[str, Any]] = {0: ("i8", CODES[op]), 2: ("i32", 1), 3: ("i32", CODES[op])}
    if custom:
        code[1] = ("text", custom)
    model = T({0: ("u32", 3), 1: ("tables", [T(code)]), 2: ("tables", [graph] * subgraphs), 4: ("tables", buffers)})
    return lambda folder: (written(folder, "net.tflite", Builder().finish(model)), "tflite", asked or Asked())


STEPS = T({1: ("i32", 1), 2: ("i32", 1)})
FED = Asked(input_name="in", input_shape=(1, 2, 2, 1), outputs=("out",))
IN, OUT = t("in", [1, 2, 2, 1]), t("out", [1, 2, 2, 1])
FILTER = t("filter", [1, 1, 1, 1], data=b"\0" * 4)
TFLITE: Mapping[str, Callable[[Path], Case]] = {
    "TL01": file("page.tflite", b"<!DOCTYPE html><html></html>", "tflite"),
    "TL02": tflite("ADD", [IN, OUT], inputs=[0, 0], subgraphs=2),
    "TL03": tflite("TANH", [IN, OUT]),
    "TL04": tflite("ADD", [t("in", [1], dtype=INT64), t("out", [1])], inputs=[0, 0]),
    "TL05": tflite("ADD", [t("in", [1, 2], scales=2), t("out", [1])], inputs=[0, 0]),
    "TL06": tflite("ADD", [t("in", [-1, 2]), t("out", [1])], inputs=[0, 0]),
    "TL07": tflite("ADD", [IN, OUT], inputs=[0, -1]),
    "TL08": tflite("ADD", [IN, OUT], inputs=[0, 0], options=T({0: ("i8", 2)})),
    "TL09": tflite("CONV_2D", [IN, t("filter", [1, 1, 1, 1], data=b"\0" * 3), OUT], options=STEPS),
    "TL10": tflite("CONV_2D", [IN, FILTER, OUT], options=T({4: ("i32", 2), 5: ("i32", 2)})),
    "TL11": tflite("DEPTHWISE_CONV_2D", [IN, FILTER, OUT], options=T({3: ("i32", 2)})),
    "TL12": tflite("FULLY_CONNECTED", [IN, t("w", [4]), OUT], options=T({})),
    "TL13": tflite("RESHAPE", [IN, OUT], options=T({})),
    "TL14": tflite("SQUEEZE", [IN, OUT], options=T({0: ("[i32]", [-1])})),
    "TL15": tflite("MEAN", [IN, t("axes", [1], dtype=INT32, data=b"\xff\xff\xff\xff"), OUT], asked=FED),
    "TL16": tflite("PAD", [IN, t("pads", [4, 2], dtype=INT32), OUT]),
    "TL18": tflite("CONCATENATION", [IN, t("b", [2]), OUT], options=T({})),
    "TL19": tflite("RESIZE_BILINEAR", [IN, t("size", [2], dtype=INT32, data=b"\2\0\0\0" * 2), OUT],
                   options=T({2: ("u8", 1)})),
    "TL20": tflite("CUSTOM", [IN, OUT], custom="MyOwn"),
    "TL21": tflite("ADD", [IN, OUT], inputs=[0, 0], options=T({}), asked=Asked(outputs=("output",))),
    "TL23": tflite("ADD", [IN, OUT], inputs=[0, 7], options=T({})),
    "TL24": tflite("STRIDED_SLICE", [IN, *(t(name, [4], dtype=INT32) for name in ("a", "b", "c")), OUT],
                   options=T({})),
    "TL25": tflite("CONV_2D", [IN, FILTER, OUT]),
    "TL26": tflite("ADD", [IN, OUT], inputs=[0], options=T({})),
    "TL27": tflite("CONV_2D", [IN, FILTER, OUT], options=T({1: ("i32", -1), 2: ("i32", 1)})),
    "TL28": tflite("STRIDED_SLICE", [IN, *(t(name, [2], dtype=INT32, data=b"\1\0\0\0" * 2) for name in "abc"), OUT],
                   options=T({})),
    "TL29": tflite("RELU", [t("in", [1, 2, 2, 1], dtype=UINT8), t("out", [1, 2, 2, 1], dtype=UINT8)]),
    "C11": tflite("RELU", [IN, OUT], asked=Asked(input_name="in", input_shape=(1, 4, 4, 1), outputs=("out",))),
}  # fmt: skip

# -- ONNX ----------------------------------------------------------------------------------------------------------

O_FLOAT, O_INT64, O_DOUBLE = 1, 7, 11


def onnx(*changes: Callable[[Any], None], asked: Asked | None = None) -> Callable[[Path], Case]:
    """A graph from `in` to `out`, both [1, 2, 4, 4] floats, then changed."""

    def make(folder: Path) -> Case:
        model = onnx_messages("ModelProto")()
        model.ir_version = 3
        model.opset_import.add(version=8)
        value(model.graph.input, "in", [1, 2, 4, 4])
        value(model.graph.output, "out", [1, 2, 4, 4])
        for change in changes:
            change(model.graph)
        return written(folder, "net.onnx", model.SerializeToString()), "onnx", asked or Asked()

    return make


def value(into: Any, name: str, shape: Sequence[int], dtype: int = O_FLOAT) -> Any:
    added = into.add(name=name)
    added.type.tensor_type.elem_type = dtype
    for size in shape:
        added.type.tensor_type.shape.dim.add().dim_value = size
    return added


def node(
    op: str, inputs: Sequence[str] = ("in",), outputs: Sequence[str] = ("out",), **attrs: Any
) -> Callable[..., None]:
    def change(graph: Any) -> None:
        added = graph.node.add(op_type=op, name=op.lower(), input=inputs, output=outputs)
        for name, given in attrs.items():
            attribute = added.attribute.add(name=name)
            if isinstance(given, list):
                attribute.ints.extend(given)
                attribute.type = 7
            elif isinstance(given, float):
                attribute.f, attribute.type = given, 1
            else:
                attribute.i, attribute.type = given, 2

    return change


def weights(name: str, shape: Sequence[int], dtype: int = O_FLOAT, *, raw: bool = False, listed: bool = True) -> Any:
    def change(graph: Any) -> None:
        tensor = graph.initializer.add(name=name, data_type=dtype, dims=shape)
        count = 1
        for size in shape:
            count *= size
        if raw:
            tensor.raw_data = b"\0" * count * (8 if dtype == O_INT64 else 4)
        elif dtype == O_INT64:
            tensor.int64_data.extend([1] * count)
        else:
            tensor.float_data.extend([0.0] * count)
        if listed:
            value(graph.input, name, shape, dtype)

    return change


def empty_constant(graph: Any) -> None:
    graph.node.add(op_type="Constant", name="c", output=["c"])


FED_ONNX = Asked(input_name="in", input_shape=(1, 2, 4, 4), outputs=("out",))
ONNX: Mapping[str, Callable[[Path], Case]] = {
    "ON01": onnx(node("Softmax")),
    "ON02": onnx(weights("w", [2, 2, 1, 1], raw=True), node("Conv", ["in", "w"])),
    "ON03": onnx(weights("w", [2, 2, 1, 1], listed=False), node("Conv", ["in", "w"])),
    "ON04": onnx(lambda graph: value(graph.input, "half", [1], O_DOUBLE), node("Relu")),
    "ON05": onnx(node("Relu"), lambda graph: setattr(graph.input[0].type.tensor_type.shape.dim[0], "dim_param", "N")),
    "ON06": onnx(lambda graph: setattr(graph.input[0].type.tensor_type, "elem_type", O_INT64), node("Relu")),
    "ON07": onnx(empty_constant, node("Relu")),
    "ON08": onnx(node("Reshape", ["in", "in"])),
    "ON09": onnx(weights("s", [4], O_INT64, raw=True), node("Reshape", ["in", "s"], ["flat"]), node("Relu", ["flat"])),
    "ON10": onnx(
        weights("w", [2, 2]),
        weights("s", [1], O_INT64),
        node("Reshape", ["w", "s"], ["flat"]),
        node("Add", ["in", "flat"]),
    ),
    "ON11": onnx(weights("w", [2, 2, 1, 1]), node("Conv", ["in", "w"], dilations=[2, 2])),
    "ON13": onnx(node("MaxPool")),
    "ON14": onnx(node("BatchNormalization", ["in"] * 5)),
    "ON15": onnx(weights("w", [3]), node("Add", ["in", "w"])),
    "ON16": onnx(node("MatMul", ["in", "in"])),
    "ON17": onnx(node("Relu"), asked=Asked(outputs=("prob",))),
    "ON19": onnx(node("MaxPool", kernel_shape=3)),
    "ON20": onnx(
        weights("w", [2, 2, 1, 1]), lambda graph: graph.initializer[0].float_data.pop(), node("Conv", ["in", "w"])
    ),
    "ON21": onnx(node("Relu"), node("Relu")),
    "ON22": file("cut.onnx", b"\x3a\x7f\x01", "onnx"),
    "C10": onnx(weights("w", [1, 2, 4, 4]), node("Relu", ["w"])),
    "C12": onnx(node("Relu"), lambda graph: value(graph.output, "in", [1, 2, 4, 4]), asked=FED_ONNX),
}

CASES: Mapping[str, Callable[[Path], Case]] = {**CAFFE, **TF, **TFLITE, **ONNX}


def test_every_rule_is_accounted_for_once() -> None:
    assert not set(CASES) & set(FACTS)
    assert [rule for rule in rules() if rule not in CASES and rule not in FACTS] == []
    assert [rule for rule in (*CASES, *FACTS) if rule not in rules()] == []


@pytest.mark.parametrize("rule", CASES)
def test_a_model_that_goes_against_the_rule_is_told_by_its_id(rule: str, tmp_path: Path) -> None:
    path, parser, asked = CASES[rule](tmp_path)
    found = lint(path, parser, asked)
    told = [finding for finding in found if finding.rule == rule]
    assert told, [str(finding) for finding in found]
    assert told[0].where
    # A rule that a model goes against matters, unless it is one that does no harm.
    assert told[0].serious or rules()[rule].effect in ("ignored", "note")


GOOD: Mapping[str, Callable[[Path], Case]] = {
    "caffe": caffe(one("Convolution", CONV.replace("}", "stride: 1 }")), Asked(outputs=("x",))),
    "tf": tf(KERNEL + n("y", "Conv2D", ["x", "w"], **WINDOW), Asked(outputs=("y",))),
    "tflite": tflite("CONV_2D", [IN, FILTER, OUT], options=T({1: ("i32", 1), 2: ("i32", 1)})),
    "onnx": onnx(weights("w", [2, 2, 1, 1]), node("Conv", ["in", "w"])),
}


@pytest.mark.parametrize("parser", GOOD)
def test_a_model_that_keeps_to_the_rules_gets_no_finding(parser: str, tmp_path: Path) -> None:
    path, kind, asked = GOOD[parser](tmp_path)
    assert lint(path, kind, asked) == []


def test_what_no_output_needs_is_left_alone(tmp_path: Path) -> None:
    text = one("ReLU") + ' layer { name: "s" type: "Sigmoid" bottom: "x" top: "s" }'
    path, _, _ = caffe(text)(tmp_path)
    assert [finding.rule for finding in lint(path, "caffe", Asked(outputs=("x",)))] == []
    assert [finding.rule for finding in lint(path, "caffe")] == ["CF05"]


def test_a_ring_of_nodes_ends(tmp_path: Path) -> None:
    path, _, _ = tf(n("a", "Relu", ["b"]) + n("b", "Relu", ["a"]))(tmp_path)
    lint(path, "tf")


def test_later_versions_have_more_operators(tmp_path: Path) -> None:
    path, _, _ = TFLITE["TL03"](tmp_path)
    assert lint(path, "tflite", Asked(version="19.05")) == []


def test_attributes_that_the_parser_never_looks_at_are_no_findings(tmp_path: Path) -> None:
    # TensorFlow 1 writes _class on every Identity that reads a variable; newer ones write explicit_paddings: [].
    text = n("r", "Identity", ["x"], _class='list { s: "loc:@w" }')
    text += n("y", "MaxPool", ["r"], **WINDOW | {"ksize": ONES, "explicit_paddings": "list { }"})
    path = tmp_path / "graph.pbtxt"
    path.write_text(X + text)
    assert lint(path, "tf") == []


def test_a_text_graph_named_pb_is_told_without_a_test_as_well(tmp_path: Path) -> None:
    path = tmp_path / "simple.pb"
    path.write_text('node { name: "x" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } } attr { key: "value" '
                    'value { tensor { dtype: DT_FLOAT tensor_shape { } float_val: 1 } } } }')  # fmt: skip
    (found,) = (finding for finding in lint(path, "tf") if finding.rule == "TF36")
    assert (found.effect, found.mend) == ("note", "modelprep tf convert MODEL -o OUT")


def test_only_the_node_that_the_parser_does_not_know_is_accused(tmp_path: Path) -> None:
    path, _, _ = onnx(
        weights("w", [2, 2, 1, 1]),
        node("Transpose", ["in"], ["t"]),
        node("Conv", ["t", "w"], ["c"]),
        node("Relu", ["c"]),
    )(tmp_path)
    assert [(finding.rule, finding.where) for finding in lint(path, "onnx")] == [("ON01", "Transpose transpose")]


def test_many_alike_take_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from modelprep.cli.main import invoke

    names = [f"w{number}" for number in range(30)]
    chain = [node("Conv", [f"x{i}" if i else "in", name], [f"x{i + 1}"]) for i, name in enumerate(names)]
    path, _, _ = onnx(*(weights(name, [2, 2, 1, 1], raw=True, listed=False) for name in names), *chain,
                      node("Relu", ["x30"]))(tmp_path)  # fmt: skip
    assert invoke(["lint", str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3  # the table's head, ON03 and ON02
    assert "and 29 more like it" in lines[2]
    assert invoke(["lint", str(path), "--all"]) == 1
    assert len(capsys.readouterr().out.splitlines()) > 60


def test_the_way_on_is_named_only_where_the_tool_takes_the_model(tmp_path: Path) -> None:
    newer = tf(n("y", "AddV2", ["x", "x"]))(tmp_path)
    (finding,) = (f for f in lint(*newer) if f.rule == "TF01")
    assert finding.detail == "the newer name of Add"
    assert finding.mend.startswith("modelprep tf legalise")
    unknown = tf(n("y", "Elu", ["x"]))(tmp_path)
    (finding,) = (f for f in lint(*unknown) if f.rule == "TF01")
    assert finding.mend == ""
    assert finding.what.startswith("the parser has no such operation")


def test_damage_inside_a_layer_is_a_finding(tmp_path: Path) -> None:
    net = prototxt.read(one("ReLU", "relu_param { negative_slope: 0.5 }"))
    damaged = net.SerializeToString().replace(b"\x0d\x00\x00\x00\x3f", b"\x0f\x00\x00\x00\x3f")
    path = written(tmp_path, "net.caffemodel", damaged)
    (finding,) = lint(path, "caffe")
    assert (finding.rule, finding.detail) == ("CF08", "a damaged file")


def test_a_folder_is_called_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the input is a folder"):
        examine(tmp_path, "armnn-19.02")


@pytest.mark.parametrize(
    "rule", ["CF02", "CF06", "CF10", "CF15", "CF25", "CF26", "CF31", "TF11", "TF36", "ON02", "ON03", "ON05", "ON09"]
)
def test_the_command_that_a_finding_names_takes_the_model_and_mends_it(rule: str, tmp_path: Path) -> None:
    path, parser, asked = CASES[rule](tmp_path)
    finding = next(one for one in lint(path, parser, asked) if one.rule == rule)
    deploy, result = tmp_path / "deploy.prototxt", tmp_path / f"fixed{path.suffix}"
    if parser == "caffe":
        net = messages.new("NetParameter")
        net.ParseFromString(path.read_bytes())
        for layer in (*net.layer, *net.layers):
            layer.ClearField("blobs")
        deploy.write_text(prototxt.write(net))
    names = {"MODEL": str(path), "OUT": str(result), "DEPLOY": str(deploy), "INPUT": asked.input_name}
    words = [names.get(word, word) for word in finding.mend.split()[1:]]
    assert invoke([*words, "--quiet"]) == 0
    assert rule not in [one.rule for one in lint(result, parser, asked)]


@pytest.mark.parametrize("rule", ["TF07", "ON20"])
def test_what_no_command_mends_names_none(rule: str, tmp_path: Path) -> None:
    assert next(one.mend for one in lint(*CASES[rule](tmp_path)) if one.rule == rule) == ""
