"""A real Caffe that stays for all the nets of a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from oracles import Caffe


@pytest.fixture(scope="session")
def caffe(pycaffe: str) -> Iterator[Caffe]:
    """A process with a real Caffe."""
    process = Caffe(pycaffe)
    yield process
    process.close()
