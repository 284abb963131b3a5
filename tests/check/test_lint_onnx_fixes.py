"""A call of ``onnx fix`` that lint names is taken for that model, and leaves nothing of what was found."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import pytest

from modelprep.cli.main import invoke

onnx = pytest.importorskip("onnx", reason="onnx makes the models")
helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT


def model(nodes: list[Any], given: list[Any], made: list[Any], weights: dict[str, list[int]], opset: int = 9) -> Any:
    values = [helper.make_tensor(name, FLOAT, dims, bytes(4 * prod(dims)), raw=True) for name, dims in weights.items()]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", FLOAT, given)],
        [helper.make_tensor_value_info("y", FLOAT, made)],
        values,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=4)


node = helper.make_node
CONV = [node("Conv", ["x", "w"], ["y"])]
#: Name -> the model, and the options that lint has to name (empty: none helps).
CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "raw weights": (lambda: model(CONV, [1, 3, 8, 8], [1, 2, 6, 6], {"w": [2, 3, 3, 3]}), "--for armnn-19.02"),
    "an open batch too": (
        lambda: model(CONV, ["N", 3, 8, 8], ["N", 2, 6, 6], {"w": [2, 3, 3, 3]}),
        "--batch 1 --for armnn-19.02",
    ),
    "an open height": (lambda: model(CONV, [1, 3, "h", 8], [1, 2, "k", 6], {"w": [2, 3, 3, 3]}), ""),
    "a Dropout": (
        lambda: model([node("Dropout", ["x"], ["d"]), node("Relu", ["d"], ["y"])], [1, 6], [1, 6], {}),
        "--for armnn-19.02",
    ),
    "an operator that nothing takes apart": (
        lambda: model([*[node("Conv", ["x", "w"], ["c"])], node("Elu", ["c"], ["y"])],
                      [1, 3, 8, 8], [1, 2, 6, 6], {"w": [2, 3, 3, 3]}),
        "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_call_that_lint_names_leaves_nothing(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, options = CASES[case]
    path, result = tmp_path / "model.onnx", tmp_path / "fixed.onnx"
    onnx.save(make(), path)
    assert invoke(["lint", str(path), "--json"]) == 1
    named = {finding["mend"] for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert named == {f"modelprep onnx fix MODEL -o OUT {options}" if options else ""}
    if options:
        assert invoke(["onnx", "fix", str(path), "-o", str(result), *options.split()]) == 0
        assert invoke(["lint", str(result)]) == 0
