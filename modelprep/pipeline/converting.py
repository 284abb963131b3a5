"""One step on a user's own files, outside any recipe: what ``modelprep onnx fix`` and its like do."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelprep.errors import StorageError, UsageError
from modelprep.events import Event, Listener, silent
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
    """

    step: str
    output: Path
    facts: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def convert(
    name: str,
    params: Mapping[str, object],
    target: Path,
    *,
    force: bool = False,
    listen: Listener = silent,
) -> Converted:
    """Run a step, and put what it made at its name when it is complete.

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
    listen
        Hears of the task ``convert:<step>``.

    Raises
    ------
    UsageError
        The target is there already, or is one of the inputs.
    MissingTool
        The step needs an extra that is not installed.
    StepError
        The step cannot do its work on these files.
    """
    step = find(name)
    if target.is_dir():
        hint = "give it a file name: -o FILE" if step.produces == "file" else "name one that is not there yet"
        raise UsageError("the output is a folder", where=str(target), hint=hint)
    if target.exists() and (not force or step.produces == "folder"):
        raise UsageError("the output is there already", where=str(target), hint="--force replaces it")
    for value in params.values():
        for path in value.values() if isinstance(value, dict) else (value,):
            if isinstance(path, Path) and not path.is_file():
                raise UsageError("the input file is not there", where=str(path))
            if isinstance(path, Path) and target.exists() and path.samefile(target):
                raise UsageError("the output would replace its own input", where=str(target))
    filled = {key: params.get(key, param.default) for key, param in step.params.items()}
    require(step.extras(filled), f"{name}")
    if not target.parent.is_dir():
        raise StorageError("the output's folder is not there", where=str(target.parent))
    warnings: list[str] = []
    task, label = f"convert:{name}", target.name

    def progress(done: int, total: int | None) -> None:
        listen(Event("progress", task=task, label=label, done=done, total=total))

    listen(Event("start", task=task, label=label))
    # Beside the target, so that the last move is a rename on one file system.
    with tempfile.TemporaryDirectory(prefix=f".{target.name[:40]}.", dir=target.parent) as folder:
        made = Path(folder) / "result"
        if step.produces == "folder":
            made.mkdir()
        facts = step.run(Call(filled, made, progress=progress, warn=warnings.append)) or {}
        made.replace(target)
    for text in warnings:
        listen(Event("warning", task=task, label=label, text=text))
    listen(Event("done", task=task, label=label))
    return Converted(name, target, facts, tuple(warnings))
