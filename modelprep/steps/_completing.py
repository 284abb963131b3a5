"""Shared by steps: completing a command line's parameters (:attr:`modelprep.steps.Step.complete`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelprep.errors import RecipeError, UsageError
from modelprep.steps import Param, Params

#: Parameters of the steps that rename.
NAMES: Mapping[str, Param] = {
    f"{end}s": Param(
        "map", f"rename an {end}: old name -> new name", option=f"--rename-{end}", metavar="OLD=NEW", read=str
    )
    for end in ("input", "output")
}


def something_to_rename(params: Params) -> Params:
    """Return the parameters. Raises UsageError: they rename nothing."""
    if not (params.get("inputs") or params.get("outputs")):
        raise UsageError("nothing to rename", hint="--rename-input OLD=NEW or --rename-output OLD=NEW")
    return params


def name_map(params: Params, key: str) -> dict[str, str]:
    """Return a parameter as a mapping of old to new names. Raises RecipeError: it is anything else."""
    if (given := params.get(key)) is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(k, str) and isinstance(v, str) for k, v in given.items()):
        raise RecipeError(f"{key} must be a mapping of old names to new names", got=repr(given))
    return dict(given)


def renames(params: Params, step: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the new names of inputs and of outputs. Raises RecipeError: there are none, or they are invalid."""
    inputs, outputs = name_map(params, "inputs"), name_map(params, "outputs")
    if not inputs and not outputs:
        raise RecipeError(f"{step} has nothing to rename", hint="set inputs: or outputs: {old: new}")
    return inputs, outputs


def shapes_of(params: Params) -> dict[str, list[int]]:
    """Return the parameter ``shapes``: input -> sizes. Raises RecipeError: they are not positive integers."""
    shapes = params["shapes"] or {}
    for name, sizes in shapes.items():
        if not isinstance(sizes, list | tuple) or not all(type(size) is int and size > 0 for size in sizes):
            raise RecipeError(f"the shape of '{name}' must be a list of positive numbers", got=repr(sizes),
                              expected="shapes: {input: [1, 224, 224, 3]}")  # fmt: skip
    return {str(name): list(sizes) for name, sizes in shapes.items()}


def graph_file(params: Params) -> Params:
    """Find the graph in a SavedModel's folder. Raises StepError: it is another folder."""
    from modelprep.formats.tensorflow.read import file_of

    graph = params.get("graph")
    return {**params, "graph": file_of(graph)} if isinstance(graph, Path) else params
