"""The batch of a model is followed through its nodes: each sample is answered as before, or the node is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from onnx_small import FLOAT, INT64, call, helper, np, numpy_helper, onnx, run, save

from modelprep.errors import StepError

pytest.importorskip("onnxruntime", reason="onnxruntime is the oracle here")
I8 = "i8"


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    first = outputs.split()[0]
    name = f"the_{operator}" if first == "y" else f"{operator}_{first}"
    return helper.make_node(operator, inputs.split(), outputs.split(), name=name, **attributes)


def model(
    nodes: list[Any], shape: tuple[int, ...], result: tuple[int, ...], opset: int = 13, more: Any = (), **arrays: Any
) -> Any:
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", FLOAT, shape), *more],
        [helper.make_tensor_value_info("y", FLOAT, result)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
    onnx.checker.check_model(made, full_check=True)
    return made


def weights(*shape: int) -> Any:
    return np.random.default_rng(5).normal(size=shape).astype("f4")


def branch(name: str, operator: str) -> Any:
    return helper.make_graph(
        [helper.make_node("Reshape", ["x", "deep"], [f"{name}_r"]), helper.make_node(operator, [f"{name}_r"], [name])],
        name, [], [helper.make_tensor_value_info(name, FLOAT, [4, 3, 2])],
    )  # fmt: skip


#: What a model of batch 4 does with it -> the axis of its result that is the batch.
FOLLOWED: dict[str, tuple[Callable[[], Any], int]] = {
    "reshape": (lambda: model([node("Reshape", "x s", "y")], (4, 6), (4, 3, 2), s=np.array([4, 3, 2], I8)), 0),
    "reshape that merges the batch": (
        lambda: model(
            [node("Reshape", "x s", "a"), node("MatMul", "a w", "b"), node("Reshape", "b t", "y")],
            (4, 3, 5), (4, 3, 2), s=np.array([12, 5], I8), w=weights(5, 2), t=np.array([4, 3, 2], I8),
        ), 0,
    ),
    "transpose and reshape": (
        lambda: model(
            [node("Transpose", "x", "a", perm=[1, 0, 2]), node("Reshape", "a s", "y")], (4, 3, 2), (3, 4, 2),
            s=np.array([3, 4, 2], I8),
        ), 1,
    ),
    "concat with a constant": (
        lambda: model([node("Concat", "x k", "y", axis=1)], (4, 3), (4, 5), k=np.full((4, 2), 7, "f4")), 0,
    ),
    "concat with ConstantOfShape": (
        lambda: model(
            [node("ConstantOfShape", "s", "e"), node("Concat", "x e", "y", axis=1)], (4, 3), (4, 5),
            s=np.array([4, 2], I8),
        ), 0,
    ),
    "concat with an expanded constant": (
        lambda: model(
            [node("Expand", "k s", "e"), node("Concat", "e x", "y", axis=1)], (4, 3), (4, 5), k=weights(1, 2),
            s=np.array([4, 2], I8),
        ), 0,
    ),
    "concat with a tiled constant": (
        lambda: model(
            [node("Tile", "k s", "e"), node("Relu", "e", "f"), node("Concat", "x f", "y", axis=1)], (4, 3), (4, 5),
            k=weights(1, 2), s=np.array([4, 1], I8),
        ), 0,
    ),
    "sum with a constant of its length": (
        lambda: model([node("Add", "x k", "y")], (4, 3), (4, 3), k=np.tile(weights(1, 3), (4, 1))), 0,
    ),
    "expand": (lambda: model([node("Expand", "x s", "y")], (4, 1), (4, 3), s=np.array([4, 3], I8)), 0),
    "slice of the whole batch": (
        lambda: model(
            [node("Slice", "x b e a", "y")], (4, 6), (4, 3), b=np.array([0, 1], I8), e=np.array([4, 4], I8),
            a=np.array([0, 1], I8),
        ), 0,
    ),
    "gather along another axis": (
        lambda: model([node("Gather", "x i", "y", axis=1)], (4, 6), (4, 2), i=np.array([5, 0], I8)), 0,
    ),
    "gather before it": (
        lambda: model(
            [node("Transpose", "x", "a"), node("Gather", "a i", "y", axis=0)], (4, 6), (4,), i=np.array(2, I8)
        ), 0,
    ),
    "split along another axis": (
        lambda: model(
            [node("Split", "x s", "a b", axis=1), node("Mul", "a b", "y")], (4, 6), (4, 3), s=np.array([3, 3], I8)
        ), 0,
    ),
    "squeeze, unsqueeze and mean": (
        lambda: model(
            [node("Unsqueeze", "x n", "a"), node("ReduceMean", "a", "b", axes=[2], keepdims=0),
             node("Squeeze", "b n", "y")], (4, 6), (4,), n=np.array([1], I8),
        ), 0,
    ),
    "a picture's flatten": (
        lambda: model(
            [node("Conv", "x w", "a"), node("Flatten", "a", "b"), node("Gemm", "b f c", "y")], (4, 3, 5, 5), (4, 2),
            w=weights(2, 3, 3, 3), f=weights(18, 2), c=np.tile(weights(1, 2), (4, 1)),
        ), 0,
    ),
    "batched products": (
        lambda: model(
            [node("Transpose", "x", "t", perm=[0, 2, 1]), node("MatMul", "x t", "a"), node("Softmax", "a", "y")],
            (4, 3, 2), (4, 3, 3),
        ), 0,
    ),
    "both branches of an If": (
        lambda: model(
            [helper.make_node("If", ["c"], ["y"], then_branch=branch("t", "Relu"), else_branch=branch("e", "Neg"))],
            (4, 6), (4, 3, 2), deep=np.array([4, 3, 2], I8), c=np.array(False),
        ), 0,
    ),
    "sizes that it computes itself": (
        lambda: model(
            [node("Shape", "x", "s"), node("Gather", "s i", "n"), node("Concat", "n two", "t", axis=0),
             node("ConstantOfShape", "t", "e"), node("Concat", "x e", "y", axis=1)], (4, 3), (4, 5),
            i=np.array([0], I8), two=np.array([2], I8),
        ), 0,
    ),
    "a recurrent layer": (
        lambda: model(
            [node("Transpose", "x", "a", perm=[1, 0, 2]), node("GRU", "a w r", "h", hidden_size=5),
             node("Squeeze", "h d", "b"), node("Transpose", "b", "y", perm=[1, 0, 2])], (4, 3, 2), (4, 3, 5),
            w=weights(1, 15, 2), r=weights(1, 15, 5), d=np.array([1], I8),
        ), 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", FOLLOWED)
@pytest.mark.parametrize("batch", [1, 2, 9])
def test_each_sample_is_answered_as_before(tmp_path: Path, kind: str, batch: int) -> None:
    made, axis = FOLLOWED[kind]
    source, out = save(made(), tmp_path / "in.onnx"), tmp_path / "out.onnx"
    call("onnx.fix", out, model=source, batch=batch)
    onnx.checker.check_model(str(out), full_check=True)
    shape = [dim.dim_value for dim in onnx.load(str(source)).graph.input[0].type.tensor_type.shape.dim]
    sample = np.abs(weights(1, *shape[1:]))
    before = run(source, {"x": np.repeat(sample, 4, 0)})[0]
    after = run(out, {"x": np.repeat(sample, batch, 0)})[0]
    assert after.shape[axis] == batch
    np.testing.assert_array_equal(np.take(after, batch - 1, axis), np.take(before, 0, axis))
    declared = onnx.load(str(out)).graph.output[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in declared] == list(after.shape)


STOPPED: dict[str, Callable[[], Any]] = {
    "Split": lambda: model([node("Split", "x s", "y b", axis=0)], (3, 4), (2, 4), s=np.array([2, 1], I8)),
    "Slice": lambda: model(
        [node("Slice", "x b e", "y")], (3, 4), (2, 4), b=np.array([0], I8), e=np.array([2], I8)
    ),
    "Gather": lambda: model([node("Gather", "x i", "y", axis=0)], (3, 4), (4,), i=np.array(1, I8)),
    "ReduceSum": lambda: model([node("ReduceSum", "x", "y", keepdims=1)], (3, 4), (1, 1)),
    "Softmax": lambda: model([node("Softmax", "x", "y", axis=0)], (3, 4), (3, 4)),
    "Concat": lambda: model([node("Concat", "x k", "y", axis=0)], (3, 4), (5, 4), k=weights(2, 4)),
    "Add": lambda: model([node("Add", "x k", "y")], (3, 4), (3, 4), k=weights(3, 4)),
    "MatMul": lambda: model(
        [node("Transpose", "x", "t"), node("MatMul", "t w", "y")], (3, 4), (4, 2), w=weights(3, 2)
    ),
    "LayerNormalization": lambda: model(
        [node("LayerNormalization", "x s", "y", axis=-2)], (3, 4), (3, 4), 17, s=weights(3, 4)
    ),
    "CumSum": lambda: model([node("CumSum", "x a", "y")], (3, 4), (3, 4), a=np.array(0, I8)),
    "Trilu": lambda: model([node("Trilu", "x", "y")], (3, 4), (3, 4), 14),
    "MeanVarianceNormalization": lambda: model(
        [node("MeanVarianceNormalization", "x", "y")], (3, 4, 5, 5), (3, 4, 5, 5), 9
    ),
    "Tile": lambda: model([node("Tile", "x r", "y")], (3, 4), (6, 4), r=np.array([2, 1], I8)),
}  # fmt: skip


@pytest.mark.parametrize("operator", STOPPED)
def test_the_node_that_stops_the_batch_is_named_and_nothing_is_written(tmp_path: Path, operator: str) -> None:
    source = save(STOPPED[operator](), tmp_path / "in.onnx")
    with pytest.raises(StepError, match=f"cannot be followed through {operator} '"):
        call("onnx.fix", tmp_path / "out.onnx", model=source, batch=1)
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize("other", [(2,), (1, 3), ("M", 3), ()])
def test_a_second_input_that_is_no_batch_is_left_alone(tmp_path: Path, other: tuple[Any, ...]) -> None:
    made = model([node("Relu", "x", "y")], (4, 3), (4, 3), more=[helper.make_tensor_value_info("info", FLOAT, other)])
    save(made, tmp_path / "in.onnx")
    call("onnx.fix", tmp_path / "out.onnx", model=tmp_path / "in.onnx", batch=1)
    first, second = (value.type.tensor_type.shape.dim for value in onnx.load(str(tmp_path / "out.onnx")).graph.input)
    assert [dim.dim_value for dim in first] == [1, 3]
    assert [dim.dim_param or dim.dim_value for dim in second] == list(other)


@pytest.mark.parametrize("operator", ["MatMul", "Gemm"])
def test_a_second_operand_that_happens_to_be_as_long_as_the_batch_is_left_alone(tmp_path: Path, operator: str) -> None:
    more = [helper.make_tensor_value_info("z", FLOAT, (4, 5))]
    save(model([node(operator, "x z", "y")], (4, 4), (4, 5), more=more), tmp_path / "in.onnx")
    call("onnx.fix", tmp_path / "out.onnx", model=tmp_path / "in.onnx", batch=2)
    given = {"x": weights(2, 4), "z": weights(4, 5)}
    np.testing.assert_allclose(run(tmp_path / "out.onnx", given)[0], given["x"] @ given["z"], rtol=1e-5)


def test_pairs_of_samples_are_no_batch(tmp_path: Path) -> None:
    nodes = [node("Transpose", "x", "t", perm=[1, 0]), node("MatMul", "x t", "y")]
    save(model(nodes, (4, 3), (4, 4)), tmp_path / "in.onnx")
    with pytest.raises(StepError, match="cannot be followed through MatMul"):
        call("onnx.fix", tmp_path / "out.onnx", model=tmp_path / "in.onnx", batch=2)


def test_two_inputs_of_samples_get_the_batch(tmp_path: Path) -> None:
    made = model([node("Add", "x z", "y")], (4, 3), (4, 3), more=[helper.make_tensor_value_info("z", FLOAT, (4, 3))])
    save(made, tmp_path / "in.onnx")
    call("onnx.fix", tmp_path / "out.onnx", model=tmp_path / "in.onnx", batch=2)
    given = {"x": weights(2, 3), "z": weights(2, 3)}
    np.testing.assert_array_equal(run(tmp_path / "out.onnx", given)[0], given["x"] + given["z"])


def test_dimensions_and_inferred_shapes_in_one_call(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [node("Conv", "x w", "y")], "g", [helper.make_tensor_value_info("x", FLOAT, ["N", 3, "height", "width"])],
        [helper.make_tensor_value_info("y", FLOAT, ["N", 2, "h2", "w2"])],
        [numpy_helper.from_array(weights(2, 3, 3, 3), "w")],
    )  # fmt: skip
    source = save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=4), tmp_path / "in.onnx"
    )
    both, first, second = (tmp_path / f"{name}.onnx" for name in ("both", "first", "second"))
    call("onnx.fix", both, model=source, batch=1, dims={"height": 8, "width": 6}, value_info="infer")
    call("onnx.fix", first, model=source, batch=1, dims={"height": 8, "width": 6})
    call("onnx.fix", second, model=first, value_info="infer")
    assert both.read_bytes() == second.read_bytes()
    assert [dim.dim_value for dim in onnx.load(str(both)).graph.output[0].type.tensor_type.shape.dim] == [1, 2, 6, 4]


def viewed(opset: int, batch: Any) -> Any:
    """Return ``x.view(x.size(0), -1)`` as PyTorch writes it, a convolution before and a layer behind it."""
    axes = {"axes": [0]} if opset < 13 else {}
    graph = helper.make_graph(
        [
            node("Conv", "x w", "c"), node("Shape", "c", "s"),
            node("Constant", "", "zero", value=helper.make_tensor("", INT64, [], [0])),
            node("Gather", "s zero", "n", axis=0),
            helper.make_node("Unsqueeze", ["n"] if opset < 13 else ["n", "first"], ["u"], **axes),
            node("Constant", "", "rest", value=helper.make_tensor("", INT64, [1], [-1])),
            node("Concat", "u rest", "t", axis=0), node("Reshape", "c t", "f"),
            node("Gemm", "f fw fb", "y", transB=1, alpha=0.5),
        ], "g", [helper.make_tensor_value_info("x", FLOAT, [batch, 3, 6, 6])],
        [helper.make_tensor_value_info("y", FLOAT, [batch if isinstance(batch, int) else "Gemmy_dim_0", 5])],
        [numpy_helper.from_array(array, name) for name, array in
         {"w": weights(16, 3, 3, 3), "fw": weights(5, 256), "fb": weights(5), "first": np.array([0], I8)}.items()
         if opset >= 13 or name != "first"],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=4)


@pytest.mark.parametrize("opset", [9, 11, 13])
@pytest.mark.parametrize("batch", [1, "N"])
def test_a_view_is_folded_for_the_parser_and_large_weights_stay(tmp_path: Path, opset: int, batch: Any) -> None:
    pytest.importorskip("onnxsim", reason="the extra onnx folds sizes with onnxsim")
    source, out = save(viewed(opset, batch), tmp_path / "in.onnx"), tmp_path / "out.onnx"
    call("onnx.fix", out, model=source, target="armnn-19.02", batch=1)
    after = onnx.load(str(out))
    assert [each.op_type for each in after.graph.node] == ["Conv", "Reshape", "MatMul", "Add"]
    assert [dim.dim_value for dim in after.graph.output[0].type.tensor_type.shape.dim] == [1, 5]
    given = {"x": weights(1, 3, 6, 6)}
    np.testing.assert_allclose(run(out, given)[0], run(source, given)[0], rtol=1e-5, atol=1e-5)
    again = tmp_path / "again.onnx"
    call("onnx.fix", again, model=source, target="armnn-19.02", batch=1)
    assert again.read_bytes() == out.read_bytes()


def test_what_is_added_to_a_model_of_ir_version_3_is_an_input_too(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [node("Flatten", "x", "a"), node("Constant", "", "s", value=helper.make_tensor("", INT64, [2], [1, 6])),
         node("Reshape", "a s", "y")], "g",
        [helper.make_tensor_value_info("x", FLOAT, [1, 2, 3])], [helper.make_tensor_value_info("y", FLOAT, [1, 6])],
    )  # fmt: skip
    source = save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 8)], ir_version=3), tmp_path / "in.onnx"
    )
    call("onnx.fix", tmp_path / "out.onnx", model=source, simplify=True)
    onnx.checker.check_model(str(tmp_path / "out.onnx"), full_check=True)
    assert run(tmp_path / "out.onnx", {"x": weights(1, 2, 3)})[0].shape == (1, 6)
