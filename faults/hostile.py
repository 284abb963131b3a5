"""Files of at most 1 MB that are made to cost as much as they can, each with the commands that read it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

MB = 1_000_000
Command = list[str]


@dataclass(frozen=True)
class Hostile:
    """A file: how it is made, what its name ends in, and the commands (``{}`` is the file) that are tried on it."""

    make: Callable[[], bytes]
    suffix: str
    commands: tuple[Command, ...]


FILES: dict[str, Hostile] = {}


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def bytes_field(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def number_field(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def fill(piece: bytes, size: int = MB) -> bytes:
    return piece * (size // len(piece))


def deep(*way: tuple[int, bytes], size: int = MB) -> bytes:
    """Nest fields in one another: each is a number and what stands in it before the next one."""
    starts: list[bytes] = []
    length = 0
    while length < size - 100:
        for number, before in reversed(way):
            starts.append(before)
            starts.append(varint(number << 3 | 2) + varint(length + len(before)))
            length += sum(map(len, starts[-2:]))
    return b"".join(reversed(starts))


def case(*commands: Command, suffix: str) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    def remember(make: Callable[[], bytes]) -> Callable[[], bytes]:
        FILES[make.__name__] = Hostile(make, suffix, commands)
        return make

    return remember


def graph_node(name: bytes, op: bytes, *inputs: bytes, attrs: bytes = b"") -> bytes:
    """Write a NodeDef as a field of a GraphDef."""
    return bytes_field(
        1, bytes_field(1, name) + bytes_field(2, op) + b"".join(bytes_field(3, i) for i in inputs) + attrs
    )


LINT = ["lint", "{}", "--for", "armnn-19.02"]
CAFFE = (["caffe", "inspect", "{}"], LINT, ["caffe", "to-npy", "{}", "-o", "npy"])
PROTO = (
    ["caffe", "inspect", "{}"],
    ["caffe", "bake", "{}", "empty.caffemodel", "-o", "out.caffemodel", "--force", "--no-verify"],
)
TF = (
    ["tf", "inspect", "{}"],
    LINT,
    ["tf", "legalise", "{}", "-o", "out.pb", "--force"],
    ["tf", "rename-io", "{}", "-o", "out.pb", "--force", "--no-verify", "--rename-input", "a=b"],
    ["tf", "convert", "{}", "-o", "out.pbtxt", "--force", "--no-verify", "--text"],
)
ONNX = (
    ["onnx", "inspect", "{}"],
    LINT,
    ["onnx", "check", "{}"],
    [
        "onnx",
        "fix",
        "{}",
        "-o",
        "out.onnx",
        "--force",
        "--no-verify",
        "--simplify",
        "--batch",
        "1",
        "--data",
        "typed",
        "--initialisers",
        "inputs",
        "--value-info",
        "drop",
    ],
    [
        "onnx",
        "rename-io",
        "{}",
        "-o",
        "out.onnx",
        "--force",
        "--no-verify",
        "--rename-input",
        "x=b",
        "--rename-output",
        "y=c",
    ],
)
TFL = (
    ["tflite", "inspect", "{}"],
    LINT,
    ["tflite", "rename-io", "{}", "-o", "out.tflite", "--force", "--no-verify", "--rename-input", "a=b"],
)


# caffe binary: NetParameter name=1, layers(v1)=2, input=3, layer=100
@case(*CAFFE, suffix=".caffemodel")
def cm_empty_layers():
    return bytes_field(1, b"n") + fill(bytes_field(100, b""))


@case(*CAFFE, suffix=".caffemodel")
def cm_empty_v1layers():
    return bytes_field(1, b"n") + fill(bytes_field(2, b""))


@case(*CAFFE, suffix=".caffemodel")
def cm_inputs():
    return bytes_field(1, b"n") + fill(bytes_field(3, b""))


@case(*CAFFE, suffix=".caffemodel")
def cm_blobs():
    return bytes_field(1, b"n") + bytes_field(
        100, bytes_field(1, b"a") + bytes_field(2, b"ReLU") + fill(bytes_field(7, b""))
    )


@case(*CAFFE, suffix=".caffemodel")
def cm_float_pieces():
    return bytes_field(1, b"n") + bytes_field(
        100, bytes_field(1, b"a") + bytes_field(2, b"ReLU") + bytes_field(7, fill(b"\x2d\0\0\0\0"))
    )


@case(*CAFFE, suffix=".caffemodel")
def cm_bottoms():
    return bytes_field(1, b"n") + bytes_field(
        100, bytes_field(1, b"a") + bytes_field(2, b"ReLU") + fill(bytes_field(3, b"x"))
    )


@case(*CAFFE, suffix=".caffemodel")
def cm_unknown():
    return bytes_field(1, b"n") + fill(number_field(99, 1))


@case(*CAFFE, suffix=".caffemodel")
def cm_include():
    return bytes_field(1, b"n") + bytes_field(
        100, bytes_field(1, b"a") + bytes_field(2, b"ReLU") + fill(bytes_field(8, b""))
    )


@case(*CAFFE, suffix=".caffemodel")
def cm_shape():
    return bytes_field(1, b"n") + bytes_field(
        100,
        bytes_field(1, b"a")
        + bytes_field(2, b"ReLU")
        + bytes_field(7, bytes_field(7, bytes_field(1, b"\1" * 999_000))),
    )


# prototxt
@case(*PROTO, suffix=".prototxt")
def pt_empty_layers():
    return b'name: "n"\n' + fill(b"layer{}")


@case(*PROTO, suffix=".prototxt")
def pt_dims():
    return b'name: "n"\ninput:"a"\n' + fill(b"input_dim:1 ")


@case(*PROTO, suffix=".prototxt")
def pt_inputs():
    return b'name: "n"\n' + fill(b'input:"" ')


@case(*PROTO, suffix=".prototxt")
def pt_split_names():
    return (
        b'name: "n" input:"i" input_shape{dim:1 dim:1} layer{name:"'
        + b"L" * 400_000
        + b'" type:"ReLU" bottom:"i" top:"a"}\n'
        + fill(b'layer{type:"ReLU" name:"" bottom:"a" top:"b"}', 590_000)
    )


@case(*PROTO, suffix=".prototxt")
def pt_split_bottoms():
    return (
        b'name: "n" input:"i" input_shape{dim:1 dim:1} layer{name:"'
        + b"L" * 400_000
        + b'" type:"ReLU" bottom:"i" top:"a"}\n layer{name:"c" type:"Concat" top:"c" '
        + fill(b'bottom:"a" ', 590_000)
        + b"}"
    )


@case(*PROTO, suffix=".prototxt")
def pt_concat():
    return (
        b'name: "n" input:"i" input_shape{dim:1 dim:1} layer{name:"c" type:"Concat" top:"c" '
        + fill(b'bottom:"i" ', 990_000)
        + b"}"
    )


@case(*PROTO, suffix=".prototxt")
def pt_slice():
    return (
        b'name: "n" input:"i" input_shape{dim:1 dim:1} layer{name:"c" type:"Slice" bottom:"i" '
        + fill(b'top:"i" ', 990_000)
        + b"}"
    )


@case(*PROTO, suffix=".prototxt")
def pt_chain():
    return b'name: "n" input:"b0" input_shape{dim:1 dim:3 dim:9 dim:9}' + b"".join(
        b'layer{name:"l%d" type:"ReLU" bottom:"b%d" top:"b%d"}\n' % (i, i, i + 1) for i in range(16500)
    )


@case(*PROTO, suffix=".prototxt")
def pt_deep():
    return b"layer{" * 160_000


@case(*PROTO, suffix=".prototxt")
def pt_strings():
    return b"name: " + fill(b'"" ')


@case(*PROTO, suffix=".prototxt")
def pt_unterminated():
    return b'name: "' + fill(b'\\"')


@case(*PROTO, suffix=".prototxt")
def pt_comments():
    return fill(b"#\n")


@case(*PROTO, suffix=".prototxt")
def pt_digits():
    return b"input_dim: " + b"9" * 999_000


@case(*PROTO, suffix=".prototxt")
def pt_float():
    return b'layer{name:"a" type:"Power" power_param{power: 1e' + b"9" * 990_000 + b"}}"


@case(*PROTO, suffix=".prototxt")
def pt_huge_dims():
    return (
        b'name:"n" input:"data" input_shape{'
        + b"dim:2147483647 " * 8
        + b'} layer{name:"c" type:"Convolution" bottom:"data" top:"c" convolution_param{num_output:2147483647 kernel_size:2147483647}} layer{name:"r" type:"Reshape" bottom:"data" top:"r" reshape_param{shape{'
        + fill(b"dim:1 ", 900_000)
        + b"}}}"
    )


@case(*PROTO, suffix=".prototxt")
def pt_priors():
    return (
        b'name:"n" input:"data" input_shape{dim:1 dim:3 dim:300 dim:300} layer{name:"p" type:"PriorBox" bottom:"data" bottom:"data" top:"p" prior_box_param{'
        + fill(b"min_size:1 ", 450_000)
        + fill(b"aspect_ratio:2 ", 450_000)
        + b"}}"
    )


@case(*PROTO, suffix=".prototxt")
def pt_dup_names():
    return b'name:"n"' + fill(b'layer{name:"a"type:"ReLU"bottom:"b"top:"b"}')


@case(*PROTO, suffix=".prototxt")
def pt_v0():
    return b'name:"n"' + fill(b'layers{layer{name:"a" type:"relu"}bottom:"b"top:"b"}')


@case(*PROTO, suffix=".prototxt")
def pt_v1():
    return b'name:"n"' + fill(b'layers{name:"a" type:RELU bottom:"b"top:"b"}')


@case(*PROTO, suffix=".prototxt")
def pt_pads():
    return b'name:"n" input:"i"input_shape{dim:1} layers{layer{name:"p" type:"padding" pad:1}bottom:"i"top:"p"}' + fill(
        b'layers{layer{name:"a" type:"conv"}bottom:"p"top:"p"}', 900000
    )


# TF GraphDef: node=1 {name1 op2 input3 device4 attr5{key1 value2}}, library 2
@case(*TF, suffix=".pb")
def pb_empty_nodes():
    return fill(bytes_field(1, b""))


@case(*TF, suffix=".pb")
def pb_small_nodes():
    return fill(bytes_field(1, bytes_field(1, b"a") + bytes_field(2, b"X")))


@case(*TF, suffix=".pb")
def pb_inputs():
    return bytes_field(1, bytes_field(1, b"a") + bytes_field(2, b"Add") + fill(bytes_field(3, b"a")))


@case(*TF, suffix=".pb")
def pb_all_to_all():
    return b"".join(
        bytes_field(
            1,
            bytes_field(1, b"n%d" % i)
            + bytes_field(2, b"AddN")
            + b"".join(bytes_field(3, b"n%d" % j) for j in range(max(0, i - 300), i)),
        )
        for i in range(560)
    )


@case(*TF, suffix=".pb")
def pb_chain():
    return b"".join(
        bytes_field(
            1, bytes_field(1, b"%x" % i) + bytes_field(2, b"Identity") + (bytes_field(3, b"%x" % (i - 1)) if i else b"")
        )
        for i in range(41000)
    )


@case(*TF, suffix=".pb")
def pb_attrs():
    return bytes_field(1, bytes_field(1, b"a") + bytes_field(2, b"Add") + fill(bytes_field(5, b"")))


@case(*TF, suffix=".pb")
def pb_library():
    return bytes_field(2, fill(bytes_field(1, b"")))


@case(*TF, suffix=".pb")
def pb_deep_attr():
    inner = deep((10, b""), (2, b""), (2, b""), size=900_000)
    return bytes_field(
        1, bytes_field(1, b"a") + bytes_field(2, b"Add") + bytes_field(5, bytes_field(1, b"k") + bytes_field(2, inner))
    )


@case(*TF, suffix=".pb")
def pb_const_huge():
    t = (
        number_field(1, 1)
        + bytes_field(2, bytes_field(2, number_field(1, 1 << 30)) + bytes_field(2, number_field(1, 1 << 20)))
        + bytes_field(5, b"\0\0\0\0")
    )
    return bytes_field(
        1,
        bytes_field(1, b"a")
        + bytes_field(2, b"Const")
        + bytes_field(5, bytes_field(1, b"dtype") + bytes_field(2, number_field(6, 1)))
        + bytes_field(5, bytes_field(1, b"value") + bytes_field(2, bytes_field(8, t))),
    )


@case(*TF, suffix=".pb")
def pb_reshape_huge():
    def const(name, dims, val, dt=3):
        t = number_field(1, dt) + bytes_field(2, b"".join(bytes_field(2, number_field(1, d)) for d in dims)) + val
        return bytes_field(
            1,
            bytes_field(1, name)
            + bytes_field(2, b"Const")
            + bytes_field(5, bytes_field(1, b"dtype") + bytes_field(2, number_field(6, dt)))
            + bytes_field(5, bytes_field(1, b"value") + bytes_field(2, bytes_field(8, t))),
        )

    return (
        const(b"w", [3, 3, 1 << 28, 1], bytes_field(5, b"\0\0\x80?"), 1)
        + const(b"s", [2], bytes_field(4, struct.pack("<ii", 1 << 30, 1 << 30)))
        + bytes_field(
            1,
            bytes_field(1, b"x")
            + bytes_field(2, b"Placeholder")
            + bytes_field(5, bytes_field(1, b"dtype") + bytes_field(2, number_field(6, 1)))
            + bytes_field(
                5, bytes_field(1, b"shape") + bytes_field(2, bytes_field(7, bytes_field(2, number_field(1, 1))))
            ),
        )
        + bytes_field(
            1, bytes_field(1, b"r") + bytes_field(2, b"Reshape") + bytes_field(3, b"x") + bytes_field(3, b"s")
        )
        + bytes_field(
            1,
            bytes_field(1, b"d")
            + bytes_field(2, b"DepthwiseConv2dNative")
            + bytes_field(3, b"r")
            + bytes_field(3, b"w"),
        )
    )


@case(*TF, suffix=".pbtxt")
def pbt_nodes():
    return fill(b"node{}")


@case(*TF, suffix=".pbtxt")
def pbt_deep():
    return b'node{name:"a" op:"Add" attr{key:"k" value{' + b"list{func{attr{value{" * 40000


@case(*TF, suffix=".pbtxt")
def pbt_strings():
    return b"node { name: " + fill(b'""')


@case(*TF, suffix=".pbtxt")
def pbt_open():
    return b'node { name: "a" attr{key:"value" value{tensor{tensor_content: "' + fill(b'\\"')


@case(*TF, suffix=".pbtxt")
def pbt_braces():
    return b"node " + fill(b"{}")


@case(*TF, suffix=".pbtxt")
def pbt_quotes():
    return b"node { name: " + fill(b"'\"")


@case(*TF, suffix=".pbtxt")
def pbt_ints():
    return b'node { name:"a" op:"Const" attr{key:"value" value{tensor{dtype:DT_INT32 ' + fill(b"int_val:1 ") + b"}}}}"


# ONNX: ModelProto ir_version1 opset_import8 graph7 {node1 name2 initializer5 input11 output12 value_info13}; NodeProto input1 output2 name3 op4 attr5 {name1 g6 t5 type20}
def onnx_model(graph, opset=9):
    return (
        number_field(1, 4)
        + bytes_field(7, bytes_field(2, b"g") + graph)
        + bytes_field(8, bytes_field(1, b"") + number_field(2, opset))
    )


def value_info(name, dims=(1,)):
    return bytes_field(1, name) + bytes_field(
        2,
        bytes_field(1, number_field(1, 1) + bytes_field(2, b"".join(bytes_field(1, number_field(1, d)) for d in dims))),
    )


@case(*ONNX, suffix=".onnx")
def ox_empty_nodes():
    return onnx_model(fill(bytes_field(1, b"")))


@case(*ONNX, suffix=".onnx")
def ox_inputs():
    return onnx_model(fill(bytes_field(11, b"")))


@case(*ONNX, suffix=".onnx")
def ox_inits():
    return onnx_model(fill(bytes_field(5, b"")))


@case(*ONNX, suffix=".onnx")
def ox_value_info():
    return onnx_model(fill(bytes_field(13, b"")))


@case(*ONNX, suffix=".onnx")
def ox_node_inputs():
    return onnx_model(bytes_field(1, bytes_field(4, b"Sum") + bytes_field(2, b"y") + fill(bytes_field(1, b"x"))))


@case(*ONNX, suffix=".onnx")
def ox_attrs():
    return onnx_model(bytes_field(1, bytes_field(4, b"Relu") + bytes_field(2, b"y") + fill(bytes_field(5, b""))))


@case(*ONNX, suffix=".onnx")
def ox_attr_ints():
    return onnx_model(
        bytes_field(
            1,
            bytes_field(4, b"Relu")
            + bytes_field(2, b"y")
            + bytes_field(5, bytes_field(1, b"a") + number_field(20, 7) + bytes_field(8, b"\1" * 990_000)),
        )
    )


@case(*ONNX, suffix=".onnx")
def ox_deep():
    branch = bytes_field(1, b"then_branch") + number_field(20, 5)
    return onnx_model(deep((1, bytes_field(4, b"If") + bytes_field(2, b"y")), (5, branch), (6, b"")))


@case(*ONNX, suffix=".onnx")
def ox_chain():
    return onnx_model(
        bytes_field(11, value_info(b"0"))
        + b"".join(
            bytes_field(1, bytes_field(1, b"%x" % i) + bytes_field(2, b"%x" % (i + 1)) + bytes_field(4, b"Relu"))
            for i in range(50000)
        )
        + bytes_field(12, value_info(b"%x" % 50000))
    )


@case(*ONNX, suffix=".onnx")
def ox_chain_backwards():
    return onnx_model(
        bytes_field(11, value_info(b"0"))
        + b"".join(
            bytes_field(1, bytes_field(1, b"%x" % i) + bytes_field(2, b"%x" % (i + 1)) + bytes_field(4, b"Identity"))
            for i in reversed(range(40000))
        )
        + bytes_field(12, value_info(b"%x" % 40000))
    )


@case(*ONNX, suffix=".onnx")
def ox_huge_init():
    return onnx_model(
        bytes_field(11, value_info(b"x"))
        + bytes_field(5, number_field(1, 1 << 40) + number_field(2, 1) + bytes_field(8, b"w"))
        + bytes_field(1, bytes_field(1, b"x") + bytes_field(1, b"w") + bytes_field(2, b"y") + bytes_field(4, b"Add"))
        + bytes_field(12, value_info(b"y"))
    )


@case(*ONNX, suffix=".onnx")
def ox_fill_shape():  # ConstantOfShape of a huge shape: folded?
    t = (
        number_field(1, 2)
        + number_field(2, 7)
        + bytes_field(8, b"s")
        + bytes_field(9, struct.pack("<qq", 1 << 20, 1 << 12))
    )
    return onnx_model(
        bytes_field(5, t)
        + bytes_field(1, bytes_field(1, b"s") + bytes_field(2, b"y") + bytes_field(4, b"ConstantOfShape"))
        + bytes_field(12, value_info(b"y"))
    )


@case(*ONNX, suffix=".onnx")
def ox_typed_data():
    return onnx_model(
        bytes_field(
            5, number_field(1, 990_000) + number_field(2, 6) + bytes_field(8, b"w") + bytes_field(5, b"\1" * 990_000)
        )
    )


@case(*ONNX, suffix=".onnx")
def ox_typed_unpacked():
    return onnx_model(
        bytes_field(
            5, number_field(1, 495_000) + number_field(2, 7) + bytes_field(8, b"w") + fill(number_field(7, 1), 990_000)
        )
    )


@case(*ONNX, suffix=".onnx")
def ox_dims():
    return onnx_model(
        bytes_field(
            5, bytes_field(1, b"\1" * 990_000) + number_field(2, 1) + bytes_field(8, b"w") + bytes_field(9, b"\0\0\0\0")
        )
    )


@case(*ONNX, suffix=".onnx")
def ox_functions():
    return onnx_model(b"") + fill(bytes_field(25, b""))


@case(*ONNX, suffix=".onnx")
def ox_opsets():
    return onnx_model(b"") + fill(bytes_field(8, b""))


@case(*ONNX, suffix=".onnx")
def ox_meta():
    return onnx_model(b"") + fill(bytes_field(14, b""))


@case(*ONNX, suffix=".onnx")
def ox_dup_names():
    return onnx_model(
        fill(
            bytes_field(1, bytes_field(1, b"x") + bytes_field(2, b"x") + bytes_field(3, b"n") + bytes_field(4, b"Relu"))
        )
    )


# tflite: Model{version, operator_codes, subgraphs, description, buffers}
def tflite(tensors=1, opcodes=1, inputs=1, dims=4, ops=0, buffers=1, subgraphs=1):
    """Write a TF Lite model whose tables all lie at one place, however often they are named."""
    import flatbuffers

    b = flatbuffers.Builder(1024)

    def offsets(those: Iterable[int]) -> int:
        those = list(those)
        b.StartVector(4, len(those), 4)
        for offset in reversed(those):
            b.PrependUOffsetTRelative(offset)
        return b.EndVector()

    def numbers(those: Iterable[int]) -> int:
        those = list(those)
        b.StartVector(4, len(those), 4)
        for number in reversed(those):
            b.PrependInt32(number)
        return b.EndVector()

    def table(size: int, **fields: int) -> int:
        b.StartObject(size)
        for slot, offset in fields.items():
            b.PrependUOffsetTRelativeSlot(int(slot[1:]), offset, 0)
        return b.EndObject()

    name, shape, used, ends = b.CreateString("a"), numbers([1] * dims), numbers([0] * inputs), numbers([0])
    tensor, operator = table(8, _0=shape, _3=name), table(9, _1=used, _2=used)
    listed = offsets([tensor] * tensors), offsets([operator] * ops)
    graph = table(5, _0=listed[0], _1=ends, _2=ends, _3=listed[1])
    code, buffer = table(4), table(2)
    lists = offsets([code] * opcodes), offsets([graph] * subgraphs), offsets([buffer] * buffers)
    b.StartObject(7)
    b.PrependUint32Slot(0, 3, 0)
    for slot, offset in zip((1, 2, 4), lists, strict=True):
        b.PrependUOffsetTRelativeSlot(slot, offset, 0)
    b.Finish(b.EndObject(), b"TFL3")
    return bytes(b.Output())


@case(*TFL, suffix=".tflite")
def tl_tensors():
    return tflite(tensors=240_000)


@case(*TFL, suffix=".tflite")
def tl_tensor_dims():
    return tflite(tensors=120_000, dims=120_000)


@case(*TFL, suffix=".tflite")
def tl_ops():
    return tflite(ops=240_000)


@case(*TFL, suffix=".tflite")
def tl_op_inputs():
    return tflite(ops=120_000, inputs=120_000)


@case(*TFL, suffix=".tflite")
def tl_subgraphs():
    return tflite(tensors=1000, ops=1000, subgraphs=100_000)


@case(*TFL, suffix=".tflite")
def tl_opcodes():
    return tflite(opcodes=240_000)


@case(*TFL, suffix=".tflite")
def tl_buffers():
    return tflite(buffers=240_000)


PICTURE = [
    "python",
    "from pathlib import Path; import sys; from modelprep.formats.picture.decode import read; read(Path(sys.argv[1]))",
    "{}",
]
CONVERT = [
    "python",
    "from pathlib import Path; import sys; from modelprep.steps import Call, find; find('picture').run(Call({'file': Path(sys.argv[1])}, Path('out.bmp'), lambda *_: None, lambda _: None))",
    "{}",
]
MEMBER = [
    "python",
    "from pathlib import Path; import sys; from modelprep.formats.archive.members import extract_member, members; a = Path(sys.argv[1]); [extract_member(a, name, Path('member')) for name, _ in members(a)[:1]]",
    "{}",
]
GUNZIP = [
    "python",
    "from pathlib import Path; import sys; from modelprep.steps import Call, find; find('gunzip').run(Call({'file': Path(sys.argv[1]), 'max_bytes': 1 << 33}, Path('plain'), lambda *_: None, lambda _: None))",
    "{}",
]
RECIPE = ["recipe", "lint", "{}"]


@cache
def bzip2_zeros() -> bytes:
    """Pack 1 GiB of zeros."""
    packer = bz2.BZ2Compressor()
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(1024)), packer.flush()])


def deflated_zeros() -> bytes:
    """Pack 900 MiB of zeros: each block is independent of the others."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * 900 + packer.flush()


def zip_of(data: bytes, method: int, size: int, *, name: bytes = b"m.bin") -> bytes:
    """Write a zip of one member, whose directory says that it unpacks to `size` zeros."""
    crc = zlib.crc32(bytes(min(size, 1 << 20)))
    local = struct.pack("<IHHHHHIIIHH", 0x04034B50, 46, 0, method, 0, 0, crc, len(data), size, len(name), 0) + name
    entry = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 46, 46, 0, method, 0, 0, crc, len(data), size, len(name),
                        0, 0, 0, 0, 0, 0) + name  # fmt: skip
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(entry), len(local) + len(data), 0)
    return local + data + entry + end


@cache
def raw_lzma(dictionary: int) -> bytes:
    """Write a zip's LZMA stream of 1 GB that wants a large dictionary."""
    packer = lzma.LZMACompressor(
        lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 24, "preset": 0}]
    )
    pieces = [packer.compress(bytes(1 << 20)) for _ in range(1024)]
    return b"\x09\x04\x05\0\x5d" + struct.pack("<I", dictionary) + b"".join([*pieces, packer.flush()])


def zip_bzip2() -> bytes:
    return zip_of(bzip2_zeros(), 12, 500)


def zip_bzip2_declared() -> bytes:
    return zip_of(bzip2_zeros(), 12, 1 << 30)


def zip_deflate() -> bytes:
    return zip_of(deflated_zeros(), 8, 943718400)


def zip_lzma() -> bytes:
    return zip_of(raw_lzma(0xFFFFFFFF), 14, 1 << 30)


def zip_lzma_small() -> bytes:
    return zip_of(raw_lzma(0xFFFFFFFF), 14, 500)


def zip_names() -> bytes:
    entry = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 46, 46, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"n"
    return fill(entry, 990_000) + struct.pack(
        "<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF & (990_000 // 47), 0xFFFF & (990_000 // 47), 990_000 // 47 * 47, 0, 0
    )


def gzip_zeros() -> bytes:
    crc = 0
    for _ in range(900):
        crc = zlib.crc32(bytes(1 << 20), crc)
    return gzip.compress(b"", 9)[:10] + deflated_zeros() + struct.pack("<II", crc, 900 << 20)


def xz_zeros() -> bytes:
    chain = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 28, "preset": 0}]
    return lzma.compress(bytes(1 << 28), format=lzma.FORMAT_XZ, filters=chain)


def bzip2_streams() -> bytes:
    return fill(bz2.compress(bytes(40 << 20)), MB)


for _make in (zip_bzip2, zip_bzip2_declared, zip_deflate, zip_lzma, zip_lzma_small, zip_names):
    FILES[_make.__name__] = Hostile(_make, ".zip", (MEMBER,))
for _make in (gzip_zeros, xz_zeros, bzip2_streams):
    FILES[_make.__name__] = Hostile(_make, ".bin", (GUNZIP, MEMBER))


def png(width: int, height: int, colour: int, depth: int) -> bytes:
    """Write a PNG of zeros: colour 0 grey, 2 RGB, 6 RGBA; depth in bits a sample."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    samples = {0: 1, 2: 3, 6: 4}[colour]
    row = bytes(1 + width * samples * depth // 8)
    packer = zlib.compressobj(9)
    data = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def jpeg(*, width: int = 4096, height: int = 3072, **options: object) -> bytes:
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (width, height), (1, 2, 3)).save(out, "JPEG", quality=50, subsampling=0, **options)
    return out.getvalue()


#: A Huffman table with one code: a run of 2^14 blocks and more that end there.
_RUNS = b"\xff\xc4" + struct.pack(">H", 20) + bytes([0x10, 1, *[0] * 15, 0xE0])


def jpeg_scans() -> bytes:
    """A progressive picture with thousands of scans, each of which visits every block and is a few bytes long."""
    blocks = 4096 // 8 * 3072 // 8
    bits = ("0" + "1" * 14) * -(-blocks // 32767)
    bits += "1" * (-len(bits) % 8)
    data = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)).replace(b"\xff", b"\xff\x00")
    scan = b"\xff\xda" + struct.pack(">H", 8) + bytes([1, 1, 0, 1, 63, 0x10]) + data
    return jpeg(progressive=True)[:-2] + _RUNS + scan * 10_000 + b"\xff\xd9"


def jpeg_tables() -> bytes:
    whole = jpeg()
    return whole[:2] + _RUNS * 30_000 + whole[2:]


def jpeg_large() -> bytes:
    return jpeg(width=7_000, height=4_900)


FILES["jpeg_baseline"] = Hostile(jpeg, ".jpg", (PICTURE, CONVERT))
FILES["jpeg_progressive"] = Hostile(lambda: jpeg(progressive=True), ".jpg", (PICTURE,))
for _make in (jpeg_scans, jpeg_tables, jpeg_large):
    FILES[_make.__name__] = Hostile(_make, ".jpg", (PICTURE,))
for _name, _colour, _depth, _side in (
    ("rgba", 6, 8, 3500),
    ("rgb16", 2, 16, 3500),
    ("grey16", 0, 16, 3500),
    ("large", 6, 8, 8192),
):
    FILES[f"png_{_name}"] = Hostile(
        lambda colour=_colour, depth=_depth, side=_side: png(side, side, colour, depth), ".png", (PICTURE, CONVERT)
    )


@case(RECIPE, suffix=".yaml")
def yaml_aliases() -> bytes:
    return b"a0: &a0 [x]\n" + b"".join(
        b"a%d: &a%d [*a%d,*a%d,*a%d]\n" % (i, i, i - 1, i - 1, i - 1) for i in range(1, 60)
    )


@case(RECIPE, suffix=".yaml")
def yaml_deep() -> bytes:
    return b"[" * 900_000


@case(RECIPE, suffix=".yaml")
def yaml_keys() -> bytes:
    return b"".join(b"k%x: 1\n" % i for i in range(90_000))


@case(RECIPE, suffix=".yaml")
def yaml_steps() -> bytes:
    return b"schema: 1\ndemo: d\nsteps:\n" + b"".join(b"- {id: s%x, uses: x}\n" % i for i in range(38_000))
