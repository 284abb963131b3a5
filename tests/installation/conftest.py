"""One installation from a wheel for all tests that need one."""

from __future__ import annotations

import pytest
from installation.installed import Installed, install


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    pytest.importorskip("hatchling", reason="the wheel is built with hatchling")
    return install(tmp_path_factory.mktemp("wheel"))
