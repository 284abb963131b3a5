"""Restore a corrupt cached file: download it again, or run its step again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from modelprep.errors import CorruptBlob
from modelprep.events import Event, Listener
from modelprep.fetch import Fetcher
from modelprep.pipeline.plan.planner import output_of
from modelprep.pipeline.plan.request import Plan, PlannedDemo
from modelprep.pipeline.run.steps import StepRunner
from modelprep.pipeline.run.summary import State
from modelprep.structs import dataclass, field

if TYPE_CHECKING:
    from modelprep.store.remote import RemoteCache


def fetcher_of(plan: Plan, listen: Listener, remote: RemoteCache | None = None, *, twins: bool = False) -> Fetcher:
    """Return the fetcher of a plan; with `twins` a large download is written to the tree's file too while it comes."""
    return Fetcher(
        plan.store, plan.request.policy, lock=plan.pins, listen=listen, known=plan.known, remote=remote, twins=twins
    )


@dataclass(eq=False)
class Restorer:
    """Restores corrupt files of a run, in the thread that found them, and updates its state."""

    state: State
    fetcher: Fetcher
    steps: StepRunner
    listen: Listener
    one_at_a_time: threading.RLock = field(default_factory=threading.RLock)

    def blob(self, demo: PlannedDemo, corrupt: CorruptBlob) -> None:
        """Restore the blob of a demo's file that was corrupt and quarantined."""
        wanted = {source for source in demo.files.values() if self._digest(*source) == corrupt.sha256}
        if not wanted:
            raise corrupt
        for identity, inner in sorted(wanted):
            self.ensure(identity, inner)

    def ensure(self, identity: str, inner: str) -> None:
        """Ensure that a file of an asset or step is cached and matches its digest."""
        if not self._is_sound(identity, inner):
            with self.one_at_a_time:
                if not self._is_sound(identity, inner):
                    self._again(identity, inner)

    def _is_sound(self, identity: str, inner: str) -> bool:
        sha256 = self._digest(identity, inner)
        blob = self.state.plan.store.sound(sha256) if sha256 is not None else None
        if blob is not None and identity in self.state.plan.assets:
            self.state.blobs[identity] = blob
        return blob is not None

    def _digest(self, identity: str, inner: str) -> str | None:
        if (planned := self.state.plan.assets.get(identity)) is not None:
            blob = self.state.blobs.get(identity)
            return blob.sha256 if blob is not None else planned.sha256
        result = self.state.results.get(identity)
        return output_of(self.state.plan.steps[identity], result, inner) if result is not None else None

    def _again(self, identity: str, inner: str) -> None:
        sha256 = self._digest(identity, inner)
        planned = self.state.plan.assets.get(identity)
        task = f"fetch:{planned.asset.key}" if planned is not None else self.state.plan.steps[identity].task
        if sha256 is not None:
            text = f"the cached file with sha256 {sha256[:16]}... is missing or corrupt: restoring it"
            self.listen(Event("warning", task=task, text=text))
        if planned is None:
            step = self.state.plan.steps[identity]
            for below in step.inputs.values():
                self.ensure(*below)
            self.state.results[identity] = self.steps.run(step, self.state, self.ensure)
        elif planned.override is not None:
            self.state.blobs[identity] = self.state.plan.store.adopt(planned.override)
        else:
            names = planned.fetch.names if planned.fetch is not None else ()
            fetched = self.fetcher.fetch(self.fetcher.plan(planned.asset, names))
            self.state.fetched[identity], self.state.blobs[identity] = fetched, fetched.blob
