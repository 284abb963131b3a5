"""From recipes to finished trees; the one place that knows the order of things.

:func:`plan` decides and touches nothing; :func:`run` does what was decided.
"""

from __future__ import annotations

from modelprep.pipeline.planning import plan
from modelprep.pipeline.report import DemoReport, Report
from modelprep.pipeline.request import Plan, PlannedAsset, PlannedDemo, PlannedStep, Request
from modelprep.pipeline.running import run

__all__ = ["DemoReport", "Plan", "PlannedAsset", "PlannedDemo", "PlannedStep", "Report", "Request", "plan", "run"]
