"""``tflite.rename_io``: other names for a TF Lite model's inputs and outputs, every other byte as before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from modelprep.errors import RecipeError
from modelprep.steps import Call, Param, Proven, Step
from modelprep.steps._completing import NAMES, something_to_rename


def _run(call: Call) -> Mapping[str, object]:
    from modelprep.formats.tflite import rename

    model = cast("Path", call.params["model"])
    inputs, outputs = name_map(call.params, "inputs"), name_map(call.params, "outputs")
    if not inputs and not outputs:
        raise RecipeError("tflite.rename_io is to rename nothing", hint="give it inputs: or outputs: {old: new}")
    plan = rename.plan(model, inputs, outputs)
    rename.apply(model, plan, call.output, progress=call.progress)
    return {
        "renamed": {item.old: item.new for item in plan.renamed if item.kind != "signature"},
        "signature_arguments": [item.old for item in plan.renamed if item.kind == "signature"],
        "appended_bytes": len(plan.tail),
    }


def name_map(params: Mapping[str, object], key: str) -> dict[str, str]:
    """Return a parameter as a mapping of old to new names.

    Raises RecipeError: it holds something other than names.
    """
    given = params.get(key)
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(k, str) and isinstance(v, str) for k, v in given.items()):
        raise RecipeError(f"{key} must be a mapping of old names to new names", got=repr(given))
    return dict(given)


def _room(params: Mapping[str, object], sizes: Mapping[str, int | None]) -> int | None:
    # A name that does not fit into the old one's place goes to the end: its length, itself, a zero, padded to four.
    names = {*name_map(params, "inputs").values(), *name_map(params, "outputs").values()}
    tail = 3 + sum(len(name.encode("utf-8", "surrogatepass")) + 8 for name in names)
    if any(name.startswith("#") for key in ("inputs", "outputs") for name in name_map(params, key)):
        tail += 4096 + (sizes["model"] or 0)  # a tensor's table, with its quantisation, once more
    return None if (size := sizes["model"]) is None else size + tail


STEP = Step(
    name="tflite.rename_io",
    version=1,
    summary="give a TF Lite model's inputs and outputs other names; weights and all else stay byte for byte",
    params={
        "model": Param("file", "the TF Lite file", required=True),
        **NAMES,
    },
    run=_run,
    complete=something_to_rename,
    room=_room,
    proof=Proven("tflite", 0.0, "exact: nothing but names is changed"),
)
