"""The workshop of the command's tests, and a folder like that of somebody who types the examples of the documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.conftest import modelprep as command
from cli.conftest import workshop
from cli.workshop import Workshop
from once import standin_mirror

__all__ = ["command", "workshop"]


@pytest.fixture
def here(workshop: Workshop) -> dict[str, object]:
    """Return what keeps a verb inside the workshop."""
    return {"out": workshop.out, "recipes": workshop.recipes}


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Small models at the addresses of the real ones: the folder of a mirror, and recipes with their digests."""
    return standin_mirror(tmp_path_factory)


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patched:
        yield patched
