"""Random small nets of several layers, held against a real Caffe."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import oracles
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from layer_cases import Case, layer

from modelprep.errors import StepError

pytest.importorskip("onnxruntime", reason="onnxruntime runs the converted models")

#: Layers for a blob of four axes: type, parameters, and whether it may work in place.
LAYERS = [
    ("Convolution", "convolution_param {{ num_output: {even} kernel_size: {k} pad: {p} stride: {s} }}", False),
    ("Convolution", "convolution_param {{ num_output: {even} kernel_size: 3 pad: 2 dilation: 2 group: 2 }}", False),
    (
        "Deconvolution",
        "convolution_param {{ num_output: {even} kernel_size: {k} stride: {s} bias_term: false }}",
        False,
    ),
    ("Pooling", "pooling_param {{ pool: MAX kernel_size: {k} stride: {s} pad: {p} }}", False),
    ("Pooling", "pooling_param {{ pool: AVE kernel_size: {k} stride: {s} pad: {p} }}", False),
    ("Pooling", "pooling_param {{ pool: AVE kernel_size: {k} stride: {s} round_mode: FLOOR }}", False),
    ("LRN", "lrn_param {{ local_size: 3 alpha: 0.5 }}", False),
    ("LRN", "lrn_param {{ local_size: 3 alpha: 0.5 norm_region: WITHIN_CHANNEL }}", False),
    ("BatchNorm", "", True),
    ("Scale", "scale_param {{ bias_term: true }}", True),
    ("ReLU", "", True),
    ("ReLU", "relu_param {{ negative_slope: 0.1 }}", True),
    ("PReLU", "", True),
    ("ELU", "", True),
    ("TanH", "", True),
    ("Sigmoid", "", True),
    ("Power", "power_param {{ scale: 0.5 shift: 0.25 }}", True),
    ("Dropout", "", True),
    ("Permute", "permute_param {{ order: 0 order: 1 order: 3 order: 2 }}", False),
    ("MVN", "", False),
    # No Split: its tops are its bottom's own memory in Caffe, so that what works in place on one changes all.
]


@st.composite
def nets(draw: st.DrawFn) -> Case:
    blobs, text = ["data"], ""
    read: set[str] = set()
    for number in range(draw(st.integers(1, 7))):
        type_, params, in_place = draw(st.sampled_from(LAYERS))
        bottom = draw(st.sampled_from(blobs))
        # Caffe refuses a layer that works in place on what another one has read.
        in_place = in_place and bottom not in read | {"data"} and draw(st.booleans())
        top = bottom if in_place else f"b{number}"
        stride = draw(st.integers(1, 2))
        kernel = draw(st.integers(stride, 3))
        numbers = {
            "k": kernel,
            "s": stride,
            "p": draw(st.integers(0, kernel - 1)),
            "even": draw(st.sampled_from([2, 4])),
        }
        text += layer(type_, params.format(**numbers), bottom, top, f"l{number}")
        if not in_place:
            read.add(bottom)
            blobs.append(top)
    last = blobs[-1]
    if draw(st.booleans()):
        text += layer("Concat", "", f"{last} {last}", "joined", "join")
        last = "joined"
    text += layer("InnerProduct", "inner_product_param { num_output: 3 }", last, "out", "end")
    return Case(text, {"data": (draw(st.integers(1, 2)), 4, draw(st.integers(7, 10)), draw(st.integers(7, 10)))})


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=nets(), opset=st.integers(11, 21), seed=st.integers(0, 1000))
def test_a_random_net_computes_what_caffe_computes(caffe: oracles.Caffe, case: Case, opset: int, seed: int) -> None:
    folder = Path(tempfile.mkdtemp()) / "net"
    try:
        oracles.lay_out_one(case, folder, seed, spread=0.3)
    except StepError:  # the windows of these layers have made the blob too small for the next
        reject()
    caffe.ask(folder)
    expected = oracles.answers(folder / "caffe.npz")
    oracles.convert(folder, opset=opset)
    found = oracles.run(folder / "net.onnx", oracles.answers(folder / "inputs.npz"))
    for name, value in found.items():
        if np.abs(expected[name]).max() > 1e-3:
            assert oracles.difference(expected[name], value) <= 1e-5, name
    shutil.rmtree(folder.parent)
