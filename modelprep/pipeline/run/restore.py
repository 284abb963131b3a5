"""Restore a corrupt cached file: download it again, or run its step again."""

from __future__ import annotations

import threading
from collections.abc import MutableMapping
from typing import TYPE_CHECKING

from modelprep.errors import CorruptBlob
from modelprep.events import Event, Listener
from modelprep.fetch import Fetched, Fetcher
from modelprep.pipeline.plan.planner import output_of
from modelprep.pipeline.plan.request import Plan, PlannedDemo
from modelprep.pipeline.run.steps import StepRunner
from modelprep.store import Blob, Result
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
    """Restores corrupt files of a run, in the thread that found them, and updates the run's parts."""

    plan: Plan
    fetcher: Fetcher
    steps: StepRunner
    blobs: MutableMapping[str, Blob]
    results: MutableMapping[str, Result]
    fetched: MutableMapping[str, Fetched]
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
        blob = self.plan.store.sound(sha256) if sha256 is not None else None
        if blob is not None and identity in self.plan.assets:
            self.blobs[identity] = blob
        return blob is not None

    def _digest(self, identity: str, inner: str) -> str | None:
        if (planned := self.plan.assets.get(identity)) is not None:
            blob = self.blobs.get(identity)
            return blob.sha256 if blob is not None else planned.sha256
        result = self.results.get(identity)
        return output_of(self.plan.steps[identity], result, inner) if result is not None else None

    def _again(self, identity: str, inner: str) -> None:
        sha256 = self._digest(identity, inner)
        planned = self.plan.assets.get(identity)
        task = f"fetch:{planned.asset.key}" if planned is not None else self.plan.steps[identity].task
        if sha256 is not None:
            text = f"the cached file with sha256 {sha256[:16]}... is missing or corrupt: restoring it"
            self.listen(Event("warning", task=task, text=text))
        if planned is None:
            step = self.plan.steps[identity]
            for below in step.inputs.values():
                self.ensure(*below)
            self.results[identity] = self.steps.run(step, self.blobs, self.results, self.ensure)
        elif planned.override is not None:
            self.blobs[identity] = self.plan.store.adopt(planned.override)
        else:
            names = planned.fetch.names if planned.fetch is not None else ()
            fetched = self.fetcher.fetch(self.fetcher.plan(planned.asset, names))
            self.fetched[identity], self.blobs[identity] = fetched, fetched.blob
