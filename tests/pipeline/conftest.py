"""A workshop (see tests/cli) for the pipeline itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.workshop import Workshop
from servers.http import FaultServer


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    for name in ("MODELPREP_CACHE", "MODELPREP_RECIPES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    with FaultServer() as server:
        yield Workshop(tmp_path, server)
