"""The chains of docs/how-to/chains.md, each run as documented with the real tools where they are installed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from modelprep.cli.main import invoke
from modelprep.formats.caffe import messages, prototxt
from modelprep.formats.onnx.model import messages as onnx_messages
from modelprep.formats.tflite.model import read
from modelprep.steps.picture import bmp

np = pytest.importorskip("numpy", reason="the nets' weights are made with it")

DEPLOY = """
name: "n" input: "data" input_dim: 1 input_dim: 3 input_dim: 224 input_dim: 224
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 kernel_size: 7 stride: 4 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: MAX kernel_size: 5 stride: 5 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip" inner_product_param { num_output: 5 } }
"""
MAKE = """
import sys
import numpy as np
import tensorflow as tf
tf1 = tf.compat.v1
rng = np.random.default_rng(5)
with tf1.Graph().as_default() as graph, tf1.Session() as session:
    x = tf1.placeholder(tf.float32, [None, 224, 224, 3], name="input")
    def variable(name, *shape):
        start = tf.constant(rng.normal(0, 0.2, shape).astype("f4"))
        return tf1.get_variable(name, initializer=start, use_resource=False)
    y = tf1.nn.relu(tf1.nn.conv2d(x, variable("w1", 7, 7, 3, 8), [1, 16, 16, 1], "VALID"))
    y = tf1.matmul(tf1.reshape(y, [-1, 14 * 14 * 8]), variable("w2", 14 * 14 * 8, 5))
    tf1.identity(y, name="prob")
    session.run(tf1.global_variables_initializer())
    tf1.train.Saver().save(session, sys.argv[1] + "/model.ckpt", write_meta_graph=False, write_state=False)
    open(sys.argv[1] + "/graph.pb", "wb").write(graph.as_graph_def().SerializeToString())
"""


def have(*names: str) -> None:
    """Skip where a tool of a chain is not installed."""
    modules = {"MODELPREP_ONNX2TF": "onnx2tf", "MODELPREP_QUANTIZER": "ai_edge_quantizer", "MODELPREP_VELA": "ethosu"}
    for name in names:
        if name in modules and not os.environ.get(name) and find_spec(modules[name]) is None:
            pytest.skip(f"a tool of this chain is not here: {name} names none")
        if name not in modules:
            pytest.importorskip(name, reason="a step of this chain needs it")


def pictures(folder: Path) -> Path:
    rng = np.random.default_rng(1)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for n in range(20):
            archive.writestr(f"{n}.bmp", bmp(rng.integers(0, 256, (40, 60, 3), np.uint8)))
    (folder / "pictures.zip").write_bytes(packed.getvalue())
    return folder / "pictures.zip"


def fetched(repository: Path, folder: Path, name: str, **given: Path) -> Path:
    """Run a chain's recipe twice, each with a cache of its own, and see that it gives the same bytes."""
    chain = repository / "docs" / "examples" / "chains" / f"{name}.yaml"
    made = []
    for number in (1, 2):
        words = ["fetch", str(chain), "--out", str(folder / f"out{number}"), "--cache", str(folder / f"cache{number}")]
        assert invoke([*words, *(word for key, path in given.items() for word in ("--set", f"{key}={path}"))]) == 0
        made.append(next((folder / f"out{number}").glob("*/models/*")))
    assert made[0].read_bytes() == made[1].read_bytes()
    return made[0]


def facts(folder: Path, step: str) -> dict[str, Any]:
    """Return the facts that a step's result was stored with."""
    for path in (folder / "cache1" / "results").glob("*.json"):
        found = json.loads(path.read_text())
        if found["step"] == step:
            return dict(found["facts"])
    raise AssertionError(f"{step} did not run")


def on_the_npu(folder: Path, model: Path) -> None:
    assert "ethos-u" in {operator.custom for operator in read(model).main.operators}
    assert facts(folder, "tflite.vela")["cpu_operators"] == 0


@pytest.mark.slow
def test_a_caffe_net_becomes_a_model_for_the_npu(repository: Path, tmp_path: Path) -> None:
    have("MODELPREP_ONNX2TF", "MODELPREP_QUANTIZER", "MODELPREP_VELA")
    (tmp_path / "deploy.prototxt").write_text(DEPLOY)
    net = prototxt.read_file(tmp_path / "deploy.prototxt")
    weights = messages.new("NetParameter")
    weights.CopyFrom(net)
    rng = np.random.default_rng(3)
    for layer, shape in ((weights.layer[0], (8, 3, 7, 7)), (weights.layer[3], (5, 8 * 11 * 11))):
        for size, spread in ((shape, 0.05), (shape[:1], 0.01)):
            blob = layer.blobs.add()
            blob.shape.dim.extend(size)
            blob.data.extend(rng.normal(0, spread, int(np.prod(size))).tolist())
    (tmp_path / "net.caffemodel").write_bytes(weights.SerializeToString())
    given = {"prototxt": tmp_path / "deploy.prototxt", "weights": tmp_path / "net.caffemodel"}
    model = fetched(repository, tmp_path, "caffe-to-imx93", **given, pictures=pictures(tmp_path))
    on_the_npu(tmp_path, model)
    assert facts(tmp_path, "tflite.quantise")["agreement"]["top1"] >= 0.9


@pytest.mark.slow
def test_a_tensorflow_1_checkpoint_becomes_a_model_for_the_npu(repository: Path, tmp_path: Path) -> None:
    have("tensorflow", "MODELPREP_VELA")
    subprocess.run([sys.executable, "-W", "ignore", "-c", MAKE, str(tmp_path)], check=True, capture_output=True)
    model = fetched(
        repository, tmp_path, "tf1-to-imx93", graph=tmp_path / "graph.pb", index=tmp_path / "model.ckpt.index",
        data=tmp_path / "model.ckpt.data-00000-of-00001", pictures=pictures(tmp_path),
    )  # fmt: skip
    on_the_npu(tmp_path, model)
    assert facts(tmp_path, "tf.to_tflite")["agreement"]["inputs"] == 20


def test_an_onnx_model_gets_a_fixed_batch_and_a_lower_opset(repository: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="another opset needs the onnx extra")
    model = onnx_messages("ModelProto")()
    model.ir_version = 8
    model.opset_import.add(version=17)
    for into, name in ((model.graph.input, "in"), (model.graph.output, "out")):
        tensor = into.add(name=name).type.tensor_type
        tensor.elem_type = 1
        tensor.shape.dim.add(dim_param="N")
        tensor.shape.dim.add(dim_value=3)
    model.graph.name = "g"
    model.graph.node.add(op_type="Relu", name="relu", input=["in"], output=["out"])
    (tmp_path / "open.onnx").write_bytes(model.SerializeToString())
    made = onnx.load(fetched(repository, tmp_path, "onnx-fixed", model=tmp_path / "open.onnx"))
    assert made.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    assert made.opset_import[0].version == 11
