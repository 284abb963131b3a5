"""``modelprep tf to-onnx``; ``modelprep.cli.tf`` takes :func:`to_onnx` into its group."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelprep.cli import common
from modelprep.cli.files import Verify


def to_onnx(
    graph: Annotated[Path, typer.Argument(metavar="GRAPH", help="The frozen GraphDef, binary or text.")],
    output_file: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write the ONNX model.")],
    inputs: Annotated[
        list[str] | None, typer.Option("--input", metavar="NODE", help="An input (default: the placeholders).")
    ] = None,
    outputs: Annotated[
        list[str] | None, typer.Option("--output-node", metavar="NODE", help="An output (default: what nothing uses).")
    ] = None,
    opset: Annotated[int, typer.Option("--opset", min=7, help="The ONNX opset to write.")] = 13,
    shape: Annotated[
        list[str] | None,
        typer.Option("--shape", metavar="NODE=N,N,...", help="Shape of an input that is open."),
    ] = None,
    nchw: Annotated[
        list[str] | None, typer.Option("--input-as-nchw", metavar="NODE", help="An input to be taken as NCHW.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output if it is there.")] = False,
    verify: Verify = True,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Convert a frozen graph to ONNX through tf2onnx (extras tf and onnx)."""
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.cli.run_step import names, run_step
        from modelprep.errors import UsageError

        shapes: dict[str, list[int]] = {}
        for name, dims in names(shape, "--shape").items():
            parts = dims.split(",")
            if not all(part.isdecimal() and int(part) for part in parts):
                raise UsageError("--shape takes NODE=N,N,... with numbers from 1 up", got=f"{name}={dims}")
            shapes[name] = [int(part) for part in parts]
        params = {
            "graph": graph,
            "inputs": inputs,
            "outputs": outputs,
            "opset": opset,
            "shapes": shapes,
            "inputs_as_nchw": nchw,
        }
        run_step(output, "tf.to_onnx", params, output_file, force=force, verify=verify)
