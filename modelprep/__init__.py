"""Fetch and convert the model assets that embedded ML demos need.

>>> import modelprep
>>> report = modelprep.fetch(["armnn-caffe/mnist"], out="out")      # doctest: +SKIP
>>> report.ok, report.demos[0].files                                # doctest: +SKIP

The verbs are those of the command line: :func:`fetch`, :func:`plan`, :func:`list_demos`, :func:`catalogue`. Everything
that goes wrong is a :class:`ModelprepError` with facts and an exit code. What is named here is imported when it is
first used, so that ``import modelprep`` costs nothing.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "Catalogue",
    "DemoReport",
    "Event",
    "ModelprepError",
    "Plan",
    "PlannedDemo",
    "Report",
    "Request",
    "__version__",
    "catalogue",
    "fetch",
    "list_demos",
    "plan",
]

if TYPE_CHECKING:
    from modelprep.api import catalogue, fetch, list_demos, plan
    from modelprep.errors import ModelprepError
    from modelprep.events import Event
    from modelprep.pipeline import DemoReport, Plan, PlannedDemo, Report, Request
    from modelprep.recipe.catalogue import Catalogue

_HOMES = {
    "Catalogue": "modelprep.recipe.catalogue",
    "DemoReport": "modelprep.pipeline",
    "Event": "modelprep.events",
    "ModelprepError": "modelprep.errors",
    "Plan": "modelprep.pipeline",
    "PlannedDemo": "modelprep.pipeline",
    "Report": "modelprep.pipeline",
    "Request": "modelprep.pipeline",
    "catalogue": "modelprep.api",
    "fetch": "modelprep.api",
    "list_demos": "modelprep.api",
    "plan": "modelprep.api",
}


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
