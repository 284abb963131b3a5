"""``modelprep tf``: freeze, legalise, rename-io, convert, inspect and to-onnx, for a user's own TensorFlow graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelprep import quoting
from modelprep.cli import common
from modelprep.cli.files import Force, OutputFile, RenameInput, RenameOutput, Verify

app = common.group("TensorFlow graphs: freeze, legalise, to-onnx, rename-io, convert, inspect.")

Graph_ = Annotated[
    Path, typer.Argument(metavar="GRAPH", help="The graph: .pb, .pbtxt, .meta, or a SavedModel's file or folder.")
]
OutputNodes = Annotated[
    list[str],
    typer.Option("--output-node", "-n", metavar="NODE", help="A node to keep with all it needs; may be repeated."),
]


@app.command("freeze")
def freeze(
    graph: Graph_,
    output_file: OutputFile,
    output_nodes: OutputNodes,
    checkpoint: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CHECKPOINT]",
            help="A V1 file, any file or the prefix of a V2 checkpoint (model.ckpt), the list called checkpoint, or a "
            "folder; may be left out for a .meta file and a SavedModel.",
        ),
    ] = None,
    engine: Annotated[str, typer.Option(help="native, or tensorflow (needs the extra tf).")] = "native",
    keep_devices: Annotated[bool, typer.Option("--keep-devices", help="Keep the nodes' device placements.")] = False,
    force: Force = False,
    verify: Verify = True,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Turn variables into constants with a checkpoint's values; needs no TensorFlow."""
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.cli.run_step import run_step
        from modelprep.errors import UsageError

        if engine not in ("native", "tensorflow"):
            raise UsageError("there is no such engine", got=engine, expected="native or tensorflow")
        index, shards = _files(graph, checkpoint)
        params: dict[str, object] = {
            "graph": graph,
            "checkpoint": index,
            "shards": shards,
            "outputs": tuple(output_nodes),
            "clear_devices": not keep_devices,
            "engine": engine,
        }
        run_step(output, "tf.freeze", params, output_file, force=force, verify=verify)


def _files(graph: Path, checkpoint: Path | None) -> tuple[Path, dict[str, Path]]:
    """Find the files of a checkpoint; where none is named, the one that belongs to a ``.meta`` file or a SavedModel.

    Raises
    ------
    UsageError
        None is named, and the graph does not say which it is.
    ModelprepError
        As :func:`modelprep.formats.tensorflow.checkpoint.find.files_of`.
    """
    from modelprep.errors import UsageError
    from modelprep.formats.given import require_input
    from modelprep.formats.tensorflow.checkpoint.find import files_of
    from modelprep.formats.tensorflow.wrapped import SAVED_MODEL_FILE, VARIABLES

    for path in (graph, checkpoint):
        if path is not None and path.exists() and not path.is_dir():
            require_input(path)  # a pipe would be waited for without end
    if checkpoint is None:
        if graph.is_dir() or graph.name == SAVED_MODEL_FILE:
            checkpoint = (graph if graph.is_dir() else graph.parent) / VARIABLES
        elif graph.suffix == ".meta":
            checkpoint = graph
        else:
            raise UsageError(
                "freeze wants a checkpoint beside the graph",
                where=str(graph),
                expected="GRAPH CHECKPOINT; a .meta file and a SavedModel say themselves which it is",
                hint=f"modelprep tf freeze {quoting.sh(quoting.operand(str(graph)))} model.ckpt -n NODE -o FILE",
            )
    return files_of(checkpoint)


@app.command("legalise")
def legalise(
    graph: Graph_,
    output_file: OutputFile,
    target: Annotated[str, typer.Option("--for", metavar="TARGET", help="The parser to please.")] = "armnn-19.02",
    output_nodes: Annotated[
        list[str] | None, typer.Option("--output-node", "-n", metavar="NODE", help="A node to keep; may be repeated.")
    ] = None,
    constant: Annotated[
        list[str] | None,
        typer.Option("--constant", metavar="NODE=VALUE", help="Set a placeholder (keep_prob=1); may be repeated."),
    ] = None,
    force: Force = False,
    verify: Verify = True,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Rewrite a frozen graph for a board's parser, values unchanged; say what it cannot take."""
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.cli.run_step import run_step
        from modelprep.errors import UsageError
        from modelprep.formats.tensorflow.read import file_of
        from modelprep.steps.tf_legalise import TARGETS

        if target not in TARGETS:
            raise UsageError("there is no such target", got=target, expected=", ".join(TARGETS))
        params = {
            "graph": file_of(graph),
            "target": target,
            "outputs": tuple(output_nodes or ()),
            "constants": _values(constant),
        }
        run_step(output, "tf.legalise", params, output_file, force=force, verify=verify)


def _values(options: list[str] | None) -> dict[str, object]:
    """Read ``NODE=VALUE`` options: a number, true or false, or a list of these between brackets.

    Raises
    ------
    UsageError
        No equals sign, or a value that is none of these.
    """
    import json

    from modelprep.cli.run_step import names
    from modelprep.errors import UsageError

    found: dict[str, object] = {}
    for name, text in names(options, "--constant").items():
        try:
            value = json.loads(text.lower())
        except ValueError:
            value = None
        if not isinstance(value, (bool, int, float, list)):
            raise UsageError("--constant takes NODE=VALUE", expected="a number, true, false or [1, 2]", got=text)
        found[name] = value
    return found


@app.command("rename-io")
def rename_io(
    graph: Graph_,
    output_file: OutputFile,
    rename_input: RenameInput = None,
    rename_output: RenameOutput = None,
    force: Force = False,
    verify: Verify = True,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Give inputs and outputs other names, with every reference to them."""
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.cli.run_step import run_renaming

        run_renaming(
            output,
            "tf.rename_io",
            {"graph": graph},
            rename_input,
            rename_output,
            output_file,
            force=force,
            verify=verify,
        )


@app.command("convert")
def convert(
    graph: Graph_,
    output_file: OutputFile,
    text: Annotated[bool, typer.Option("--text", help="Write text (default: binary).")] = False,
    force: Force = False,
    verify: Verify = True,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Write a graph in binary form, or as text; takes it out of a .meta file or SavedModel."""
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.cli.run_step import run_step
        from modelprep.formats.tensorflow.read import file_of

        run_step(
            output,
            "tf.convert",
            {"graph": file_of(graph), "to": "text" if text else "binary"},
            output_file,
            force=force,
            verify=verify,
        )


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


def _add_to_onnx() -> None:
    from importlib.util import find_spec

    if find_spec("modelprep.cli.tf_to_onnx") is not None:
        from modelprep.cli.tf_to_onnx import to_onnx

        app.command("to-onnx")(to_onnx)


_add_to_onnx()
