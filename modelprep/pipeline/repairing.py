"""Restore corrupt cached files: ``cache verify --repair``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from modelprep.errors import ModelprepError
from modelprep.events import Listener, silent
from modelprep.pipeline.plan.request import Plan
from modelprep.pipeline.run.restore import Restorer, fetcher_of
from modelprep.pipeline.run.steps import StepRunner
from modelprep.pipeline.run.summary import State
from modelprep.store.maintenance import VerifyReport


@dataclass
class Repaired:
    """The outcome of a repair: restored files, why others (or keys of results) failed, files that no recipe uses."""

    restored: list[str] = field(default_factory=list)
    failed: dict[str, ModelprepError] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)


def repair(plans: Sequence[Plan], report: VerifyReport, listen: Listener = silent) -> Repaired:
    """Download or convert again the files that a verification found corrupt; `plans` were made after it."""
    failed: dict[str, ModelprepError] = {}
    for plan in plans:
        steps = StepRunner(plan.store, plan.steps, listen, lambda: False)
        restorer = Restorer(State(plan, results=dict(plan.results)), fetcher_of(plan, listen), steps, listen)
        for identity, sha256 in _lost(plan, report):
            error = _restored(restorer, plan, identity)
            failed.pop(sha256, None)
            if error is not None:
                failed[sha256] = error
    here = [sha256 for sha256 in report.corrupt if plans and plans[0].store.get(sha256) is not None]
    unused = [sha256 for sha256 in report.corrupt if sha256 not in here and sha256 not in failed]
    return Repaired(here, failed, [] if failed else unused)


def _restored(restorer: Restorer, plan: Plan, identity: str) -> ModelprepError | None:
    try:
        with plan.store.in_use():
            restorer.ensure(identity, "")
    except ModelprepError as error:
        return error
    return None


def _lost(plan: Plan, report: VerifyReport) -> Iterator[tuple[str, str]]:
    """Yield the assets and steps of a plan whose files were lost, each with its name for messages."""
    for identity, planned in plan.assets.items():
        if planned.override is None and planned.sha256 in report.corrupt:
            yield identity, planned.sha256
    for identity, step in plan.steps.items():
        if step.key is not None and step.key in report.broken_results:
            yield identity, step.key
