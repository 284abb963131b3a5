"""A workshop, and the command run within the test's own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli.workshop import Ran, Workshop
from servers.http import FaultServer

Run = Callable[..., Ran]


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    for name in ("MODELPREP_CACHE", "MODELPREP_RECIPES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.chdir(tmp_path)
    with FaultServer() as server:
        yield Workshop(tmp_path, server)


@pytest.fixture
def modelprep(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process (fast), with the workshop's recipes, tree and store."""
    from modelprep.cli.main import invoke

    def run(command: str, *rest: object, bare: bool = False) -> Ran:
        arguments = [command, *map(str, rest)] if bare else workshop.arguments(command, *rest)
        code = invoke(arguments)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run
