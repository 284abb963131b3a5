"""From recipes to finished trees; the one place that knows the order of things.

:func:`plan` decides and touches nothing; :func:`run` does what was decided. What is named here is imported when it is
first used: the child process of a step (:mod:`modelprep.pipeline.worker`) needs none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelprep.pipeline.planning import plan
    from modelprep.pipeline.report import DemoReport, Report
    from modelprep.pipeline.request import Plan, PlannedAsset, PlannedDemo, PlannedStep, Request
    from modelprep.pipeline.running import run

__all__ = ["DemoReport", "Plan", "PlannedAsset", "PlannedDemo", "PlannedStep", "Report", "Request", "plan", "run"]

_HOMES = {
    "DemoReport": "report",
    "Plan": "request",
    "PlannedAsset": "request",
    "PlannedDemo": "request",
    "PlannedStep": "request",
    "Report": "report",
    "Request": "request",
    "plan": "planning",
    "run": "running",
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'modelprep.pipeline' has no attribute '{name}'")
    return getattr(import_module(f"modelprep.pipeline.{_HOMES[name]}"), name)
