"""onnx.check and onnx.testdata: what they pass on, and what they refuse."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from onnx_small import call, image, net, np, numpy_helper, onnx, run, save

from modelprep.errors import StepError
from modelprep.steps.onnx_testdata import plan


def test_a_valid_model_is_passed_on_as_it_is(tmp_path: Path) -> None:
    source = save(net(), tmp_path / "in.onnx")
    facts = call("onnx.check", tmp_path / "out.onnx", model=source)
    assert (tmp_path / "out.onnx").read_bytes() == source.read_bytes()
    assert facts["opset"] == {"ai.onnx": 8}
    assert facts["inputs"] == [{"name": "image", "dtype": "FLOAT", "shape": [1, 3, 8, 8]}]
    assert facts["operators"]["Conv"] == 1


def test_what_the_checker_says_is_told(tmp_path: Path) -> None:
    model = net()
    model.graph.node[2].op_type = "Reluu"
    with pytest.raises(StepError, match="checker refuses") as caught:
        call("onnx.check", tmp_path / "out.onnx", model=save(model, tmp_path / "in.onnx"))
    assert "Reluu" in str(caught.value.got)
    assert not (tmp_path / "out.onnx").exists()


def test_shapes_that_contradict_each_other_are_found_by_inference(tmp_path: Path) -> None:
    model = net()
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 11
    source = save(model, tmp_path / "in.onnx")
    with pytest.raises(StepError, match="checker refuses"):
        call("onnx.check", tmp_path / "out.onnx", model=source)
    assert call("onnx.check", tmp_path / "out.onnx", model=source, shapes=False)


def test_a_parser_s_rules_can_be_checked_too(tmp_path: Path) -> None:
    source = save(net(), tmp_path / "in.onnx")
    with pytest.raises(StepError, match=r"Arm NN 19\.02 does not accept") as caught:
        call("onnx.check", tmp_path / "out.onnx", model=source, target="armnn-19.02")
    assert "ON02 initialiser w" in str(caught.value.got)


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def tensor(array: Any, name: str = "") -> bytes:
    return bytes(numpy_helper.from_array(array, name).SerializeToString())


def members(tmp_path: Path, sets: int = 2) -> dict[str, bytes]:
    source = save(net(), tmp_path / "m.onnx")
    found = {"small/model.onnx": source.read_bytes(), "small/README": b"words"}
    for k in range(sets):
        x = image(seed=k)
        found[f"small/test_data_set_{k}/input_0.pb"] = tensor(x)
        found[f"small/test_data_set_{k}/output_0.pb"] = tensor(run(source, {"image": x})[0])
    return found


def unpacked(tmp_path: Path, given: dict[str, bytes], **params: Any) -> tuple[Path, Any]:
    out = tmp_path / "out"
    if out.exists():
        shutil.rmtree(out)
    out.mkdir()
    return out, call("onnx.testdata", out, archive=archive(tmp_path / "a.tar.gz", given), **params)


def test_a_model_and_its_sets_are_laid_out_for_the_runner(tmp_path: Path) -> None:
    out, facts = unpacked(tmp_path, members(tmp_path, 11), sets=11)
    assert facts == {"sets": 11, "files": 23}
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    pairs = {f"test_data_set_{k}/{kind}_0.pb" for k in range(11) for kind in ("input", "output")}
    assert names == {"model.onnx"} | pairs
    x = onnx.load_tensor(str(out / "test_data_set_10/input_0.pb"))
    y = onnx.load_tensor(str(out / "test_data_set_10/output_0.pb"))
    assert (run(out / "model.onnx", {"image": numpy_helper.to_array(x)})[0] == numpy_helper.to_array(y)).all()


def test_another_number_of_sets_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="another number of test sets") as caught:
        unpacked(tmp_path, members(tmp_path), sets=12)
    assert caught.value.expected == "12"


def test_a_set_without_its_output_is_an_error(tmp_path: Path) -> None:
    given = members(tmp_path)
    del given["small/test_data_set_1/output_0.pb"]
    with pytest.raises(StepError, match="test_data_set_1 is incomplete"):
        unpacked(tmp_path, given)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (tensor(np.zeros((1, 3, 8, 8), "f8")), "another type"),
        (tensor(np.zeros((1, 3, 8, 9), "f4")), "another shape"),
        (tensor(np.zeros((1, 3, 8, 8), "f4"))[:-20], "no ONNX file, or a damaged one"),
        (tensor(np.zeros((1, 3, 8, 8), "f4")).replace(b"\x4a\x80\x06", b"\x4a\xfc\x05")[:-4], "incomplete"),
        (b"<html>not found</html>", "no ONNX file, or a damaged one"),
    ],
)
def test_a_test_tensor_that_does_not_fit_the_model_is_an_error(tmp_path: Path, data: bytes, what: str) -> None:
    given = members(tmp_path)
    given["small/test_data_set_1/input_0.pb"] = data
    with pytest.raises(StepError, match=what) as caught:
        unpacked(tmp_path, given)
    assert "test_data_set_1/input_0.pb" in str(caught.value)


def test_a_second_input_that_the_model_has_not_is_an_error(tmp_path: Path) -> None:
    given = members(tmp_path)
    given["small/test_data_set_0/input_1.pb"] = tensor(image())
    with pytest.raises(StepError, match="does not fit the model"):
        unpacked(tmp_path, given)


def test_two_models_need_one_to_be_named() -> None:
    names = ["a/model.onnx", "b/model.onnx", "b/test_data_set_0/input_0.pb", "b/test_data_set_0/output_0.pb"]
    with pytest.raises(StepError, match="one ONNX model"):
        plan(names, None, "x")
    assert plan(names, "b/model.onnx", "x") == {
        "b/model.onnx": "model.onnx",
        "b/test_data_set_0/input_0.pb": "test_data_set_0/input_0.pb",
        "b/test_data_set_0/output_0.pb": "test_data_set_0/output_0.pb",
    }
    with pytest.raises(StepError, match="no test set"):
        plan(names, "a/model.onnx", "x")


def test_the_mnist_archive_of_the_zoo_holds_three_whole_sets(upstream: Path, tmp_path: Path) -> None:
    source = upstream / "onnxzoo.blob.core.windows.net/models/opset_8/mnist/mnist.tar.gz"
    out = tmp_path / "out"
    out.mkdir()
    assert call("onnx.testdata", out, archive=source, sets=3) == {"sets": 3, "files": 7}
    for k in range(3):
        x, y = (numpy_helper.to_array(onnx.load_tensor(str(out / f"test_data_set_{k}/{kind}_0.pb")))
                for kind in ("input", "output"))  # fmt: skip
        np.testing.assert_allclose(run(out / "model.onnx", {"Input3": x})[0], y, rtol=1e-3, atol=1e-3)
