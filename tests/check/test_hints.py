"""What to do next is said in full: the commands that hints name are run here, and mend what they are to mend."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modelprep.formats.caffe import messages, prototxt

if TYPE_CHECKING:
    from conftest import Tree

np = pytest.importorskip("numpy", reason="running the models needs the check extra")
for _module in ("cv2", "onnxruntime", "ai_edge_litert"):
    pytest.importorskip(_module, reason="the models run in the check extra's runtimes")

CAFFE, ONNX, TFLITE = "CaffeMnist-Armnn", "OnnxMnist-Armnn", "TfLiteMobilenetQuantized-Armnn"
PAGE = b"<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n"


def run(*arguments: object) -> int:
    from modelprep.cli.main import invoke

    return invoke([str(argument) for argument in arguments])


@pytest.fixture
def out(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODELPREP_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tree.models.parent.parent


def followed(hint: str, model: Path, **filled: str) -> None:
    """Do what a hint says: run its command, put the result in the model's place."""
    found = re.fullmatch(r"modelprep (.+), then replace the model by (\S+)", hint)
    assert found is not None, hint
    words = shlex.split(found[1])
    for name, value in filled.items():
        words = [re.sub(rf"(?<![A-Z]){name}(\.prototxt)?(?![A-Z])", lambda _, v=value: v, word) for word in words]
    assert run(*words, "--quiet") == 0
    Path(found[2]).replace(model)


def lenet(tree: Tree) -> tuple[Path, Any]:
    path = tree.path("lenet_iter_9000.caffemodel")
    net = messages.new("NetParameter")
    net.ParseFromString(path.read_bytes())
    return path, net


def deploy(net: Any, path: Path) -> str:
    """Write the structure of a network without its weights."""
    bare = messages.new("NetParameter")
    bare.CopyFrom(net)
    for layer in bare.layer:
        del layer.blobs[:]
    path.write_text(prototxt.write(bare))
    return str(path)


@pytest.mark.usefixtures("out")
def test_the_bake_that_a_batch_of_64_is_told_to_do(tree: Tree, tmp_path: Path) -> None:
    path, net = lenet(tree)
    net.layer[0].input_param.shape[0].dim[0] = 64
    path.write_bytes(net.SerializeToString())
    verdict = tree.judge(CAFFE)
    assert verdict.outcome == "fails"
    followed(verdict.hint, path, DEPLOY=deploy(net, tmp_path / "deploy.prototxt"))
    assert tree.judge(CAFFE).outcome == "passes"


@pytest.mark.usefixtures("out")
def test_the_bake_that_an_input_layer_of_another_name_is_told_to_do(tree: Tree, tmp_path: Path) -> None:
    path, net = lenet(tree)
    net.layer[0].name = "input"
    path.write_bytes(net.SerializeToString())
    verdict = tree.judge(CAFFE)
    assert verdict.message == "Unknown binding input for layer 'data'."
    followed(verdict.hint, path, DEPLOY=deploy(net, tmp_path / "deploy.prototxt"))
    assert tree.judge(CAFFE).outcome == "passes"


@pytest.mark.usefixtures("out")
def test_the_fix_that_raw_data_are_told_to_get(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    raw(tree)
    verdict = tree.judge(ONNX)
    assert verdict.outcome == "fails"
    followed(verdict.hint, tree.path("mnist_onnx.onnx"))
    capsys.readouterr()
    assert tree.judge(ONNX).outcome == "passes"


def raw(tree: Tree) -> int:
    from modelprep.formats.onnx.model import messages as onnx

    path = tree.path("mnist_onnx.onnx")
    model = onnx("ModelProto")()
    model.ParseFromString(path.read_bytes())
    moved = 0
    for tensor in model.graph.initializer:
        if tensor.float_data:
            tensor.raw_data = np.array(tensor.float_data, "<f4").tobytes()
            del tensor.float_data[:]
            moved += 1
    path.write_bytes(model.SerializeToString())
    return moved


@pytest.mark.usefixtures("out")
def test_the_renaming_that_another_output_is_told_to_get(tree: Tree) -> None:
    demo, name = "TfLiteMobilenetV2Quantized-Armnn", "mobilenet_v2_1.0_224_quant.tflite"
    tree.path("mobilenet_v1_1.0_224_quant.tflite").rename(tree.models / name)
    verdict = tree.judge(demo)
    assert "--rename-output MobilenetV1/Predictions/Reshape_1=output," in verdict.hint
    followed(verdict.hint, tree.models / name)
    assert tree.judge(demo).outcome == "passes"


def test_an_input_of_another_name_is_told_to_be_renamed_as_an_input(tree: Tree) -> None:
    from modelprep.formats.onnx.model import messages as onnx

    path = tree.path("mnist_onnx.onnx")
    model = onnx("ModelProto")()
    model.ParseFromString(path.read_bytes())
    named = next(value for value in model.graph.input if value.name == "Input3")
    for node in model.graph.node:
        node.input[:] = ["picture" if name == "Input3" else name for name in node.input]
    named.name = "picture"
    path.write_bytes(model.SerializeToString())
    verdict = tree.judge(ONNX)
    assert verdict.outcome == "fails"
    assert "--rename-input picture=Input3," in verdict.hint
    followed(verdict.hint, path)
    assert tree.judge(ONNX).outcome == "passes"


@pytest.mark.parametrize(
    ("demo", "recipe", "name", "found"),
    [
        (CAFFE, "armnn-caffe/mnist", "lenet_iter_9000.caffemodel", "a web page"),
        (ONNX, "armnn-onnx/mnist", "mnist_onnx.onnx", "a web page"),
        (TFLITE, "armnn-tflite/mobilenet-v1-quant", "mobilenet_v1_1.0_224_quant.tflite", "a web page"),
        (TFLITE, "armnn-tflite/mobilenet-v1-quant", "Cat.jpg", "does not read"),
        (CAFFE, "armnn-caffe/mnist", "t10k-images.idx3-ubyte", "not an MNIST image file"),
    ],
)
def test_a_file_that_is_none_of_its_kind_is_to_be_fetched_again(
    tree: Tree, out: Path, demo: str, recipe: str, name: str, found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tree.path(name).write_bytes(PAGE)
    assert run("check", recipe, "--out", out, "--json") == 1
    (told,) = json.loads(capsys.readouterr().out.splitlines()[-1])["checks"]
    assert told["test"] == demo
    assert found in told["hint"]
    assert told["hint"].endswith(f": modelprep fetch {recipe} --out {out}")


@pytest.mark.parametrize("name", ["mobilenet_v1_1.0_224_quant.tflite", "Cat.jpg"])
def test_a_file_that_is_not_there_is_to_be_fetched(
    tree: Tree, out: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tree.path(name)
    path.unlink()
    assert run("check", TFLITE, "--out", out, "--json") == 1
    (told,) = json.loads(capsys.readouterr().out.splitlines()[-1])["checks"]
    assert told["hint"] == f"{path} is not there: modelprep fetch armnn-tflite/mobilenet-v1-quant --out {out}"


def test_a_demo_to_be_brought_names_what_to_bring_and_why(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "armnn-caffe/yolo", "--out", out, "--json") == 1
    (told,) = json.loads(capsys.readouterr().out.splitlines()[-1])["checks"]
    assert "modelprep fetch armnn-caffe/yolo --set model=FILE --set picture=FILE" in told["hint"]
    assert any("ever published" in text for text in told["warnings"])


def test_a_wrong_picture_is_told_the_search_with_its_own_folder(tree: Tree, standin: dict[str, bytes]) -> None:
    from modelprep.check.verdict import judge
    from modelprep.targets.armnn_tests import of_version

    tree.path("Cat.jpg").write_bytes(standin["Dog.jpg"])
    verdict = judge(of_version()[TFLITE], tree.files, options=" --out elsewhere")
    assert f"modelprep check {TFLITE} --find-picture DIR --out elsewhere" in verdict.hint


def test_the_board_that_a_verdict_is_for_is_named(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", CAFFE, "--out", out, "--lint-only") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "for Arm NN 19.02: tag v19.02 (120196d3); NXP's L4.14.78 and L4.14.98 ship dbfb8549" in told
    assert "+i=MODEL and +o=OUTPUT" in told


def test_a_rule_broken_in_many_places_takes_one_line(tree: Tree, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moved = raw(tree)
    assert moved > 1
    assert run("check", "armnn-onnx/mnist", "--out", out) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if "ON02" in line]
    assert len(lines) == 1
    assert lines[0].endswith(f", and {moved - 1} more")


def test_of_many_cases_some_are_named_and_the_rest_counted(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", TFLITE, "--out", out, "-i", "200") == 0
    told = capsys.readouterr().out
    assert "Dog.jpg 209, Cat.jpg 283, shark.jpg 3" in told
    assert "and 192 more" in told
    assert "with -i no class is compared" in told


def test_a_picture_is_prepared_once_however_often_it_runs(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelprep.check.board import preprocess

    prepared: list[str] = []
    prepare = preprocess.prepare_picture

    def counted(path: Path, *rest: Any) -> Any:
        prepared.append(path.name)
        return prepare(path, *rest)

    monkeypatch.setattr(preprocess, "prepare_picture", counted)
    verdict = tree.judge(TFLITE, iterations=50)
    assert [case.id for case in verdict.cases] == list(range(50))
    assert prepared == ["Dog.jpg", "Cat.jpg", "shark.jpg"]
