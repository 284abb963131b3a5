"""The verb that runs one step on files of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.api.declaring import AnyPath
from modelprep.api.frame import framed
from modelprep.errors import UsageError
from modelprep.events import Listener

if TYPE_CHECKING:
    from modelprep.pipeline.converting import Converted
    from modelprep.steps import ParamKind, Step


def convert(
    step: str,
    params: Mapping[str, object],
    output: AnyPath,
    *,
    force: bool = False,
    numbers: bool = True,
    listen: Listener | None = None,
) -> Converted:
    """Run one step on files of one's own: ``caffe.bake``, ``tf.freeze``, ``onnx.fix`` and all others.

    Parameters
    ----------
    step
        Its name, as a recipe has it (:func:`modelprep.steps.names` lists them).
    params
        Its parameters by name, as a recipe has them, files as paths.
    output
        Where the result goes; it appears whole or not at all.
    force
        Replace a file that is there.
    numbers
        Compare the numbers of original and result too, where a runtime is installed. The file itself is always checked.
    listen
        As for :func:`modelprep.run`; the task is ``convert:<step>``. Not every step tells how far it is.

    Raises
    ------
    UsageError
        A parameter is missing, not known or of the wrong kind; the output is there already or is an input.
    RecipeError
        There is no such step.
    MissingTool
        The step needs an extra that is not installed.
    StepError
        The step cannot do its work on these files, or its result is not valid or computes other numbers.
    StorageError
        Disk full, no permission; what was at the name before is still there.
    """
    with framed(listen) as tell:
        from modelprep.pipeline.converting import convert as do
        from modelprep.steps import find

        return do(step, _values(find(step), params), Path(output), force=force, numbers=numbers, listen=tell)


def _values(step: Step, params: Mapping[str, object]) -> dict[str, object]:
    """Give parameters as a step takes them; they are checked as those of a recipe are."""
    from modelprep.pipeline.plan.validate import check_params
    from modelprep.recipe.schema import Ref

    values = {name: _value(step.params[name].kind, value) if name in step.params else value
              for name, value in params.items()}  # fmt: skip
    # A recipe has references where files are.
    stand_in = Ref("file")
    as_in_recipe: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, Path):
            as_in_recipe[name] = stand_in
        elif isinstance(value, dict) and value and all(isinstance(each, Path) for each in value.values()):
            as_in_recipe[name] = dict.fromkeys(value, stand_in)
        else:
            as_in_recipe[name] = value
    for problem in check_params(step, as_in_recipe, f"step {step.name}"):
        raise UsageError(problem.what, where=problem.where, expected=problem.expected, got=problem.got)
    return values


def _value(kind: ParamKind, value: object) -> object:
    if kind == "file" and isinstance(value, (str, PathLike)):
        return Path(value)
    if kind == "files" and isinstance(value, Mapping):
        return {name: Path(path) for name, path in value.items()}
    if kind == "files" and isinstance(value, (list, tuple)):
        return {Path(path).name: Path(path) for path in value}
    return list(value) if kind == "strs" and isinstance(value, tuple) else value
