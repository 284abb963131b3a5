"""Run a plan: downloads in threads, steps in parallel, each as soon as its inputs are ready."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property, partial
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, cast

from modelprep.errors import Interrupted, ModelprepError
from modelprep.events import Event, Listener, orderly, silent
from modelprep.fetch import Fetched
from modelprep.pipeline.plan.disk_space import check_room, rooms
from modelprep.pipeline.plan.planner import plan_recipes
from modelprep.pipeline.plan.request import Plan, PlannedAsset, PlannedDemo, PlannedStep
from modelprep.pipeline.run import verify
from modelprep.pipeline.run.errors import as_error
from modelprep.pipeline.run.remote import open_remote, with_remote_results
from modelprep.pipeline.run.report import Report
from modelprep.pipeline.run.restore import Restorer, fetcher_of
from modelprep.pipeline.run.steps import StepRunner
from modelprep.pipeline.run.summary import Spent, State, Tally, plan_json
from modelprep.pipeline.run.thread_pools import LATER, Lane, Outcome
from modelprep.recipe.lockfile import Pin, format_lock, read_lock
from modelprep.recipe.schema import Asset
from modelprep.store import Blob, Result
from modelprep.store.disk import abandoned_temporaries, device_of, require_folder, write_atomic
from modelprep.store.leftovers import sweep
from modelprep.structs import dataclass

if TYPE_CHECKING:
    from modelprep.pipeline.run.install import Installer
    from modelprep.store.remote import RemoteCache
    from modelprep.tree.install import Installed

#: Seconds to wait for threads after Ctrl-C.
_PATIENCE = 2.0
#: Bytes from which on a download is large.
LARGE = 64 << 20
_LARGE = "fetch of large files from"
#: Seconds between checks that the threads are alive.
_LOOK = 1.0


def run(plan: Plan, listen: Listener = silent) -> Report:
    """Execute a plan.

    Parameters
    ----------
    listen
        Receives all events (``docs/events.md``); called from several threads, one at a time.

    Returns
    -------
    Report
        One entry per demo. A failed demo has an error and does not stop the others.

    Raises
    ------
    StorageError
        Not enough disk space; nothing was fetched.
    Interrupted
        Ctrl-C: complete files stay, partial downloads can be resumed, nothing is left half-written.
    """
    require_folder(plan.request.out, "--out")
    if not plan.wanted:
        return _Run(plan, heard=listen).go()
    with plan.store.in_use():
        if not _still_true(plan):
            # Collected since the plan was made; from here on it cannot be.
            plan = plan_recipes(plan.request, [demo.recipe for demo in plan.demos], plan.store, plan.shared)
        if (remote := open_remote(plan.request, listen)) is not None:
            plan = with_remote_results(plan, remote)
        check_room(plan)
        report = _Run(plan, heard=listen, remote=remote).go()
    sweep(plan.store.root)
    for path in abandoned_temporaries(plan.request.lock_path.parent, former=True):
        if path.name.startswith(f".{plan.request.lock_path.name}."):
            with suppress(OSError):
                path.unlink()
    return report


def _still_true(plan: Plan) -> bool:
    """Whether everything that the plan found in the store is still there."""
    assets = (plan.assets[name].fetch for name in plan.wanted & plan.assets.keys())
    blobs = [fetch.here.path for fetch in assets if fetch is not None and fetch.here is not None]
    outputs = (step.result.outputs.values() for step in plan.steps.values() if step.result is not None)
    blobs += [plan.store.blob_path(sha256) for found in outputs for sha256 in found]
    return all(path.exists() for path in blobs)


@dataclass(eq=False)
class _Run(State):
    heard: Listener = silent
    remote: RemoteCache | None = None

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._tell = orderly(self.heard)
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        processors = os.cpu_count() or 1
        self._lanes = {
            "step": Lane(min(processors, 8), self._outcomes),
            # A tree is written by one thread at a time anyway, and a single writer is fastest.
            "install": Lane(1, self._outcomes),
        }
        plan, listen = self.plan, self.listen
        twins = not plan.request.link and device_of(plan.request.out) == device_of(plan.store.root)
        self._fetcher = fetcher_of(plan, listen, self.remote, twins=twins)
        self._stepper = StepRunner(plan.store, plan.steps, listen, self.stopping, self.remote, plan.assets)
        self._restorer = Restorer(self, self._fetcher, self._stepper, listen)
        self.results.update(plan.results)

    def stopping(self) -> bool:
        return self._stopping.is_set()

    def listen(self, event: Event) -> None:
        """Pass on an event; a task that reports while the run is stopping is stopped."""
        if self._stopping.is_set() and event.kind in ("start", "progress", "retry", "source"):
            raise Interrupted("stopped")
        if event.kind == "warning" and event.task.startswith("install:"):
            self.warned.setdefault(event.task, []).append(event.text)
        self._tell(event)

    # -- the loop --------------------------------------------------------------------------------------------------

    def go(self) -> Report:
        started = time.monotonic()
        self.listen(Event("plan", data=plan_json(self.plan)))
        for room in rooms(self.plan) if self.plan.wanted else ():
            if room.doubt:
                self.listen(Event("warning", text=room.doubt))
        for demo in self.plan.demos:
            if demo.problem is not None:
                self._tell_failure(f"demo:{demo.recipe.name}", demo.recipe.demo, demo.problem)
        for step in self.plan.steps.values():
            self._warn_of_result(step, step.result)
        work = self._work()
        order = TopologicalSorter({name: each.after & work.keys() for name, each in work.items()})
        order.prepare()
        running = 0
        try:
            while order.is_active():
                for name in order.get_ready():
                    if failed := sorted(work[name].after & self.failed.keys()):
                        self.failed[name] = self.failed[failed[0]]
                        order.done(name)
                        continue
                    self.spent[name] = Spent(time.monotonic(), time.monotonic())
                    self._lane(work[name].lane).submit(name, work[name].do)
                    running += 1
                if running:
                    outcome = self._next()
                    running -= 1
                    self.spent[outcome.name].ended = time.monotonic()
                    self._take(outcome)
                    order.done(outcome.name)
        except KeyboardInterrupt as caught:
            self._stop()
            raise Interrupted.by(caught) from None
        except BaseException:
            self._stop()
            raise
        self._close(_PATIENCE)
        tally = Tally(self)
        return Report(
            demos=tuple(tally.demo(demo) for demo in self.plan.demos),
            bytes_fetched=sum(fetched.bytes_fetched for fetched in self.fetched.values()),
            seconds=time.monotonic() - started,
            pins_added=tuple(sorted(self.pins)),
            online=self._fetcher.online,
        )

    def _lane(self, name: str) -> Lane:
        """Return a thread pool; those of downloads, one per host, are created on demand."""
        if name not in self._lanes:
            request = self.plan.request
            width = 1 if name.startswith(_LARGE) else request.jobs or request.policy.per_host
            self._lanes[name] = Lane(width, self._outcomes)
        return self._lanes[name]

    def _lane_of(self, asset: PlannedAsset) -> str:
        """Name the lane of a download; without --jobs each host has its own, so that a slow one keeps no other waiting.

        Of large files that may use several connections one comes after the other: the first is converted while the
        second comes, where all together would come at the same time, in the end.
        """
        if self.plan.request.jobs or asset.fetch is None:
            return "fetch"
        large = asset.asset.digests and (asset.asset.size or 0) >= LARGE
        return f"{_LARGE if large else 'fetch'} {asset.fetch.host}"

    def _next(self) -> Outcome:
        outcome = None
        while outcome is None:
            with suppress(queue.Empty):
                outcome = self._outcomes.get(timeout=_LOOK)
            for lane in self._lanes.values():
                lane.ensure_alive()
            self._fetcher.landing.ensure_alive()
        return outcome

    def _stop(self) -> None:
        self._stopping.set()
        self._fetcher.cancel()
        self._close(_PATIENCE)

    def _close(self, patience: float) -> None:
        limit = time.monotonic() + patience
        for lane in self._lanes.values():
            if self._stopping.is_set():
                lane.clear()
            lane.close(limit)
        self._fetcher.landing.wait(limit)

    def _work(self) -> dict[str, _Work]:
        """List all work by name; large downloads first, as they take longest."""
        wanted = self.plan.wanted
        work: dict[str, _Work] = {}
        assets = [self.plan.assets[identity] for identity in wanted & self.plan.assets.keys()]
        for asset in sorted(assets, key=lambda each: (-(each.asset.size or 0), each.identity)):
            work[asset.identity] = _Work(self._lane_of(asset), frozenset(), self._fetching(asset))
        for step in self.plan.steps.values():
            if step.identity in wanted:
                after = frozenset(identity for identity, _ in step.inputs.values())
                work[step.identity] = _Work("step", after, self._stepping(step))
        for demo in self.plan.demos:
            if demo.problem is None and demo.state in ("missing", "stale"):
                after = frozenset(identity for identity, _ in demo.files.values())
                work[demo.install_task] = _Work("install", after, partial(self._install, demo))
            elif demo.problem is None and demo.state == "present" and self.plan.request.verify:
                check = partial(verify.numbers, self.plan, demo, self.listen)
                work[demo.install_task] = _Work("install", frozenset(), check)
        return work

    def _take(self, outcome: Outcome) -> None:
        name, value = outcome.name, outcome.value
        if outcome.error is not None:
            if isinstance(outcome.error, KeyboardInterrupt):
                raise outcome.error
            self.failed[name] = as_error(outcome.error)
            if isinstance(self.failed[name], Interrupted):
                raise KeyboardInterrupt
            if name not in self.plan.assets or self.plan.assets[name].override is not None:
                # The fetcher has reported its own failures already.
                task, label = self._task(name)
                self._tell_failure(task, label, self.failed[name])
        elif isinstance(value, Fetched):
            self.fetched[name], self.blobs[name] = value, value.blob
            if value.first_use and not (value.asset.digests and self.plan.request.locked):
                self._pin(self.plan.assets[name], value)
        elif isinstance(value, Blob):
            self.blobs[name] = value
        elif isinstance(value, Result):
            self.results[name] = value
        elif value is not None:
            self.installed[name] = cast("Installed", value)

    def _task(self, name: str) -> tuple[str, str]:
        """Return the name in events and the label of a piece of work."""
        if name in self.plan.steps:
            return self.plan.steps[name].task, self.plan.steps[name].label
        if name in self.plan.assets:
            key = self.plan.assets[name].asset.key
            return f"fetch:{key}", key
        return name, name.partition(":")[2]

    def _tell_failure(self, task: str, label: str, error: ModelprepError) -> None:
        self.listen(Event("failed", task=task, label=label, text=error.what, data=error.to_json()))

    # -- pieces of work --------------------------------------------------------------------------------------------

    def _fetching(self, planned: PlannedAsset) -> Callable[[], object]:
        def do() -> object:
            if planned.override is not None:
                blob = self.plan.store.adopt(planned.override)
                self._warn_of_override(planned.asset, planned, blob)
                return blob
            assert planned.fetch is not None
            self._fetcher.begin(planned.fetch, partial(self._landed, planned.identity))
            return LATER

        return do

    def _landed(self, name: str, how: Fetched | BaseException) -> None:
        self._outcomes.put(Outcome(name, error=how) if isinstance(how, BaseException) else Outcome(name, how))

    def _warn_of_override(self, asset: Asset, planned: PlannedAsset, blob: Blob) -> None:
        """Warn if a file that replaces a pinned one differs: it may be intended or a mistake."""
        if planned.doubt:
            text = f"the file for '{asset.id}', {planned.override}, is {planned.doubt}; using it (--accept-any)"
            self.listen(Event("warning", task=f"fetch:{asset.key}", text=text))
        if asset.provide or not asset.digests:
            return
        from modelprep.fetch.digests import first_difference, hash_path

        found, _ = hash_path(blob.path, asset.digests.values)
        if (difference := first_difference(asset.digests.values, found)) is not None:
            algorithm, wanted, got = difference
            text = (
                f"the file for '{asset.id}', {planned.override}, is not the file that the recipe pins "
                f"({algorithm} {got[:16]}..., pinned {wanted[:16]}...); using it as requested"
            )
            self.listen(Event("warning", task=f"fetch:{asset.key}", text=text))

    def _warn_of_result(self, step: PlannedStep, result: Result | None) -> None:
        """Show the warnings of a step, also of an earlier run."""
        for text in result.warnings if result is not None else ():
            self.listen(Event("warning", task=step.task, text=f"{step.label}: {text}"))

    def _stepping(self, step: PlannedStep) -> Callable[[], object]:
        def do() -> object:
            begun = time.monotonic()
            self.listen(Event("start", task=step.task, label=step.label))
            result = self._stepper.run(step, self, self._restorer.ensure)
            seconds = time.monotonic() - begun
            self._warn_of_result(step, result)
            data: dict[str, object] = {"seconds": round(seconds, 3), "facts": dict(result.facts)}
            self.listen(Event("done", task=step.task, label=step.label, text=f"done in {seconds:.1f} s", data=data))
            return result

        return do

    @cached_property
    def _installer(self) -> Installer:
        # The installer is not imported if everything is in place.
        from modelprep.pipeline.run.install import Installer

        return Installer(self, self.listen, self.stopping, self._restorer)

    def _install(self, demo: PlannedDemo) -> Installed:
        verify.numbers(self.plan, demo, self.listen)
        return self._installer.install(demo)

    # -- results -------------------------------------------------------------------------------------------

    def _pin(self, planned: PlannedAsset, fetched: Fetched) -> None:
        """Record a first-use checksum immediately, so that a later interruption does not lose it.

        Of an asset of which only a weak digest is published (sha1), the sha256 of what was verified by it.
        """
        path = self.plan.request.lock_path
        pin = Pin(fetched.blob.sha256, fetched.blob.size, fetched.source)
        with self.plan.store.lock(f"lockfile-{path.absolute()}", stop=self.stopping):
            pins = dict.fromkeys((planned.asset.lock_key, *planned.also_locked), pin)
            write_atomic(path, format_lock({**read_lock(path), **pins}).encode())
        self.pins.update(pins)
        weak = fetched.asset.digests.weak()
        published = f"only {weak[0]} is published, its sha256 is" if weak else "no published checksum;"
        text = f"{fetched.asset.key}: {published} recorded in {path} (commit this file)"
        self.listen(Event("note", task=f"fetch:{fetched.asset.key}", text=text))


@dataclass(frozen=True)
class _Work:
    """A piece of work with its dependencies and its thread pool."""

    lane: str
    after: frozenset[str]
    do: Callable[[], object]
