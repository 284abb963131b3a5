"""Every command of the tutorials is run, in order, in one shell a page; the board is a real sshd on loopback."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from servers.sshd import BoardServer, board

__all__ = ["board"]  # a fixture

TUTORIALS = Path(__file__).resolve().parent.parent.parent / "docs" / "tutorials"


def script(page: str) -> list[str]:
    """Return the commands of a page; what follows the prompt's line without one of its own belongs to it."""
    text = (TUTORIALS / page).read_text("utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [command.strip("\n") for block in blocks for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]


def run(commands: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Run commands in one shell that ends at the first that fails, and says which."""
    text = "".join(f"echo '### {number}' >&2\n{command}\n" for number, command in enumerate(commands))
    done = subprocess.run(
        ["bash", "-e", "-c", text], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]


def environment(repository: Path, tmp_path: Path) -> dict[str, str]:
    """An environment in which `modelprep` is this checkout's, whatever else is installed."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "modelprep").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m modelprep "$@"\n')
    (programs / "modelprep").chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MODELPREP_")}
    return kept | {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(repository), "HOME": str(tmp_path)}


def test_the_recipe_of_the_tutorial_is_written_checked_and_prepared(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    run(script("own-recipe.md"), tmp_path / "work", environment(repository, tmp_path))
    assert (tmp_path / "work" / "out" / "Logo" / "models" / "logo.bin").read_bytes() == b"a model"


@pytest.mark.slow
def test_the_first_board_is_prepared_checked_and_served(
    repository: Path, tmp_path: Path, board: Callable[..., BoardServer]
) -> None:
    work = tmp_path / "work"
    made = {**os.environ, "PYTHONPATH": str(repository)}
    standin = [sys.executable, str(repository / "demo" / "standin.py")]
    # What `make demo` leaves, without installing anything.
    subprocess.run([*standin, "make", str(work / ".demo" / "upstream")], env=made, check=True, capture_output=True)
    overlay = [*standin, "overlay", str(work / ".demo" / "upstream"), str(work / ".demo" / "recipes")]
    subprocess.run(overlay, env=made, check=True, capture_output=True)
    commands = [command for command in script("first-board.md") if command not in ("make demo", ". .venv/bin/activate")]
    assert len(commands) >= 12
    server = board()
    ssh = server.ssh.replace("ssh ", f"{shutil.which('ssh')} ", 1)
    given = environment(repository, tmp_path) | {"MODELPREP_SSH": ssh}
    (tmp_path / "bin" / "ssh").write_text(f'#!/bin/sh\nexec {ssh} "$@"\n')
    (tmp_path / "bin" / "ssh").chmod(0o755)
    run(commands, work, given)
    assert (server.home / "ArmnnTests" / "MANIFEST.json").is_file()
    assert (work / "report.html").read_text("utf-8").lower().startswith("<!doctype html>")
