"""Fetch and convert the model assets that embedded ML demos need.

>>> import modelprep
>>> report = modelprep.fetch(["armnn-caffe/mnist"], out="out")      # doctest: +SKIP
>>> report.ok, report.demos[0].files                                # doctest: +SKIP

The verbs are those of the command line (``docs/python.md``). Everything that goes wrong is a :class:`ModelprepError`
with facts and an exit code. What is named here is imported when it is first used, so that ``import modelprep`` costs
nothing.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "Asset",
    "AuditReport",
    "BoardRun",
    "Bundled",
    "Catalogue",
    "CheckFailed",
    "Checked",
    "Converted",
    "DemoReport",
    "DeployError",
    "DeployPlan",
    "Deployed",
    "Deployment",
    "DigestMismatch",
    "Event",
    "Exported",
    "FetchError",
    "Finding",
    "HostReport",
    "Interrupted",
    "Listener",
    "Mirrored",
    "MissingTool",
    "ModelprepError",
    "NeedsBringing",
    "PictureSearch",
    "Plan",
    "PlannedAsset",
    "PlannedDemo",
    "PlannedStep",
    "Proof",
    "Recipe",
    "RecipeError",
    "Report",
    "Request",
    "StepError",
    "StorageError",
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
    "export_yocto",
    "fetch",
    "find_pictures",
    "lint",
    "list_demos",
    "mirror",
    "plan",
    "plan_deploy",
    "run",
    "verify_mirror",
]

if TYPE_CHECKING:
    from modelprep.api import (
        Deployment,
        audit,
        bundle,
        cache_key,
        catalogue,
        check,
        convert,
        count_hosts,
        deploy,
        export_yocto,
        fetch,
        find_pictures,
        lint,
        list_demos,
        mirror,
        plan,
        plan_deploy,
        run,
        verify_mirror,
    )
    from modelprep.check.demos import Checked
    from modelprep.check.findings import Finding
    from modelprep.check.pictures import PictureSearch, TriedPicture
    from modelprep.check.proof import Proof
    from modelprep.check.verdict import Verdict
    from modelprep.errors import (
        CheckFailed,
        DeployError,
        DigestMismatch,
        FetchError,
        Interrupted,
        MissingTool,
        ModelprepError,
        NeedsBringing,
        RecipeError,
        StepError,
        StorageError,
        UsageError,
    )
    from modelprep.events import Event, Listener
    from modelprep.fetch.audit import AuditReport, HostReport
    from modelprep.pipeline import DemoReport, Plan, PlannedAsset, PlannedDemo, PlannedStep, Report, Request
    from modelprep.pipeline.converting import Converted
    from modelprep.pipeline.mirroring import Mirrored, VerifiedMirror
    from modelprep.recipe.catalogue import Catalogue
    from modelprep.recipe.schema import Asset, Recipe
    from modelprep.tree.boardtests import BoardRun
    from modelprep.tree.bundle import Bundled
    from modelprep.tree.deploy import Deployed, DeployPlan
    from modelprep.tree.yocto import Exported

#: Name -> the module that it is imported from when it is first used.
_HOMES = {
    "Asset": "modelprep.recipe.schema",
    "AuditReport": "modelprep.fetch.audit",
    "BoardRun": "modelprep.tree.boardtests",
    "Bundled": "modelprep.tree.bundle",
    "Catalogue": "modelprep.recipe.catalogue",
    "CheckFailed": "modelprep.errors",
    "Checked": "modelprep.check.demos",
    "Converted": "modelprep.pipeline.converting",
    "DemoReport": "modelprep.pipeline",
    "DeployError": "modelprep.errors",
    "DeployPlan": "modelprep.tree.deploy",
    "Deployed": "modelprep.tree.deploy",
    "Deployment": "modelprep.api",
    "DigestMismatch": "modelprep.errors",
    "Event": "modelprep.events",
    "Exported": "modelprep.tree.yocto",
    "FetchError": "modelprep.errors",
    "Finding": "modelprep.check.findings",
    "HostReport": "modelprep.fetch.audit",
    "Interrupted": "modelprep.errors",
    "Listener": "modelprep.events",
    "Mirrored": "modelprep.pipeline.mirroring",
    "MissingTool": "modelprep.errors",
    "ModelprepError": "modelprep.errors",
    "NeedsBringing": "modelprep.errors",
    "PictureSearch": "modelprep.check.pictures",
    "Plan": "modelprep.pipeline",
    "PlannedAsset": "modelprep.pipeline",
    "PlannedDemo": "modelprep.pipeline",
    "PlannedStep": "modelprep.pipeline",
    "Proof": "modelprep.check.proof",
    "Recipe": "modelprep.recipe.schema",
    "RecipeError": "modelprep.errors",
    "Report": "modelprep.pipeline",
    "Request": "modelprep.pipeline",
    "StepError": "modelprep.errors",
    "StorageError": "modelprep.errors",
    "TriedPicture": "modelprep.check.pictures",
    "UsageError": "modelprep.errors",
    "Verdict": "modelprep.check.verdict",
    "VerifiedMirror": "modelprep.pipeline.mirroring",
    "audit": "modelprep.api",
    "bundle": "modelprep.api",
    "cache_key": "modelprep.api",
    "catalogue": "modelprep.api",
    "check": "modelprep.api",
    "convert": "modelprep.api",
    "count_hosts": "modelprep.api",
    "deploy": "modelprep.api",
    "export_yocto": "modelprep.api",
    "fetch": "modelprep.api",
    "find_pictures": "modelprep.api",
    "lint": "modelprep.api",
    "list_demos": "modelprep.api",
    "mirror": "modelprep.api",
    "plan": "modelprep.api",
    "plan_deploy": "modelprep.api",
    "run": "modelprep.api",
    "verify_mirror": "modelprep.api",
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
