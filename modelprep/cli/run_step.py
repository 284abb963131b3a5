"""Run one step on a user's own files: ``modelprep onnx fix`` is the step ``onnx.fix`` outside any recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.errors import UsageError

if TYPE_CHECKING:
    from modelprep.cli.output import Output
    from modelprep.pipeline.converting import Converted
    from modelprep.steps import Step


def run_step(
    output: Output,
    name: str,
    params: Mapping[str, object],
    target: Path,
    *,
    force: bool = False,
    verify: bool = True,
) -> None:
    """Run a step that makes one file, put the file at its name when it is verified, and say what was done.

    Parameters
    ----------
    output
        The command's sink.
    name
        The step.
    params
        Its parameters; what is left out takes its default.
    target
        Where the file goes; it appears whole or not at all.
    force
        Replace a file that is there.
    verify
        Compare the numbers of original and result too.

    Raises
    ------
    UsageError
        The target is there already, or is one of the inputs.
    MissingTool
        The step needs an extra that is not installed.
    StepError
        The step cannot do its work, or its result is not valid or computes other numbers.
    """
    from modelprep.pipeline.converting import convert

    tell(output, convert(name, params, target, force=force, numbers=verify), target)


def tell(output: Output, made: Converted, target: Path) -> None:
    """Say what a step made, and where it lies."""
    for text in made.warnings:
        output.warning(text)
    output.value(str(target))
    for key, value in made.facts.items():
        if value not in ((), [], {}, "", None):
            output.note(f"  {key.replace('_', ' ')}: {_text(value)}")
    for line in made.verified.notes:
        output.note(f"  {line}")
    output.result(
        {
            "output": str(target), "step": made.step, "facts": dict(made.facts), "warnings": list(made.warnings),
            "verified": dict(made.verified.to_json()),
        }
    )  # fmt: skip


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} -> {_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return str(value)


def run_renaming(
    output: Output,
    name: str,
    params: Mapping[str, object],
    inputs: Iterable[str] | None,
    outputs: Iterable[str] | None,
    target: Path,
    *,
    force: bool = False,
    verify: bool = True,
) -> None:
    """Run a step that renames inputs and outputs, given as ``OLD=NEW`` options; errors as of :func:`run_step`.

    Raises
    ------
    UsageError
        An option is not ``OLD=NEW``, or there is none.
    """
    renamed = {"inputs": names(inputs, "--rename-input"), "outputs": names(outputs, "--rename-output")}
    if not any(renamed.values()):
        raise UsageError("nothing to rename", hint="--rename-input OLD=NEW or --rename-output OLD=NEW")
    run_step(output, name, {**params, **renamed}, target, force=force, verify=verify)


def names(options: Iterable[str] | None, option: str) -> dict[str, str]:
    """Read ``OLD=NEW`` options into a mapping.

    Raises
    ------
    UsageError
        No equals sign, an empty side, or an old name given twice.
    """
    found: dict[str, str] = {}
    for value in options or ():
        old, equals, new = value.rpartition("=")
        if not equals or not old or not new:
            raise UsageError(f"{option} takes OLD=NEW", got=value)
        if old in found:
            raise UsageError(f"{option} names '{old}' twice", got=f"{found[old]} and {new}")
        found[old] = new
    return found


def choice(step: Step, param: str, value: str | None, option: str = "") -> str | None:
    """See that an option's value is one of a step parameter's choices.

    Raises
    ------
    UsageError
        It is none of them.
    """
    known = [str(item) for item in step.params[param].choices]
    if value is not None and value not in known:
        raise UsageError(
            f"{option or '--' + param.replace('_', '-')} takes one of a few values",
            expected=", ".join(known),
            got=value,
        )
    return value
