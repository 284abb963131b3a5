"""``modelprep onnx``: fix, rename-io, inspect and check, for a user's own ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from modelprep.cli import common
from modelprep.cli.files import Force, OutputFile, RenameInput, RenameOutput, Verify

app = common.group("ONNX models: fix, rename-io, inspect, check.")

Model_ = Annotated[Path, typer.Argument(metavar="MODEL", help="The ONNX file.")]
Target = Annotated[
    str | None,
    typer.Option("--for", metavar="TARGET", help="The parser it is for (armnn-19.02); refuses what it cannot take."),
]


@app.command("fix")
def fix(
    model: Model_,
    output_file: OutputFile,
    batch: Annotated[
        int | None, typer.Option("--batch", min=1, help="Number of samples; what depends on it follows.")
    ] = None,
    dim: Annotated[
        list[str] | None, typer.Option("--dim", metavar="NAME=N", help="A symbolic dimension; may be repeated.")
    ] = None,
    opset: Annotated[
        int | None, typer.Option("--opset", min=1, help="Carry to this opset, 7 to 25 (extra onnx).")
    ] = None,
    ir_version: Annotated[int | None, typer.Option("--ir-version", min=3, help="Set the IR version.")] = None,
    initialisers: Annotated[
        str | None, typer.Option("--initialisers", metavar="keep|inputs", help="List initialisers among the inputs.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="keep|typed", help="Move raw_data into the field of its type.")
    ] = None,
    value_info: Annotated[
        str | None,
        typer.Option("--value-info", metavar="keep|static|drop|infer", help="Shapes of values in between."),
    ] = None,
    simplify: Annotated[
        bool | None,
        typer.Option("--simplify/--no-simplify", help="Take out Identity and Dropout, make Flatten a Reshape."),
    ] = None,
    target: Target = None,
    force: Force = False,
    verify: Verify = True,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Make shapes static, put constants where old parsers look, convert the opset; values stay the same."""
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.cli.run_step import choice, names, run_step
        from modelprep.errors import UsageError
        from modelprep.formats.given import require_apart, require_input, require_output
        from modelprep.steps.onnx_fix import STEP

        # Before the model is read for the files of its external data.
        require_input(model)
        require_apart(model, output_file)
        require_output(output_file, force=force)
        dims: dict[str, int] = {}
        for name, number in names(dim, "--dim").items():
            if not number.isdecimal():
                raise UsageError("--dim takes NAME=N", got=f"{name}={number}")
            dims[name] = int(number)
        params: dict[str, object] = {
            "model": model,
            "external": _external(model),
            "batch": batch,
            "dims": dims,
            "opset": opset,
            "ir_version": ir_version,
            "initialisers": choice(STEP, "initialisers", initialisers),
            "data": choice(STEP, "data", data),
            "value_info": choice(STEP, "value_info", value_info),
            "simplify": simplify,
            "target": choice(STEP, "target", target, "--for"),
        }
        run_step(output, "onnx.fix", params, output_file, force=force, verify=verify)


@app.command("rename-io")
def rename_io(
    model: Model_,
    output_file: OutputFile,
    rename_input: RenameInput = None,
    rename_output: RenameOutput = None,
    force: Force = False,
    verify: Verify = True,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Give inputs and outputs other names; weights and all else stay byte for byte."""
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.cli.run_step import run_renaming

        run_renaming(
            output,
            "onnx.rename_io",
            {"model": model},
            rename_input,
            rename_output,
            output_file,
            force=force,
            verify=verify,
        )


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
        from modelprep.cli.run_step import choice
        from modelprep.formats.given import require_input
        from modelprep.formats.onnx.model import read_header
        from modelprep.steps import onnx_check
        from modelprep.steps._extras import require
        from modelprep.steps.onnx_fix import refuse

        require_input(model)
        wanted = choice(onnx_check.STEP, "target", target, "--for")
        require(("onnx",), "onnx check")
        facts = onnx_check.check(model, shapes=shapes)
        if wanted:
            refuse(read_header(model), wanted)
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


def _external(model: Path) -> dict[str, Path]:
    """Find the files of external data beside a model; a location that leads out of its folder is refused.

    Raises
    ------
    StepError
        A location is absolute, leads upwards or is not there.
    """
    from modelprep.errors import StepError
    from modelprep.formats.onnx.model import guarded, read_header

    found: dict[str, Path] = {}
    header = read_header(model)
    with guarded(str(model)):
        tensors = [tensor for tensor in header.graph.initializer if tensor.data_location == 1]
        locations = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    folder = model.resolve().parent
    for location in sorted(locations):
        path = (folder / location).resolve()
        if not path.is_relative_to(folder):
            raise StepError(
                "the model says its weights lie outside its own folder", where=str(model), got=location,
                hint="only files beside the model or below are read",
            )  # fmt: skip
        if not path.is_file():
            raise StepError(
                "the model keeps weights in another file, which is not there", where=str(model), expected=str(path)
            )
        found[location] = path
    return found
