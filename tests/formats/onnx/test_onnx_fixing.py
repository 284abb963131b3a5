"""onnx.fix: what it changes, that values stay the same, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from onnx_small import FLOAT, INT64, call, helper, image, net, np, numpy_helper, onnx, run, save, with_weights_as_inputs

from modelprep.errors import StepError
from modelprep.formats.onnx.model import read
from modelprep.formats.onnx.opset import infer
from modelprep.targets.armnn_onnx import PARSERS, problems

ARM = "armnn-19.02"


def verdict(path: Path, version: str = "19.02") -> list[str]:
    """Return the rules a file breaks, from the onnx library's own view of it."""
    return sorted({problem.rule for problem in problems(onnx.load(str(path)), PARSERS[version])})


def same_values(source: Path, out: Path) -> None:
    """Both files answer alike, bit for bit."""
    expected = run(with_weights_as_inputs(source), {"image": image()})[0]
    assert (run(with_weights_as_inputs(out), {"image": image()})[0] == expected).all()
    assert expected.any()


def test_weights_move_out_of_raw_data_and_values_stay_the_same(tmp_path: Path) -> None:
    source, out = save(net(), tmp_path / "in.onnx"), tmp_path / "out.onnx"
    assert "ON02" in verdict(source)
    assert "ON03" in verdict(source)
    call("onnx.fix", out, model=source, target=ARM)
    assert verdict(out) == []
    after = onnx.load(str(out))
    onnx.checker.check_model(after, full_check=True)
    before = {t.name: numpy_helper.to_array(t) for t in onnx.load(str(source)).graph.initializer}
    for tensor in after.graph.initializer:
        assert not tensor.HasField("raw_data")
        assert (numpy_helper.to_array(tensor) == before[tensor.name]).all()
        assert numpy_helper.to_array(tensor).dtype == before[tensor.name].dtype
    same_values(source, out)


def test_large_weights_are_moved_by_reference_and_stay_the_same(tmp_path: Path) -> None:
    source, out = save(net(channels=64), tmp_path / "in.onnx"), tmp_path / "out.onnx"
    model = read(source)
    assert {"w", "fc"} <= set(model.payloads)
    assert all(isinstance(piece, memoryview) for piece in model.payloads["fc"].pieces)
    call("onnx.fix", out, model=source, target=ARM)
    assert verdict(out) == []
    same_values(source, out)


@pytest.mark.parametrize("dtype", ["i8", "i4", "f8"])
def test_every_typed_field_holds_what_raw_data_held(tmp_path: Path, dtype: str) -> None:
    values = np.array([0, 1, -1, 127, 128, -(2**31), 2**31 - 1], dtype).repeat(1000)
    graph = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["y"])], "g", [],
        [helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(values.dtype), [7000])],
        [numpy_helper.from_array(values, "c"), numpy_helper.from_array(values[:7], "small")],
    )  # fmt: skip
    source = save(helper.make_model(graph, ir_version=7), tmp_path / "in.onnx")
    call("onnx.fix", tmp_path / "out.onnx", model=source, data="typed")
    after = onnx.load(str(tmp_path / "out.onnx")).graph.initializer
    assert not any(tensor.HasField("raw_data") for tensor in after)
    assert (numpy_helper.to_array(after[0]) == values).all()
    assert (numpy_helper.to_array(after[1]) == values[:7]).all()


@pytest.mark.parametrize("old", [1, 10, "N"])
def test_the_batch_can_be_set_and_each_picture_is_answered_as_before(tmp_path: Path, old: int | str) -> None:
    source, out = save(net(old), tmp_path / "in.onnx"), tmp_path / "out.onnx"
    facts = call("onnx.fix", out, model=source, batch=4)
    assert facts["changes"]
    after = onnx.load(str(out))
    onnx.checker.check_model(after, full_check=True)
    dims = [[d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*after.graph.input, *after.graph.output)]
    assert dims == [[4, 3, 8, 8], [4, 10]]
    assert not after.graph.value_info
    pictures = image(4)
    single = save(net(1), tmp_path / "one.onnx")
    expected = np.concatenate([run(single, {"image": pictures[i : i + 1]})[0] for i in range(4)])
    np.testing.assert_allclose(run(out, {"image": pictures})[0], expected, rtol=1e-5, atol=1e-6)


def test_symbols_are_set_by_name_wherever_they_stand(tmp_path: Path) -> None:
    model = net("N")
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "H"
    source = save(model, tmp_path / "in.onnx")
    call("onnx.fix", tmp_path / "out.onnx", model=source, dims={"N": 2, "H": 8})
    after = onnx.load(str(tmp_path / "out.onnx"))
    assert [d.dim_value for d in after.graph.input[0].type.tensor_type.shape.dim] == [2, 3, 8, 8]
    assert [d.dim_value for d in after.graph.output[0].type.tensor_type.shape.dim] == [2, 10]
    with pytest.raises(StepError, match="no dimension called 'M'") as caught:
        call("onnx.fix", tmp_path / "o2.onnx", model=source, dims={"M": 2})
    assert caught.value.expected == "H, N"


def test_a_symbolic_batch_is_refused_for_the_parser_and_the_remedy_named(tmp_path: Path) -> None:
    source = save(net("N"), tmp_path / "in.onnx")
    with pytest.raises(StepError, match=r"Arm NN 19\.02") as caught:
        call("onnx.fix", tmp_path / "out.onnx", model=source, target=ARM)
    assert "ON05" in str(caught.value.got)
    assert "batch:" in str(caught.value.hint)
    call("onnx.fix", tmp_path / "out.onnx", model=source, target=ARM, batch=1)
    assert verdict(tmp_path / "out.onnx") == []


@pytest.mark.parametrize("tail", ["flatten", "dropout"])
def test_flatten_dropout_and_identity_become_what_the_parser_has(tmp_path: Path, tail: str) -> None:
    source, out = save(net(tail=tail), tmp_path / "in.onnx"), tmp_path / "out.onnx"
    assert "ON01" in verdict(source)
    call("onnx.fix", out, model=source, target=ARM)
    assert verdict(out) == []
    assert [v.name for v in onnx.load(str(out)).graph.output] == ["prob"]
    same_values(source, out)


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("channels", [2, 64])
def test_gemm_becomes_matmul_and_add(tmp_path: Path, transposed: int, biased: bool, channels: int) -> None:
    model = net(opset=11, tail="flatten", channels=channels)
    weights = next(t for t in model.graph.initializer if t.name == "fc")
    if transposed:
        weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights).T.copy(), "fc"))
    del model.graph.node[-2:]
    given = ["flat", "fc", "fcb"] if biased else ["flat", "fc"]
    model.graph.node.append(helper.make_node("Gemm", given, ["prob"], name="gemm", transB=transposed))
    source, out = save(model, tmp_path / "in.onnx"), tmp_path / "out.onnx"
    call("onnx.fix", out, model=source, target=ARM)
    assert verdict(out) == []
    after = onnx.load(str(out))
    onnx.checker.check_model(after, full_check=True)
    names = [t.name for t in after.graph.initializer]
    assert ("fc" in names) != bool(transposed)
    expected = run(source, {"image": image()})[0]
    np.testing.assert_allclose(run(out, {"image": image()})[0], expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 1.0), (1.0, -2.0), (3.0, 0.0)])
@pytest.mark.parametrize("transposed", [0, 1])
def test_what_a_gemm_scales_is_scaled_in_the_file(tmp_path: Path, alpha: float, beta: float, transposed: int) -> None:
    model = net(opset=11, tail="flatten")
    weights = next(t for t in model.graph.initializer if t.name == "fc")
    if transposed:
        weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights).T.copy(), "fc"))
    del model.graph.node[-2:]
    model.graph.node.append(
        helper.make_node(
            "Gemm", ["flat", "fc", "fcb"], ["prob"], name="gemm", alpha=alpha, beta=beta, transB=transposed
        )
    )
    source, out = save(model, tmp_path / "in.onnx"), tmp_path / "out.onnx"
    call("onnx.fix", out, model=source, target=ARM)
    assert verdict(out) == []
    expected = run(source, {"image": image()})[0]
    np.testing.assert_allclose(run(out, {"image": image()})[0], expected, rtol=1e-5, atol=1e-4)


def test_a_gemm_that_transposes_what_it_is_given_is_left_and_refused(tmp_path: Path) -> None:
    model = net(opset=11, tail="flatten")
    del model.graph.node[-2:]
    model.graph.node.append(helper.make_node("Gemm", ["flat", "fc", "fcb"], ["prob"], name="gemm", transA=1))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 128
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 128
    with pytest.raises(StepError, match=r"Arm NN 19\.02") as caught:
        call("onnx.fix", tmp_path / "out.onnx", model=save(model, tmp_path / "in.onnx"), target=ARM)
    assert "ON01 Gemm gemm" in str(caught.value.got)


def test_an_integer_constant_becomes_an_initializer(tmp_path: Path) -> None:
    model = net(opset=13)
    shape = next(t for t in model.graph.initializer if t.name == "shape")
    node = helper.make_node("Constant", [], ["shape"], name="shape_node", value=shape)
    model.graph.initializer.remove(shape)
    model.graph.node.insert(0, node)
    source, out = save(model, tmp_path / "in.onnx"), tmp_path / "out.onnx"
    assert "ON07" in verdict(source)
    call("onnx.fix", out, model=source, target=ARM)
    assert verdict(out) == []
    same_values(source, out)


def test_nodes_in_the_wrong_order_are_put_right(tmp_path: Path) -> None:
    model = net()
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    source = save(model, tmp_path / "in.onnx")
    assert "ON01" in verdict(source)
    call("onnx.fix", tmp_path / "out.onnx", model=source, target=ARM)
    assert verdict(tmp_path / "out.onnx") == []
    onnx.checker.check_model(onnx.load(str(tmp_path / "out.onnx")), full_check=True)


def test_a_graph_that_goes_round_in_a_circle_is_an_error(tmp_path: Path) -> None:
    model = net()
    model.graph.node[0].input[0] = "prob"
    with pytest.raises(StepError, match="circle"):
        call("onnx.fix", tmp_path / "out.onnx", model=save(model, tmp_path / "in.onnx"), batch=2)


@pytest.mark.parametrize(("before", "after"), [(8, 12), (12, 13), (11, 10)])
def test_the_opset_is_converted_and_values_stay_the_same(tmp_path: Path, before: int, after: int) -> None:
    source, out = save(net(opset=before), tmp_path / "in.onnx"), tmp_path / "out.onnx"
    facts = call("onnx.fix", out, model=source, opset=after)
    assert facts["opset"] == after
    assert onnx.load(str(out)).opset_import[0].version == after
    np.testing.assert_array_equal(run(source, {"image": image()})[0], run(out, {"image": image()})[0])


def test_an_opset_that_nobody_has_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="opset 9999"):
        call("onnx.fix", tmp_path / "out.onnx", model=save(net(), tmp_path / "in.onnx"), opset=9999)


def test_an_older_ir_version_needs_initializers_among_the_inputs(tmp_path: Path) -> None:
    source = save(net(), tmp_path / "in.onnx")
    with pytest.raises(StepError, match="need IR version 4"):
        call("onnx.fix", tmp_path / "out.onnx", model=source, ir_version=3)
    call("onnx.fix", tmp_path / "out.onnx", model=source, ir_version=3, initialisers="inputs")
    after = onnx.load(str(tmp_path / "out.onnx"))
    onnx.checker.check_model(after)
    assert after.ir_version == 3
    assert len(after.graph.input) == 1 + len(after.graph.initializer)


def test_shapes_in_between_can_be_inferred(tmp_path: Path) -> None:
    call("onnx.fix", tmp_path / "out.onnx", model=save(net("N"), tmp_path / "in.onnx"), batch=1, value_info="infer")
    after = onnx.load(str(tmp_path / "out.onnx"))
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in after.graph.value_info}
    assert shapes["pool"] == [1, 8, 4, 4]


def outside(model: Any, path: Path, location: str) -> None:
    onnx.save_model(model, str(path), save_as_external_data=True, location=location, size_threshold=64)


def test_external_data_are_taken_in(tmp_path: Path) -> None:
    model = net(channels=64)
    plain = save(model, tmp_path / "plain.onnx")
    outside(model, tmp_path / "in.onnx", "weights.bin")
    with pytest.raises(StepError, match="another file") as caught:
        call("onnx.fix", tmp_path / "out.onnx", model=tmp_path / "in.onnx", target=ARM)
    assert caught.value.expected == "weights.bin"
    given = {"weights.bin": tmp_path / "weights.bin"}
    call("onnx.fix", tmp_path / "out.onnx", model=tmp_path / "in.onnx", external=given, target=ARM)
    (tmp_path / "weights.bin").rename(tmp_path / "away.bin")
    assert verdict(tmp_path / "out.onnx") == []
    same_values(plain, tmp_path / "out.onnx")


def test_external_data_that_are_cut_short_are_an_error(tmp_path: Path) -> None:
    outside(net(channels=64), tmp_path / "in.onnx", "w")
    (tmp_path / "w").write_bytes((tmp_path / "w").read_bytes()[:1000])
    with pytest.raises(StepError, match="outside their file"):
        call("onnx.fix", tmp_path / "out.onnx", model=tmp_path / "in.onnx", external={"w": tmp_path / "w"}, batch=2)


def test_asking_for_what_is_so_already_says_so_and_copies(tmp_path: Path) -> None:
    from modelprep.cli.main import invoke

    source = save(net(raw=False, listed=True), tmp_path / "in.onnx")
    facts = call("onnx.fix", tmp_path / "out.onnx", model=source, target=ARM, batch=1)
    assert facts["changes"] == []
    assert (tmp_path / "out.onnx").read_bytes() == source.read_bytes()
    assert invoke(["onnx", "fix", str(source), "-o", str(tmp_path / "two.onnx"), "--for", ARM, "--no-verify"]) == 0
    assert (tmp_path / "two.onnx").read_bytes() == source.read_bytes()


def test_a_result_over_2_gib_is_refused_before_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelprep.formats.onnx import pieces

    source = save(net(channels=64), tmp_path / "in.onnx")
    monkeypatch.setattr(pieces, "MAX_MESSAGE", 10_000)
    with pytest.raises(StepError, match="larger than an ONNX file can be"):
        call("onnx.fix", tmp_path / "out.onnx", model=source, batch=2)
    assert not (tmp_path / "out.onnx").exists()


def one(op: str, *, inputs: list[str] | None = None, dtype: int = FLOAT, **attributes: Any) -> Any:
    """Return a model of one node on a 4-D picture, with constants c (4-D), v (1-D) and s (a shape)."""
    constants = [
        helper.make_tensor("c", FLOAT, [4, 2, 3, 3], [0.5] * 72),
        helper.make_tensor("v", FLOAT, [4], [1.0] * 4),
        helper.make_tensor("s", INT64, [2], [1, -1]),
    ]
    node = helper.make_node(op, inputs or ["x"], ["y"], name="it", **attributes)
    values = [helper.make_tensor_value_info("x", dtype, [1, 4, 6, 6])]
    values += [helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in constants]
    graph = helper.make_graph([node], "g", values, [helper.make_tensor_value_info("y", FLOAT, [1, 4, 6, 6])], constants)
    return helper.make_model(graph, ir_version=3, opset_imports=[helper.make_opsetid("", 8)])


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        (one("Softmax"), "ON01"),
        (one("Constant", inputs=[], value=helper.make_tensor("k", INT64, [1], [3])), "ON07"),
        (one("Relu", dtype=INT64), "ON06"),
        (one("Reshape", inputs=["x", "x"]), "ON08"),
        (one("Reshape", inputs=["c", "s"]), None),
        (one("Conv", inputs=["x", "c"], group=2), "ON11"),
        (one("Conv", inputs=["x", "x"]), "ON11"),
        (one("Conv", inputs=["x", "c"], dilations=[2, 2]), "ON11"),
        (one("MaxPool"), "ON13"),
        (one("MaxPool", kernel_shape=[2, 2], ceil_mode=1), "ON13"),
        (one("BatchNormalization", inputs=["x", "v", "v", "v", "x"]), "ON14"),
        (one("Add", inputs=["x", "v"], broadcast=1), "ON15"),
        (one("MatMul", inputs=["x", "x"]), "ON16"),
        (one("Relu"), None),
        (one("MaxPool", kernel_shape=[2, 2]), None),
    ],
)
def test_each_rule_of_the_parser_is_named(model: Any, rule: str | None) -> None:
    found = {problem.rule for problem in problems(model, PARSERS["19.02"])}
    assert found == ({rule} if rule else set())


def test_elements_of_another_type_are_named() -> None:
    assert {p.rule for p in problems(one("Relu", dtype=onnx.TensorProto.DOUBLE), PARSERS["19.02"])} == {"ON04", "ON06"}


def test_later_parsers_read_raw_data_and_know_more_operators() -> None:
    assert {p.rule for p in problems(one("Sigmoid"), PARSERS["19.08"])} == {"ON01"}
    assert not problems(one("Sigmoid"), PARSERS["19.11"])
    rules = [{p.rule for p in problems(net(), PARSERS[version])} for version in ("19.02", "19.05")]
    assert rules == [{"ON02", "ON03", "ON09"}, {"ON03"}]


def test_the_mnist_model_that_passes_on_the_board_is_accepted(upstream: Path, tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(upstream / "onnxzoo.blob.core.windows.net/models/opset_8/mnist/mnist.tar.gz") as archive:
        member = archive.extractfile("mnist/model.onnx")
        assert member is not None
        (tmp_path / "in.onnx").write_bytes(member.read())
    assert verdict(tmp_path / "in.onnx") == []
    call("onnx.fix", tmp_path / "four.onnx", model=tmp_path / "in.onnx", batch=4, target=ARM)
    x = np.random.default_rng(0).normal(size=(4, 1, 28, 28)).astype("f4")
    expected = np.concatenate([run(tmp_path / "in.onnx", {"Input3": x[i : i + 1]})[0] for i in range(4)])
    np.testing.assert_allclose(run(tmp_path / "four.onnx", {"Input3": x})[0], expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("rank", [256, 257])
def test_a_value_of_more_dimensions_than_any_model_has_is_refused_before_its_shapes_are_inferred(
    tmp_path: Path, rank: int
) -> None:
    wide = helper.make_tensor_value_info("x", FLOAT, [1] * rank)
    relu = helper.make_node("Relu", ["x"], ["y"])
    graph = helper.make_graph([relu], "g", [wide], [helper.make_tensor_value_info("y", FLOAT, None)])
    source = tmp_path / "wide.onnx"
    source.write_bytes(helper.make_model(graph).SerializeToString())
    model = read(source)
    if rank == 256:
        assert infer(model).graph.node
        return
    with pytest.raises(StepError, match="too many dimensions") as caught:
        infer(model)
    assert "257" in str(caught.value.got)
