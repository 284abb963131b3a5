"""Each cause of failure gets the board's own words, and what is in order passes."""

from __future__ import annotations

import gzip
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from normed import normed

from modelprep.check.runtimes import choice, isolated
from modelprep.errors import MissingTool
from modelprep.formats.caffe import messages, prototxt

if TYPE_CHECKING:
    from conftest import Tree

np = pytest.importorskip("numpy", reason="running the models needs the check extra")
cv2 = pytest.importorskip("cv2", reason="Caffe models run in OpenCV, of the check extra")
pytest.importorskip("onnxruntime", reason="ONNX models run in onnxruntime, of the check extra")
pytest.importorskip("ai_edge_litert", reason="TF Lite models run in LiteRT, of the check extra")

CAFFE, TF, ONNX, TFLITE = "CaffeMnist-Armnn", "TfMnist-Armnn", "OnnxMnist-Armnn", "TfLiteMobilenetQuantized-Armnn"
MODELS = {
    CAFFE: "lenet_iter_9000.caffemodel",
    TF: "simple_mnist_tf.prototxt",
    ONNX: "mnist_onnx.onnx",
    TFLITE: "mobilenet_v1_1.0_224_quant.tflite",
}
PAGE = b"<!DOCTYPE html>\n<html><head><title>404</title><style>.layer { color: red }</style></head></html>\n"


@pytest.mark.parametrize("demo", MODELS)
def test_the_stand_in_passes(tree: Tree, demo: str) -> None:
    verdict = tree.judge(demo)
    assert (verdict.outcome, verdict.exit_status, verdict.message) == ("passes", 0, "")
    assert [case.id for case in verdict.cases] == list(verdict.test.default_ids)
    assert all(case.got == case.wanted for case in verdict.cases)


def fails(tree: Tree, demo: str, **options: Any) -> str:
    verdict = tree.judge(demo, **options)
    assert (verdict.outcome, verdict.exit_status) == ("fails", 1)
    return verdict.message


# -- data --------------------------------------------------------------------------------------------------------


IMAGES, LABELS = "t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        (IMAGES, b"", IMAGES),
        (IMAGES, b"\x1f\x8b\x08", IMAGES),
        (LABELS, b"", LABELS),
        (LABELS, b"\x1f\x8b\x08", LABELS),
        (LABELS, b"\0\0\x08\x01\0\0\0\x01", LABELS),
    ],
)
def test_the_idx_file_that_cannot_be_read_is_named(tree: Tree, name: str, content: bytes, named: str) -> None:
    tree.path(name).write_bytes(content)
    assert fails(tree, CAFFE) == f"Failed to read {tree.data / named}"


@pytest.mark.parametrize("name", [IMAGES, LABELS])
def test_a_folder_under_the_name_of_an_idx_file_is_opened_and_cannot_be_read(tree: Tree, name: str) -> None:
    tree.path(name).unlink()
    tree.path(name).mkdir()
    assert fails(tree, CAFFE) == f"Failed to read {tree.data / name}"


@pytest.mark.parametrize(
    ("rows", "columns", "status"),
    [
        (27, 28, None),
        (786, 1, None),
        (787, 1, 134),
        (32, 28, 134),
        (1000, 28, 134),
        (5000, 28, 139),
        (65536, 65536, None),
    ],
)
def test_a_header_of_larger_pictures_crashes_the_program(
    tree: Tree, rows: int, columns: int, status: int | None
) -> None:
    # As the real program did: beyond 786 pixels it damages its heap, beyond that heap's first pages it crashes at once.
    content = tree.path(IMAGES).read_bytes()
    sizes = rows.to_bytes(4, "big") + columns.to_bytes(4, "big")
    tree.path(IMAGES).write_bytes(content[:8] + sizes + content[16:])
    verdict = tree.judge(CAFFE, iterations=1)
    assert verdict.exit_status == (status or 0)
    assert ("exit status" in verdict.message) == bool(status)


def test_what_shows_when_the_first_case_runs_comes_after_its_data(tree: Tree) -> None:
    net = messages.new("NetParameter")
    net.ParseFromString(tree.path(MODELS[CAFFE]).read_bytes())
    net.layer[0].input_param.shape[0].dim[0] = 64
    tree.path(MODELS[CAFFE]).write_bytes(net.SerializeToString())
    assert fails(tree, CAFFE) == "Input tensor has incorrect size"
    tree.path(LABELS).unlink()
    assert fails(tree, CAFFE) == f"Failed to load {tree.data / IMAGES}"


def test_the_data_folder_is_looked_for_before_the_model_folder(tmp_path: Path) -> None:
    from modelprep.check.types import Files
    from modelprep.check.verdict import judge
    from modelprep.targets.armnn_tests import of_version

    said = judge(of_version("19.02")[CAFFE], Files(tmp_path / "models", tmp_path / "data")).message
    assert said == f"Given directory {tmp_path}/data/ does not exist"


def test_a_program_that_a_signal_ends_has_the_status_that_a_shell_tells(tree: Tree) -> None:
    net = messages.new("NetParameter")
    net.ParseFromString(tree.path(MODELS[CAFFE]).read_bytes())
    dense = next(layer for layer in net.layer if layer.type == "InnerProduct")
    del dense.blobs[0].data[:]
    tree.path(MODELS[CAFFE]).write_bytes(net.SerializeToString())
    verdict = tree.judge(CAFFE)
    assert (verdict.outcome, verdict.exit_status) == ("fails", 139)
    assert verdict.message == "Segmentation fault (exit status 139; the program itself prints no message)"
    assert verdict.to_json()["exit_status"] == 139


@pytest.mark.parametrize("demo", [CAFFE, TF, ONNX])
@pytest.mark.parametrize("both", [True, False])
def test_idx_names_with_hyphens(tree: Tree, demo: str, both: bool) -> None:
    for dotted in ("t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte")[0 if both else 1 :]:
        tree.path(dotted).rename(tree.data / dotted.replace(".", "-"))
    verdict = tree.judge(demo)
    # The program names the images, whichever is missing.
    assert verdict.message == f"Failed to load {tree.data}/t10k-images.idx3-ubyte"
    assert "must be called t10k-" in verdict.hint


def test_another_model_is_not_taken_for_a_misspelt_one(tree: Tree) -> None:
    verdict = tree.judge("TfLiteMobilenetV2Quantized-Armnn")
    assert verdict.hint == f"{tree.models}/mobilenet_v2_1.0_224_quant.tflite is not there"
    tree.path(MODELS[TFLITE]).rename(tree.models / "MobileNet-v1-1.0-224-quant.tflite")
    assert "must be called mobilenet_v1_1.0_224_quant.tflite" in tree.judge(TFLITE).hint


def test_idx_files_that_are_still_gzipped(tree: Tree) -> None:
    path = tree.path("t10k-images.idx3-ubyte")
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert fails(tree, TF) == f"Failed to read {path}"
    assert "still gzipped" in str(tree.judge(TF).hint)


def test_a_picture_that_is_missing_or_none(tree: Tree) -> None:
    path = tree.path("Dog.jpg")
    path.write_bytes(PAGE)
    assert fails(tree, TFLITE) == f"Could not load the image at {path}"
    path.unlink()
    assert fails(tree, TFLITE) == f"Could not load the image at {path}"


def test_with_i_only_the_first_pictures_are_opened(tree: Tree) -> None:
    tree.path("shark.jpg").unlink()
    assert fails(tree, TFLITE) == f"Could not load the image at {tree.data}/shark.jpg"
    assert tree.judge(TFLITE, iterations=2).outcome == "passes"
    assert tree.judge(TFLITE, iterations=3).outcome == "fails"


def test_a_wrong_picture_gets_its_five_classes_and_the_one_wanted(tree: Tree, standin: dict[str, bytes]) -> None:
    tree.path("Cat.jpg").write_bytes(standin["Dog.jpg"])
    verdict = tree.judge(TFLITE)
    assert verdict.message == "Prediction for test case 1 (209) is incorrect (should be 283)"
    assert "tiger cat (283), your picture is Labrador retriever (209)" in verdict.hint
    assert "--find-picture" in verdict.hint
    assert [case.passes for case in verdict.cases] == [True, False, True]
    assert len(verdict.cases[1].top) == 5
    assert verdict.cases[1].top[0][0] == 209


def test_with_i_no_class_is_compared(tree: Tree, standin: dict[str, bytes]) -> None:
    tree.path("Cat.jpg").write_bytes(standin["Dog.jpg"])
    verdict = tree.judge(TFLITE, iterations=5)
    assert (verdict.outcome, verdict.exit_status) == ("passes", 0)
    assert [case.got for case in verdict.cases] == [209, 209, 3, 209, 209]
    assert {case.wanted for case in verdict.cases} == {None}


def test_more_iterations_than_records_fail(tree: Tree) -> None:
    path = tree.path("t10k-images.idx3-ubyte")
    path.write_bytes(path.read_bytes()[: 16 + 784 * 3])
    assert tree.judge(TF, iterations=3).outcome == "passes"
    assert fails(tree, TF, iterations=4) == f"Failed to read {path}"


def test_the_warm_up_reads_case_0_even_where_it_is_not_judged(tree: Tree) -> None:
    # Records 1, 2 and so on are whole; record 0 is never asked for but by the warm-up.
    path = tree.path("t10k-labels.idx1-ubyte")
    path.write_bytes(path.read_bytes()[:8])
    assert fails(tree, CAFFE).startswith("Failed to read")


@pytest.mark.parametrize("folder", ["models", "data"])
def test_a_folder_that_is_missing(tree: Tree, folder: str) -> None:
    path = getattr(tree, folder)
    path.rename(path.with_name("elsewhere"))
    assert fails(tree, CAFFE) == f"Given directory {path}/ does not exist"


# -- models ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("demo", "message"),
    [
        (CAFFE, "Couldn't find requested output layer 'prob' in graph"),
        (TF, "Graph file {} failed to open"),
        (ONNX, "Invalid (null) filename"),
        (TFLITE, "Cannot find the file ({})"),
    ],
)
def test_a_model_that_is_missing(tree: Tree, demo: str, message: str) -> None:
    path = tree.path(MODELS[demo])
    path.unlink()
    assert fails(tree, demo) == message.format(path)


@pytest.mark.parametrize(
    ("demo", "message"),
    [
        (CAFFE, "ReadBase128 exceeded the maximum number of bytes expected for an integer representation"),
        (TF, "Failed to parse graph file"),
        (ONNX, "The given model does not have any outputs"),
        (TFLITE, "Buffer doesn't conform to the expected Tensorflow Lite flatbuffers format"),
    ],
)
def test_a_web_page_instead_of_a_model(tree: Tree, demo: str, message: str) -> None:
    tree.path(MODELS[demo]).write_bytes(PAGE)
    assert fails(tree, demo) == message
    assert any("web page" in finding.detail for finding in tree.judge(demo).findings)


def caffe(tree: Tree, change: Callable[[Any], None]) -> None:
    path = tree.path(MODELS[CAFFE])
    net = messages.new("NetParameter")
    net.ParseFromString(path.read_bytes())
    change(net)
    path.write_bytes(net.SerializeToString())


def test_a_batch_of_64(tree: Tree) -> None:
    caffe(tree, lambda net: net.layer[0].input_param.shape[0].dim.__setitem__(0, 64))
    verdict = tree.judge(CAFFE)
    assert verdict.message == "Input tensor has incorrect size"
    model = tree.path(MODELS[CAFFE])
    assert verdict.hint == (
        f"modelprep caffe bake DEPLOY.prototxt {model} -o fixed.caffemodel --batch 1, "
        "then replace the model by fixed.caffemodel"
    )


def test_the_old_form_of_layers(tree: Tree) -> None:
    net = messages.new("NetParameter")
    net.layers.add(name="ip", top=["ip"], bottom=["data"]).blobs.add(num=1, channels=1, height=1, width=1).data.append(
        1
    )
    tree.path(MODELS[CAFFE]).write_bytes(net.SerializeToString())
    assert fails(tree, CAFFE) == "Couldn't find requested output layer 'prob' in graph"


def test_an_empty_model(tree: Tree) -> None:
    tree.path(MODELS[CAFFE]).write_bytes(b"")
    assert fails(tree, CAFFE) == "Couldn't find requested output layer 'prob' in graph"


def test_a_resnet_that_was_saved_again_has_an_input_layer_of_another_name(tree: Tree) -> None:
    # The LeNet stands in for it: what the test asks for is the name alone.
    caffe(tree, lambda net: setattr(net.layer[0], "name", "input"))
    assert fails(tree, CAFFE) == "Unknown binding input for layer 'data'."


def test_a_vgg_whose_input_layer_is_named_data(tree: Tree, tmp_path: Path) -> None:
    from modelprep.formats.caffe import bake

    structure = tmp_path / "deploy.prototxt"
    structure.write_text(
        'name: "VGG" input: "data" input_dim: 10 input_dim: 3 input_dim: 224 input_dim: 224\n'
        'layers { bottom: "data" top: "pool" name: "pool" type: POOLING '
        "pooling_param { pool: MAX kernel_size: 32 stride: 32 } }\n"
        'layers { bottom: "pool" top: "fc8" name: "fc8" type: INNER_PRODUCT '
        "inner_product_param { num_output: 1000 } }\n"
        'layers { bottom: "fc8" top: "prob" name: "prob" type: SOFTMAX }\n'
    )
    net = prototxt.read_file(structure)
    weights = np.random.default_rng(0).normal(0, 1e-4, (1000, 147)).astype("f4")
    for values in (weights, np.zeros(1000, "f4")):
        blob = net.layers[1].blobs.add(num=1, channels=1, height=values.shape[0] if values.ndim > 1 else 1)
        blob.width = values.shape[-1]
        blob.data.extend(values.ravel().tolist())
    (tmp_path / "vgg.caffemodel").write_bytes(net.SerializeToString())
    path = tree.models / "VGG_CNN_S.caffemodel"
    for name in ("data", "input"):
        path.unlink(missing_ok=True)
        options = bake.Options(batch=1, input=name, target="armnn-19.02")
        bake.write_plan(bake.plan(structure, tmp_path / "vgg.caffemodel", options), path)
        verdict = tree.judge("CaffeVGG-Armnn")
        if name == "data":
            assert verdict.message == "Unknown binding input for layer 'input'."
            assert "'data'" in verdict.findings[0].detail
        else:
            # It loads and runs; random weights know no shark.
            assert verdict.message.startswith("Prediction for test case 0 (")
            assert verdict.message.endswith(") is incorrect (should be 2)")


def test_a_graph_with_fused_batch_norm_v3(tree: Tree) -> None:
    path = tree.path(MODELS[TF])
    path.write_text(normed(path.read_text()))
    verdict = tree.judge(TF)
    assert verdict.message == "Unsupported operation FusedBatchNormV3 in tensorflow::GraphDef"
    assert verdict.hint.startswith(f"modelprep tf legalise {path} -o fixed.prototxt --for armnn-19.02,")


def test_a_binary_graph_where_text_is_read(tree: Tree) -> None:
    from modelprep.formats.tensorflow.text import text_to_binary

    path = tree.path(MODELS[TF])
    path.write_bytes(text_to_binary(path))
    assert fails(tree, TF) == "Failed to parse graph file"


def test_onnx_weights_in_raw_data(tree: Tree) -> None:
    from modelprep.formats.onnx.model import messages as onnx

    path = tree.path(MODELS[ONNX])
    model = onnx("ModelProto")()
    model.ParseFromString(path.read_bytes())
    for tensor in model.graph.initializer:
        if tensor.float_data:
            tensor.raw_data = np.array(tensor.float_data, "<f4").tobytes()
            del tensor.float_data[:]
    path.write_bytes(model.SerializeToString())
    assert fails(tree, ONNX).startswith("The number of data provided (0) does not match the tensor")
    assert tree.judge(ONNX).hint.startswith(f"modelprep onnx fix {path} -o fixed.onnx --for armnn-19.02,")
    # 19.05 reads it.
    assert tree.judge(ONNX, "19.05").outcome == "passes"


def test_a_tflite_output_of_another_name(tree: Tree) -> None:
    # The other publisher's file: its output is called otherwise than the test asks.
    path = tree.path(MODELS[TFLITE])
    path.rename(tree.models / "mobilenet_v2_1.0_224_quant.tflite")
    assert fails(tree, "TfLiteMobilenetV2Quantized-Armnn") == (
        "No output binding found for subgraph:0 and name:output. "
        "Possible outputs are: ['MobilenetV1/Predictions/Reshape_1' ]"
    )


def test_without_a_runtime_arm_nns_network_is_run_in_numpy(tree: Tree, hide: Callable[[str], None]) -> None:
    hide("cv2")
    verdict = tree.judge(CAFFE)
    assert (verdict.outcome, verdict.exit_status) == ("passes", 0)
    assert verdict.runtime == "Arm NN's reference backend, in numpy"
    with pytest.raises(MissingTool, match="OpenCV") as caught:
        isolated.ready(tree.path(MODELS[CAFFE]), "caffe", "data", (1, 1, 28, 28), ("prob",))
    assert "pip install" in str(caught.value.hint)


def test_without_tensorflow_a_graph_is_run_as_arm_nns_network(tree: Tree, hide: Callable[[str], None]) -> None:
    hide("tensorflow")
    verdict = tree.judge(TF)
    assert verdict.runtime == "Arm NN's reference backend, in numpy"
    assert verdict.outcome == "passes"


GRAPH = """
node { name: "input" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } }
  attr { key: "shape" value { shape { dim { size: 1 } dim { size: 32 } dim { size: 32 } dim { size: 3 } } } } }
node { name: "shape" op: "Const" attr { key: "dtype" value { type: DT_INT32 } }
  attr { key: "value" value { tensor { dtype: DT_INT32 tensor_shape { dim { size: 2 } } int_val: 1 int_val: 3072 } } } }
node { name: "flat" op: "Reshape" input: "input" input: "shape" attr { key: "T" value { type: DT_FLOAT } } }
node { name: "weights" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } }
  attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape { dim { size: 3072 } dim { size: 10 } }
    WEIGHTS } } } }
node { name: "output" op: "MatMul" input: "flat" input: "weights" attr { key: "T" value { type: DT_FLOAT } } }
"""


@pytest.mark.parametrize("missing", ["", "tensorflow"])
def test_a_picture_is_flattened_channels_last_whichever_runtime_is_here(
    tmp_path: Path, hide: Callable[[str], None], missing: str
) -> None:
    if missing:
        hide(missing)
    numbers = np.random.default_rng(3)
    weights = numbers.standard_normal((3072, 10)).astype(np.float32)
    path = tmp_path / "graph.pbtxt"
    path.write_text(GRAPH.replace("WEIGHTS", " ".join(f"float_val: {value:.9g}" for value in weights.ravel())))
    loaded = choice.ready(path, "tf", "input", (1, 32, 32, 3), ("output",))
    values = numbers.random((1, 32, 32, 3), dtype=np.float32)
    np.testing.assert_allclose(loaded.run(values)[0].ravel(), values.ravel() @ weights, atol=1e-3)


def test_a_runtime_that_dies_leaves_the_check_alive(tree: Tree) -> None:
    loaded = isolated.ready(tree.path(MODELS[CAFFE]), "caffe", "data", (1, 1, 28, 28), ("prob",))
    worker = isolated._worker
    assert worker is not None
    os.kill(worker.child.pid, signal.SIGSEGV)
    with pytest.raises(MissingTool, match="crashed on this model") as caught:
        loaded.run(np.zeros((1, 1, 28, 28), "f4"))
    assert caught.value.exit_code == 7
    assert tree.judge(CAFFE).outcome == "passes"


@pytest.mark.parametrize("name", ["MODELPREP_PYARMNN", "MODELPREP_PYCAFFE"])
def test_the_process_that_runs_models_goes_by_the_interpreters_of_now(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for interpreter in ("/nowhere/python", "/elsewhere/python"):
        monkeypatch.setenv(name, interpreter)
        assert isolated.call(os.getenv, name) == interpreter
    monkeypatch.delenv(name)
    assert isolated.call(os.getenv, name) is None


def test_what_a_runtime_refuses_is_not_what_the_board_says(tree: Tree) -> None:
    path = tree.path(MODELS[TFLITE])
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(MissingTool, match="this machine cannot run the model") as caught:
        isolated.ready(path, "tflite", "input", (1, 224, 224, 3), ("output",))
    assert "MODELPREP_PYARMNN" in str(caught.value.hint)
