"""Each operator's changes of meaning, carried both ways; onnx's own test models and onnxruntime say what holds."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from onnx_small import FLOAT, INT64, helper, np, numpy_helper, onnx, save

from modelprep.errors import StepError
from modelprep.formats.onnx import opset
from modelprep.formats.onnx.model import read
from modelprep.formats.onnx.opset_site import changes

runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is the oracle here")


def session(data: bytes) -> Any:
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def answer(data: bytes, given: list[Any]) -> list[Any]:
    loaded = session(data)
    return list(loaded.run(None, {value.name: array for value, array in zip(loaded.get_inputs(), given, strict=True)}))


def carried(data: bytes, target: int, folder: Path) -> bytes:
    path = folder / "model.onnx"
    path.write_bytes(data)
    model = read(path)
    opset.convert(model, target)
    return b"".join(bytes(piece) for piece in model.pieces())


@cache
def collected() -> list[Any]:
    """Return onnx's own test models of all operators: asked for one of them it gives no other in this process."""
    node = pytest.importorskip("onnx.backend.test.case.node", reason="onnx's own test models")
    with warnings.catch_warnings(action="ignore") if sys.version_info >= (3, 11) else contextlib.nullcontext():
        return list(node.collect_testcases(None))


@cache
def cases(operator: str) -> list[tuple[str, bytes, list[Any]]]:
    """Return onnx's own test models of an operator at opset 21 at most, all but the first input as constants too."""
    found = []
    for case in collected():
        if [node.op_type for node in case.model.graph.node] != [operator]:
            continue
        if any(isinstance(each, onnx.TensorProto) for each in case.data_sets[0][0]):
            continue  # of a type that numpy does not have
        model = onnx.ModelProto.FromString(case.model.SerializeToString())
        given = [np.asarray(each) for each in case.data_sets[0][0] if not isinstance(each, list)]
        if len(given) != len(model.graph.input) or model.opset_import[0].domain:
            continue
        model.opset_import[0].version, model.ir_version = 21, 10
        found.append((case.name, model.SerializeToString(), given))
        if len(given) > 1:
            for value, array in zip(list(model.graph.input)[1:], given[1:], strict=True):
                model.graph.initializer.append(numpy_helper.from_array(array, value.name))
            del model.graph.input[1:]
            found.append((f"{case.name}-constant", model.SerializeToString(), given[:1]))
    return found


def equal(one: list[Any], two: list[Any]) -> bool:
    return len(one) == len(two) and all(
        a.shape == b.shape and (a.dtype.kind not in "fiub" or np.allclose(a, b, 1e-4, 1e-5, equal_nan=True))
        for a, b in zip(one, two, strict=True)
    )


#: The changes that a rule handles, a way down to the opset before each.
HANDLED = sorted(
    key for key, change in changes().items() if key[1] <= 21 and (change.up or change.down) and change.what != "new"
)


@pytest.mark.parametrize(("operator", "step"), HANDLED, ids=lambda value: str(value))
def test_a_change_is_carried_both_ways_with_the_same_numbers_or_refused_by_name(
    operator: str, step: int, tmp_path: Path
) -> None:
    tried, refusals = 0, []
    for _name, data, given in cases(operator):
        try:
            expected = answer(data, given)
        except Exception:  # noqa: BLE001 - what onnxruntime has not at opset 21 says nothing of the way down
            continue
        try:
            down = carried(data, step - 1, tmp_path)
        except StepError as error:
            refusals.append(str(error))
            continue
        assert onnx.load_model_from_string(down).opset_import[0].version == step - 1
        try:
            found = answer(down, given)
        except Exception as error:
            if "NOT_IMPLEMENTED" in str(error) or "min" in str(error):
                continue  # a kernel that onnxruntime never had; a Clip whose limits are the wrong way round
            raise
        onnx.checker.check_model(onnx.load_model_from_string(down), full_check=True)
        assert equal(expected, found)
        assert equal(expected, answer(carried(down, 21, tmp_path), given))
        tried += 1
        if tried == 6:
            break
    assert all(operator in refusal or "type" in refusal for refusal in refusals)


def test_the_table_holds_every_change_that_onnx_knows() -> None:
    known = {
        (schema.name, schema.since_version)
        for schema in onnx.defs.get_all_schemas_with_history()
        if schema.domain == "" and 8 <= schema.since_version <= opset.NEWEST
    }
    assert known <= set(changes())


def test_whatever_differs_in_attributes_or_inputs_has_a_rule() -> None:
    """A row without rules says that nothing but types changed: the schemas have to agree."""
    history: dict[str, dict[int, Any]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            history.setdefault(schema.name, {})[schema.since_version] = schema
    for (operator, step), change in changes().items():
        versions = history.get(operator, {})
        older = [version for version in versions if version < step]
        if step not in versions or not older or change.up or change.down:
            continue
        one, two = versions[max(older)], versions[step]
        assert set(one.attributes) == set(two.attributes), (operator, step)
        assert [each.option for each in one.inputs] == [each.option for each in two.inputs], (operator, step)


def one(
    operator: str, step: int, *constants: Any, shape: Any = (2, 3, 4, 5), outputs: int = 1, **attributes: Any
) -> bytes:
    names = ["x", *(f"c{index}" for index in range(len(constants)))]
    results = [f"y{index}" for index in range(outputs)]
    graph = helper.make_graph(
        [helper.make_node(operator, names, results, name="it", **attributes)], "g",
        [helper.make_tensor_value_info("x", FLOAT, shape)],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in results],
        [numpy_helper.from_array(array, name) for array, name in zip(constants, names[1:], strict=True)],
    )  # fmt: skip
    data: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", step)], ir_version=8
    ).SerializeToString()
    return data


def picture(*shape: int) -> Any:
    return np.random.default_rng(3).normal(size=shape or (2, 3, 4, 5)).astype("f4")


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, 3, -1, -2])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), ("N", 3, 4, 5), (2, 3, 1, 1), ("N", 3, 1, 1)])
@pytest.mark.parametrize(("source", "target"), [(13, 12), (13, 9), (12, 13), (11, 18)])
def test_softmax_along_any_axis_keeps_its_meaning(
    operator: str, axis: int | None, shape: Any, source: int, target: int, tmp_path: Path
) -> None:
    data = one(operator, source, shape=shape, **({} if axis is None else {"axis": axis}))
    given = picture(2, *shape[1:])
    assert equal(answer(data, [given]), answer(carried(data, target, tmp_path), [given]))


@pytest.mark.parametrize(
    ("data", "target"),
    [
        (lambda: one("Upsample", 7, scales=[1.0, 1.0, 2.0, 3.0]), 13),
        (lambda: one("Upsample", 9, np.array([1, 1, 2, 2], "f4"), mode="linear"), 11),
        (lambda: one("Resize", 10, np.array([1, 1, 2, 2], "f4")), 18),
        (lambda: one("Slice", 9, starts=[1, -3], ends=[9, -1], axes=[1, 3]), 13),
        (lambda: one("Clip", 7, min=-0.5), 12),
        (lambda: one("Pad", 7, pads=[0, 0, 1, 1, 0, 0, 2, 2], value=1.5), 18),
        (lambda: one("Split", 11, axis=-1, split=[2, 3], outputs=2), 18),
        (lambda: one("Split", 13, axis=2, outputs=2), 18),
        (lambda: one("Split", 18, axis=3, num_outputs=2, outputs=2), 13),
        (lambda: one("ReduceMean", 11, axes=[-1, 2], keepdims=0), 18),
        (lambda: one("Unsqueeze", 11, axes=[0, -1]), 13),
        (lambda: one("Dropout", 7, ratio=0.3), 13),
        (lambda: one("Concat", 11, picture(2, 3, 4, 1), axis=-1), 9),
        (lambda: one("Flatten", 11, axis=-2), 9),
        (lambda: one("GroupNormalization", 18, np.array([1, -2, 3], "f4"), np.zeros(3, "f4"), num_groups=3,
                     shape=(2, 6, 4, 5)), 21),
        (lambda: one("Unsqueeze", 13, np.array([-1, 0], "i8")), 9),
    ],
)  # fmt: skip
def test_what_exporters_write_is_carried(data: Callable[[], bytes], target: int, tmp_path: Path) -> None:
    before = data()
    dims = onnx.load_model_from_string(before).graph.input[0].type.tensor_type.shape.dim
    given = picture(*(dim.dim_value for dim in dims))
    assert equal(answer(before, [given]), answer(carried(before, target, tmp_path), [given]))


@pytest.mark.parametrize(
    ("data", "target", "reason"),
    [
        (lambda: one("AveragePool", 19, kernel_shape=[2, 2], dilations=[2, 2]), 18, "dilations"),
        (lambda: one("HardSwish", 14), 13, "came with opset 14"),
        (lambda: one("Resize", 11, np.zeros(0, "f4"), np.array([1, 1, 0.5, 0.5], "f4"), nearest_mode="floor",
                     coordinate_transformation_mode="asymmetric"), 10, "smaller"),
        (lambda: one("Split", 18, axis=0, num_outputs=2, outputs=2, shape=("N", 3)), 13, "not known"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_is_refused_with_the_node(
    data: Callable[[], bytes], target: int, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(StepError, match="'it' cannot be carried") as caught:
        carried(data(), target, tmp_path)
    assert reason in str(caught.value.got)


def test_a_type_that_an_opset_has_not_is_refused(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(one("Clip", 12))
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.elem_type = INT64
    with pytest.raises(StepError, match="opset 9 does not take this model") as caught:
        carried(model.SerializeToString(), 9, tmp_path)
    assert "int64" in str(caught.value.got)


def test_nodes_of_nested_graphs_are_carried_too(tmp_path: Path) -> None:
    def branch(axis: int) -> Any:
        return helper.make_graph(
            [helper.make_node("Softmax", ["x"], [f"s{axis}"], axis=axis)], f"b{axis}", [],
            [helper.make_tensor_value_info(f"s{axis}", FLOAT, [2, 3, 4])],
        )  # fmt: skip

    graph = helper.make_graph(
        [
            helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
            helper.make_node("Greater", ["most", "zero"], ["some"]),
            helper.make_node("If", ["some"], ["y"], then_branch=branch(1), else_branch=branch(0)),
        ], "g", [helper.make_tensor_value_info("x", FLOAT, [2, 3, 4])],
        [helper.make_tensor_value_info("y", FLOAT, [2, 3, 4])], [numpy_helper.from_array(np.array(0, "f4"), "zero")],
    )  # fmt: skip
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7).SerializeToString()
    for given in (picture(2, 3, 4), -np.abs(picture(2, 3, 4))):
        assert equal(answer(data, [given]), answer(carried(data, 11, tmp_path), [given]))


@pytest.mark.parametrize(("target", "version"), [(8, 3), (11, 6), (13, 7), (18, 8), (21, 10)])
def test_the_ir_version_goes_with_the_opset(tmp_path: Path, target: int, version: int) -> None:
    data = carried(one("Relu", 15 if target < 15 else 9), target, tmp_path)
    assert onnx.load_model_from_string(data).ir_version == max(version, 8 if target >= 15 else 3)
    model = read(save(onnx.load_model_from_string(one("Add", 15, picture())), tmp_path / "two.onnx"))
    opset.convert(model, 8)
    assert int(model.proto.ir_version) == opset.needed_ir(model) == 4
