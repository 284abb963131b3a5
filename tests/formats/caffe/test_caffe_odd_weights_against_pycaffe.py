"""Weights as nobody writes them any more (or never did): the native engine takes them as a real Caffe does."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from pathlib import Path

import pytest
from caffe_bytes import blob, field, layer, v1_layer, varint

from modelprep.errors import StepError
from modelprep.formats.caffe import bake

NET = """
name: "odd"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 2 } }
"""
V0_NET = """
name: "old"
input: "data" input_dim: 1 input_dim: 3 input_dim: 6 input_dim: 6
layers { layer { name: "conv" type: "conv" num_output: 2 kernelsize: 3 group: 1 } bottom: "data" top: "conv" }
layers { layer { name: "relu" type: "relu" } bottom: "conv" top: "conv" }
layers { layer { name: "pool" type: "pool" pool: AVE kernelsize: 2 stride: 2 } bottom: "conv" top: "pool" }
layers { layer { name: "fc" type: "innerproduct" num_output: 2 biasterm: false } bottom: "pool" top: "fc" }
layers { layer { name: "prob" type: "softmax" } bottom: "fc" top: "prob" }
"""
SHARED_NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" param { name: "w" } param { name: "b" }
  inner_product_param { num_output: 3 } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" } param { name: "b" }
  inner_product_param { num_output: 3 } }
"""
W = array("f", [1, -2, 3.5, 4, 5, 6])
RAW, BIAS = W.tobytes(), array("f", [7, 8]).tobytes()


def legacy(*dims: int) -> bytes:
    return b"".join(varint(n << 3) + varint(d) for n, d in enumerate(dims, 1))


def loose(numbers: bytes) -> bytes:
    return b"".join(b"\x2d" + numbers[i : i + 4] for i in range(0, len(numbers), 4))


GOOD = [blob(RAW, (2, 3)), blob(BIAS, (2,))]
SHAPE = field(7, field(1, b"\x02\x03"))
NINE = array("f", range(9)).tobytes()
V0_FC = field(1, b"fc") + field(2, b"innerproduct") + field(50, legacy(1, 1, 2, 8) + field(5, bytes(range(64))))
V0_CONV = (
    field(1, b"conv")
    + field(2, b"conv")
    + field(50, legacy(2, 3, 3, 3) + field(5, bytes(range(216))))
    + field(50, legacy(1, 1, 1, 2) + field(5, BIAS))
)
CASES: dict[str, tuple[str, bytes]] = {
    "doubles": (
        NET,
        layer(
            "fc",
            "InnerProduct",
            field(8, array("d", [0.1, 1e30, -1e-40, 1 / 3, 16777217, 2.5]).tobytes()) + SHAPE,
            GOOD[1],
        ),
    ),
    "doubles beside floats": (
        NET,
        layer("fc", "InnerProduct", field(5, RAW) + field(8, array("d", range(6)).tobytes()) + SHAPE, GOOD[1]),
    ),
    "not packed": (NET, layer("fc", "InnerProduct", loose(RAW) + SHAPE, GOOD[1])),
    "in pieces": (
        NET,
        layer("fc", "InnerProduct", field(5, RAW[:8]) + SHAPE + loose(RAW[8:12]) + field(5, RAW[12:]), GOOD[1]),
    ),
    "a shape of unpacked dims": (
        NET,
        layer("fc", "InnerProduct", field(5, RAW) + field(7, b"\x08\x02\x08\x03"), GOOD[1]),
    ),
    "legacy and new shape": (NET, layer("fc", "InnerProduct", legacy(1, 1, 2, 3) + field(5, RAW) + SHAPE, GOOD[1])),
    "gradients": (NET, layer("fc", "InnerProduct", GOOD[0] + field(6, RAW), GOOD[1])),
    "surplus layers": (NET, layer("x", "InnerProduct", *GOOD) + layer("fc", "InnerProduct", *GOOD)),
    "a name twice": (
        NET,
        layer("fc", "InnerProduct", blob(bytes(24), (2, 3)), GOOD[1]) + layer("fc", "InnerProduct", *GOOD),
    ),
    "v0": (V0_NET, field(2, field(1, V0_CONV)) + field(2, field(1, V0_FC))),
    "shared, both given": (
        SHARED_NET,
        layer("a", "InnerProduct", blob(bytes(36), (3, 3)), blob(bytes(12), (3,)))
        + layer("b", "InnerProduct", blob(NINE, (3, 3)), blob(NINE[:12], (3,))),
    ),
    "shared, in the other order": (
        SHARED_NET,
        layer("b", "InnerProduct", blob(bytes(36), (3, 3)), blob(bytes(12), (3,)))
        + layer("a", "InnerProduct", blob(NINE, (3, 3)), blob(NINE[:12], (3,))),
    ),
    "shared, one given": (SHARED_NET, layer("b", "InnerProduct", blob(NINE, (3, 3)), blob(NINE[:12], (3,)))),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_odd_weights_bake_to_what_caffe_saves(
    name: str, pycaffe: str, net_file: Callable[..., Path], tmp_path: Path
) -> None:
    text, body = CASES[name]
    weights = tmp_path / "w.caffemodel"
    weights.write_bytes(field(1, b"n") + body)
    decided = bake.plan(net_file(text), weights)
    bake.write_plan(decided, tmp_path / "native")
    bake.write_plan(decided, tmp_path / "caffe", engine="pycaffe")
    assert bake.compare(tmp_path / "native", tmp_path / "caffe") is None


REFUSED = {
    "another shape": layer("fc", "InnerProduct", blob(RAW, (3, 2)), GOOD[1]),
    "another legacy shape": layer("fc", "InnerProduct", legacy(1, 2, 3, 1) + field(5, RAW), GOOD[1]),
    "a blob too few": layer("fc", "InnerProduct", GOOD[0]),
    "a blob too many": layer("fc", "InnerProduct", *GOOD, GOOD[1]),
    "layers of two generations": layer("fc", "InnerProduct", *GOOD) + v1_layer("fc", 14, *GOOD),
    "data shorter than the shape": layer("fc", "InnerProduct", field(5, RAW[:20]) + SHAPE, GOOD[1]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_what_the_native_engine_refuses_caffe_refuses_too(
    name: str, pycaffe: str, net_file: Callable[..., Path], tmp_path: Path
) -> None:
    from modelprep.formats.caffe import pycaffe as engine

    weights = tmp_path / "w.caffemodel"
    weights.write_bytes(field(1, b"n") + REFUSED[name])
    with pytest.raises(StepError):
        bake.plan(net_file(NET), weights)
    with pytest.raises(StepError, match="pycaffe could not"):
        engine.save(NET, weights, tmp_path / "caffe")
