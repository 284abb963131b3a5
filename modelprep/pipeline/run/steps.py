"""Run one step: once per key among all processes; its output is put into the store."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from modelprep.errors import Interrupted, ModelprepError, StepError
from modelprep.events import Event, Listener
from modelprep.pipeline.plan.planner import output_of
from modelprep.pipeline.plan.request import PlannedAsset, PlannedStep
from modelprep.pipeline.run import verify
from modelprep.pipeline.run.summary import State
from modelprep.steps import Call
from modelprep.store import Result, Store, result_key
from modelprep.structs import dataclass

if TYPE_CHECKING:
    from modelprep.store.remote import RemoteCache


@dataclass(eq=False)
class StepRunner:
    """Runs planned steps; a true `stop` ends one, `remote` is asked before one runs, `assets` name files in errors."""

    store: Store
    steps: Mapping[str, PlannedStep]
    listen: Listener
    stop: Callable[[], bool]
    remote: RemoteCache | None = None
    assets: Mapping[str, PlannedAsset] = MappingProxyType({})

    def run(self, step: PlannedStep, state: State, ensure: Callable[[str, str], None]) -> Result:
        """Return a step's result, from the store or by running it.

        `ensure` is called with the identity and inner path of each input before the step reads it: it hashes the file
        unless this process has done so before, and restores a corrupt one.
        """
        key, _ = self._key(step, state)
        if (made := self.store.result(key)) is not None:
            return made
        for identity, inner in step.inputs.values():
            ensure(identity, inner)
        key, digests = self._key(step, state)

        def waiting() -> None:
            self.listen(Event("note", task=step.task, text=f"{step.label}: another process is running it; waiting"))

        with self.store.lock(f"step-{key}", on_wait=waiting, stop=self.stop):
            if (made := self.store.result(key)) is not None:
                return made
            if self.remote is not None and (made := self.remote.result(key, self.store)) is not None:
                return made
            try:
                made = self._make(step, digests)
            except ModelprepError as error:
                raise error.renamed(self._names(step, digests)) from error
            self.store.put_result(key, made)
        if self.remote is not None:
            self.remote.save_result(key, made, self.store)
        return made

    def _key(self, step: PlannedStep, state: State) -> tuple[str, dict[str, str]]:
        """Return the key of a step's result, and the digest of each input."""
        digests: dict[str, str] = {}
        for slot, (identity, inner) in step.inputs.items():
            if identity in self.steps:
                digests[slot] = output_of(self.steps[identity], state.results[identity], inner)
            else:
                digests[slot] = state.blobs[identity].sha256
        return result_key(step.bound.step.name, step.bound.step.version, step.bound.plain, digests), digests

    def _names(self, step: PlannedStep, digests: Mapping[str, str]) -> dict[str, str]:
        """Return the user's name of each input, by its path in the store."""
        found = {}
        for slot, (identity, inner) in step.inputs.items():
            if identity in self.steps:
                name = f"the output of {self.steps[identity].label}" + (f" ({inner})" if inner else "")
            elif (asset := self.assets.get(identity)) is not None:
                name = str(asset.override or asset.asset.filename or asset.asset.id)
            else:
                continue
            found[str(self.store.blob_path(digests[slot]))] = name
        return found

    def _make(self, step: PlannedStep, digests: Mapping[str, str]) -> Result:
        warnings: list[str] = []

        def progress(done: int, total: int | None) -> None:
            if self.stop():
                raise Interrupted("stopped while a step was running")
            self.listen(Event("progress", task=step.task, label=step.label, done=done, total=total))

        kind = step.bound.step
        with self.store.scratch() as scratch:
            output = scratch / "output"
            if kind.produces == "folder":
                output.mkdir()
            params = step.bound.params({slot: self.store.blob_path(sha256) for slot, sha256 in digests.items()})
            if kind.cpu_bound:
                # Child processes are not needed by a run that has nothing to do.
                from modelprep.pipeline.run.subprocess import Job, run_apart

                job = Job(kind.name, params, output)
                facts = run_apart(
                    job, progress=progress, warn=warnings.append, stop=self.stop, log=scratch / "printed.log"
                )
            else:
                facts = kind.run(Call(params, output, progress, warnings.append)) or {}
            verify.structure(kind, params, output)
            outputs = self._adopt(step, output)
        return Result(outputs, dict(facts), tuple(warnings), kind.name, kind.version)

    def _adopt(self, step: PlannedStep, output: Path) -> dict[str, str]:
        kind = step.bound.step
        if kind.produces == "file":
            if not output.is_file() or output.is_symlink():
                raise StepError(f"the step '{kind.name}' made no file", where=step.task)
            return {"": self.store.adopt(output, move=True).sha256}
        found: dict[str, str] = {}
        for folder, names, files in os.walk(output):
            names.sort()
            for name in sorted(files):
                path = Path(folder) / name
                if path.is_symlink() or not path.is_file():
                    raise StepError(f"the step '{kind.name}' made something that is not a file", where=name)
                found[path.relative_to(output).as_posix()] = self.store.adopt(path, move=True).sha256
        if not found:
            raise StepError(f"the step '{kind.name}' made no files", where=step.task)
        return found
