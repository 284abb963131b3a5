"""Run one step on a user's own files, without a recipe, as ``modelprep onnx fix`` does."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelprep.check.proof.types import Conversion
from modelprep.check.proof.verify import Verified, verify
from modelprep.errors import StepError, UsageError
from modelprep.events import Event, Listener, silent
from modelprep.formats.given import cannot_write, require_apart, require_input, require_output
from modelprep.pipeline.plan.validate import check_params
from modelprep.recipe.schema import Ref
from modelprep.steps import Call, Step, find
from modelprep.steps._extras import require


@dataclass(frozen=True)
class Converted:
    """What a step made.

    Parameters
    ----------
    step
        Its name.
    output
        The file (a folder, of a step that makes one).
    facts
        Its findings, JSON-ready.
    warnings
        Warnings for the user.
    verified
        How the result was checked, and how its numbers compare with the original's.
    """

    step: str
    output: Path
    facts: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    verified: Verified = field(default_factory=Verified)


def convert(
    name: str,
    params: Mapping[str, object],
    target: Path,
    *,
    force: bool = False,
    numbers: bool = True,
    listen: Listener = silent,
) -> Converted:
    """Run a step, and move its output into place once it is complete and verified: see :func:`modelprep.convert`.

    Missing parameters take their defaults; an existing folder is never replaced.
    """
    step = find(name)
    for path in _paths(params):
        # A step that completes its call may accept a folder, or a prefix of its files.
        if step.complete is None or (path.exists() and not path.is_dir()):
            require_input(path)
        require_apart(path, target)
    require_output(target, force=force, folder=step.produces == "folder")
    if step.complete is not None:
        params = step.complete(params)
        for path in _paths(params):
            require_input(path)
            require_apart(path, target)
    _check(step, params)
    filled = {key: params.get(key, param.default) for key, param in step.params.items()}
    require(step.extras(filled), f"{name}")
    warnings: list[str] = []
    task, label = f"convert:{name}", target.name

    def progress(done: int, total: int | None) -> None:
        listen(Event("progress", task=task, label=label, done=done, total=total))

    listen(Event("start", task=task, label=label))
    # Beside the target, so that the final move is a rename on one file system.
    try:
        beside = tempfile.TemporaryDirectory(prefix=f".{target.name[:40]}.", dir=target.parent)
    except OSError as error:
        raise cannot_write(target, error) from None
    with beside as folder:
        made = Path(folder) / "result"
        if step.produces == "folder":
            made.mkdir()
        facts = step.run(Call(filled, made, progress=progress, warn=warnings.append)) or {}
        if not (made.is_dir() if step.produces == "folder" else made.is_file()):
            raise StepError(f"the step '{name}' made no {step.produces}")
        verified = verify(Conversion(name, step.version, filled, {}, made, "", facts=facts), numbers=numbers)
        made.replace(target)
    for text in warnings:
        listen(Event("warning", task=task, label=label, text=text))
    listen(Event("done", task=task, label=label))
    return Converted(name, target, facts, tuple(warnings), verified)


def _paths(params: Mapping[str, object]) -> list[Path]:
    given = [each for value in params.values() for each in (value.values() if isinstance(value, dict) else (value,))]
    return [each for each in given if isinstance(each, Path)]


def _check(step: Step, params: Mapping[str, object]) -> None:
    """Check parameters like those of a recipe, with references instead of files."""
    stand_in = Ref("file")
    as_in_recipe: dict[str, object] = {}
    for name, value in params.items():
        files = isinstance(value, dict) and value and all(isinstance(each, Path) for each in value.values())
        empty = value == {} and name in step.params and step.params[name].kind == "files"
        if not empty:
            as_in_recipe[name] = (
                stand_in if isinstance(value, Path) else dict.fromkeys(value, stand_in) if files else value  # type: ignore[call-overload]
            )
    for problem in check_params(step, as_in_recipe, f"step {step.name}"):
        raise UsageError(problem.what, where=problem.where, expected=problem.expected, got=problem.got)
