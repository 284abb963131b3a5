"""A conversion verifies its own result: the format's checker takes it, and it computes what the original does."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from formats.onnx.onnx_small import FLOAT, helper, net, np, numpy_helper, save
from typer.testing import CliRunner

import modelprep
from modelprep.check.proof import verify as verifying
from modelprep.check.proof.types import Conversion
from modelprep.check.runtimes import isolated
from modelprep.cli.commands import app
from modelprep.errors import MissingTool, StepError

pytest.importorskip("onnxruntime", reason="onnxruntime is the runtime here")


def fixed(source: Path, result: Path, **params: Any) -> Conversion:
    return Conversion("onnx.fix", 1, {"model": source, **params}, {}, result, "")


def test_the_right_result_is_verified_by_checker_and_runtime(tmp_path: Path) -> None:
    found = verifying.verify(fixed(save(net("N"), tmp_path / "a"), save(net(1), tmp_path / "b")))
    assert found.structure.startswith("onnx.checker")
    assert found.proof is not None
    assert (found.proof.outcome, found.proof.difference) == ("same", 0.0)
    assert [line.partition(":")[0] for line in found.notes] == ["verified", "verified"]


def test_other_numbers_are_refused_with_the_output_that_differs(tmp_path: Path) -> None:
    wrong = net(1)
    wrong.graph.node[1].attribute.add(name="epsilon", type=1, f=0.5)
    with pytest.raises(StepError, match="computes different numbers") as caught:
        verifying.verify(fixed(save(net(1), tmp_path / "a"), save(wrong, tmp_path / "b")))
    assert caught.value.where == "output 'prob'"
    assert verifying.verify(fixed(tmp_path / "a", tmp_path / "b"), numbers=False).proof is None


def test_a_file_that_the_checker_refuses_is_refused_without_numbers_too(tmp_path: Path) -> None:
    wrong = net(1)
    wrong.graph.node[2].attribute.add(name="invented", type=2, i=1)
    with pytest.raises(StepError, match="not valid") as caught:
        verifying.verify(fixed(save(net(1), tmp_path / "a"), save(wrong, tmp_path / "b")), numbers=False)
    assert "invented" in str(caught.value)


def test_what_the_checker_says_of_the_original_too_is_not_the_conversion_s_fault(tmp_path: Path) -> None:
    odd = net(1)
    odd.graph.node[2].attribute.add(name="invented", type=2, i=1)
    found = verifying.verify(fixed(save(odd, tmp_path / "a"), save(odd, tmp_path / "b")), numbers=False)
    assert "refuses the original too" in found.unchecked


def test_a_result_that_the_runtime_alone_refuses_is_refused(tmp_path: Path) -> None:
    """The shape is computed by the model, so the checker cannot see that it does not fit."""

    def reshape(rows: int) -> Any:
        shape = numpy_helper.from_array(np.array([rows, 4], "i8"), "shape")
        nodes = [
            helper.make_node("Identity", ["shape"], ["same"]),
            helper.make_node("Reshape", ["x", "same"], ["y"]),
        ]
        return helper.make_model(
            helper.make_graph(
                nodes, "g", [helper.make_tensor_value_info("x", FLOAT, [2, 4])],
                [helper.make_tensor_value_info("y", FLOAT, None)], [shape],
            ),
            opset_imports=[helper.make_opsetid("", 9)], ir_version=4,
        )  # fmt: skip

    with pytest.raises(StepError, match="different numbers") as caught:
        verifying.verify(fixed(save(reshape(2), tmp_path / "a"), save(reshape(3), tmp_path / "b")))
    assert "accepts the original but refuses the result" in str(caught.value)


def test_a_model_with_another_batch_is_compared_on_the_samples_that_both_have(tmp_path: Path) -> None:
    source = save(net(4), tmp_path / "a")
    found = verifying.verify(fixed(source, save(net(2), tmp_path / "b")))
    assert found.proof is not None
    assert found.proof.outcome == "same"
    wrong = net(2)
    weights = next(tensor for tensor in wrong.graph.initializer if tensor.name == "fcb")
    weights.CopyFrom(numpy_helper.from_array(np.ones((1, 10), "f4"), "fcb"))
    with pytest.raises(StepError, match="different numbers"):
        verifying.verify(fixed(source, save(wrong, tmp_path / "c")))


@pytest.mark.parametrize("kind", ["uint8", "int64", "bool", "double", "float16"])
def test_inputs_need_not_be_floats(tmp_path: Path, kind: str) -> None:
    dtype = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Cast", ["x"], ["y"], to=FLOAT)], "g",
            [helper.make_tensor_value_info("x", dtype, ["N", 3])], [helper.make_tensor_value_info("y", FLOAT, None)],
        ),
        opset_imports=[helper.make_opsetid("", 9)], ir_version=4,
    )  # fmt: skip
    path = save(model, tmp_path / "a")
    found = verifying.verify(fixed(path, path))
    assert found.proof is not None
    assert found.proof.outcome == "same"


def test_sizes_that_stay_open_are_tried_until_the_original_runs(tmp_path: Path) -> None:
    weights = numpy_helper.from_array(np.ones((2, 3, 5, 5), "f4"), "w")
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Conv", ["x", "w"], ["y"])], "g",
            [helper.make_tensor_value_info("x", FLOAT, [1, 3, "height", "width"])],
            [helper.make_tensor_value_info("y", FLOAT, None)], [weights],
        ),
        opset_imports=[helper.make_opsetid("", 9)], ir_version=4,
    )  # fmt: skip
    path = save(model, tmp_path / "a")
    found = verifying.verify(fixed(path, path))
    assert found.proof is not None
    assert found.proof.outcome == "same"


def test_a_runtime_that_crashes_is_an_answer() -> None:
    with pytest.raises(isolated.Crashed, match="SIGABRT"):
        isolated.call(os.abort)
    assert isolated.call(abs, -1) == 1


def test_the_command_says_what_verified_its_result(tmp_path: Path) -> None:
    source = save(net("N"), tmp_path / "a.onnx")
    done = CliRunner().invoke(
        app, ["onnx", "fix", str(source), "-o", str(tmp_path / "b.onnx"), "--batch", "1", "--json"]
    )
    assert done.exit_code == 0, done.output
    verified = json.loads(done.stdout)["verified"]
    assert verified["structure"].startswith("onnx.checker")
    assert verified["numbers"]["outcome"] == "same"
    skipped = CliRunner().invoke(
        app, ["onnx", "fix", str(source), "-o", str(tmp_path / "c.onnx"), "--batch", "1", "--json", "--no-verify"]
    )
    assert json.loads(skipped.stdout)["verified"]["numbers"] is None
    assert (tmp_path / "b.onnx").read_bytes() == (tmp_path / "c.onnx").read_bytes()


def test_a_result_that_is_not_kept_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = save(net("N"), tmp_path / "a.onnx")
    (tmp_path / "b.onnx").write_bytes(b"old")

    def no(*args: object, **named: object) -> None:
        raise StepError("not valid")

    monkeypatch.setattr("modelprep.pipeline.converting.verify", no)
    with pytest.raises(StepError):
        modelprep.convert("onnx.fix", {"model": source, "batch": 1}, tmp_path / "b.onnx", force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]
    assert (tmp_path / "b.onnx").read_bytes() == b"old"


def test_without_a_checker_and_a_runtime_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(function: object, *args: object) -> None:
        raise MissingTool("running an ONNX model on this machine needs onnxruntime", hint="pip install x")

    source = save(net(1), tmp_path / "a")
    monkeypatch.setattr(verifying.isolated, "call", absent)
    found = verifying.verify(fixed(source, source), numbers=False)
    assert found.notes == ("not verified: running an ONNX model on this machine needs onnxruntime (pip install x)",)
