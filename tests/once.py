"""What is expensive to make is made once in a run of the tests, whatever number of workers it has."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from demo.families import Made

REPOSITORY = Path(__file__).resolve().parent.parent


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that all workers share; the first one that asks makes it, the others wait.

    Parameters
    ----------
    name
        Of the folder; one maker each.
    make
        Fills the folder that it is given. Nobody may change it afterwards.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, finished = root / f"once-{name}", root / f"once-{name}.finished"
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():  # not the folder by itself: its maker may have failed, for all workers alike
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            finished.touch()
    return folder


def demo_importable() -> None:
    """Make `demo` importable: the stand-in is no installed package, it is found in the checkout of the tests."""
    pytest.importorskip("numpy", reason="the stand-in is fitted with numpy")
    if str(REPOSITORY) not in sys.path:
        sys.path.insert(0, str(REPOSITORY))


def standin_assets(factory: pytest.TempPathFactory) -> dict[str, Made]:
    """Return the assets of the demo's stand-in, which are fitted and drawn; by asset id."""
    demo_importable()

    def make(folder: Path) -> None:
        from demo.families import make_all

        (folder / "assets.pickle").write_bytes(pickle.dumps(make_all()))

    found: dict[str, Any] = pickle.loads((once(factory, "standin-assets", make) / "assets.pickle").read_bytes())
    return found


def standin_mirror(factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the stand-in as a mirror, and the recipes that go with it. Both are shared: read only."""
    made = standin_assets(factory)

    def make(folder: Path) -> None:
        from demo import layout
        from demo.standin import RECIPES, make_overlay
        from modelprep.recipe.catalogue import SharedAssets

        layout.write(folder / "mirror", layout.addresses(SharedAssets([RECIPES / "assets"]), made))
        make_overlay(folder / "mirror", folder / "recipes")

    folder = once(factory, "standin-mirror", make)
    return folder / "mirror", folder / "recipes"
