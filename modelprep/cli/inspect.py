"""``modelprep inspect``: show the contents of a model file of any format; ``caffe inspect`` etc. are aliases."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from modelprep.api.inspecting import Inspected, inspect
from modelprep.cli import common
from modelprep.cli.output import Output, size_text
from modelprep.cli.parameters import REQUIRED, Parameter, option

if TYPE_CHECKING:
    import typer

    from modelprep.api.types import Tensor

Weights = Annotated[
    Path | None, common.option("--weights", "With a prototxt: check that these weights match it.", "FILE")
]


@common.command("modelprep inspect model.onnx", "modelprep inspect deploy.prototxt --weights net.caffemodel")
def command(
    output: Output,
    file: Annotated[
        Path,
        common.Argument("FILE", "A Caffe, TensorFlow, TF Lite or ONNX model, a checkpoint, or an idx file (MNIST)."),
    ],
    weights: Weights = None,
) -> None:
    """Show inputs, outputs, operators, shapes and sizes of a model file; its format is found from the content.

    With --verbose every node, tensor and weight is listed.
    """
    found = inspect(file, weights=weights)
    show(output, file, found, lists=output.verbose)
    output.result({"path": str(file), "format": found.format, **found.facts})


def alias(app: typer.Typer, format: str, file: common.Argument, example: str, text: str, listed: str = "") -> None:  # noqa: A002
    """Add ``inspect`` to the commands of a format; `listed`: what an option of that name lists too."""

    def run(output: Output, **given: Any) -> None:
        found = inspect(given["file"], format=format, weights=given.get("weights"))
        show(output, given["file"], found, lists=given.get("lists", False) or output.verbose)
        output.result(found.facts)

    kind, weights = get_args(Weights)
    more = Parameter("weights", kind, weights, None)
    if listed:
        more = Parameter("lists", bool, option(f"--{listed}s", f"Also list every {listed}."), False)
    made = common.Command(run, text, (example,), [Parameter("file", Path, file, REQUIRED), more])
    app.command("inspect")(made)


def show(output: Output, path: Path, found: Inspected, *, lists: bool = False, weights: bool | None = None) -> None:
    """Print the contents of a file.

    `lists`, `weights`: also list every node or tensor; every weight of an ONNX model (default: as `lists`).
    """
    if found.format == "onnx":
        _onnx(output, path, found.facts, nodes=lists, weights=lists if weights is None else weights)
    else:
        _PRINTERS[found.format](output, path, found, lists)


def _caffe(output: Output, path: Path, found: Inspected, _: bool) -> None:
    report = found.model
    rows = [
        (row.name, row.type, " ".join(row.outputs), " ".join(row.blobs), _number(row.parameters), _number(row.macs))
        for row in report.rows
    ]
    title = f"{report.name or path.name}: {report.kind}, {report.form} layers, {report.size} bytes"
    output.table(title, ["layer", "type", "outputs", "blobs", ">parameters", ">MACs"], rows, key=0)
    output.line(f"{len(rows)} layers, {report.parameters:,} parameters, {report.macs:,} multiply-accumulates")
    for change in report.changes:
        output.line(f"a bake changes: {change}")
    for note in report.notes:
        output.line(f"note: {note}")
    for warning in report.warnings:
        output.warning(warning)


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}" if value else ""


def _tf(output: Output, path: Path, found: Inspected, lists: bool) -> None:
    graph = found.model
    versions = f", made by GraphDef version {graph.producer}" if graph.producer else ""
    output.line(f"{path}: {size_text(path.stat().st_size)}, {graph.form}, {len(graph.nodes)} nodes{versions}")
    rows: list[tuple[object, ...]] = [("input", n.name, n.op, n.dtype, n.shape_text) for n in graph.inputs]
    rows += [("output", n.name, n.op, n.dtype, n.shape_text) for n in graph.outputs]
    output.table("Inputs and outputs", ["", "name", "op", "type", "shape"], rows, key=1)
    output.line()
    output.table("Operations", ["op", ">count"], graph.operations)
    output.line()
    output.line(f"{graph.variables} variables, {size_text(graph.constant_bytes)} of constants")
    if lists:
        output.line()
        output.table(
            "Nodes",
            ["name", "op", "type", "shape", ">bytes", "inputs"],
            [(n.name, n.op, n.dtype, n.shape_text, n.bytes or None, ", ".join(n.inputs)) for n in graph.nodes],
        )


def _checkpoint(output: Output, path: Path, found: Inspected, lists: bool) -> None:
    tensors = found.facts["tensors"]
    output.line(f"{path}: a {found.facts['version']} checkpoint, {len(tensors)} tensors")
    shown = tensors if lists or output.mode != "human" else tensors[:_FEW]
    output.table("", ["name", "type", "shape"], [(t["name"], t["dtype"], _shape(t["shape"])) for t in shown], key=0)
    if len(shown) < len(tensors):
        output.line(f"and {len(tensors) - len(shown)} more (-v lists them)")


def _tflite(output: Output, path: Path, found: Inspected, lists: bool) -> None:
    model = found.model
    graph = model.main
    output.line(f"{path}: {size_text(model.size)}, schema version {model.version}, {model.description}".rstrip(", "))
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
    if len(model.subgraphs) > 1:
        output.line(f"{len(model.subgraphs)} subgraphs; the first is shown")
    for signature in model.signatures:
        arguments = ", ".join(f"{a.name} = {model.subgraphs[signature.subgraph].tensors[a.tensor].name}"
                              for a in (*signature.inputs, *signature.outputs))  # fmt: skip
        output.line(f"signature {signature.key}: {arguments}")
    if lists:
        output.line()
        output.table(
            "Tensors", [">", "name", "type", "shape", "scale", ">zero point", ">bytes"],
            [(t.index, *_row(t), t.bytes or None) for t in graph.tensors],
        )  # fmt: skip


def _row(tensor: Tensor) -> tuple[object, ...]:
    shape = tensor.signature or tensor.shape
    scale: object = None
    zero: object = None
    if tensor.quantisation is not None:
        scale, zero = _brief(tensor.quantisation.scale), _brief(tensor.quantisation.zero_point)
    return tensor.name, tensor.dtype.lower(), "x".join(map(str, shape)) or "scalar", scale, zero


def _brief(values: tuple[float, ...]) -> str:
    return f"{values[0]:g}" if len(values) == 1 else f"{len(values)} values" if values else ""


def _onnx(output: Output, path: Path, facts: Any, *, nodes: bool, weights: bool) -> None:
    output.line(
        f"{path}: {size_text(facts['size'])}, opset {opsets(facts['opset'])}, IR version {facts['ir_version']}"
        + (f", made by {facts['producer']}" if facts["producer"] else "")
    )
    rows = [(kind, v["name"], v["dtype"].lower(), _shape(v["shape"]))
            for kind in ("input", "output") for v in facts[f"{kind}s"]]  # fmt: skip
    output.table("Inputs and outputs", ["", "name", "type", "shape"], rows, key=1)
    output.line()
    output.table("Operators", ["operator", ">count"], list(facts["operators"].items()))
    output.line()
    held = facts["initialisers"]
    output.line(f"{held['count']} initializers, {size_text(held['bytes'])}"
                + (f", {held['external']} of them in external files" if held["external"] else ""))  # fmt: skip
    if nodes:
        output.line()
        output.table(
            "Nodes", ["operator", "name", "inputs", "outputs"],
            [(n["op"], n["name"], ", ".join(n["inputs"]), ", ".join(n["outputs"])) for n in facts["nodes"]],
        )  # fmt: skip
    if weights:
        output.line()
        output.table(
            "Initializers", ["name", "type", "shape", ">bytes"],
            [(w["name"], str(w["dtype"]).lower(), _shape(w["shape"]), w["bytes"]) for w in facts["weights"]],
        )  # fmt: skip


def _shape(dims: Any) -> str:
    return "x".join("?" if dim is None else str(dim) for dim in dims) or "scalar"


def opsets(opsets: Any) -> str:
    """Write the opsets of a model: the number alone for ONNX's own operators."""
    return ", ".join(str(v) if domain == "ai.onnx" else f"{domain} {v}" for domain, v in opsets.items())


def _idx(output: Output, path: Path, found: Inspected, _: bool) -> None:
    facts = found.facts
    rows: list[tuple[str, object]] = [
        ("file", path),
        ("compression", facts["compression"]),
        ("magic", f"{facts['magic']} ({found.model})"),
        ("elements", facts["dtype"]),
        ("shape", " x ".join(map(str, facts["shape"]))),
        ("data", f"{facts['data_bytes']} bytes"),
    ]
    if "labels" in facts:
        rows.append(("labels", ", ".join(f"{label}: {count}" for label, count in facts["labels"].items())))
    output.table("", ["", ""], rows)


#: Number of tensors of a checkpoint that are shown by default.
_FEW = 20
_PRINTERS = {"caffe": _caffe, "tf": _tf, "checkpoint": _checkpoint, "tflite": _tflite, "idx": _idx}
