"""The package ``tensorflow`` without what a conversion does not use: half of its import.

``tensorflow/__init__.py`` imports a thousand modules for names that are listed one a line, ``from MODULE import NAME as
NAME``; so do the packages below ``tensorflow/_api``. Here each name is imported when it is asked for.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import re
import sys
import types
from pathlib import Path
from typing import Any

_LINE = re.compile(r"^from ([\w.]+) import (\w+)(?: as (\w+))?", re.MULTILINE)
_API = "tensorflow._api."


class _Package(types.ModuleType):
    """A package of TensorFlow whose names are looked up in its ``__init__.py``, which is not executed."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name)
        self.__path__ = [str(folder)]
        self.__file__ = str(folder / "__init__.py")
        self.__spec__ = importlib.machinery.ModuleSpec(name, None, origin=self.__file__, is_package=True)
        text = (folder / "__init__.py").read_text("utf-8")
        self._origins = {other or own: (module, own) for module, own, other in _LINE.findall(text)}

    def __getattr__(self, name: str) -> Any:
        if name not in self._origins:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        module, own = self._origins[name]
        if module.startswith(_API):
            place = Path(sys.modules["tensorflow"].__path__[0], *module.split(".")[1:], own)
            value: Any = _Package(f"{module}.{own}", place)
        else:
            value = getattr(importlib.import_module(module), own)
        setattr(self, name, value)
        return value


def install() -> None:
    """Have ``import tensorflow`` of this process return the package with names that are imported when asked for.

    It behaves as the whole package: as TensorFlow 2, with the kernels of plug-ins. Call it before anything else imports
    TensorFlow.
    """
    if "tensorflow" in sys.modules:
        return
    found = importlib.machinery.PathFinder.find_spec("tensorflow")
    if found is None or found.origin is None:  # the import says so
        return
    folder = Path(found.origin).parent
    plugins = [Path(each, "tensorflow-plugins") for each in sys.path if "site-packages" in each]
    if "TF_PLUGGABLE_DEVICE_LIBRARY_PATH" in os.environ or any(each.is_dir() for each in plugins):
        return  # the whole package loads them
    os.environ["TF2_BEHAVIOR"] = "1"
    sys.modules["tensorflow"] = _Package("tensorflow", folder)
    # tf2onnx names a class of it that only SavedModels have.
    sys.modules["tensorflow.python.saved_model.load"] = None  # type: ignore[assignment]
    importlib.import_module("tensorflow.python.pywrap_tensorflow")
    importlib.import_module("tensorflow.python.tf2").enable()
    importlib.import_module("tensorflow.python.compat.v2_compat").enable_v2_behavior()
