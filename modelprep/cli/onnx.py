"""``modelprep onnx``: the steps on ONNX models, ``check`` and ``inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from modelprep.api.checking import check_onnx
from modelprep.api.inspecting import inspect
from modelprep.cli import common
from modelprep.cli.conversions import steps_of
from modelprep.cli.inspect import opsets, show
from modelprep.cli.output import Output

app = steps_of("onnx", "ONNX models: fix, rename-io, inspect, check.")

Model_ = Annotated[Path, common.Argument("MODEL", "The ONNX file.")]


@app.command("check")
@common.command("modelprep onnx check model.onnx --for armnn-19.02")
def check(
    output: Output,
    model: Model_,
    shapes: Annotated[bool, common.option("--shapes/--no-shapes", "Run strict shape inference too.")] = True,
    target: Annotated[
        str | None,
        common.option("--for", "Target parser (armnn-19.02); refuse what it does not accept.", "TARGET"),
    ] = None,
) -> None:
    """Check that a model is valid ONNX, and that a board's parser accepts it."""
    facts = check_onnx(model, shapes=shapes, target=target)
    output.line(f"{model}: valid, opset {opsets(facts['opset'])}, IR version {facts['ir_version']}")
    output.result({"valid": True, **facts})


@app.command("inspect")
@common.command("modelprep onnx inspect model.onnx --nodes")
def inspect_model(
    output: Output,
    model: Model_,
    nodes: Annotated[bool, common.option("--nodes", "List every node.")] = False,
    weights: Annotated[bool, common.option("--weights", "List every initializer.")] = False,
) -> None:
    """Show inputs, outputs, operators, opset and sizes. Needs no extra."""
    found = inspect(model, format="onnx")
    listed = {"nodes": nodes or output.verbose, "weights": weights or output.verbose}
    show(output, model, found, lists=listed["nodes"], weights=listed["weights"])
    output.result({name: value for name, value in found.facts.items() if listed.get(name, True)})
