"""``tflite.rename_io``: rename a TF Lite model's inputs and outputs, every other byte unchanged."""

from __future__ import annotations

from modelprep.steps import Call, Facts, Param, Params, Proven, Sizes, Step
from modelprep.steps._completing import NAMES, name_map, renames, something_to_rename


def _run(call: Call) -> Facts:
    from modelprep.formats.tflite import rename

    model = call.params["model"]
    plan = rename.plan(model, *renames(call.params, "tflite.rename_io"))
    rename.apply(model, plan, call.output, progress=call.progress)
    return {
        "renamed": {item.old: item.new for item in plan.renamed if item.kind != "signature"},
        "signature_arguments": [item.old for item in plan.renamed if item.kind == "signature"],
        "appended_bytes": len(plan.tail),
    }


def _room(params: Params, sizes: Sizes) -> int | None:
    if (size := sizes["model"]) is None:
        return None
    # A name that does not fit into the old one's place is appended: its length, itself, a zero, padded to four.
    inputs, outputs = name_map(params, "inputs"), name_map(params, "outputs")
    names = {*inputs.values(), *outputs.values()}
    tail = 3 + sum(len(name.encode("utf-8", "surrogatepass")) + 8 for name in names)
    if any(name.startswith("#") for name in (*inputs, *outputs)):
        tail += 4096 + size  # a tensor's table, with its quantisation, once more
    return size + tail


STEP = Step(
    name="tflite.rename_io",
    version=1,
    summary="rename a TF Lite model's inputs and outputs; every other byte is unchanged",
    example="model.tflite -o renamed.tflite --rename-output softmax=output",
    params={
        "model": Param("file", "the TF Lite file", required=True),
        **NAMES,
    },
    run=_run,
    complete=something_to_rename,
    room=_room,
    proof=Proven("tflite", 0.0, "exact: only names are changed"),
)
