"""``modelprep tflite``: the steps on TF Lite models, and ``inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelprep.api.inspecting import inspect
from modelprep.cli import common
from modelprep.cli.conversions import steps_of
from modelprep.cli.inspect import show
from modelprep.cli.output import Output

app = steps_of("tflite", "TensorFlow Lite models: rename-io, vela, inspect.")


@app.command("inspect")
@common.command(examples=("modelprep tflite inspect model.tflite",))
def inspect_model(
    output: Output,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The TF Lite file.")],
    tensors: Annotated[bool, typer.Option("--tensors", help="Also list every tensor.")] = False,
) -> None:
    """Show operators, tensors, quantization, inputs, outputs and sizes."""
    found = inspect(model, format="tflite")
    show(output, model, found, lists=tensors or output.verbose)
    output.result(found.facts)
