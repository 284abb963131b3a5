"""A CI machine: a fresh checkout with a ``modelprep`` on its path, and what of GitHub the workflow asks for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.conftest import workshop
from cli.workshop import Workshop

__all__ = ["workshop"]

REPOSITORY = Path(__file__).resolve().parent.parent.parent


class Machine:
    """A machine of its own for each job; what outlives it is handed in and out as a CI does.

    Parameters
    ----------
    caches
        Key -> folder; the CI's cache, shared by all machines.
    """

    def __init__(self, folder: Path, workshop: Workshop, caches: dict[str, Path]) -> None:
        self.workspace = folder / "workspace"
        self.caches = caches
        (self.workspace / "docs").mkdir(parents=True)
        shutil.copy(REPOSITORY / "docs" / "annotations.jq", self.workspace / "docs")
        for name in ("modelprep.lock", "models.key"):
            if (workshop.root / name).is_file():
                shutil.copy(workshop.root / name, self.workspace)
        (folder / "bin").mkdir()
        self.program(folder / "bin" / "modelprep", f'exec "{sys.executable}" -m modelprep "$@"')
        self.program(folder / "bin" / "pip", '[ "$1" = install ] && [ $# = 2 ]')
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MODELPREP", "GITHUB"))}
        self.environment = {
            **kept, "PATH": f"{folder / 'bin'}:{kept['PATH']}", "PYTHONPATH": str(REPOSITORY), "NO_PROXY": "*",
            "HOME": str(folder), "MODELPREP_RECIPES": str(workshop.recipes),
        }  # fmt: skip

    def program(self, path: Path, text: str) -> None:
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def shell(self, lines: str, environment: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "--noprofile", "--norc", *options, "-c", lines], cwd=self.workspace,
            env={**self.environment, **environment}, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def restore(self, key: str, *, prefix: str | None = None) -> bool:
        """Bring the cache of a key, else the newest whose key begins with a prefix; True for the key itself."""
        near = [each for each in self.caches if prefix is not None and each.startswith(prefix)]
        found = key if key in self.caches else near[-1] if near else None
        if found is not None:
            shutil.copytree(self.caches[found], self.workspace / "cache", dirs_exist_ok=True)
        return found == key

    def save(self, key: str, folder: Path) -> None:
        if key not in self.caches and (self.workspace / "cache").is_dir():
            self.caches[key] = shutil.copytree(self.workspace / "cache", folder)


def filled(value: Any, known: Mapping[str, str]) -> Any:
    """Put values where a workflow has ``${{ expressions }}``; one that is not known is an error."""
    if isinstance(value, dict):
        return {key: filled(item, known) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, known) for item in value]
    return re.sub(r"\$\{\{\s*(.*?)\s*\}\}", lambda m: known[m[1]], value) if isinstance(value, str) else value
