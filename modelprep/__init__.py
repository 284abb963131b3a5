"""Fetch and convert the model assets that embedded ML demos need.

>>> import modelprep
>>> report = modelprep.fetch(["armnn-caffe/mnist"], out="out")      # doctest: +SKIP
>>> report.ok, report.demos[0].files                                # doctest: +SKIP

The verbs are those of the command line (``docs/python.md``). Every failure is a :class:`ModelprepError` with facts and
an exit status. Names are imported when they are first used, so that ``import modelprep`` is fast.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

_argv = getattr(sys, "argv", [])  # an embedded interpreter may have none
if _argv[:1] == [f"{(sys.executable or '').rpartition('/')[0]}/modelprep"] or (
    _argv[:1] == ["-m"] and sys.orig_argv[-len(_argv)].endswith("modelprep")
):
    # The command: this runs before `modelprep.cli.signals` can be imported.
    import _signal  # type: ignore[import-not-found]

    for _number in (_signal.SIGINT, _signal.SIGTERM):
        if _signal.getsignal(_number) is not _signal.SIG_IGN:
            _signal.signal(_number, lambda number, _: (os.write(2, b"error: interrupted\n"), os._exit(128 + number)))

TYPE_CHECKING = False  # `typing` takes longer than this whole module

__all__ = [
    "Event",
    "ModelprepError",
    "Plan",
    "Report",
    "__version__",
    "audit",
    "bundle",
    "cache_key",
    "catalogue",
    "check",
    "convert",
    "deploy",
    "deploy_many",
    "export_yocto",
    "fetch",
    "find_pictures",
    "inspect",
    "lint",
    "list_demos",
    "mirror",
    "plan",
    "plan_deploy",
    "run",
    "show",
    "verify_mirror",
]

if TYPE_CHECKING:
    from modelprep import api as api
    from modelprep import errors as errors
    from modelprep import events as events
    from modelprep import steps as steps
    from modelprep.api.auditing import audit
    from modelprep.api.checking import check, find_pictures, lint
    from modelprep.api.converting import convert
    from modelprep.api.delivering import bundle, export_yocto
    from modelprep.api.deploying import deploy, deploy_many, plan_deploy
    from modelprep.api.fetching import cache_key, catalogue, fetch, list_demos, plan, run
    from modelprep.api.inspecting import inspect
    from modelprep.api.mirroring import mirror, verify_mirror
    from modelprep.api.showing import show
    from modelprep.errors import ModelprepError
    from modelprep.events import Event
    from modelprep.pipeline.plan.request import Plan
    from modelprep.pipeline.run.report import Report
    from modelprep.version import __version__

#: Name -> the module that it is imported from when it is first used.
_HOMES = {
    **dict.fromkeys(__all__, "modelprep.api"),
    "Event": "modelprep.events",
    "ModelprepError": "modelprep.errors",
    "Plan": "modelprep.pipeline.plan.request",
    "Report": "modelprep.pipeline.run.report",
    "__version__": "modelprep.version",
}
#: Modules that need no import of their own: ``modelprep.errors.UsageError``.
_MODULES = ("api", "errors", "events", "steps")
#: Module -> its names that were names of this package up to 0.2; they are removed in the release after the next.
_MOVED = {
    "modelprep.api": "count_hosts export_lava read_boards update_recipes",
    "modelprep.audit": "AuditReport HostReport",
    "modelprep.check.demos": "Checked",
    "modelprep.check.lint.findings": "Finding",
    "modelprep.check.picture_search": "PictureSearch TriedPicture",
    "modelprep.check.proof.types": "Proof",
    "modelprep.check.types": "Verdict",
    "modelprep.deliver.board_tests": "BoardRun",
    "modelprep.deliver.bundle": "Bundled",
    "modelprep.deliver.deploy": "DeployPlan Deployed",
    "modelprep.deliver.lava": "LavaJob",
    "modelprep.deliver.matrix": "TestResult",
    "modelprep.deliver.one_board": "Deployment",
    "modelprep.deliver.yocto": "Exported",
    "modelprep.errors": "CheckFailed ConnectionLost CorruptBlob DeployError DigestMismatch FetchError Interrupted "
    "MissingTool NeedsBringing NoNetwork NotEnoughMemory RecipeError StepError StorageError Terminated UsageError",
    "modelprep.events": "Listener",
    "modelprep.pipeline.converting": "Converted",
    "modelprep.pipeline.deploying": "BoardOutcome Deployments",
    "modelprep.pipeline.mirroring": "Mirrored VerifiedMirror",
    "modelprep.pipeline.plan.request": "PlannedAsset PlannedDemo PlannedStep Request",
    "modelprep.pipeline.recipe_updates": "RecipeUpdate",
    "modelprep.pipeline.run.report": "DemoReport",
    "modelprep.recipe.catalogue": "Catalogue",
    "modelprep.recipe.schema": "Asset Recipe",
}


if not TYPE_CHECKING:
    # Hidden from type checkers, which would accept every name.

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        if name in _MODULES:
            return import_module(f"modelprep.{name}")
        for home, names in _MOVED.items():
            if name in names.split():
                import warnings

                text = f"modelprep.{name} will be removed: from {home} import {name}"
                warnings.warn(text, DeprecationWarning, stacklevel=2)
                return getattr(import_module(home), name)
        raise AttributeError(f"module 'modelprep' has no attribute '{name}'")


class _Package(ModuleType):
    """The package, in which ``fetch`` stays the verb even after the subpackage of that name has been imported.

    The import system binds every submodule as an attribute of its parent; not here if the name is a verb. ``from
    modelprep.fetch import ...`` uses ``sys.modules`` and still works.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_MODULES})
