"""One step on a user's own files, outside any recipe: what ``modelprep onnx fix`` and its like do."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelprep.check.proof.types import Conversion
from modelprep.check.proof.verify import Verified, verify
from modelprep.errors import StepError
from modelprep.events import Event, Listener, silent
from modelprep.formats.given import cannot_write, require_apart, require_input, require_output
from modelprep.steps import Call, find
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
        What it found out, JSON-ready.
    warnings
        What the user should read.
    verified
        What checked the result, and how its numbers compare with the original's.
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
    """Run a step, and put what it made at its name when it is complete and verified.

    Parameters
    ----------
    name
        The step.
    params
        Its parameters, files as Paths; what is left out takes its default.
    target
        Where the result goes; it appears whole or not at all.
    force
        Replace a file that is there; a folder is never replaced.
    numbers
        Compare the numbers of original and result too, where the step says how.
    listen
        Hears of the task ``convert:<step>``.

    Raises
    ------
    UsageError
        The target is there already, or is one of the inputs.
    MissingTool
        The step needs an extra that is not installed.
    StepError
        The step cannot do its work on these files, or its result is not valid or computes other numbers.
    StorageError
        The target cannot be written; what was at the name before is still there.
    """
    step = find(name)
    given = [path for value in params.values() for path in (value.values() if isinstance(value, dict) else (value,))]
    inputs = [path for path in given if isinstance(path, Path)]
    for path in inputs:
        require_input(path)
        require_apart(path, target)
    require_output(target, force=force, folder=step.produces == "folder")
    filled = {key: params.get(key, param.default) for key, param in step.params.items()}
    require(step.extras(filled), f"{name}")
    warnings: list[str] = []
    task, label = f"convert:{name}", target.name

    def progress(done: int, total: int | None) -> None:
        listen(Event("progress", task=task, label=label, done=done, total=total))

    listen(Event("start", task=task, label=label))
    # Beside the target, so that the last move is a rename on one file system.
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
