"""What steps share of the way from a command line to their parameters (:attr:`modelprep.steps.Step.complete`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelprep.errors import UsageError
from modelprep.steps import Param

NAMES: Mapping[str, Param] = {
    "inputs": Param(
        "map", "rename an input: old name -> new name", option="--rename-input", metavar="OLD=NEW", read=str
    ),
    "outputs": Param(
        "map", "rename an output: old name -> new name", option="--rename-output", metavar="OLD=NEW", read=str
    ),
}


def something_to_rename(params: Mapping[str, object]) -> Mapping[str, object]:
    """See that a call renames something.

    Raises UsageError: it does not.
    """
    if not (params.get("inputs") or params.get("outputs")):
        raise UsageError("nothing to rename", hint="--rename-input OLD=NEW or --rename-output OLD=NEW")
    return params


def graph_file(params: Mapping[str, object]) -> Mapping[str, object]:
    """Take the graph out of a SavedModel's folder.

    Raises StepError: it is a folder of another kind.
    """
    from modelprep.formats.tensorflow.read import file_of

    graph = params.get("graph")
    return {**params, "graph": file_of(graph)} if isinstance(graph, Path) else params
