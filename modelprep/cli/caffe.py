"""``modelprep caffe``: bake, inspect and take apart a user's own Caffe models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelprep.cli import common
from modelprep.cli.caffe_to_onnx import to_onnx
from modelprep.cli.files import Force, OutputFile, Verify

if TYPE_CHECKING:
    from modelprep.cli.output import Output

app = common.group("Caffe models without Caffe: bake, to-onnx, inspect, to-npy.")
app.command("to-onnx")(to_onnx)


@app.command()
def bake(
    prototxt: Annotated[Path, typer.Argument(metavar="PROTOTXT", help="The structure, in any syntax Caffe reads.")],
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="The trained .caffemodel.")],
    output: OutputFile,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="First dimension of the inputs.")] = None,
    input_name: Annotated[str | None, typer.Option("--input", metavar="NAME", help="Name of the Input layer.")] = None,
    outputs: Annotated[
        list[str] | None, typer.Option("--keep", metavar="TOP", help="Keep only what this top needs; repeatable.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--for", metavar="TARGET", help="armnn-19.02: what that parser wants written.")
    ] = None,
    edits: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Set a field: 'layer[type=LRN].lrn_param.norm_region=ACROSS_CHANNELS' (value in YAML); repeatable.",
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", metavar="ENGINE", help="native, or pycaffe (a real Caffe).")
    ] = "native",
    compare: Annotated[bool, typer.Option("--compare", help="Run both engines and compare the bytes.")] = False,
    force: Force = False,
    verify: Verify = True,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Make one caffemodel of structure and weights, as Caffe's net.save() would."""
    with common.sink(json=json, quiet=quiet) as out:
        from modelprep.cli.run_step import run_step
        from modelprep.errors import UsageError
        from modelprep.formats.caffe.bake import TARGETS

        if engine not in ("native", "pycaffe"):
            raise UsageError("there is no such engine", got=engine, expected="native, pycaffe")
        if target not in (None, *TARGETS):
            raise UsageError("there is no such target", got=target, expected=", ".join(TARGETS))
        params: dict[str, object] = {
            "prototxt": prototxt,
            "weights": weights,
            "batch": batch,
            "input": input_name,
            "outputs": list(outputs or ()),
            "target": target,
            "set": _edits(edits),
            "engine": engine,
        }
        if compare:
            _compare(out, params, output, force=force)
        else:
            run_step(out, "caffe.bake", params, output, force=force, verify=verify)


def _edits(values: list[str] | None) -> dict[str, object]:
    """Read ``PATH=VALUE`` options; the path ends at the first ``=`` outside brackets."""
    import yaml

    from modelprep.errors import UsageError

    found: dict[str, object] = {}
    for value in values or ():
        split = value.find("=", value.find("]") + 1)
        if split < 1:
            raise UsageError("--set takes PATH=VALUE", got=value)
        try:
            found[value[:split]] = yaml.safe_load(value[split + 1 :])
        except yaml.YAMLError as error:
            raise UsageError("the value of --set is not YAML", got=value) from error
    return found


def _compare(out: Output, params: dict[str, object], output: Path, *, force: bool) -> None:
    """Run the step with both engines; the native result stays, whatever the other says."""
    import tempfile

    from modelprep.cli.run_step import run_step
    from modelprep.errors import CheckFailed
    from modelprep.formats.caffe import pycaffe
    from modelprep.formats.caffe.bake import compare
    from modelprep.steps import Call, find

    pycaffe.interpreter()  # no work where half of it cannot be done
    step = find("caffe.bake")
    run_step(_Muted(out), "caffe.bake", {**params, "engine": "native"}, output, force=force)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory(prefix="modelprep-compare-") as folder:
        other = Path(folder) / "pycaffe.caffemodel"
        filled = {key: params.get(key, param.default) for key, param in step.params.items()}
        step.run(Call({**filled, "engine": "pycaffe"}, other))
        difference = compare(output, other)
    if difference is not None:
        sizes = f"{difference.sizes[0]} and {difference.sizes[1]} bytes"
        raise CheckFailed(
            "the two engines disagree",
            where=f"{output}: byte {difference.offset}" + (f", layer '{difference.layer}'" if difference.layer else ""),
            got=sizes,
            hint="please report it with the prototxt",
        )
    out.value(str(output))
    out.note(f"  native and pycaffe agree in all {output.stat().st_size} bytes")
    out.result({"output": str(output), "engines": ["native", "pycaffe"], "identical": True})


class _Muted:
    """A sink that lets warnings through and nothing else: what counts is said after the comparison."""

    def __init__(self, output: Output) -> None:
        self.warning = output.warning

    def value(self, text: str) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def result(self, mapping: object) -> None:
        """Say nothing."""


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A prototxt or a caffemodel.")],
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="With a prototxt: do these weights fit?")
    ] = None,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Show layers, shapes, parameters and multiply-accumulates, and what a bake would change."""
    with common.sink(json=json, quiet=quiet) as out:
        from modelprep.formats.caffe.inspect import inspect as look
        from modelprep.formats.given import require_input

        for path in filter(None, (file, weights)):
            require_input(path)
        report = look(file, weights)
        rows = [
            (row.name, row.type, " ".join(row.outputs), " ".join(row.blobs), _number(row.parameters), _number(row.macs))
            for row in report.rows
        ]
        title = f"{report.name or file.name}: {report.kind}, {report.form} layers, {report.size} bytes"
        out.table(title, ["layer", "type", "outputs", "blobs", ">parameters", ">MACs"], rows, key=0)
        out.line(f"{len(rows)} layers, {report.parameters:,} parameters, {report.macs:,} multiply-accumulates")
        for change in report.changes:
            out.line(f"a bake changes: {change}")
        for note in report.notes:
            out.line(f"note: {note}")
        for warning in report.warnings:
            out.warning(warning)
        out.result(report.to_json())


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}" if value else ""


@app.command("to-npy")
def to_npy(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="A .caffemodel.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="A new or empty folder.")],
    prototxt: Annotated[
        Path | None, typer.Option("--prototxt", metavar="FILE", help="The net, for the true shapes in an old file.")
    ] = None,
    layers: Annotated[
        list[str] | None, typer.Option("--layer", metavar="NAME", help="Only this layer; repeatable.")
    ] = None,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Write the weights as NumPy files, one a blob, as the Arm Compute Library's examples read them."""
    with common.sink(json=json, quiet=quiet) as out:
        import tempfile

        from modelprep.errors import UsageError
        from modelprep.formats.given import cannot_write, require_input
        from modelprep.steps import Call, find

        for path in filter(None, (weights, prototxt)):
            require_input(path)
        if str(output) == "-":
            raise UsageError("the result cannot go to standard output", got="-", expected="a folder: -o DIR")
        if output.exists() and (not output.is_dir() or any(output.iterdir())):
            raise UsageError("the output is there already", where=str(output), expected="a new or an empty folder")
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            beside = tempfile.TemporaryDirectory(prefix=f".{output.name[:40]}.", dir=output.parent)
        except OSError as error:
            raise cannot_write(output, error) from None
        with beside as folder:
            made = Path(folder) / "npy"
            made.mkdir()
            params = {"weights": weights, "prototxt": prototxt, "layers": list(layers or ())}
            facts = find("caffe.to_npy").run(Call(params, made)) or {}
            made.replace(output)
        files = facts["files"]
        assert isinstance(files, dict)
        rows = [(name, "x".join(map(str, shape)) or "scalar") for name, shape in files.items()]
        out.table("", ["file", "shape"], rows, key=0)
        out.result({"output": str(output), **facts})
