"""One small conversion for every step that is proven, made by the step itself, and the same result with a fault."""

from __future__ import annotations

import atexit
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from formats.tflite.tiny_tflite import tiny

from modelprep.check.proof.types import Conversion
from modelprep.formats.caffe import messages, prototxt
from modelprep.formats.onnx.model import messages as onnx_messages
from modelprep.formats.tensorflow.messages import message
from modelprep.steps import Call, find
from modelprep.store import Store

DEPLOY = """
name: "n" input: "data" input_dim: 10 input_dim: 2 input_dim: 6 input_dim: 6
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" convolution_param { num_output: 3 kernel_size: 3 } }
layers { name: "pool" type: POOLING bottom: "conv" top: "pool" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layers { name: "ip" type: INNER_PRODUCT bottom: "pool" top: "ip" inner_product_param { num_output: 4 } }
layers { name: "prob" type: SOFTMAX bottom: "ip" top: "prob" }
"""
GRAPH = """
node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } }
  attr { key: "shape" value { shape { dim { size: -1 } dim { size: 3 } } } } }
node { name: "c" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } }
  attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape { dim { size: 3 } }
  float_val: 0.5 float_val: 1.5 float_val: -2 } } } }
node { name: "sum" op: "AddV2" input: "x" input: "c" attr { key: "T" value { type: DT_FLOAT } } }
node { name: "out" op: "Relu" input: "sum" attr { key: "T" value { type: DT_FLOAT } } }
"""
#: A convolution, a flattened picture and a softmax, as graph and as Caffe net; channels last and second.
TWIN = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 6 dim: 6 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 3 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param { num_output: 4 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""
MAKE = """
import os
import sys
import numpy as np
import tensorflow as tf
tf1 = tf.compat.v1


def make(folder, kind, seed):
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.normal(0, 0.2, shape).astype("f4")

    x = tf1.placeholder(tf.float32, [None, 6, 6, 2], name="input")
    if kind == "frozen":
        def value(name, *shape):
            return tf1.constant(normal(*shape), name=name)
    else:
        def value(name, *shape):
            start = tf.constant(normal(*shape))
            return tf1.get_variable(name, initializer=start, use_resource=kind == "resource")
    y = tf1.nn.conv2d(x, value("w1", 3, 3, 2, 3), [1, 1, 1, 1], "VALID", name="convolved")
    y = tf1.nn.relu(tf1.nn.bias_add(y, value("b1", 3)), name="activated")
    y = tf1.matmul(tf1.reshape(y, [-1, 48], name="flat"), value("w2", 48, 4), name="product")
    y = tf1.nn.softmax(tf1.nn.bias_add(y, value("b2", 4), name="logits"), name="prob")
    definition = graph.as_graph_def()
    if kind != "frozen":
        with tf1.Session() as session:
            session.run(tf1.global_variables_initializer())
            for version in (1, 2):
                tf1.train.Saver(write_version=version).save(
                    session, f"{folder}/{kind}.v{version}", write_meta_graph=False, write_state=False)
        if kind == "saver":
            definition = graph.as_graph_def()
    with open(f"{folder}/{kind}.pb", "wb") as file:
        file.write(definition.SerializeToString())


for kind in ("frozen", "reference", "resource", "saver"):
    for seed in (5, 6):
        folder = f"{sys.argv[1]}/{seed}"
        os.makedirs(folder, exist_ok=True)
        with tf1.Graph().as_default() as graph:
            make(folder, kind, seed)
"""


@cache
def _all_made() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="modelprep-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    subprocess.run([sys.executable, "-W", "ignore", "-c", MAKE, str(folder)], check=True, capture_output=True)
    return folder


def made_by_tensorflow(folder: Path, kind: str, seed: int = 5) -> Path:
    """Have TensorFlow write a graph (``frozen``), or one with checkpoints (``reference``, ``resource``, ``saver``)."""
    if find_spec("tensorflow") is None:
        pytest.skip("TensorFlow, of the tf extra, makes and runs these graphs")
    for path in (_all_made() / str(seed)).glob(f"{kind}.*"):
        shutil.copy(path, folder)
    return folder / f"{kind}.pb"


def convert(store: Store, step: str, files: dict[str, Any], folder: Path, **plain: object) -> Conversion:
    """Run a step as the pipeline does, and give what is to be proven."""
    known = find(step)
    params = {name: param.default for name, param in known.params.items()} | plain | files
    output = folder / "made"
    known.run(Call(params, output))
    made = store.adopt(output, move=True)
    inputs: dict[str, str] = {}
    for name, path in files.items():
        for inner, one in path.items() if isinstance(path, Mapping) else (("", path),):
            inputs[f"{name}/{inner}" if inner else name] = store.adopt(one).sha256
    return Conversion(step, known.version, params, inputs, made.path, made.sha256)


def bake(store: Store, folder: Path, **plain: object) -> Conversion:
    """Bake a small net of Caffe's second generation."""
    return convert(store, "caffe.bake", caffe_net(folder), folder, batch=1, target="armnn-19.02", **plain)


def caffe_net(folder: Path) -> dict[str, Path]:
    """Write that net and weights for it."""
    np = pytest.importorskip("numpy", reason="proofs need the check extra")
    pytest.importorskip("cv2", reason="Caffe models run in OpenCV, of the check extra")
    structure, weights = folder / "deploy.prototxt", folder / "w.caffemodel"
    structure.write_text(DEPLOY)
    net = prototxt.read_file(structure)
    rng = np.random.default_rng(3)
    for layer, shape in ((net.layers[0], (3, 2, 3, 3)), (net.layers[2], (1, 1, 4, 12))):
        outputs = shape[0] if shape[0] > 1 else shape[2]
        for dims in (shape, (1, 1, 1, outputs)):
            blob = layer.blobs.add(num=dims[0], channels=dims[1], height=dims[2], width=dims[3])
            blob.data.extend(rng.normal(0, 0.01, int(np.prod(dims))).tolist())
    weights.write_bytes(net.SerializeToString())
    return {"prototxt": structure, "weights": weights}


def twin(store: Store, folder: Path) -> Conversion:
    """Return a Caffe net a graph's weights."""
    pytest.importorskip("cv2", reason="Caffe models run in OpenCV, of the check extra")
    graph, structure = made_by_tensorflow(folder, "frozen"), folder / "twin.prototxt"
    structure.write_text(TWIN)
    constants = {"conv": ["w1", "b1"], "ip": ["w2", "b2"]}
    return convert(store, "caffe.from_tf", {"graph": graph, "prototxt": structure}, folder, constants=constants)


def freeze(store: Store, folder: Path, kind: str = "reference", version: int = 2, seed: int = 5) -> Conversion:
    """Freeze a graph whose variables lie in a checkpoint."""
    graph = made_by_tensorflow(folder, kind, seed)
    if version == 1:
        files: dict[str, Any] = {"graph": graph, "checkpoint": folder / f"{kind}.v1"}
    else:
        data = f"{kind}.v2.data-00000-of-00001"
        files = {"graph": graph, "checkpoint": folder / f"{kind}.v2.index", "shards": {data: folder / data}}
    return convert(store, "tf.freeze", files, folder, outputs=["prob"])


def text_graph(folder: Path) -> Path:
    """Write the small graph."""
    if find_spec("tensorflow") is None:
        pytest.skip("graphs run in TensorFlow, of the tf extra")
    path = folder / "graph.pbtxt"
    path.write_text(GRAPH)
    return path


def to_onnx(store: Store, folder: Path, **plain: object) -> Conversion:
    """Convert a frozen graph to ONNX."""
    pytest.importorskip("tf2onnx", reason="the step needs the extras tf and onnx")
    return convert(store, "tf.to_onnx", {"graph": made_by_tensorflow(folder, "frozen")}, folder, **plain)


def onnx_file(folder: Path) -> Path:
    """Write a model that adds a constant of raw data."""
    np = pytest.importorskip("numpy", reason="proofs need the check extra")
    pytest.importorskip("onnxruntime", reason="ONNX models run in onnxruntime, of the check extra")
    model = onnx_messages("ModelProto")()
    model.ir_version = 7
    model.opset_import.add(version=8)
    for into, name in ((model.graph.input, "in"), (model.graph.output, "out")):
        tensor = into.add(name=name).type.tensor_type
        tensor.elem_type = 1
        for size in (1, 3):
            tensor.shape.dim.add(dim_value=size)
    model.graph.initializer.add(name="b", data_type=1, dims=[1, 3], raw_data=np.array([1, 2, 3], "<f4").tobytes())
    model.graph.node.add(op_type="Add", name="add", input=["in", "b"], output=["out"])
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def tflite(store: Store, folder: Path) -> Conversion:
    """Rename the output of a small TF Lite model."""
    pytest.importorskip("ai_edge_litert", reason="TF Lite models run in LiteRT, of the check extra")
    path = folder / "net.tflite"
    path.write_bytes(tiny())
    outputs = {"MobilenetV2/Predictions/Softmax": "output"}
    return convert(store, "tflite.rename_io", {"model": path}, folder, outputs=outputs)


def to_tflite(store: Store, folder: Path) -> Conversion:
    """Have onnx2tf convert a small ONNX model."""
    if not os.environ.get("MODELPREP_ONNX2TF") and find_spec("onnx2tf") is None:
        pytest.skip("no onnx2tf here: MODELPREP_ONNX2TF names none")
    return convert(store, "onnx.to_tflite", {"model": onnx_file(folder)}, folder)


def _add_fault(data: bytes) -> bytes:
    constant = struct.pack("<3f", 1, 2, 3)
    assert data.count(constant) == 1
    return data.replace(constant, struct.pack("<3f", 1.01, 2, 3))


def _caffe_fault(data: bytes) -> bytes:
    net = messages.new("NetParameter")
    net.ParseFromString(data)
    layer = next(layer for layer in net.layer if layer.name == "conv")
    layer.blobs[0].data[0] += 0.001
    return bytes(net.SerializeToString())


def _graph_fault(data: bytes) -> bytes:
    """Change one value of one constant, in whichever field and form it is kept."""
    import numpy as np

    graph = message("GraphDef")()
    graph.ParseFromString(data)
    for node in graph.node:
        tensor = node.attr["value"].tensor if node.op == "Const" else None
        if tensor is None or tensor.dtype != 1:
            continue
        if tensor.tensor_content:
            numbers = np.frombuffer(tensor.tensor_content, "<f4").copy()
            numbers[0] += 0.001
            tensor.tensor_content = numbers.tobytes()
        else:
            tensor.float_val[0] += 0.001
        return bytes(graph.SerializeToString())
    raise AssertionError("there is no constant to spoil")


def _onnx_fault(data: bytes, by: float = 0.001) -> bytes:
    import numpy as np

    model = onnx_messages("ModelProto")()
    model.ParseFromString(data)
    for tensor in model.graph.initializer:
        if tensor.data_type != 1:
            continue
        if tensor.raw_data:
            numbers = np.frombuffer(tensor.raw_data, "<f4").copy()
            numbers[0] += by
            tensor.raw_data = numbers.tobytes()
        else:
            tensor.float_data[0] += by
        return bytes(model.SerializeToString())
    raise AssertionError("there is no initializer to spoil")


def _tflite_fault(data: bytes) -> bytes:
    constant = struct.pack("<4f", 0.5, 1.5, 2.5, 3.5)
    assert data.count(constant) == 1
    return data.replace(constant, struct.pack("<4f", 0.501, 1.5, 2.5, 3.5))


@dataclass(frozen=True)
class Case:
    """How a step's conversion is made, and how its result is spoilt."""

    make: Callable[[Store, Path], Conversion]
    spoil: Callable[[bytes], bytes]

    def spoilt(self, good: Conversion, folder: Path) -> Conversion:
        """Return the conversion with a fault in its result."""
        other = folder / "spoilt"
        other.write_bytes(self.spoil(good.output.read_bytes()))
        return replace(good, output=other, output_sha256="0" * 64)


#: Step -> the step with a case here that makes the same model by the same code, laid out otherwise.
SAME_MODEL = {"caffe.to_onnx_external": "caffe.to_onnx"}

CASES: Mapping[str, Case] = {
    "caffe.bake": Case(bake, _caffe_fault),
    "caffe.from_tf": Case(twin, _caffe_fault),
    "caffe.to_onnx": Case(
        lambda store, folder: convert(store, "caffe.to_onnx", caffe_net(folder), folder, batch=1),
        lambda data: _onnx_fault(data, by=0.1),
    ),
    "tf.freeze": Case(freeze, _graph_fault),
    "tf.legalise": Case(
        lambda store, folder: convert(store, "tf.legalise", {"graph": text_graph(folder)}, folder), _graph_fault
    ),
    "tf.rename_io": Case(
        lambda store, folder: convert(
            store, "tf.rename_io", {"graph": text_graph(folder)}, folder, inputs={"x": "input"}, outputs={"out": "prob"}
        ),
        _graph_fault,
    ),
    "tf.convert": Case(
        lambda store, folder: convert(store, "tf.convert", {"graph": text_graph(folder)}, folder, to="binary"),
        _graph_fault,
    ),
    "tf.to_onnx": Case(to_onnx, _onnx_fault),
    "onnx.fix": Case(
        lambda store, folder: convert(store, "onnx.fix", {"model": onnx_file(folder)}, folder, target="armnn-19.02"),
        _onnx_fault,
    ),
    "onnx.rename_io": Case(
        lambda store, folder: convert(
            store, "onnx.rename_io", {"model": onnx_file(folder)}, folder, inputs={"in": "data"}
        ),
        _onnx_fault,
    ),
    "onnx.to_tflite": Case(to_tflite, _add_fault),
    "tflite.rename_io": Case(tflite, _tflite_fault),
}
