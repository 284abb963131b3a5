"""What the stand-in is made of, made once in a run."""

from __future__ import annotations

import pytest
from once import demo_importable, standin_assets

demo_importable()


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    return standin_assets(tmp_path_factory)
