"""``modelprep tf``: the steps on TensorFlow graphs, and what is in one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelprep.cli import common
from modelprep.cli.conversions import add_conversions

app = common.group("TensorFlow graphs: freeze, legalise, to-onnx, rename-io, convert, inspect.")
add_conversions(app, "tf")

Graph_ = Annotated[
    Path, typer.Argument(metavar="GRAPH", help="The graph: .pb, .pbtxt, .meta, or a SavedModel's file or folder.")
]


@app.command("inspect")
def inspect(
    graph: Graph_,
    nodes: Annotated[bool, typer.Option("--nodes", help="List every node too.")] = False,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Show inputs, outputs, operations and the sizes of constants."""
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.cli.output import size_text
        from modelprep.formats.given import require_input
        from modelprep.formats.tensorflow.inspect import inspect as look

        require_input(graph)
        found = look(graph)
        versions = f", made by GraphDef version {found.producer}" if found.producer else ""
        output.line(f"{graph}: {size_text(graph.stat().st_size)}, {found.form}, {len(found.nodes)} nodes{versions}")
        rows: list[tuple[object, ...]] = [("input", n.name, n.op, n.dtype, n.shape_text) for n in found.inputs]
        rows += [("output", n.name, n.op, n.dtype, n.shape_text) for n in found.outputs]
        output.table("Inputs and outputs", ["", "name", "op", "type", "shape"], rows, key=1)
        output.line()
        output.table("Operations", ["op", ">count"], found.operations)
        output.line()
        output.line(f"{found.variables} variables, {size_text(found.constant_bytes)} of constants")
        if nodes:
            output.line()
            output.table(
                "Nodes",
                ["name", "op", "type", "shape", ">bytes", "inputs"],
                [(n.name, n.op, n.dtype, n.shape_text, n.bytes or None, ", ".join(n.inputs)) for n in found.nodes],
            )
        output.result(found.to_json())
