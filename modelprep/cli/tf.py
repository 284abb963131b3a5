"""``modelprep tf``: the steps on TensorFlow graphs, and ``inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelprep.api.inspecting import inspect
from modelprep.cli import common
from modelprep.cli.conversions import steps_of
from modelprep.cli.inspect import show
from modelprep.cli.output import Output

app = steps_of("tf", "TensorFlow graphs: freeze, legalise, to-onnx, rename-io, convert, inspect.")


@app.command("inspect")
@common.command(examples=("modelprep tf inspect graph.pb --nodes",))
def inspect_graph(
    output: Output,
    graph: Annotated[
        Path,
        typer.Argument(
            metavar="GRAPH", help="The graph: .pb, .pbtxt, .meta, or a SavedModel's file or folder; or a checkpoint."
        ),
    ],
    nodes: Annotated[bool, typer.Option("--nodes", help="Also list every node.")] = False,
) -> None:
    """Show inputs, outputs, operations and the sizes of constants."""
    found = inspect(graph, format="tf")
    show(output, graph, found, lists=nodes or output.verbose)
    output.result(found.facts)
