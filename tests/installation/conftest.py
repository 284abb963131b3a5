"""A wheel for all tests, and an installation from it for each worker: some tests put marks into it."""

from __future__ import annotations

import pytest
from installation.installed import Installed, install, wheel_of_the_checkout
from once import once


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    pytest.importorskip("hatchling", reason="the wheel is built with hatchling")
    return install(once(tmp_path_factory, "wheel", wheel_of_the_checkout), tmp_path_factory.mktemp("wheel"))
