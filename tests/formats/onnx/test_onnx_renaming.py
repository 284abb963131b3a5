"""Renaming an ONNX model's inputs and outputs: only bytes of names change, and values stay the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from onnx_small import FLOAT, call, helper, image, net, np, onnx, run, save

from modelprep.errors import RecipeError, StepError


def test_renamed_inputs_and_outputs_give_the_same_values(tmp_path: Path) -> None:
    source = save(net(), tmp_path / "in.onnx")
    facts = call("onnx.rename_io", tmp_path / "out.onnx", model=source, inputs={"image": "data"}, outputs={"prob": "y"})
    assert facts["renamed"] == {"image": "data", "prob": "y"}
    after = onnx.load(str(tmp_path / "out.onnx"))
    onnx.checker.check_model(after, full_check=True)
    assert [v.name for v in after.graph.input] == ["data"]
    assert [v.name for v in after.graph.output] == ["y"]
    assert (run(source, {"image": image()})[0] == run(tmp_path / "out.onnx", {"data": image()})[0]).all()


def test_nothing_but_names_changes(tmp_path: Path) -> None:
    source = save(net(listed=True), tmp_path / "in.onnx")
    call("onnx.rename_io", tmp_path / "out.onnx", model=source, inputs={"image": "input"})
    call("onnx.rename_io", tmp_path / "back.onnx", model=tmp_path / "out.onnx", inputs={"input": "image"})
    assert (tmp_path / "back.onnx").read_bytes() == source.read_bytes()
    before = source.read_bytes()
    after = (tmp_path / "out.onnx").read_bytes()
    assert len(after) == len(before)
    differing = {i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b}
    places = {i for i in range(len(before)) if before[i : i + 5] == b"image"}
    assert differing
    assert all(any(at <= i < at + 5 for at in places) for i in differing)


def test_a_field_that_no_schema_knows_and_odd_lengths_stay(tmp_path: Path) -> None:
    data = net().SerializeToString() + b"\xfa\x7f\x03odd"  # field 2047, bytes
    source = tmp_path / "in.onnx"
    source.write_bytes(data)
    call("onnx.rename_io", tmp_path / "out.onnx", model=source, outputs={"prob": "a-much-longer-name" * 20})
    after = (tmp_path / "out.onnx").read_bytes()
    assert after.endswith(b"\xfa\x7f\x03odd")
    assert onnx.load_model_from_string(after).graph.output[0].name == "a-much-longer-name" * 20


def with_if() -> Any:
    """Return a model whose branches use an outer value, and one of which hides the name `image`."""
    outer = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["then_out"])], "then", [],
        [helper.make_tensor_value_info("then_out", FLOAT, [1, 3])],
    )  # fmt: skip
    inner = helper.make_graph(
        [helper.make_node("Neg", ["image"], ["else_out"])], "else", [],
        [helper.make_tensor_value_info("else_out", FLOAT, [1, 3])],
    )  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node("If", ["flag"], ["y"], then_branch=outer, else_branch=inner)], "branches",
        [helper.make_tensor_value_info("flag", onnx.TensorProto.BOOL, []),
         helper.make_tensor_value_info("image", FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", FLOAT, [1, 3])],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)


@pytest.mark.parametrize("flag", [True, False])
def test_nested_graphs_follow(tmp_path: Path, flag: bool) -> None:
    source = save(with_if(), tmp_path / "in.onnx")
    call("onnx.rename_io", tmp_path / "out.onnx", model=source, inputs={"image": "data"}, outputs={"y": "z"})
    x = np.array([[1.0, -2.0, 3.0]], "f4")
    before = run(source, {"image": x, "flag": np.array(flag)})[0]
    assert (run(tmp_path / "out.onnx", {"data": x, "flag": np.array(flag)})[0] == before).all()


@pytest.mark.parametrize(
    ("inputs", "outputs", "what"),
    [
        ({"imag": "data"}, {}, "no input called 'imag'"),
        ({"image": "conv"}, {}, "already taken"),
        ({"image": "w"}, {}, "already taken"),
        ({"image": "prob"}, {}, "already taken"),
        ({"image": "x"}, {"prob": "x"}, "already taken"),
        ({"image": "image"}, {}, "nothing to rename"),
        ({"image": ""}, {}, "printable"),
        ({}, {"image": "x"}, "no output called"),
    ],
)
def test_a_name_that_cannot_be_given_is_an_error(
    tmp_path: Path, inputs: dict[str, str], outputs: dict[str, str], what: str
) -> None:
    source = save(net(), tmp_path / "in.onnx")
    with pytest.raises(StepError, match=what):
        call("onnx.rename_io", tmp_path / "out.onnx", model=source, inputs=inputs, outputs=outputs)
    assert not (tmp_path / "out.onnx").exists()


def test_an_absent_name_lists_the_inputs_that_are_fed_and_no_weights(tmp_path: Path) -> None:
    source = save(net(listed=True), tmp_path / "in.onnx")
    with pytest.raises(StepError) as caught:
        call("onnx.rename_io", tmp_path / "out.onnx", model=source, inputs={"imag": "data"})
    assert caught.value.got == "inputs: image"
    assert caught.value.hint == "did you mean image?"


def test_naming_nothing_is_an_error_of_the_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError):
        call("onnx.rename_io", tmp_path / "out.onnx", model=save(net(), tmp_path / "in.onnx"))


def test_the_mnist_model_of_the_zoo_gives_the_same_values(upstream: Path, tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(upstream / "onnxzoo.blob.core.windows.net/models/opset_8/mnist/mnist.tar.gz") as archive:
        member = archive.extractfile("mnist/model.onnx")
        assert member is not None
        (tmp_path / "in.onnx").write_bytes(member.read())
    call("onnx.rename_io", tmp_path / "out.onnx", model=tmp_path / "in.onnx", inputs={"Input3": "x"},
         outputs={"Plus214_Output_0": "y"})  # fmt: skip
    x = np.random.default_rng(3).normal(size=(1, 1, 28, 28)).astype("f4")
    assert (run(tmp_path / "in.onnx", {"Input3": x})[0] == run(tmp_path / "out.onnx", {"x": x})[0]).all()
