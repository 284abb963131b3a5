"""Clean environments: nothing in them but what a package index gives."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

#: What is tried of an installation with the core only: the command, the packaged recipes, every module.
SMOKE = """\
import pkgutil, importlib, modelprep
for found in pkgutil.walk_packages(modelprep.__path__, "modelprep."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
print(modelprep.__file__)
"""


def interpreter(minor: int) -> str:
    """Find Python 3.<minor> on the PATH or among pyenv's, or skip and say so."""
    name = f"python3.{minor}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for path in [shutil.which(name), *sorted(map(str, pyenv.glob(f"3.{minor}.*/bin/python")))]:
        if path is None:
            continue
        told = subprocess.run(
            [path, "-c", "import sys, venv; print(*sys.version_info[:2], sep='.')"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if told.stdout.strip() == f"3.{minor}":
            return path
    pytest.skip(f"no Python 3.{minor} on this machine")


class Clean:
    """A virtual environment of an interpreter, and what is done in it, without a setting of ours or of a checkout."""

    def __init__(self, folder: Path, python: str = sys.executable) -> None:
        subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
        self.folder = folder
        self.python = folder / "bin" / "python"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("MODELPREP", "PYTHON"))}
        self.environment |= {"HOME": str(folder), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        self.environment["PIP_CACHE_DIR"] = os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))

    def install(self, *arguments: str | Path) -> None:
        """Install with the pip of the tests; skip where no package index answers."""
        done = self.pip("install", *arguments)
        if re.search(r"NewConnectionError|Temporary failure in name resolution|Network is unreachable", done.stderr):
            pytest.skip("no package index can be asked here")
        assert done.returncode == 0, done.stderr[-2000:]

    def pip(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run pip on this environment."""
        return subprocess.run(
            [sys.executable, "-m", "pip", "--python", self.python, *map(str, arguments), "--quiet"],
            env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def run(self, *command: str | Path) -> str:
        """Run a program of this environment in its own folder, and return what it printed."""
        program = self.folder / "bin" / command[0]
        done = subprocess.run(
            [program, *map(str, command[1:])], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def smoke(self) -> None:
        """Try the command, the recipes and every module; warnings about our own code are errors."""
        assert self.run("modelprep", "--version").startswith("modelprep ")
        assert "CaffeMnist-Armnn" in self.run("modelprep", "list")
        assert "--set" in self.run("modelprep", "fetch", "--help")
        assert self.run("modelprep", "show", "armnn-onnx/mnist")
        assert Path(self.run("python", "-c", SMOKE).strip()).is_relative_to(self.folder)
