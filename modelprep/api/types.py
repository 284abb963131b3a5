"""The return types of the verbs, in one place for type checkers; nothing is imported at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelprep.audit import AuditReport as AuditReport
    from modelprep.audit import HostReport as HostReport
    from modelprep.audit.report import Row as Row
    from modelprep.check.demos import Checked as Checked
    from modelprep.check.lint.findings import Finding as Finding
    from modelprep.check.picture_search import PictureSearch as PictureSearch
    from modelprep.check.types import Judged as Judged
    from modelprep.check.types import Verdict as Verdict
    from modelprep.deliver.board_tests import BoardRun as BoardRun
    from modelprep.deliver.deploy import DeployPlan as DeployPlan
    from modelprep.formats.tflite.model import Tensor as Tensor
    from modelprep.pipeline.converting import Converted as Converted
    from modelprep.pipeline.deploying import BoardOutcome as BoardOutcome
    from modelprep.pipeline.deploying import Deployments as Deployments
    from modelprep.pipeline.mirroring import Mirrored as Mirrored
    from modelprep.pipeline.plan.request import Plan as Plan
    from modelprep.pipeline.plan.request import PlannedDemo as PlannedDemo
    from modelprep.pipeline.run.report import Report as Report
    from modelprep.steps import Param as Param
    from modelprep.steps import Step as Step
