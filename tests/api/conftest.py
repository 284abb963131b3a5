"""The workshop of the command's tests, and a folder like that of somebody who types the examples of the documents."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.conftest import modelprep as command
from cli.conftest import workshop
from cli.workshop import REPOSITORY, Workshop

__all__ = ["command", "workshop"]

if str(REPOSITORY) not in sys.path:
    # The stand-in for the sources of the shipped recipes is no installed package.
    sys.path.insert(0, str(REPOSITORY))


@pytest.fixture
def here(workshop: Workshop) -> dict[str, object]:
    """Give what keeps a verb inside the workshop."""
    return {"out": workshop.out, "recipes": workshop.recipes}


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make small models at the addresses of the real ones: the folder of a mirror, and recipes with their digests."""
    pytest.importorskip("numpy", reason="the stand-in is fitted with numpy")
    from demo.standin import make, make_overlay

    folder = tmp_path_factory.mktemp("standin")
    make(folder / "mirror")
    make_overlay(folder / "mirror", folder / "recipes")
    return folder / "mirror", folder / "recipes"


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patched:
        yield patched
