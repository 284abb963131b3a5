"""Fetch and convert the model assets that embedded ML demos need.

>>> import modelprep
>>> report = modelprep.fetch(["armnn-caffe/mnist"], out="out")      # doctest: +SKIP
>>> report.ok, report.demos[0].files                                # doctest: +SKIP

The verbs are those of the command line (``docs/python.md``). Everything that goes wrong is a :class:`ModelprepError`
with facts and an exit code. What is named here is imported when it is first used, so that ``import modelprep`` costs
nothing.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

if sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)].endswith("modelprep"):
    # This is the first line of ours that `python -m modelprep` runs, before `modelprep.cli.signals` can be imported.
    import _signal  # type: ignore[import-not-found]

    for _number in (_signal.SIGINT, _signal.SIGTERM):
        if _signal.getsignal(_number) is not _signal.SIG_IGN:
            _signal.signal(_number, lambda number, _: (os.write(2, b"error: interrupted\n"), os._exit(128 + number)))

TYPE_CHECKING = False  # `typing` takes longer than this whole module

__all__ = [
    "Asset",
    "AuditReport",
    "BoardOutcome",
    "BoardRun",
    "Bundled",
    "Catalogue",
    "CheckFailed",
    "Checked",
    "ConnectionLost",
    "Converted",
    "CorruptBlob",
    "DemoReport",
    "DeployError",
    "DeployPlan",
    "Deployed",
    "Deployment",
    "Deployments",
    "DigestMismatch",
    "Event",
    "Exported",
    "FetchError",
    "Finding",
    "HostReport",
    "Interrupted",
    "LavaJob",
    "Listener",
    "Mirrored",
    "MissingTool",
    "ModelprepError",
    "NeedsBringing",
    "NoNetwork",
    "NotEnoughMemory",
    "PictureSearch",
    "Plan",
    "PlannedAsset",
    "PlannedDemo",
    "PlannedStep",
    "Proof",
    "Recipe",
    "RecipeError",
    "RecipeUpdate",
    "Report",
    "Request",
    "StepError",
    "StorageError",
    "Terminated",
    "TestResult",
    "TriedPicture",
    "UsageError",
    "Verdict",
    "VerifiedMirror",
    "__version__",
    "audit",
    "bundle",
    "cache_key",
    "catalogue",
    "check",
    "convert",
    "count_hosts",
    "deploy",
    "deploy_many",
    "export_lava",
    "export_yocto",
    "fetch",
    "find_pictures",
    "lint",
    "list_demos",
    "mirror",
    "plan",
    "plan_deploy",
    "read_boards",
    "run",
    "update_recipes",
    "verify_mirror",
]

if TYPE_CHECKING:
    from modelprep.api.auditing import audit, count_hosts
    from modelprep.api.checking import check, find_pictures, lint
    from modelprep.api.converting import convert
    from modelprep.api.delivering import bundle, export_lava, export_yocto
    from modelprep.api.deploying import deploy, deploy_many, plan_deploy, read_boards
    from modelprep.api.fetching import cache_key, catalogue, fetch, list_demos, plan, run
    from modelprep.api.mirroring import mirror, verify_mirror
    from modelprep.api.updating import update_recipes
    from modelprep.audit import AuditReport, HostReport
    from modelprep.check.demos import Checked
    from modelprep.check.lint.findings import Finding
    from modelprep.check.picture_search import PictureSearch, TriedPicture
    from modelprep.check.proof.types import Proof
    from modelprep.check.types import Verdict
    from modelprep.deliver.board_tests import BoardRun
    from modelprep.deliver.bundle import Bundled
    from modelprep.deliver.deploy import Deployed, DeployPlan
    from modelprep.deliver.lava import LavaJob
    from modelprep.deliver.matrix import TestResult
    from modelprep.deliver.one_board import Deployment
    from modelprep.deliver.yocto import Exported
    from modelprep.errors import (
        CheckFailed,
        ConnectionLost,
        CorruptBlob,
        DeployError,
        DigestMismatch,
        FetchError,
        Interrupted,
        MissingTool,
        ModelprepError,
        NeedsBringing,
        NoNetwork,
        NotEnoughMemory,
        RecipeError,
        StepError,
        StorageError,
        Terminated,
        UsageError,
    )
    from modelprep.events import Event, Listener
    from modelprep.pipeline.converting import Converted
    from modelprep.pipeline.deploying import BoardOutcome, Deployments
    from modelprep.pipeline.mirroring import Mirrored, VerifiedMirror
    from modelprep.pipeline.plan.request import Plan, PlannedAsset, PlannedDemo, PlannedStep, Request
    from modelprep.pipeline.recipe_updates import RecipeUpdate
    from modelprep.pipeline.run.report import DemoReport, Report
    from modelprep.recipe.catalogue import Catalogue
    from modelprep.recipe.schema import Asset, Recipe
    from modelprep.version import __version__

#: Name -> the module that it is imported from when it is first used.
_HOMES = {
    "__version__": "modelprep.version",
    "Asset": "modelprep.recipe.schema",
    "AuditReport": "modelprep.audit",
    "BoardOutcome": "modelprep.pipeline.deploying",
    "BoardRun": "modelprep.deliver.board_tests",
    "Bundled": "modelprep.deliver.bundle",
    "Catalogue": "modelprep.recipe.catalogue",
    "CheckFailed": "modelprep.errors",
    "ConnectionLost": "modelprep.errors",
    "CorruptBlob": "modelprep.errors",
    "Checked": "modelprep.check.demos",
    "Converted": "modelprep.pipeline.converting",
    "DemoReport": "modelprep.pipeline.run.report",
    "DeployError": "modelprep.errors",
    "DeployPlan": "modelprep.deliver.deploy",
    "Deployed": "modelprep.deliver.deploy",
    "Deployment": "modelprep.deliver.one_board",
    "Deployments": "modelprep.pipeline.deploying",
    "DigestMismatch": "modelprep.errors",
    "Event": "modelprep.events",
    "Exported": "modelprep.deliver.yocto",
    "FetchError": "modelprep.errors",
    "Finding": "modelprep.check.lint.findings",
    "HostReport": "modelprep.audit",
    "Interrupted": "modelprep.errors",
    "Terminated": "modelprep.errors",
    "LavaJob": "modelprep.deliver.lava",
    "Listener": "modelprep.events",
    "Mirrored": "modelprep.pipeline.mirroring",
    "MissingTool": "modelprep.errors",
    "ModelprepError": "modelprep.errors",
    "NeedsBringing": "modelprep.errors",
    "NoNetwork": "modelprep.errors",
    "NotEnoughMemory": "modelprep.errors",
    "PictureSearch": "modelprep.check.picture_search",
    "Plan": "modelprep.pipeline.plan.request",
    "PlannedAsset": "modelprep.pipeline.plan.request",
    "PlannedDemo": "modelprep.pipeline.plan.request",
    "PlannedStep": "modelprep.pipeline.plan.request",
    "Proof": "modelprep.check.proof.types",
    "Recipe": "modelprep.recipe.schema",
    "RecipeError": "modelprep.errors",
    "RecipeUpdate": "modelprep.pipeline.recipe_updates",
    "Report": "modelprep.pipeline.run.report",
    "Request": "modelprep.pipeline.plan.request",
    "StepError": "modelprep.errors",
    "StorageError": "modelprep.errors",
    "TestResult": "modelprep.deliver.matrix",
    "TriedPicture": "modelprep.check.picture_search",
    "UsageError": "modelprep.errors",
    "Verdict": "modelprep.check.types",
    "VerifiedMirror": "modelprep.pipeline.mirroring",
    "audit": "modelprep.api.auditing",
    "bundle": "modelprep.api.delivering",
    "cache_key": "modelprep.api.fetching",
    "catalogue": "modelprep.api.fetching",
    "check": "modelprep.api.checking",
    "convert": "modelprep.api.converting",
    "count_hosts": "modelprep.api.auditing",
    "deploy": "modelprep.api.deploying",
    "deploy_many": "modelprep.api.deploying",
    "export_lava": "modelprep.api.delivering",
    "export_yocto": "modelprep.api.delivering",
    "fetch": "modelprep.api.fetching",
    "find_pictures": "modelprep.api.checking",
    "lint": "modelprep.api.checking",
    "list_demos": "modelprep.api.fetching",
    "mirror": "modelprep.api.mirroring",
    "plan": "modelprep.api.fetching",
    "plan_deploy": "modelprep.api.deploying",
    "read_boards": "modelprep.api.deploying",
    "run": "modelprep.api.fetching",
    "update_recipes": "modelprep.api.updating",
    "verify_mirror": "modelprep.api.mirroring",
}


if not TYPE_CHECKING:
    # A type checker that saw this would take every name for one that is there.

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module 'modelprep' has no attribute '{name}'")
        return getattr(import_module(_HOMES[name]), name)


class _Package(ModuleType):
    """The package, in which ``fetch`` stays the verb also when the room of that name has been imported.

    The import system binds every submodule as an attribute of its parent; for a name that is a verb that is left out.
    ``from modelprep.fetch import ...`` goes by ``sys.modules`` and works as ever.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
