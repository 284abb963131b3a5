"""The stand-in is no installed package: it is found in the checkout that the tests belong to."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).resolve().parents[2]
if str(_REPOSITORY) not in sys.path:
    sys.path.insert(0, str(_REPOSITORY))

pytest.importorskip("numpy", reason="the stand-in is fitted with numpy")


@pytest.fixture(scope="session")
def made():
    from demo.families import make_all

    return make_all()
