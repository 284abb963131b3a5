"""Fixtures that several packages of tests share."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent

# How long an example takes depends on the machine, which says nothing about the code.
settings.register_profile("modelprep", deadline=None)
settings.load_profile("modelprep")

# Workers of pytest-xdist are told of 80 columns, to which a command would fold its tables; a test that wants a width
# says so.
os.environ.pop("COLUMNS", None)

# A shell starts what it puts in the background with Ctrl-C ignored, and children inherit that: tests that send it to a
# command would then wait in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests come first, so that none of them is the last one, with the other workers waiting for it."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session", autouse=True)
def _temporary_files_stay_with_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever a test or a command that it starts leaves in the temporary folder goes with the tests' own files.

    A bug's traceback, for one, is kept on purpose, for the user who is told its path.
    """
    folder = str(tmp_path_factory.mktemp("tmp"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout that the tests run from."""
    return REPOSITORY


@pytest.fixture(scope="session")
def upstream() -> Path:
    """Real upstream files laid out ``<host>/<path>``, where the machine has them; never part of the checkout."""
    folder = Path(os.environ.get("MODELPREP_TEST_UPSTREAM", REPOSITORY.parent / "shared" / "upstream"))
    if not folder.is_dir():
        pytest.skip("the real upstream files are not on this machine (MODELPREP_TEST_UPSTREAM names their folder)")
    return folder


@pytest.fixture(scope="session")
def pycaffe() -> str:
    """A Python that has a real Caffe."""
    python = os.environ.get("MODELPREP_PYCAFFE")
    if not python:
        pytest.skip("no real Caffe here: MODELPREP_PYCAFFE names no Python that has one (docs/pycaffe.md)")
    return python
