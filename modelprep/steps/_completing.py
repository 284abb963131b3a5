"""Shared by steps: completing a command line's parameters (:attr:`modelprep.steps.Step.complete`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelprep.errors import RecipeError, UsageError
from modelprep.steps import Param, Params

NAMES: Mapping[str, Param] = {
    "inputs": Param(
        "map", "rename an input: old name -> new name", option="--rename-input", metavar="OLD=NEW", read=str
    ),
    "outputs": Param(
        "map", "rename an output: old name -> new name", option="--rename-output", metavar="OLD=NEW", read=str
    ),
}


def something_to_rename(params: Params) -> Params:
    """Check that a call renames something.

    Raises UsageError: it does not.
    """
    if not (params.get("inputs") or params.get("outputs")):
        raise UsageError("nothing to rename", hint="--rename-input OLD=NEW or --rename-output OLD=NEW")
    return params


def name_map(params: Params, key: str) -> dict[str, str]:
    """Return a parameter as a mapping of old to new names.

    Raises RecipeError: it holds something other than names.
    """
    given = params.get(key)
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(k, str) and isinstance(v, str) for k, v in given.items()):
        raise RecipeError(f"{key} must be a mapping of old names to new names", got=repr(given))
    return dict(given)


def renames(params: Params, step: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the new names of inputs and of outputs that a recipe gives to a step.

    Raises RecipeError: there are none, or something other than names.
    """
    inputs, outputs = name_map(params, "inputs"), name_map(params, "outputs")
    if not inputs and not outputs:
        raise RecipeError(f"{step} has nothing to rename", hint="set inputs: or outputs: {old: new}")
    return inputs, outputs


def graph_file(params: Params) -> Params:
    """Find the graph in a SavedModel's folder.

    Raises StepError: it is a folder of another kind.
    """
    from modelprep.formats.tensorflow.read import file_of

    graph = params.get("graph")
    return {**params, "graph": file_of(graph)} if isinstance(graph, Path) else params
