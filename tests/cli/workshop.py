"""A place to try the command in: recipes made on the spot, a server on loopback, a store and a tree of its own."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers.http import FaultServer

from modelprep.tree.journal import JOURNAL

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def object(self) -> dict[str, Any]:
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


class Workshop:
    """Everything that a run needs, below one folder."""

    def __init__(self, root: Path, server: FaultServer) -> None:
        self.root = root
        self.server = server
        self.recipes = root / "recipes"
        self.out = root / "out"
        self.cache = root / "cache"
        (self.recipes / "assets").mkdir(parents=True)
        (self.recipes / "things").mkdir()

    def recipe(self, name: str, text: str) -> Path:
        path = self.recipes / "things" / f"{name}.yaml"
        path.write_text(text)
        return path

    def simple(self, name: str, data: bytes, *, urls: str = "", install: str = "", more: str = "") -> Path:
        """Write a recipe of one asset; it is served unless urls say otherwise."""
        if not urls:
            urls = self.server.put(f"/{name}.bin", data)
        return self.recipe(
            name,
            f"schema: 1\ndemo: Demo-{name}\nsummary: a thing\nmanual: '1.1'\nstatus: ready\ntree: Things\n"
            f"assets:\n  {name}-file:\n    urls: [{urls}]\n    sha256: {sha256(data)}\n    size: {len(data)}\n"
            f"    pinned_by: the test\n    licence: {{name: MIT, source: the test}}\n"
            f"install:\n  {install or f'data/{name}.bin'}: ${name}-file\nrun: ./{name}\n{more}",
        )

    def arguments(self, command: str, *rest: object) -> list[str]:
        common = ["--recipes", str(self.recipes), "--out", str(self.out), "--cache", str(self.cache)]
        if command == "fetch":
            common.append("--no-archives")
        return [command, *(str(word) for word in rest), *common]

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "modelprep", *arguments]

    def environment(self) -> dict[str, str]:
        hidden = ("MODELPREP_CACHE", "MODELPREP_RECIPES", "NO_COLOR")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        return {**kept, "PYTHONPATH": str(REPOSITORY), "NO_PROXY": "*", "no_proxy": "*"}

    def start(self, command: str, *rest: object, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*self.arguments(command, *rest)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(),
            **options,
        )

    def run(self, command: str, *rest: object, preexec: Callable[[], None] | None = None) -> Ran:
        """Run the command in a process of its own."""
        process = self.start(command, *rest, preexec_fn=preexec)
        out, err = process.communicate(timeout=120)
        return Ran(process.returncode, out, err)

    def installed(self, tree: str = "Things") -> dict[str, bytes]:
        """Return the files of a tree, but for its own lists and journal."""
        folder = self.out / tree
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name not in ("MANIFEST.json", "SHA256SUMS", "run-tests.sh", JOURNAL)
        }


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)
