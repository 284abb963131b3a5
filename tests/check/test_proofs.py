"""Conversions prove themselves: the same numbers pass, others are told, and a proof is made once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tflite_room.tiny_tflite import tiny

from modelprep.check import proof, runtimes, sides
from modelprep.check.proof import Conversion, prove
from modelprep.formats.caffe import messages, prototxt
from modelprep.formats.onnx.model import messages as onnx_messages
from modelprep.steps import Call, find
from modelprep.store import Store

np = pytest.importorskip("numpy", reason="proofs need the check extra")

DEPLOY = """
name: "n" input: "data" input_dim: 10 input_dim: 2 input_dim: 6 input_dim: 6
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" convolution_param { num_output: 3 kernel_size: 3 } }
layers { name: "pool" type: POOLING bottom: "conv" top: "pool" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layers { name: "ip" type: INNER_PRODUCT bottom: "pool" top: "ip" inner_product_param { num_output: 4 } }
layers { name: "prob" type: SOFTMAX bottom: "ip" top: "prob" }
"""


def convert(store: Store, step: str, files: Mapping[str, Path], tmp_path: Path, **plain: object) -> Conversion:
    """Run a step as the pipeline does, and give what is to be proven."""
    known = find(step)
    params = {name: param.default for name, param in known.params.items()} | plain | files
    output = tmp_path / "made"
    known.run(Call(params, output))
    made = store.adopt(output, move=True)
    inputs = {name: store.adopt(path).sha256 for name, path in files.items()}
    return Conversion(step, known.version, params, inputs, made.path, made.sha256)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def baked(store: Store, tmp_path: Path) -> Conversion:
    pytest.importorskip("cv2", reason="Caffe models run in OpenCV, of the check extra")
    structure, weights = tmp_path / "deploy.prototxt", tmp_path / "w.caffemodel"
    structure.write_text(DEPLOY)
    net = prototxt.read_file(structure)
    rng = np.random.default_rng(3)
    for layer, shape in ((net.layers[0], (3, 2, 3, 3)), (net.layers[2], (1, 1, 4, 12))):
        outputs = shape[0] if shape[0] > 1 else shape[2]
        for dims in (shape, (1, 1, 1, outputs)):
            blob = layer.blobs.add(num=dims[0], channels=dims[1], height=dims[2], width=dims[3])
            blob.data.extend(rng.normal(0, 0.01, int(np.prod(dims))).tolist())
    weights.write_bytes(net.SerializeToString())
    files = {"prototxt": structure, "weights": weights}
    return convert(store, "caffe.bake", files, tmp_path, batch=1, target="armnn-19.02")


def test_a_bake_gives_the_same_numbers_as_what_was_downloaded(baked: Conversion) -> None:
    found = prove(baked)
    assert found.outcome == "same", found
    assert found.difference is not None
    assert found.difference <= 1e-6
    assert found.runtimes[0].startswith("OpenCV")


def test_a_weight_that_went_wrong_is_told(baked: Conversion, tmp_path: Path) -> None:
    net = messages.new("NetParameter")
    net.ParseFromString(baked.output.read_bytes())
    layer = next(layer for layer in net.layer if layer.name == "conv")
    layer.blobs[0].data[0] += 0.001
    other = tmp_path / "other.caffemodel"
    other.write_bytes(net.SerializeToString())
    found = prove(replace(baked, output=other, output_sha256="0" * 64))
    assert found.outcome == "differs"
    assert "other numbers" in str(found)


def test_the_tolerance_is_the_recipes(baked: Conversion, tmp_path: Path) -> None:
    net = messages.new("NetParameter")
    net.ParseFromString(baked.output.read_bytes())
    layer = next(layer for layer in net.layer if layer.name == "conv")
    layer.blobs[0].data[0] += 0.001
    other = tmp_path / "other.caffemodel"
    other.write_bytes(net.SerializeToString())
    assert prove(replace(baked, output=other, tolerance=1.0)).outcome == "same"


def test_a_proof_is_made_once(baked: Conversion, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prove(baked, store)
    assert first.outcome == "same"
    monkeypatch.setattr(sides, "MAKERS", {"caffe.bake": None})  # would fail if it were called
    assert prove(baked, store) == first
    # Another tolerance judges the same measurement anew.
    assert first.difference is not None
    assert prove(replace(baked, tolerance=-1.0), store).outcome == "differs"


def test_a_damaged_proof_is_made_again(baked: Conversion, store: Store) -> None:
    first = prove(baked, store)
    (path,) = (store.root / "proofs").iterdir()
    path.write_text("{")
    assert prove(baked, store) == first


def test_a_change_that_was_asked_for_is_not_held_against_it(baked: Conversion) -> None:
    found = prove(replace(baked, params={**baked.params, "set": {"layer[name=conv].convolution_param.pad": 1}}))
    assert found.outcome == "unknown"
    assert "set" in found.reason


def test_without_a_runtime_it_is_said_and_not_kept(
    baked: Conversion, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "opencv", lambda: None)
    found = prove(baked, store)
    assert found.outcome == "unknown"
    assert "OpenCV" in found.reason
    assert not (store.root / "proofs").exists()


def test_a_step_that_has_no_comparison_says_so(baked: Conversion) -> None:
    assert "no comparison" in str(prove(replace(baked, step="gunzip")))


GRAPH = """
node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } }
  attr { key: "shape" value { shape { dim { size: -1 } dim { size: 3 } } } } }
node { name: "c" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } }
  attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape { dim { size: 3 } }
  float_val: 0.5 float_val: 1.5 float_val: -2 } } } }
node { name: "sum" op: "AddV2" input: "x" input: "c" attr { key: "T" value { type: DT_FLOAT } } }
node { name: "out" op: "Relu" input: "sum" attr { key: "T" value { type: DT_FLOAT } } }
"""


def test_a_graph_in_older_words_gives_the_same_numbers(store: Store, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="graphs run in TensorFlow, of the tf extra")
    path = tmp_path / "graph.pbtxt"
    path.write_text(GRAPH)
    legal = convert(store, "tf.legalise", {"graph": path}, tmp_path, target="armnn-19.02")
    assert prove(legal).outcome == "same"
    named = convert(store, "tf.rename_io", {"graph": path}, tmp_path, inputs={"x": "input"}, outputs={"out": "prob"})
    assert prove(named).difference == 0.0


def test_an_onnx_model_that_was_fixed_gives_the_same_numbers(store: Store, tmp_path: Path) -> None:
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
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    fixed = convert(store, "onnx.fix", {"model": path}, tmp_path, target="armnn-19.02")
    assert prove(fixed).difference == 0.0
    named = convert(store, "onnx.rename_io", {"model": path}, tmp_path, inputs={"in": "data"})
    assert prove(named).difference == 0.0


def test_a_renamed_tflite_model_gives_the_same_numbers(store: Store, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="TF Lite models run in LiteRT, of the check extra")
    path = tmp_path / "net.tflite"
    path.write_bytes(tiny())
    named = convert(
        store, "tflite.rename_io", {"model": path}, tmp_path, outputs={"MobilenetV2/Predictions/Softmax": "output"}
    )
    assert prove(named).difference == 0.0


def test_what_answers_alike_whatever_it_is_fed_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, baked: Conversion
) -> None:
    def constant(number: int) -> list[Any]:
        return [np.ones(3)]

    monkeypatch.setattr(sides, "MAKERS", {"caffe.bake": lambda conversion: (constant, constant, ("a", "b"))})
    assert "do not depend" in prove(baked).reason


def test_numbers_that_are_none_are_no_proof(monkeypatch: pytest.MonkeyPatch, baked: Conversion) -> None:
    def broken(number: int) -> list[Any]:
        return [np.array([np.nan, number])]

    monkeypatch.setattr(sides, "MAKERS", {"caffe.bake": lambda conversion: (broken, broken, ("a", "b"))})
    assert prove(baked).outcome == "differs"
    assert proof.TOLERANCE == 1e-5
