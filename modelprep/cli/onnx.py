"""``modelprep onnx``: fix, rename-io, inspect and check, for a user's own ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from modelprep.cli import common
from modelprep.cli.conversions import add_conversions

app = common.group("ONNX models: fix, rename-io, inspect, check.")
add_conversions(app, "onnx")

Model_ = Annotated[Path, typer.Argument(metavar="MODEL", help="The ONNX file.")]
Target = Annotated[
    str | None,
    typer.Option("--for", metavar="TARGET", help="The parser it is for (armnn-19.02); refuses what it cannot take."),
]


@app.command("check")
def check(
    model: Model_,
    shapes: Annotated[bool, typer.Option("--shapes/--no-shapes", help="Run strict shape inference too.")] = True,
    target: Target = None,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """See that a model is valid ONNX, and that a board's parser can take it."""
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.errors import UsageError
        from modelprep.formats.given import require_input
        from modelprep.formats.onnx.model import read_header
        from modelprep.steps import onnx_check
        from modelprep.steps._extras import require
        from modelprep.steps.onnx_fix import refuse
        from modelprep.targets.armnn_onnx import TARGETS

        require_input(model)
        if target not in (None, *TARGETS):
            raise UsageError("--for takes one of a few values", expected=", ".join(TARGETS), got=str(target))
        require(("onnx",), "onnx check")
        facts = onnx_check.check(model, shapes=shapes)
        if target:
            refuse(read_header(model), target)
        output.line(f"{model}: valid, opset {_opsets(facts['opset'])}, IR version {facts['ir_version']}")
        output.result({"valid": True, **facts})


@app.command("inspect")
def inspect(
    model: Model_,
    nodes: Annotated[bool, typer.Option("--nodes", help="List every node.")] = False,
    weights: Annotated[bool, typer.Option("--weights", help="List every initialiser.")] = False,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Show inputs, outputs, operators, opset and sizes. Needs no extra."""
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.cli.output import size_text
        from modelprep.formats.given import require_input
        from modelprep.formats.onnx import inspect as look
        from modelprep.formats.onnx.model import guarded, read_header

        require_input(model)
        found = read_header(model)
        with guarded(str(model)):
            facts: dict[str, Any] = look.summary(found)
            node_list, weight_list = look.nodes(found), look.initialisers(found)
        output.line(
            f"{model}: {size_text(facts['size'])}, opset {_opsets(facts['opset'])}, IR version {facts['ir_version']}"
            + (f", made by {facts['producer']}" if facts["producer"] else "")
        )
        rows = [(kind, v["name"], v["dtype"].lower(), _shape(v["shape"]))
                for kind in ("input", "output") for v in facts[f"{kind}s"]]  # fmt: skip
        output.table("Inputs and outputs", ["", "name", "type", "shape"], rows, key=1)
        output.line()
        output.table("Operators", ["operator", ">count"], list(facts["operators"].items()))
        output.line()
        held = facts["initialisers"]
        output.line(f"{held['count']} initialisers, {size_text(held['bytes'])}"
                    + (f", {held['external']} of them in other files" if held["external"] else ""))  # fmt: skip
        if nodes:
            output.line()
            output.table(
                "Nodes", ["operator", "name", "inputs", "outputs"],
                [(n["op"], n["name"], _names(n["inputs"]), _names(n["outputs"])) for n in node_list],
            )  # fmt: skip
        if weights:
            output.line()
            output.table(
                "Initialisers", ["name", "type", "shape", ">bytes"],
                [(w["name"], str(w["dtype"]).lower(), _shape(w["shape"]), w["bytes"]) for w in weight_list],
            )  # fmt: skip
        output.result(
            {**facts, **({"nodes": node_list} if nodes else {}), **({"weights": weight_list} if weights else {})}
        )


def _names(names: Any) -> str:
    return ", ".join(names)


def _shape(dims: Any) -> str:
    return "x".join("?" if dim is None else str(dim) for dim in dims) or "scalar"


def _opsets(opsets: Any) -> str:
    return ", ".join(str(v) if domain == "ai.onnx" else f"{domain} {v}" for domain, v in opsets.items())
