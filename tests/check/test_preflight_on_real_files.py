"""The files that Arm and others published, before the board's tests: what passed there passes here, and each way to get
them wrong fails in the words that Arm NN 19.02 printed when it was run on them.

Where the real weights are not to be had (VGG, ResNet: the rule is about a layer's name), the structure is the published
one with fewer channels, and the weights are made.
"""

from __future__ import annotations

import io
import re
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from normed import normed

from modelprep.check.board.preprocess import Preprocessing, Quantisation, prepare_picture
from modelprep.check.types import Files, Verdict
from modelprep.check.verdict import judge
from modelprep.targets.armnn_tests import of_version

np = pytest.importorskip("numpy", reason="running the models needs the check extra")
pytest.importorskip("cv2", reason="Caffe models run in OpenCV, of the check extra")
pytest.importorskip("onnxruntime", reason="ONNX models run in onnxruntime, of the check extra")
litert = pytest.importorskip("ai_edge_litert.interpreter", reason="TF Lite models run in LiteRT, of the check extra")

RAW = "raw.githubusercontent.com"
CAFFE, TF, ONNX, TFLITE = "CaffeMnist-Armnn", "TfMnist-Armnn", "OnnxMnist-Armnn", "TfLiteMobilenetQuantized-Armnn"
MODELS = {
    CAFFE: "lenet_iter_9000.caffemodel",
    TF: "simple_mnist_tf.prototxt",
    ONNX: "mnist_onnx.onnx",
    TFLITE: "mobilenet_v1_1.0_224_quant.tflite",
}
DIGITS = (CAFFE, TF, ONNX)
IMAGES, LABELS = "t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"


@dataclass(frozen=True)
class Board:
    """A copy of the folder that was fetched, to spoil."""

    models: Path
    data: Path

    def judge(self, demo: str, version: str = "19.02", **options: Any) -> Verdict:
        return judge(of_version(version)[demo], Files(self.models, self.data), **options)

    def fails(self, demo: str) -> Verdict:
        verdict = self.judge(demo)
        assert (verdict.outcome, verdict.exit_status) == ("fails", 1), verdict
        return verdict


@pytest.fixture
def board(real: Path, tmp_path: Path) -> Board:
    """The real files, copied."""
    shutil.copytree(real, tmp_path / "ArmnnTests")
    for path in (tmp_path / "ArmnnTests").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return Board(tmp_path / "ArmnnTests/models", tmp_path / "ArmnnTests/data")


# -- as published --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("demo", "classes"),
    [(CAFFE, [7, 2, 1, 5, 9]), (TF, [7, 2, 1, 0, 4]), (ONNX, [7, 2, 1, 0, 4]), (TFLITE, [209, 283, 3])],
)
def test_the_published_files_pass(real: Path, demo: str, classes: list[int]) -> None:
    verdict = judge(of_version()[demo], Files(real / "models", real / "data"))
    assert (verdict.outcome, verdict.exit_status, verdict.message) == ("passes", 0, "")
    assert [case.got for case in verdict.cases] == [case.wanted for case in verdict.cases] == classes
    assert not [found for found in verdict.findings if found.serious]


def test_19_05_feeds_the_mobilenet_the_bytes_themselves(real: Path) -> None:
    files = Files(real / "models", real / "data")
    old, new = (judge(of_version(version)[TFLITE], files) for version in ("19.02", "19.05"))
    # Half of the range is never used in 19.02; from 19.05 on the picture arrives as it is.
    assert min(int(case.seen.min()) for case in old.cases if case.seen is not None) >= 128
    assert min(int(case.seen.min()) for case in new.cases if case.seen is not None) < 20
    assert new.outcome == "passes"
    assert [case.top for case in old.cases] != [case.top for case in new.cases]


# -- the digits' files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("demo", DIGITS)
def test_the_names_with_hyphens_that_the_server_gives(board: Board, demo: str) -> None:
    for name in (IMAGES, LABELS):
        (board.data / name).rename(board.data / name.replace(".", "-"))
    verdict = board.fails(demo)
    assert verdict.message == f"Failed to load {board.data}/{IMAGES}"
    assert f"must be called {IMAGES}" in verdict.hint


@pytest.mark.parametrize("demo", DIGITS)
def test_the_digits_as_they_come_still_gzipped(board: Board, upstream: Path, demo: str) -> None:
    for name in (IMAGES, LABELS):
        shutil.copy(upstream / "yann.lecun.com/exdb/mnist" / f"{name.replace('.', '-')}.gz", board.data / name)
    verdict = board.fails(demo)
    assert verdict.message == f"Failed to read {board.data}/{IMAGES}"
    assert "gzipped" in verdict.hint


def test_digits_that_are_not_gzipped_are_not_told_as_such(board: Board) -> None:
    (board.data / IMAGES).write_bytes(b"no digits")
    assert "gzipped" not in board.fails(TF).hint


# -- Caffe ---------------------------------------------------------------------------------------------------------


def bake(structure: Path, weights: Path, output: Path, **options: Any) -> None:
    from modelprep.formats.caffe import bake as caffe

    output.unlink(missing_ok=True)
    caffe.write_plan(caffe.plan(structure, weights, caffe.Options(**options)), output)


def test_a_lenet_saved_with_the_batch_of_64_of_its_deploy_file(board: Board, upstream: Path) -> None:
    deploy = upstream / RAW / "BVLC/caffe/master/examples/mnist/lenet.prototxt"
    assert re.search(r"dim: 64\b", deploy.read_text())
    published = upstream / "github.com/ARM-software/ML-examples/raw/master/armnn-mnist/model" / MODELS[CAFFE]
    bake(deploy, published, board.models / MODELS[CAFFE])
    verdict = board.fails(CAFFE)
    assert verdict.message == "Input tensor has incorrect size"
    assert verdict.hint.startswith("modelprep caffe bake")
    assert "--batch" in verdict.hint
    bake(deploy, published, board.models / MODELS[CAFFE], batch=1)
    assert board.judge(CAFFE).outcome == "passes"


def thin(text: str, repository: Path, *, v1: bool, by: int) -> tuple[str, bytes]:
    """Return a published structure with a part of its channels, and weights made for it."""
    if str(repository) not in sys.path:
        sys.path.insert(0, str(repository))
    from demo import caffe

    text = re.sub(
        r"num_output: *(\d+)", lambda m: m[0] if m[1] == "1000" else f"num_output: {max(1, int(m[1]) // by)}", text
    )
    return text, caffe.weights(text, v1=v1)


@pytest.mark.parametrize(
    ("demo", "path", "v1", "wrong", "right"),
    [
        (
            "CaffeVGG-Armnn",
            "gist.githubusercontent.com/ksimonyan/3785162f95cd2d5fee77/raw/f02f8769e64494bcd3d7e97d5d747ac275825721/"
            "VGG_ILSVRC_19_layers_deploy.prototxt",
            True, "data", "input",
        ),
        # Caffe itself gives the layer that it makes of `input:` lines this name, whenever it saves such a net.
        (
            "CaffeResNet-Armnn", f"{RAW}/KaimingHe/deep-residual-networks/master/prototxt/ResNet-50-deploy.prototxt",
            False, None, "data",
        ),
    ],
)  # fmt: skip
def test_an_input_layer_of_another_name(
    board: Board, upstream: Path, repository: Path, tmp_path: Path, demo: str, path: str, v1: bool, wrong: str | None,
    right: str,
) -> None:  # fmt: skip
    text, weights = thin((upstream / path).read_text(), repository, v1=v1, by=32)
    structure, caffemodel = tmp_path / "deploy.prototxt", tmp_path / "trained.caffemodel"
    structure.write_text(text)
    caffemodel.write_bytes(weights)
    test = of_version()[demo]
    model = board.models / test.model
    for case in test.cases:
        if not (board.data / case.file).exists():
            shutil.copy(board.data / "shark.jpg", board.data / case.file)
    bake(structure, caffemodel, model, batch=1, input=wrong)
    verdict = board.fails(demo)
    assert verdict.message == f"Unknown binding input for layer '{right}'."
    assert "modelprep caffe bake" in verdict.hint
    assert "--input" in verdict.hint
    # With the other name it loads and runs; what made weights answer is nothing to judge.
    bake(structure, caffemodel, model, batch=1, input=right)
    again = board.judge(demo, iterations=1)
    assert again.outcome == "passes", (again.message, again.findings)
    assert re.fullmatch(
        r"Prediction for test case \d+ \(\d+\) is incorrect \(should be \d+\)", board.fails(demo).message
    )


# -- TensorFlow, ONNX ----------------------------------------------------------------------------------------------


def test_a_graph_with_fused_batch_norm_v3(board: Board) -> None:
    path = board.models / MODELS[TF]
    path.write_text(normed(path.read_text()))
    verdict = board.fails(TF)
    assert verdict.message == "Unsupported operation FusedBatchNormV3 in tensorflow::GraphDef"
    assert verdict.hint.startswith("modelprep tf legalise")
    assert "armnn-19.02" in verdict.hint


def test_an_onnx_model_with_its_weights_in_raw_data(board: Board) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx saves as its own users' tools do")
    path = board.models / MODELS[ONNX]
    model = onnx.load(str(path))
    for tensor in model.graph.initializer:
        # What numpy_helper, and with it every exporter of today, writes.
        tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor), tensor.name))
    path.write_bytes(model.SerializeToString())
    verdict = board.fails(ONNX)
    assert verdict.message.startswith("The number of data provided (0) does not match the tensor")
    assert verdict.hint.startswith("modelprep onnx fix")
    assert "armnn-19.02" in verdict.hint


# -- pictures ------------------------------------------------------------------------------------------------------


def test_another_cat_than_the_one_wanted(board: Board, upstream: Path) -> None:
    samples = upstream / RAW / "EliSchwartz/imagenet-sample-images/master"
    shutil.copy(samples / "n02123394_Persian_cat.JPEG", board.data / "Cat.jpg")
    verdict = board.fails(TFLITE)
    assert verdict.message == "Prediction for test case 1 (284) is incorrect (should be 283)"
    assert "tiger cat (283), your picture is Persian cat (284)" in verdict.hint
    wrong = verdict.cases[1]
    assert [case.passes for case in verdict.cases] == [True, False, True]
    assert len(wrong.top) == 5
    assert wrong.top[0][0] == 284
    assert [score for _, score in wrong.top] == sorted((score for _, score in wrong.top), reverse=True)


def test_a_plain_resize_with_pillow_answers_208_where_the_test_s_own_answers_209(real: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is what is compared with")
    runtime = litert.Interpreter(model_path=str(real / "models" / MODELS[TFLITE]))
    runtime.allocate_tensors()
    into, out = runtime.get_input_details()[0], runtime.get_output_details()[0]

    def answer(values: Any) -> int:
        runtime.set_tensor(into["index"], values)
        runtime.invoke()
        return int(runtime.get_tensor(out["index"])[0].argmax())

    def pillow(name: str) -> Any:
        with image.open(real / "data" / name) as opened:
            return np.asarray(opened.convert("RGB").resize((224, 224), image.Resampling.BILINEAR))[None]

    def ours(name: str) -> Any:
        return prepare_picture(real / "data" / name, Preprocessing("image", 224, 224), as_bytes)

    # From 19.05 on, and in 20.08's Python examples: the bytes themselves.
    as_bytes = None
    dog = judge(of_version("19.05")[TFLITE], Files(real / "models", real / "data")).cases[0]
    assert answer(pillow("Dog.jpg")) == 208
    assert (dog.got, answer(dog.seen)) == (209, 209)
    # 19.02's washed-out bytes: there it is the cat that the plain resize gets wrong.
    as_bytes = Quantisation(*into["quantization"])
    washed = np.clip(np.rint(pillow("Cat.jpg") / 255 * 128 + 128), 0, 255).astype(np.uint8)
    assert answer(washed) == 286
    assert [answer(ours(name)) for name in ("Dog.jpg", "Cat.jpg")] == [209, 283]


# -- what is no model ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("demo", "message"),
    [
        (CAFFE, "ReadBase128 exceeded the maximum number of bytes expected for an integer representation"),
        (TF, "Failed to parse graph file"),
        (ONNX, "The given model does not have any outputs"),
        (TFLITE, "Buffer doesn't conform to the expected Tensorflow Lite flatbuffers format"),
    ],
)
def test_a_web_page_under_the_name_of_the_model(board: Board, demo: str, message: str) -> None:
    page = b"<!DOCTYPE html>\n<html><head><title>Not found</title><style>.layer { color: red }</style></head></html>\n"
    (board.models / MODELS[demo]).write_bytes(page)
    verdict = board.fails(demo)
    assert verdict.message == message
    assert any("web page" in found.detail for found in verdict.findings)


def test_the_archive_instead_of_the_model_in_it(board: Board, upstream: Path) -> None:
    archive = next((upstream / "storage.googleapis.com").rglob("mobilenet_v1_1.0_224_quant_and_labels.zip"))
    assert zipfile.is_zipfile(io.BytesIO(archive.read_bytes()))
    shutil.copy(archive, board.models / MODELS[TFLITE])
    verdict = board.fails(TFLITE)
    assert verdict.message == "Buffer doesn't conform to the expected Tensorflow Lite flatbuffers format"
    assert any("zip" in found.detail.lower() for found in verdict.findings)
