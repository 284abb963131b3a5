"""What the real CaffeMnist-Armnn of Arm NN 19.02 (x86-64, CpuRef) did with these nets: exit status and message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from modelprep.formats.caffe import messages, prototxt
from modelprep.targets.armnn.program import Binding, walk

DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 28 dim: 28 } } }\n'
HEAD = (
    '{ name: "ip" type: "InnerProduct" bottom: "%s" top: "ip" inner_product_param { num_output: 10 } }'
    ' layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }'
)


def layer(type_: str, bottoms: str | Sequence[str] = "data", params: str = "", name: str = "x", tops: str = "") -> str:
    taken = " ".join(f'bottom: "{bottom}"' for bottom in ([bottoms] if isinstance(bottoms, str) else bottoms))
    made = " ".join(f'top: "{top}"' for top in (tops or name).split())
    return f'layer {{ name: "{name}" type: "{type_}" {taken} {made} {params} }}\n'


def convolution(params: str = "kernel_size: 5", bottom: str = "data", name: str = "x") -> str:
    return layer("Convolution", bottom, f"convolution_param {{ num_output: 4 {params} }}", name)


def pooling(params: str) -> str:
    return convolution(name="c") + layer("Pooling", "c", f"pooling_param {{ {params} }}")


def net(body: str, blobs: Mapping[str, Sequence[int]], last: str = "x", data: str = DATA, head: str = HEAD) -> bytes:
    """A net that ends in ten classes, with blobs of so many numbers each."""
    parsed = prototxt.read(data + body + "layer " + (head % last if "%s" in head else head))
    for one in parsed.layer:
        for count in blobs.get(one.name, ()):
            one.blobs.add().data.extend([0.1] * count)
    encoded: bytes = parsed.SerializeToString()
    return encoded


def dense(inputs: int) -> dict[str, Sequence[int]]:
    return {"ip": (10 * inputs, 10)}


C = {"c": (100, 4)}
X = {"x": (100, 4)}
FC6 = layer("InnerProduct", "data", "inner_product_param { num_output: 6 }", "i")
I6: dict[str, Sequence[int]] = {"i": (6 * 784, 6)}
GOOD = net(convolution(), {**X, **dense(4 * 576)})
MISMATCH = "TensorShape set on OutputSlot[0] does not match the inferred shape. : "

Answer = tuple[bytes, int, str]
BOARD: Mapping[str, Answer] = {
    "a convolution": (GOOD, 0, ""),
    # -- what the parser ignores
    "dilation is ignored": (net(convolution("kernel_size: 5 dilation: 2"), {**X, **dense(2304)}), 0, ""),
    "bytes behind the last layer": (GOOD + b"\xff" * 16, 0, ""),
    "the axis of an inner product": (
        net("", dense(784), "data", head=HEAD.replace("num_output: 10", "num_output: 10 axis: 2")), 0, ""),
    "layers that the output does not need": (
        net(convolution() + layer("Accuracy", "x", name="a") + layer("Frobnicate", "nowhere", name="f"),
            {**X, **dense(2304)}), 0, ""),
    "two layers of one name": (
        net(convolution() + layer("ReLU", "x", name="x", tops="y"), {**X, **dense(2304)}, "y"), 0, ""),
    "weights behind those that are needed": (net("", {"ip": (20000, 10)}, "data"), 0, ""),
    "an empty bias": (net("", {"ip": (7840, 0)}, "data"), 0, ""),
    # -- blobs
    "a weight too few": (
        net(convolution(), {"x": (99, 4), **dense(2304)}), 1,
        "Data blob at index 0 in layer x has an unexpected size. Expected 100 elements but got 99 elements."),
    "no blobs": (net(convolution(), dense(2304)), 1, "Expected data blob at index 0 in layer x not found."),
    "no bias": (net("", {"ip": (7840,)}, "data"), 1,
                "Expected data blob at index 1 in layer ip not found. nBlobs=ip."),
    "no weights in an inner product": (net("", {"ip": (0, 10)}, "data"), 139, ""),
    "two blobs of batch normalisation": (
        net(convolution(name="c") + layer("BatchNorm", "c"), {**C, "x": (4, 4), **dense(2304)}), 139, ""),
    # -- windows
    "no kernel": (net(convolution(""), {**X, **dense(1)}), 1, "bad numeric conversion: negative overflow"),
    "a stride of 0": (net(convolution("kernel_size: 5 stride: 0"), {**X, **dense(1)}), 136, ""),
    "a kernel larger than its input": (net(convolution("kernel_size: 30"), {"x": (3600, 4), **dense(1)}), 139, ""),
    "no pooling method": (net(pooling("kernel_size: 2 stride: 2"), {**C, **dense(576)}), 1,
                          "No Pooling Method Defined for x"),
    "no pooling stride": (net(pooling("pool: MAX kernel_size: 2"), {**C, **dense(16)}), 1,
                          f"Pooling2dLayer: {MISMATCH}[1,4,2,2] != [1,4,1,1]"),
    "a last window in the padding": (net(pooling("pool: MAX kernel_size: 3 stride: 2 pad: 2"), {**C, **dense(676)}), 1,
                                     f"Pooling2dLayer: {MISMATCH}[1,4,14,14] != [1,4,13,13]"),
    "fewer filters than groups": (
        net(layer("Convolution", "data", "convolution_param { num_output: 2 kernel_size: 3 group: 4 }"), {}), 1,
        "Error parsing Convolution: x. The 'group'=4 parameter cannot be larger than the number of filters supplied ='2'."),  # noqa: E501
    "groups as many as channels": (
        net(convolution(name="c") + convolution("kernel_size: 3 group: 4", "c"), {**C, "x": (36, 4), **dense(1936)}), 0,
        ""),
    "a depth multiplier": (
        net(convolution(name="c") + layer("Convolution", "c", "convolution_param { num_output: 8 kernel_size: 3 group: 4 }"),  # noqa: E501
            {**C, "x": (72, 8), **dense(1936)}), 1,
        "Data blob at index 0 in layer x has an unexpected size. Expected 36 elements but got 72 elements."),
    "groups in between": (
        net(convolution(name="c") + convolution("kernel_size: 3 group: 2", "c"), {**C, "x": (72, 4), **dense(1936)}), 0,
        ""),
    # -- ranks and shapes
    "transpose written out, though false": (
        net("", dense(784), "data", head=HEAD.replace("num_output: 10", "num_output: 10 transpose: false")), 1,
        f"FullyConnectedLayer: {MISMATCH}[1,10] != [1,784]"),
    "pooling in two dimensions": (
        net(FC6 + layer("Pooling", "i", "pooling_param { pool: MAX kernel_size: 1 stride: 1 }"), {**I6, **dense(6)}), 1,
        "Invalid dimension index: 2 (number of dimensions is 2)"),
    "batch normalisation in two dimensions": (
        net(FC6 + layer("BatchNorm", "i"), {**I6, "x": (6, 6, 1), **dense(6)}), 1,
        "Invalid dimension index: 2 (number of dimensions is 2)"),
    "a convolution in two dimensions": (
        net(FC6 + convolution("kernel_size: 1", "i"), {**I6, "x": (24, 4), **dense(6)}), 1,
        "Convolution input shape is expected to have 4 dimensions. x's input has only 2."),
    "concatenation in two dimensions": (
        net(FC6 + layer("Concat", ["i", "i"]), {**I6, **dense(6)}), 1,
        "The number of dimensions for input tensors of the concatenation op should be 4. Inputs of x has 2 dimensions."),  # noqa: E501
    "a sum of two sizes, the larger first": (
        net(convolution(name="c") + convolution("kernel_size: 5 pad: 1", name="d") + layer("Eltwise", ["d", "c"]),
            {**C, "d": (100, 4), **dense(2704)}), 1, "Broadcasting is not possible for incompatible shapes"),
    "a sum of two sizes, the smaller first": (
        net(convolution(name="c") + convolution("kernel_size: 5 pad: 1", name="d") + layer("Eltwise", ["c", "d"]),
            {**C, "d": (100, 4), **dense(2704)}), 1, f"AdditionLayer: {MISMATCH}[1,4,24,24] != [1,4,26,26]"),
    "a sum of two dimensions and four": (
        net(convolution(name="c") + FC6 + layer("Eltwise", ["c", "i"]), {**C, **I6, **dense(2304)}), 1,
        "Invalid dimension index: 2 (number of dimensions is 2)"),
    "joined pictures of two sizes": (
        net(convolution(name="c") + convolution("kernel_size: 5 pad: 1", name="d") + layer("Concat", ["c", "d"]),
            {**C, "d": (100, 4), **dense(5408)}), 1, "MergerLayer: there are some gaps between views : 5008 != 5408"),
    "the largest of two": (
        net(convolution(name="c") + layer("Eltwise", ["c", "c"], "eltwise_param { operation: MAX }"),
            {**C, **dense(2304)}), 1, "Unsupported operation 2 in Eltwise layer x"),
    # -- names and order
    "an operator that it does not know": (net(convolution(name="c") + layer("Sigmoid", "c"), {**C, **dense(2304)}), 1,
                                          "Unsupported layer type 'Sigmoid'"),
    "a data layer": (net(convolution(), {**X, **dense(2304)}, data='layer { name: "data" type: "Data" top: "data" }\n'), 1,  # noqa: E501
                     "Unsupported layer type 'Data'"),
    "a bottom that nothing makes": (net(layer("ReLU", "nowhere"), dense(784)), 1,
                                    "Can't find Caffe layer with top called 'nowhere', which is listed as an input of 'x'"),  # noqa: E501
    "a ring": (net(layer("Eltwise", ["y", "data"]) + layer("ReLU", "x", name="y"), dense(784)), 1,
               "Cycle detected in graph"),
    "two tops of one name": (
        net(convolution(name="c") + layer("Split", "c", name="q", tops="s s"), {**C, **dense(2304)}, "s"), 1,
        "Node 'q' is an in-place layer but doesn't have exactly one top."),
    "an output of another name": (net(convolution(), {**X, **dense(2304)}, head=HEAD.replace('top: "prob"', 'top: "o"')), 1,  # noqa: E501
                                  "Couldn't find requested output layer 'prob' in graph"),
    "an input layer of another name": (
        net("", dense(784), "data", data=DATA.replace('name: "data"', 'name: "input"')), 1,
        "Unknown binding input for layer 'data'."),
    "a net-level input": (
        net(convolution(), {**X, **dense(2304)}, data='input: "data" input_shape { dim: 1 dim: 1 dim: 28 dim: 28 }\n'), 1,  # noqa: E501
        "No input descriptor given for 'data' and no input shape found in caffe model."),
    "a batch of 64": (net("", dense(784), "data", data=DATA.replace("dim: 1 dim: 1", "dim: 64 dim: 1")), 1,
                      "Input tensor has incorrect size"),
    "two inputs": (
        net(DATA.replace('"data"', '"d2"') + layer("Eltwise", ["data", "d2"]), dense(784)), 1,
        "Number of inputs provided does not match network."),
    "five dimensions": (
        net("", dense(784), "data", data=DATA.replace("dim: 1 dim: 1", "dim: 1 dim: 1 dim: 1")), 1,
        "Tensor numDimensions must be less than or equal to MaxNumOfTensorDimensions"),
    # -- files
    "an empty file": (b"", 1, "Couldn't find requested output layer 'prob' in graph"),
    "a web page": (b"<!DOCTYPE html><html><body>x</body></html>", 1, "Couldn't find requested output layer 'prob'"),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n", 1,
                             "Couldn't find requested output layer 'prob' in graph"),
    "a line feed": (b"\n", 1, "ReadBase128 exceeded the maximum number of bytes expected"),
    "JSON": (b'{"a": 1}', 1, "ReadBase128 exceeded the maximum number of bytes expected"),
    "half a file": (GOOD[: len(GOOD) // 2], 1, "Couldn't find requested output layer 'prob' in graph"),
    "the file twice": (GOOD + GOOD, 1, "Node 'data' is an in-place layer but  doesn't have exactly one bottom"),
}  # fmt: skip


@pytest.mark.parametrize("what", BOARD)
def test_the_walk_ends_as_the_board_did(tmp_path: Path, what: str) -> None:
    content, status, message = BOARD[what]
    path = tmp_path / "lenet_iter_9000.caffemodel"
    path.write_bytes(content)
    _, stop = walk(path, "caffe", Binding("data", ["prob"], 784))
    assert (stop.status if stop else 0) == status
    said = "\n".join(stop.said("CaffeMnist-Armnn")) if stop else ""
    assert message in said


def test_a_shape_that_the_test_passes_takes_the_place_of_the_batch_only(tmp_path: Path) -> None:
    def answer(sizes: str) -> str:
        path = tmp_path / "VGG_CNN_S.caffemodel"
        path.write_bytes(net("", dense(3 * 4), "data", data=DATA.replace("dim: 1 dim: 1 dim: 28 dim: 28", sizes)))
        _, stop = walk(path, "caffe", Binding("data", ["prob"], 12, shapes={"data": (1, 3, 2, 2)}))
        return stop.message if stop else ""

    assert answer("dim: 10 dim: 3 dim: 2 dim: 2") == ""
    assert (
        answer("dim: 1 dim: 3 dim: 2 dim: 3")
        == "Parsed input shape for 'data' is incompatible with the override provided."
    )


def test_a_layer_that_is_cut_off_cannot_be_parsed(tmp_path: Path) -> None:
    whole = messages.new("NetParameter")
    whole.layer.add(name="prob", type="Softmax", bottom=["prob"], top=["prob"]).blobs.add().data.extend([1.0] * 50)
    content = whole.SerializeToString()
    answers = set()
    for cut in range(len(content)):
        path = tmp_path / f"{cut}.caffemodel"
        path.write_bytes(content[:cut])
        _, stop = walk(path, "caffe", Binding("data", ["prob"], 784))
        assert stop is not None
        answers.add(stop.message)
    assert answers >= {
        "Couldn't find requested output layer 'prob' in graph",
        "ReadBase128 exceeded the maximum number of bytes expected for an integer representation",
    }  # fmt: skip
