"""``copy``: the same bytes; for a recipe that needs a step for a plain asset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelprep.formats.output import copy
from modelprep.steps import Call, Exempt, Param, Step, same_size


def _run(call: Call) -> Mapping[str, object]:
    source = call.params["file"]
    assert isinstance(source, Path)
    return {"bytes": copy(source, call.output, call.progress)}


STEP = Step(
    name="copy",
    version=1,
    summary="Copy a file unchanged.",
    params={"file": Param("file", "The file.", required=True)},
    run=_run,
    room=same_size,
    proof=Exempt("the bytes are copied"),
)
