"""``onnx.rename_io``: rename an ONNX model's inputs and outputs, every other byte unchanged."""

from __future__ import annotations

from modelprep.steps import Call, Facts, Param, Proven, Step
from modelprep.steps._completing import NAMES, renames, something_to_rename


def _run(call: Call) -> Facts:
    from modelprep.formats.onnx.pieces import write
    from modelprep.formats.onnx.rename import Renamer

    renamer = Renamer(call.params["model"], *renames(call.params, "onnx.rename_io"))
    write(renamer.pieces(), call.output, call.progress)
    return {"renamed": dict(renamer.names), "places": sum(renamer.count.values())}


STEP = Step(
    name="onnx.rename_io",
    version=1,
    summary="rename an ONNX model's inputs and outputs; every other byte is unchanged",
    example="model.onnx -o renamed.onnx --rename-output prob=output",
    params={
        "model": Param("file", "the ONNX file", required=True),
        **NAMES,
    },
    run=_run,
    complete=something_to_rename,
    proof=Proven("onnx", 0.0, "exact: only names are changed"),
)
