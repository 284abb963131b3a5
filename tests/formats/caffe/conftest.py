"""Small and big caffemodels made here, and a real Caffe where the machine has one."""

from __future__ import annotations

import json
import random
import subprocess
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from modelprep.formats.caffe import prepare, prototxt
from modelprep.formats.caffe.messages import schema
from modelprep.formats.caffe.shapes.infer import infer
from modelprep.formats.protowire import varint

#: A pool of ordinary floats that blobs are cut from; a megabyte, so that a VGG-19 is made in a second.
_POOL = 1 << 18


@cache
def _floats(seed: int) -> bytes:
    source = random.Random(seed)
    return array("f", (source.gauss(0, 0.05) for _ in range(_POOL))).tobytes()


def length_delimited(number: int, body: bytes) -> bytes:
    """One field of wire type 2."""
    return varint(number << 3 | 2) + varint(len(body)) + body


def blob_head(shape: Sequence[int], form: str) -> bytes:
    """A BlobProto's shape: new style, or the four legacy numbers as V1 files have them."""
    if form == "V2":
        return length_delimited(7, length_delimited(1, b"".join(varint(d) for d in shape)) if shape else b"")
    dims = (1,) * (4 - len(shape)) + tuple(shape)
    return b"".join(varint(number << 3) + varint(dim) for number, dim in enumerate(dims, start=1))


def write_weights(structure: Path, output: Path, form: str = "V2", seed: int = 1) -> Path:
    """Write random weights for a prototxt, as V2 or V1 layers, a blob at a time."""
    net = prepare.prepare(prototxt.read_file(structure))
    shapes = infer(net)
    pool = _floats(seed)
    types = schema().message("V1LayerParameter").DESCRIPTOR.fields_by_name["type"].enum_type.values_by_name
    with output.open("wb") as file:
        file.write(length_delimited(1, net.name.encode()))
        for place, layer in enumerate(shapes.layers):
            if layer.type == "Split":
                continue
            blobs: list[tuple[bytes, int, bytes]] = []
            for shape in layer.weights or ():
                count = 1
                for dim in shape or ():
                    assert dim is not None
                    count *= dim
                head = varint(5 << 3 | 2) + varint(4 * count)
                blobs.append((head, count, blob_head(shape, form)))  # type: ignore[arg-type]
            if form == "V2":
                names = length_delimited(1, layer.name.encode()) + length_delimited(2, layer.type.encode())
                layer_field, blob_field = 100, 7
            else:
                names = length_delimited(4, layer.name.encode())
                key = _v1_name(layer.type)
                names += varint(5 << 3) + varint(types[key].number if key in types else 0)
                layer_field, blob_field = 2, 6
            sizes = [len(head) + 4 * count + len(tail) for head, count, tail in blobs]
            total = len(names) + sum(len(varint(blob_field << 3 | 2)) + len(varint(s)) + s for s in sizes)
            file.write(varint(layer_field << 3 | 2) + varint(total) + names)
            for (head, count, tail), size in zip(blobs, sizes, strict=True):
                file.write(varint(blob_field << 3 | 2) + varint(size) + head)
                left, start = 4 * count, (place * 1372) % len(pool) // 4 * 4
                while left:
                    part = pool[start : start + left]
                    file.write(part)
                    left, start = left - len(part), 0
                file.write(tail)
    return output


def _v1_name(type_: str) -> str:
    special = {"InnerProduct": "INNER_PRODUCT", "SoftmaxWithLoss": "SOFTMAX_LOSS", "ReLU": "RELU", "LRN": "LRN"}
    return special.get(type_, type_.upper())


@pytest.fixture
def weights_for(tmp_path: Path) -> Callable[..., Path]:
    """Make a caffemodel with random weights for a prototxt."""

    def make(structure: Path, form: str = "V2", name: str = "weights.caffemodel") -> Path:
        return write_weights(structure, tmp_path / name, form)

    return make


@pytest.fixture
def net_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a prototxt."""

    def make(text: str, name: str = "net.prototxt") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return make


SMALL_NET = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 12 dim: 12 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_size: 3 pad: 1 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "norm" type: "LRN" bottom: "conv" top: "norm" lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 } }
layer { name: "pool" type: "Pooling" bottom: "norm" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "left" type: "Convolution" bottom: "pool" top: "left" convolution_param { num_output: 4 kernel_size: 1 } }
layer { name: "right" type: "Convolution" bottom: "pool" top: "right"
  convolution_param { num_output: 4 kernel_size: 1 bias_term: false } }
layer { name: "sum" type: "Eltwise" bottom: "left" bottom: "right" top: "sum" }
layer { name: "fc" type: "InnerProduct" bottom: "sum" top: "fc" inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


@pytest.fixture
def small_net(net_file: Callable[..., Path]) -> Path:
    """A net with a branch, an in-place layer and every common kind of weights."""
    return net_file(SMALL_NET, "small.prototxt")


@pytest.fixture
def small_weights(small_net: Path, weights_for: Callable[..., Path]) -> Path:
    """Random weights of the small net."""
    return weights_for(small_net)


@pytest.fixture(scope="session")
def caffe_shapes(pycaffe: str) -> Iterator[Callable[[Path], dict[str, Any]]]:
    """Ask a real Caffe for the shapes of all blobs and weights of a net."""
    program = (
        "import os, sys, json; os.environ['GLOG_minloglevel'] = '2'; import caffe\n"
        "for line in sys.stdin:\n"
        "    n = caffe.Net(line.rstrip('\\n'), caffe.TEST)\n"
        "    print(json.dumps({'blobs': {k: list(v.data.shape) for k, v in n.blobs.items()}, "
        "'weights': {k: [list(b.data.shape) for b in v] for k, v in n.params.items()}}), flush=True)\n"
    )
    # One process for all nets: what a net is does not depend on the one before it, and the import takes a second.
    with subprocess.Popen(
        [pycaffe, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:

        def ask(structure: Path) -> dict[str, Any]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{structure}\n")
            process.stdin.flush()
            while not (line := process.stdout.readline()).startswith("{"):
                assert line, f"Caffe died of {structure}"
            found: dict[str, Any] = json.loads(line)
            return found

        yield ask
        process.communicate()
