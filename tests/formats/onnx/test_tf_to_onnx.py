"""tf.to_onnx: the same answers as TensorFlow's, the same bytes every time, one message for what cannot be converted."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from onnx_small import call, np, onnx, run

from modelprep.errors import RecipeError, StepError
from modelprep.steps import find

if any(importlib.util.find_spec(name) is None for name in ("tensorflow", "tf2onnx")):
    pytest.skip("the extras tf and onnx are not installed", allow_module_level=True)

pytestmark = pytest.mark.slow

MAKE = """
import sys, json, numpy as np
import tensorflow as tf
tf1 = tf.compat.v1
tf1.disable_eager_execution()
rng = np.random.default_rng(0)
with tf1.Graph().as_default() as graph:
    x = tf1.placeholder(tf.float32, [None, 16, 16, 3], name="input")
    w = tf1.constant(rng.normal(size=(3, 3, 3, 64)).astype("f4"), name="w")
    y = tf1.nn.conv2d(x, w, strides=[1, 2, 2, 1], padding="SAME", name="conv")
    scale, offset, mean, var = (rng.uniform(0.5, 1.5, 64).astype("f4") for _ in range(4))
    y, _, _ = tf1.nn.fused_batch_norm(y, scale, offset, mean, var, is_training=False, name="norm")
    # Branches whose constants are equal: the tool merges them, and which one lends its name must not be chance.
    y = sum(
        tf1.nn.bias_add(tf1.nn.conv2d(y, tf1.constant(rng.normal(size=(1, 1, 64, 64)).astype("f4") / 64), strides=1,
                                      padding="SAME"), tf1.constant(np.full(64, 0.25, "f4"), name=f"bias{k}"))
        for k in range(12)
    )
    y = tf1.nn.relu6(y, name="relu")
    y = tf1.nn.avg_pool2d(y, 8, 1, "VALID", name="pool")
    y = tf1.reshape(y, [-1, 64], name="flat")
    y = tf1.matmul(y, tf1.constant(rng.normal(size=(64, 40)).astype("f4")), name="logits")
    y = tf1.nn.softmax(y, name="prob")
    pictures = rng.normal(size=(2, 16, 16, 3)).astype("f4")
    with tf1.Session() as session:
        np.savez(sys.argv[1] + "/values.npz", x=pictures, y=session.run(y, {x: pictures}))
    with open(sys.argv[1] + "/graph.pb", "wb") as file:
        file.write(graph.as_graph_def().SerializeToString())
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a frozen graph and what TensorFlow answers (TensorFlow stays out of this process)."""
    folder = tmp_path_factory.mktemp("graph")
    subprocess.run([sys.executable, "-W", "ignore", "-c", MAKE, str(folder)], check=True, capture_output=True)
    return folder


def test_it_answers_as_tensorflow_does_and_is_the_same_file_every_time(made: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.onnx", tmp_path / "b.onnx"
    facts = call("tf.to_onnx", first, graph=made / "graph.pb", inputs=["input"], outputs=["prob"])
    call("tf.to_onnx", second, graph=made / "graph.pb")
    assert first.read_bytes() == second.read_bytes()
    assert (facts["inputs"], facts["outputs"], facts["opset"]) == (["input"], ["prob"], 13)
    model = onnx.load(str(first))
    onnx.checker.check_model(model, full_check=True)
    assert not any(t.data_location for t in model.graph.initializer)
    assert not model.producer_version
    values = np.load(made / "values.npz")
    answer = run(first, {"input": values["x"]})[0]
    np.testing.assert_allclose(answer, values["y"], rtol=1e-4, atol=1e-7)
    assert (np.argsort(answer)[:, -5:] == np.argsort(values["y"])[:, -5:]).all()


def test_shapes_layout_and_opset_can_be_chosen(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.onnx"
    shapes = {"input": [2, 16, 16, 3]}
    call("tf.to_onnx", out, graph=made / "graph.pb", opset=9, inputs_as_nchw=["input"], shapes=shapes)
    model = onnx.load(str(out))
    assert next(o.version for o in model.opset_import if not o.domain) == 9
    assert [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == [2, 3, 16, 16]
    values = np.load(made / "values.npz")
    answer = run(out, {"input": values["x"].transpose(0, 3, 1, 2)})[0]
    np.testing.assert_allclose(answer, values["y"], rtol=1e-4, atol=1e-7)


def test_a_node_that_is_not_there_is_named_with_those_that_are(made: Path, tmp_path: Path) -> None:
    with pytest.raises(StepError, match="cannot convert") as caught:
        call("tf.to_onnx", tmp_path / "a.onnx", graph=made / "graph.pb", outputs=["probability"])
    assert "no output called probability; outputs: " in str(caught.value.got)
    assert "prob" in str(caught.value.got)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>"], ids=["empty", "page"])
def test_what_is_no_graph_is_one_message(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "graph.pb"
    path.write_bytes(data)
    with pytest.raises(StepError):
        call("tf.to_onnx", tmp_path / "a.onnx", graph=path)


def test_a_shape_that_is_none_is_an_error_of_the_recipe(made: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="shape of 'input'"):
        call("tf.to_onnx", tmp_path / "a.onnx", graph=made / "graph.pb", shapes={"input": "1x3"})


def test_it_says_which_extras_it_needs() -> None:
    assert find("tf.to_onnx").extras({}) == ("tf", "onnx")


def test_the_command_reads_text_graphs_of_arm_s_examples(upstream: Path, tmp_path: Path) -> None:
    examples = upstream / "raw.githubusercontent.com/ARM-software/ML-examples/master"
    source, out = examples / "armnn-mnist/model/simple_mnist_tf.prototxt", tmp_path / "m.onnx"
    # That file was written when a placeholder without a shape meant one of any shape.
    words = ["tf", "to-onnx", str(source), "-o", str(out), "--json", "--shape", "Placeholder=1,784"]
    words = [sys.executable, "-m", "modelprep", *words]
    done = subprocess.run(words, cwd=Path(__file__).resolve().parents[3], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    facts: Any = json.loads(done.stdout)
    assert facts["facts"]["outputs"] == ["Softmax"]
    assert onnx.load(str(out)).graph.input[0].name == "Placeholder"


KINDS = """
import sys
import tensorflow as tf
tf1 = tf.compat.v1
tf1.disable_eager_execution()

def pictures():
    return tf1.placeholder(tf.float32, [1, 8, 8, 3], name="input")

def loop():
    x = tf1.placeholder(tf.float32, [4], name="input")
    return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2 + tf.cast(i, tf.float32)), [0, x])[1]

def choice():
    x = tf1.placeholder(tf.float32, [4], name="input")
    return tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2, lambda: x - 1)

def old_loop():
    tf1.disable_control_flow_v2()
    try:
        return loop()
    finally:
        tf1.enable_control_flow_v2()

def resized():
    return tf.image.resize(tf1.image.resize_nearest_neighbor(pictures(), [16, 16]), [5, 7])

def depthwise():
    y = tf.nn.depthwise_conv2d(pictures(), tf.fill([3, 3, 3, 2], 0.5), [1, 1, 1, 1], "SAME")
    y = tf.quantization.fake_quant_with_min_max_args(y, 0, 6)
    return tf.concat(tf.split(tf.nn.space_to_depth(y, 2), 4, axis=-1)[::-1], -1)

def boxes():
    x = tf1.placeholder(tf.float32, [10, 4], name="input")
    return tf.gather(x, tf.image.non_max_suppression(x, x[:, 0], 5))

def words():
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([1, 2], tf.int64)), -1)
    return table.lookup(tf1.placeholder(tf.string, [2], name="input"))

for make in (loop, choice, old_loop, resized, depthwise, boxes, words):
    with tf1.Graph().as_default() as graph:
        tf.identity(make(), name="result")
    with open(f"{sys.argv[1]}/{make.__name__}.pb", "wb") as file:
        file.write(graph.as_graph_def().SerializeToString())
"""
CONVERT = """
import sys
from pathlib import Path
from modelprep.errors import StepError
from modelprep.formats.onnx import lazy_tensorflow, tf2onnx_worker
way = sys.argv.pop()
if way == "whole":
    lazy_tensorflow.install = lambda: None
for graph in sorted(Path(sys.argv[1]).glob("*.pb")):
    orders = {"graph": str(graph), "output": str(graph.with_suffix(f".{way}")), "inputs": ["input"],
              "outputs": ["result"], "opset": 13, "nchw": [], "nchw_outputs": [], "shapes": {}}
    try:
        print(graph.stem, tf2onnx_worker.work(orders))
    except StepError as error:
        print(graph.stem, error.to_json())
"""


def test_parts_of_tensorflow_convert_as_the_whole(tmp_path: Path) -> None:
    def said(code: str, *words: str) -> list[str]:
        command = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path), *words]
        environment = {**os.environ, "PYTHONHASHSEED": "0", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.splitlines()

    said(KINDS)
    parts, whole = said(CONVERT, "parts"), said(CONVERT, "whole")
    assert parts == whole
    converted = [
        path for path in tmp_path.glob("*.whole") if path.with_suffix(".parts").read_bytes() == path.read_bytes()
    ]
    assert len(converted) >= 6
    assert {path.stem for path in converted} == {path.stem for path in tmp_path.glob("*.parts")}
