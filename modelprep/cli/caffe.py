"""``modelprep caffe``: the steps on Caffe models, and ``inspect``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from modelprep.api.converting import bake_twice, convert, make_folder, to_onnx_external
from modelprep.cli import common
from modelprep.cli.conversions import Force, OutputFile, OutputFolder, Values, Verify, steps_of, tell
from modelprep.cli.inspect import alias
from modelprep.cli.output import Output

if TYPE_CHECKING:
    from modelprep.api.types import Step


def _bake(
    output: Output,
    step: Step,
    params: Values,
    *,
    output_file: OutputFile,
    compare: Annotated[bool, common.option("--compare", "Run both engines and compare the bytes.")] = False,
    force: Force = False,
    verify: Verify = True,
) -> None:
    if not compare:
        tell(output, convert(step.name, params, output_file, force=force, numbers=verify))
        return
    made = bake_twice(params, output_file, force=force)
    for text in made.warnings:
        output.warning(text)
    output.value(str(output_file))
    output.note(f"  native and pycaffe agree in all {output_file.stat().st_size} bytes")
    output.result({"output": str(output_file), "engines": ["native", "pycaffe"], "identical": True})


def _to_onnx(
    output: Output,
    step: Step,
    params: Values,
    *,
    output_file: OutputFile,
    external_data: Annotated[
        bool, common.option("--external-data", "Write the weights to FILE.data beside the model.")
    ] = False,
    force: Force = False,
    verify: Verify = True,
) -> None:
    if external_data:
        tell(output, to_onnx_external(params, output_file, force=force, numbers=verify))
    else:
        tell(output, convert(step.name, params, output_file, force=force, numbers=verify))


def _to_npy(output: Output, step: Step, params: Values, *, output_folder: OutputFolder) -> None:
    facts = make_folder(step.name, params, output_folder)
    files = facts["files"]
    assert isinstance(files, dict)
    rows = [(name, "x".join(map(str, shape)) or "scalar") for name, shape in files.items()]
    output.table("", ["file", "shape"], rows, key=0)
    output.result({"output": str(output_folder), **facts})


app = steps_of(
    "caffe",
    "Caffe models without Caffe: bake, to-onnx, inspect, to-npy.",
    {"bake": _bake, "to-onnx": _to_onnx, "to-npy": _to_npy},
)
alias(
    app, "caffe", common.Argument("FILE", "A prototxt or a caffemodel."),
    "modelprep caffe inspect deploy.prototxt --weights net.caffemodel",
    "Show layers, shapes, parameters and multiply-accumulates, and what ``bake`` would change.",
)  # fmt: skip
