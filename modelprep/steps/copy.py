"""``copy``: the same bytes; for a recipe that needs a step for a plain asset."""

from __future__ import annotations

from modelprep.formats.output import copy
from modelprep.steps import Call, Exempt, Facts, Param, Step, same_size


def _run(call: Call) -> Facts:
    return {"bytes": copy(call.params["file"], call.output, call.progress)}


STEP = Step(
    name="copy",
    version=1,
    summary="Copy a file unchanged.",
    params={"file": Param("file", "The file.", required=True)},
    run=_run,
    room=same_size,
    proof=Exempt("the bytes are copied"),
)
