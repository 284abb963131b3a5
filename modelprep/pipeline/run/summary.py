"""Summaries: a plan as JSON, and a report of every demo after the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from modelprep.errors import ModelprepError
from modelprep.fetch import Fetched
from modelprep.pipeline.plan.disk_space import rooms
from modelprep.pipeline.plan.request import Plan, PlannedDemo, bytes_of
from modelprep.pipeline.run.missing import missing, with_way_out
from modelprep.pipeline.run.report import DemoReport, Outcome
from modelprep.recipe.lockfile import Pin
from modelprep.store import Blob, Result
from modelprep.structs import dataclass, field
from modelprep.tree.manifest import read_manifest

if TYPE_CHECKING:
    from modelprep.tree.install import Installed


def plan_json(plan: Plan) -> dict[str, object]:
    """Return a plan JSON-ready: for ``--dry-run --json`` and the ``plan`` event."""
    fetches = []
    for asset in plan.to_fetch:
        assert asset.fetch is not None
        fetches.append(
            {
                "asset": asset.asset.key,
                "bytes_to_come": asset.fetch.bytes_to_come,
                "resumable": asset.fetch.resumable,
                "sources": [str(source.url) for source in asset.asset.sources],
            }
        )
    return {
        "bytes_to_come": plan.bytes_to_come,
        "sizes_unknown": plan.sizes_unknown,
        "fetch": fetches,
        "steps": [step.task for step in plan.to_run],
        "room": [room.to_json() for room in rooms(plan)],
        "demos": [_demo_json(plan, demo) for demo in plan.demos],
    }


def _demo_json(plan: Plan, demo: PlannedDemo) -> dict[str, object]:
    facts: dict[str, object] = {
        "recipe": demo.recipe.name,
        "variant": demo.recipe.variant,
        "demo": demo.recipe.demo,
        "folder": str(demo.folder),
        "state": demo.state,
        "bytes_to_come": bytes_of(plan, demo),
        "files": sorted(demo.files or demo.recipe.install),
        "on_image": dict(demo.recipe.on_image),
    }
    if demo.recipe.absent:
        facts["absent"] = demo.recipe.absent
    if demo.problem is not None:
        facts["error"] = demo.problem.to_json()
    return facts


@dataclass
class Spent:
    """Start and end of work (seconds of the monotonic clock)."""

    begun: float
    ended: float


@dataclass(eq=False)
class State:
    """What a run has done: by identity of an asset or step, or by the name of an installation's task."""

    plan: Plan
    blobs: dict[str, Blob] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    fetched: dict[str, Fetched] = field(default_factory=dict)
    failed: dict[str, ModelprepError] = field(default_factory=dict)
    installed: dict[str, Installed] = field(default_factory=dict)
    spent: dict[str, Spent] = field(default_factory=dict)
    warned: dict[str, list[str]] = field(default_factory=dict)
    pins: dict[str, Pin] = field(default_factory=dict)


@dataclass(eq=False)
class Tally:
    """What a run did, per demo; shared work counts for the first demo."""

    state: State
    counted: set[str] = field(default_factory=set)

    def demo(self, demo: PlannedDemo) -> DemoReport:
        """Return the report of a demo."""
        recipe, task = demo.recipe, demo.install_task
        done = self.state.installed.get(task)
        error = demo.problem or self.state.failed.get(task)
        files_missing = missing(self.state.plan, demo, self.state.failed)
        if error is not None and files_missing:
            error = with_way_out(error, files_missing, self.state.plan.request.words)
        outcome: Outcome
        if error is not None:
            outcome = "bring" if error.exit_code == 8 else "failed"
        elif demo.state in ("nothing", "absent"):
            outcome = demo.state
        else:
            changed = done is not None and (done.written or done.removed or done.repaired)
            outcome = "installed" if changed else "unchanged"
        if done is not None:
            files = tuple(sorted((*done.written, *done.kept)))
        elif demo.state == "present":
            entries = read_manifest(demo.folder).files.values()
            files = tuple(sorted(entry.path for entry in entries if recipe.name in entry.demos))
        else:
            files = ()
        mine = demo.needs - self.counted
        self.counted |= demo.needs
        spent = [self.state.spent[name] for name in (*mine, task) if name in self.state.spent]
        return DemoReport(
            recipe=recipe.name,
            demo=recipe.demo,
            folder=demo.folder,
            outcome=outcome,
            files=files,
            written=done.written if done is not None else (),
            removed=done.removed if done is not None else (),
            bytes_fetched=sum(self.state.fetched[name].bytes_fetched for name in mine if name in self.state.fetched),
            sources=self._sources(demo),
            seconds=max(each.ended for each in spent) - min(each.begun for each in spent) if spent else 0.0,
            run=str(recipe.run or ""),
            board=recipe.board,
            error=error,
            warnings=tuple(self._warnings(demo, task)),
            missing=files_missing,
        )

    def _sources(self, demo: PlannedDemo) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for identity in demo.needs:
            fetched = self.state.fetched.get(identity)
            if fetched is not None:
                found[self._place(fetched) if fetched.bytes_fetched or fetched.server else "store"] = None
            elif identity in self.state.plan.assets and self.state.plan.assets[identity].override is not None:
                found["--set"] = None
        return tuple(sorted(found))

    def _place(self, fetched: Fetched) -> str:
        if fetched.server:
            return fetched.server
        parts = urlsplit(fetched.source)
        if parts.scheme in ("http", "https") and parts.netloc:
            return parts.netloc.rpartition("@")[2]
        for mirror in self.state.plan.request.mirrors:
            if "://" not in mirror and Path(fetched.source).is_relative_to(Path(mirror).expanduser().absolute()):
                return mirror
        return "file"

    def _warnings(self, demo: PlannedDemo, task: str) -> list[str]:
        steps = [identity for identity in demo.names.values() if identity in self.state.results]
        texts = [text for identity in steps for text in self.state.results[identity].warnings]
        return texts + self.state.warned.get(task, [])
