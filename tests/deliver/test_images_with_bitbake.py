"""A real BitBake takes the exported layer and the mirror: parsed, fetched without a network, unpacked, installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from deliver.conftest import TARGETS, Goods, modelprep

pytest.importorskip("bb", reason="needs BitBake's library: pip install bitbake-setup")
pytestmark = pytest.mark.slow

WORKER = Path(__file__).with_name("bitbake_worker.py")


def bitbake(layer: Path, work: Path, downloads: Path, release: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(WORKER), str(layer), str(work), str(downloads), release],
        capture_output=True, text=True, check=False, timeout=100,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def downloads(goods: Goods, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a DL_DIR with ``mirror --bitbake``."""
    folder = tmp_path_factory.mktemp("dl")
    ran = modelprep(
        "mirror", *TARGETS, folder / "downloads", "--bitbake", "--include-restricted", "--offline",
        "--mirror", goods.upstream, "--cache", folder / "cache", *goods.recipes, cwd=folder,
    )  # fmt: skip
    assert ran.code == (0 if goods.recipes else 3), ran.err  # nobody has the real shark
    return folder / "downloads"


@pytest.mark.parametrize("release", ["kirkstone", "scarthgap", "whinlatter"])
def test_what_bitbake_installs_is_the_tree(goods: Goods, downloads: Path, tmp_path: Path, release: str) -> None:
    layer = tmp_path / "meta-models"
    ran = goods.run("export", "yocto", *TARGETS, layer, "--release", release, "--include-restricted")
    assert ran.code == 0, ran.err
    done = bitbake(layer, tmp_path / "build", downloads, release)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert release in found["compatible"]
    assert len(found["recipes"]) == len(TARGETS) + 2
    rootfs = tmp_path / "rootfs"
    installed: list[str] = []
    for name, recipe in found["recipes"].items():
        assert set(recipe["needs"]) <= set(found["recipes"]), name
        assert all(path.startswith(recipe["packages"]) for path in recipe["installed"])
        installed += recipe["installed"]
        shutil.copytree(recipe["image"], rootfs, dirs_exist_ok=True)
    assert len(installed) == len(set(installed)), "two packages would own one file"
    tree = rootfs / "home/root/ArmnnTests"
    ours = {p.relative_to(goods.out / "ArmnnTests"): p.read_bytes() for p in goods.out.glob("ArmnnTests/*/*")}
    assert {p.relative_to(tree): p.read_bytes() for p in tree.glob("*/*")} == ours
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=tree, check=True)
    listed = subprocess.run(["sh", tree / "run-tests.sh", "-n"], check=True, capture_output=True, text=True).stdout
    assert len(listed.splitlines()) == len(TARGETS)
    # Rights that a builder has to accept are asked for, where there are such.
    flags = {recipe["flags"] for recipe in found["recipes"].values()} - {None}
    assert flags == ({"modelprep-restricted"} if goods.recipes else set())


def test_bitbake_refuses_a_download_with_a_flipped_bit(goods: Goods, downloads: Path, tmp_path: Path) -> None:
    layer, damaged = tmp_path / "meta-models", tmp_path / "downloads"
    assert goods.run("export", "yocto", "armnn-caffe/mnist", layer).code == 0
    shutil.copytree(downloads, damaged)
    [model] = damaged.glob("????????????-lenet_iter_9000.caffemodel")
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    done = bitbake(layer, tmp_path / "build", damaged, "scarthgap")
    assert done.returncode != 0
    # It sets the file aside under a name that says why, and would download it anew; there is no network here.
    assert list(damaged.glob("*lenet_iter_9000.caffemodel_bad-checksum_*"))
