"""Graphs of at most 1 MB that are long, wide or shared, for what walks them: each read as a board's test would."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

from hostile import LINT, bytes_field, case, fill, graph_node, number_field, onnx_model, value_info, varint

TEST = {"tf": "TfMobileNet-Armnn", "caffe": "CaffeAlexNet-Armnn"}
TF = (
    ["lint", "{}", "--test", TEST["tf"]],
    ["tf", "legalise", "{}", "-o", "out.pb", "--force", "--no-verify"],
    ["tf", "inspect", "{}"],
)
CAFFE = (["lint", "{}", "--test", TEST["caffe"]],)
OUTPUT = b"MobilenetV1/Predictions/Reshape_1"
SIZE = 990_000


def upto(piece: Callable[[int], bytes], size: int = SIZE) -> tuple[bytes, int]:
    """Put pieces behind one another until they have a size; say how many there are."""
    pieces: list[bytes] = []
    length = 0
    while length < size:
        pieces.append(piece(len(pieces)))
        length += len(pieces[-1])
    return b"".join(pieces), len(pieces)


def kind(name: bytes, number: int) -> bytes:
    return bytes_field(5, bytes_field(1, name) + bytes_field(2, number_field(6, number)))


def node(name: bytes, op: bytes, *inputs: bytes, attrs: bytes = b"") -> bytes:
    return graph_node(name, op, *inputs, attrs=kind(b"T", 1) + attrs)


def whole(name: bytes, *values: int) -> bytes:
    tensor = number_field(1, 3) + bytes_field(2, bytes_field(2, number_field(1, len(values))))
    tensor += bytes_field(4, struct.pack(f"<{len(values)}i", *values))
    return graph_node(
        name,
        b"Const",
        attrs=kind(b"dtype", 3) + bytes_field(5, bytes_field(1, b"value") + bytes_field(2, bytes_field(8, tensor))),
    )


HEAD = (
    graph_node(b"input", b"Placeholder", attrs=kind(b"dtype", 1)) + whole(b"s", 1, 224, 224, 3) + whole(b"t", 224, 672)
)


def chained(op: bytes, more: Callable[[int], tuple[bytes, ...]], attrs: bytes = b"", head: bytes = HEAD) -> bytes:
    def one(number: int) -> bytes:
        source = b"n%x" % (number - 1) if number else b"input"
        return node(b"n%x" % number, op, source, *more(number), attrs=attrs)

    nodes, count = upto(one, SIZE - 500)
    return head + nodes + node(OUTPUT, b"Relu", b"n%x" % (count - 1))


@case(*TF, suffix=".pb")
def gr_reshapes() -> bytes:
    return chained(b"Reshape", lambda number: (b"st"[number % 2 :][:1],))


@case(*TF, suffix=".pb")
def gr_reshapes_beside() -> bytes:
    def one(number: int) -> bytes:
        return node(b"n%x" % number, b"Reshape", b"input", b"s") + node(b"r%x" % number, b"Relu", b"n%x" % number)

    nodes, count = upto(one, 800_000)
    return HEAD + nodes + whole(b"ax", 3) + node(OUTPUT, b"ConcatV2", *(b"r%x" % i for i in range(count)), b"ax")


@case(*TF, suffix=".pb")
def gr_joined() -> bytes:
    return HEAD + whole(b"ax", 3) + node(OUTPUT, b"ConcatV2", *[b"input"] * 140_000, b"ax")


@case(*TF, suffix=".pb")
def gr_means() -> bytes:
    keep = bytes_field(5, bytes_field(1, b"keep_dims") + bytes_field(2, number_field(5, 0)))
    return chained(b"Mean", lambda _: (b"ax",), keep, HEAD + whole(b"ax", -1))


@case(*TF, suffix=".pb")
def gr_split() -> bytes:
    parts = bytes_field(5, bytes_field(1, b"num_split") + bytes_field(2, number_field(3, (1 << 31) - 1)))
    return HEAD + whole(b"ax", 5) + node(b"sp", b"Split", b"ax", b"input", attrs=parts) + node(OUTPUT, b"Relu", b"sp")


@case(*TF, suffix=".pb")
def gr_groups() -> bytes:
    return b"\x0b" * SIZE


def layer(name: bytes, op: bytes, bottoms: Iterable[bytes], tops: Iterable[bytes], more: bytes = b"") -> bytes:
    ends = b"".join(bytes_field(3, bottom) for bottom in bottoms) + b"".join(bytes_field(4, top) for top in tops)
    return bytes_field(100, bytes_field(1, name) + bytes_field(2, op) + ends + more)


def net(*layers: bytes, channels: int = 3) -> bytes:
    shape = bytes_field(1, bytes_field(1, b"".join(map(varint, (1, channels, 227, 227)))))
    return bytes_field(1, b"n") + layer(b"data", b"Input", (), [b"data"], bytes_field(143, shape)) + b"".join(layers)


@case(*CAFFE, suffix=".caffemodel")
def gr_concat() -> bytes:
    return net(layer(b"prob", b"Concat", [b"data"] * 160_000, [b"prob"]))


@case(*CAFFE, suffix=".caffemodel")
def gr_many_groups() -> bytes:
    sizes = number_field(1, 200_000) + number_field(2, 0) + number_field(5, 200_000)
    sizes += number_field(11, 0) + number_field(12, 0)
    convolution = bytes_field(106, sizes) + bytes_field(7, b"") * 2
    return net(layer(b"prob", b"Convolution", [b"data"], [b"prob"], convolution), channels=227_000)


@case(*CAFFE, suffix=".caffemodel")
def gr_overlapping_layers() -> bytes:
    """Layers that begin at the front and end at the back; behind each, a length leads back to the next."""
    count, head, jump = 20_000, 9, 6
    ends = SIZE - count * jump
    front, back = bytearray(), bytearray()
    for number in range(count):
        start, end = number * head, ends + number * jump
        front += b"\xa2\x06" + _long(end - start - 5) + b"\x0a" + _long(end - start - 9)
        back += b"\x12" + varint((start + head - end - jump) & 0xFFFFFFFF)
    return bytes(front).ljust(ends, b"\xe9") + bytes(back)


def _long(size: int) -> bytes:
    return bytes((size & 127 | 128, size >> 7 & 127 | 128, size >> 14))


FIX = ["onnx", "fix", "{}", "-o", "out.onnx", "--force", "--no-verify"]


def onnx_node(op: bytes, inputs: Iterable[bytes], output: bytes, attrs: bytes = b"") -> bytes:
    ends = b"".join(bytes_field(1, name) for name in inputs) + bytes_field(2, output)
    return bytes_field(1, ends + bytes_field(3, b"a") + bytes_field(4, op) + attrs)


def attribute(name: bytes, value: int, *, several: bool = False) -> bytes:
    field, code = (8, 7) if several else (3, 2)
    return bytes_field(5, bytes_field(1, name) + number_field(field, value) + number_field(20, code))


def floats(name: bytes, *dims: int) -> bytes:
    count = 1
    for size in dims:
        count *= size
    sizes = b"".join(number_field(1, size) for size in dims)
    return bytes_field(5, sizes + number_field(2, 1) + bytes_field(8, name) + bytes_field(9, bytes(4 * count)))


@case([*FIX, "--opset", "13"], LINT, suffix=".onnx")
def gr_unsqueezed() -> bytes:
    axes = attribute(b"axes", 0, several=True)
    nodes, count = upto(
        lambda i: onnx_node(b"Unsqueeze", [b"v%x" % (i - 1) if i else b"x"], b"v%x" % i, axes), SIZE - 99
    )
    return onnx_model(bytes_field(11, value_info(b"x")) + nodes + bytes_field(12, value_info(b"v%x" % (count - 1))))


@case([*FIX, "--simplify"], [*FIX, "--for", "armnn-19.02"], suffix=".onnx")
def gr_gemms() -> bytes:
    turned = attribute(b"transB", 1)
    nodes, _ = upto(lambda i: onnx_node(b"Gemm", [b"x", b"w", b"b"], b"v%x" % i, turned), 600_000)
    head = bytes_field(11, value_info(b"x", (1, 300))) + floats(b"w", 300, 300) + floats(b"b", 300)
    return onnx_model(head + nodes + bytes_field(12, value_info(b"v0", (1, 300))))


@case([*FIX, "--simplify"], suffix=".onnx")
def gr_identity_outputs() -> bytes:
    def one(number: int) -> bytes:
        made = onnx_node(b"Relu", [b"x"], b"r%x" % number) + onnx_node(b"Identity", [b"r%x" % number], b"o%x" % number)
        return made + bytes_field(12, bytes_field(1, b"o%x" % number))

    return onnx_model(bytes_field(11, value_info(b"x")) + upto(one)[0])


@case(LINT, suffix=".onnx")
def gr_long_shape_shared() -> bytes:
    dims = bytes_field(1, number_field(1, 1) + bytes_field(2, fill(bytes_field(1, number_field(1, 3)), 300_000)))
    weights = bytes_field(5, bytes_field(1, b"\2" * 200_000) + number_field(2, 1) + bytes_field(8, b"w"))
    nodes, _ = upto(lambda i: onnx_node(b"Add", [b"x", b"w"], b"v%x" % i), 450_000)
    head = bytes_field(11, bytes_field(1, b"x") + bytes_field(2, dims)) + weights
    return onnx_model(head + nodes + bytes_field(12, value_info(b"v1")))
