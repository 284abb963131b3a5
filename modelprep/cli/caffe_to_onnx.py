"""``modelprep caffe to-onnx``; ``modelprep.cli.caffe`` takes :func:`to_onnx` into its group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelprep.cli import common
from modelprep.cli.files import Force, OutputFile, Verify

if TYPE_CHECKING:
    from modelprep.cli.output import Output


def to_onnx(
    prototxt: Annotated[Path, typer.Argument(metavar="PROTOTXT", help="The structure, in any syntax Caffe reads.")],
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="The trained .caffemodel.")],
    output: OutputFile,
    opset: Annotated[int, typer.Option("--opset", metavar="N", help="The ONNX opset to write, 11 to 21.")] = 13,
    batch: Annotated[
        str | None, typer.Option("--batch", metavar="N|dynamic", help="First dimension of the inputs.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option("--keep", metavar="TOP", help="Make this top an output; repeatable.")
    ] = None,
    ssd: Annotated[
        str, typer.Option("--ssd", metavar="rows|raw", help="SSD's detections: rows, or decoded boxes and scores.")
    ] = "rows",
    external_data: Annotated[
        bool, typer.Option("--external-data", help="Write the weights to FILE.data beside the model.")
    ] = False,
    force: Force = False,
    verify: Verify = True,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Convert a Caffe net and its weights to ONNX; a layer that ONNX cannot express exactly is refused."""
    with common.sink(json=json, quiet=quiet) as out:
        from modelprep.cli.run_step import choice, run_step
        from modelprep.steps import find

        params: dict[str, object] = {
            "prototxt": prototxt,
            "weights": weights,
            "opset": opset,
            "batch": batch,
            "outputs": list(keep or ()),
            "ssd": choice(find("caffe.to_onnx"), "ssd", ssd),
        }
        if external_data:
            _external(out, params, output, force=force, verify=verify)
        else:
            run_step(out, "caffe.to_onnx", params, output, force=force, verify=verify)


def _external(out: Output, params: dict[str, object], output: Path, *, force: bool, verify: bool) -> None:
    """Make model and data in a folder beside the target, then move both; the model, which names the data, last."""
    import tempfile

    from modelprep.cli.run_step import tell
    from modelprep.formats.given import cannot_write, require_output
    from modelprep.pipeline.converting import convert

    data = output.with_name(f"{output.name}.data")
    for path in (output, data):
        require_output(path, force=force)
    try:
        beside = tempfile.TemporaryDirectory(prefix=f".{output.name[:40]}.", dir=output.parent)
    except OSError as error:
        raise cannot_write(output, error) from None
    with beside as folder:
        made = convert(
            "caffe.to_onnx_external", {**params, "name": output.name}, Path(folder) / "model", numbers=verify
        )
        try:
            (made.output / data.name).replace(data)
            (made.output / output.name).replace(output)
        except OSError as error:
            raise cannot_write(output, error) from None
    tell(out, made, output)
