"""``modelprep tflite``: rename-io, vela and inspect, for a user's own TF Lite files. Needs no extra."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelprep.cli import common
from modelprep.cli.conversions import add_conversions

if TYPE_CHECKING:
    from modelprep.formats.tflite.model import Model, Subgraph, Tensor

app = common.group("TensorFlow Lite models: rename-io, vela, inspect.")
add_conversions(app, "tflite")

Model_ = Annotated[Path, typer.Argument(metavar="MODEL", help="The TF Lite file.")]


@app.command("inspect")
def inspect(
    model: Model_,
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor too.")] = False,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Show operators, tensors, quantisation, inputs, outputs and sizes."""
    with common.sink(json=json, quiet=quiet) as output:
        from collections import Counter

        from modelprep.cli.output import size_text
        from modelprep.formats.given import require_input
        from modelprep.formats.tflite.model import read

        require_input(model)
        found = read(model)
        graph = found.main
        output.line(
            f"{model}: {size_text(found.size)}, schema version {found.version}, {found.description}".rstrip(", ")
        )
        columns = ["", "name", "type", "shape", "scale", ">zero point"]
        rows = [
            (kind, row[0] or f"#{place}", *row[1:])
            for kind, indices in (("input", graph.inputs), ("output", graph.outputs))
            for place, row in enumerate(_row(graph.tensors[i]) for i in indices)
        ]
        output.table("Inputs and outputs", columns, rows, key=1)
        count = Counter(operator.custom or operator.name for operator in graph.operators)
        output.line()
        output.table("Operators", ["operator", ">count"], sorted(count.items()))
        output.line()
        weights = sum({t.buffer: t.bytes for t in graph.tensors}.values())
        output.line(f"{len(graph.tensors)} tensors, {size_text(weights)} of constants")
        if len(found.subgraphs) > 1:
            output.line(f"{len(found.subgraphs)} subgraphs; the first is shown")
        for signature in found.signatures:
            arguments = ", ".join(f"{a.name} = {found.subgraphs[signature.subgraph].tensors[a.tensor].name}"
                                  for a in (*signature.inputs, *signature.outputs))  # fmt: skip
            output.line(f"signature {signature.key}: {arguments}")
        if tensors:
            output.line()
            output.table(
                "Tensors", [">", "name", "type", "shape", "scale", ">zero point", ">bytes"],
                [(t.index, *_row(t), t.bytes or None) for t in graph.tensors],
            )  # fmt: skip
        output.result(to_json(found))


def _row(tensor: Tensor) -> tuple[object, ...]:
    shape = tensor.signature or tensor.shape
    scale: object = None
    zero: object = None
    if tensor.quantisation is not None:
        scale, zero = _brief(tensor.quantisation.scale), _brief(tensor.quantisation.zero_point)
    return tensor.name, tensor.dtype.lower(), "x".join(map(str, shape)) or "scalar", scale, zero


def _brief(values: tuple[float, ...]) -> str:
    return f"{values[0]:g}" if len(values) == 1 else f"{len(values)} values" if values else ""


def to_json(model: Model) -> dict[str, object]:
    """Give what ``inspect --json`` prints."""
    return {
        "size": model.size,
        "version": model.version,
        "description": model.description,
        "metadata": list(model.metadata),
        "subgraphs": [_graph(graph) for graph in model.subgraphs],
        "signatures": [
            {
                "key": s.key,
                "subgraph": s.subgraph,
                "inputs": {a.name: a.tensor for a in s.inputs},
                "outputs": {a.name: a.tensor for a in s.outputs},
            }
            for s in model.signatures
        ],
    }


def _graph(graph: Subgraph) -> dict[str, object]:
    return {
        "name": graph.name,
        "inputs": [graph.tensors[i].name for i in graph.inputs],
        "outputs": [graph.tensors[i].name for i in graph.outputs],
        "tensors": [
            {
                "index": t.index,
                "name": t.name,
                "dtype": t.dtype,
                "shape": list(t.signature or t.shape),
                "bytes": t.bytes,
                **(
                    {"scale": list(t.quantisation.scale), "zero_point": list(t.quantisation.zero_point)}
                    if t.quantisation is not None
                    else {}
                ),
            }
            for t in graph.tensors
        ],
        "operators": [
            {
                "name": o.name,
                **({"custom": o.custom} if o.custom else {}),
                "version": o.version,
                "inputs": list(o.inputs),
                "outputs": list(o.outputs),
                "options": dict(o.options),
            }
            for o in graph.operators
        ],
    }
