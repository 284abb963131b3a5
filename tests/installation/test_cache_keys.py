"""``modelprep cache key`` is the same from a wheel and from a checkout, in every environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli.workshop import REPOSITORY
from installation.installed import Installed

TARGET = "armnn-caffe/mnist"


@pytest.fixture(scope="module")
def usual(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> str:
    return key(installed, tmp_path_factory.mktemp("usual"))


def key(installed: Installed, cwd: Path, *arguments: str, **environment: str) -> str:
    ran = installed.run("cache", "key", *(arguments or (TARGET,)), cwd=cwd, **environment)
    assert ran.returncode == 0, ran.stderr
    text = ran.stdout.strip()
    assert len(text) == 64
    return text


@pytest.mark.parametrize(
    "environment",
    [
        {"TZ": "Asia/Tokyo"},
        {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
        {"LC_ALL": "C", "PYTHONUTF8": "0"},
        {"PYTHONHASHSEED": "1"},
        {"PYTHONHASHSEED": "4711", "PYTHONOPTIMIZE": "1"},
        {"HTTPS_PROXY": "http://proxy.example:3128"},
        {"SOURCE_DATE_EPOCH": "1"},
    ],
    ids=lambda changes: ",".join(changes),
)
def test_the_key_is_the_same_whatever_the_environment(
    installed: Installed, usual: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    assert key(installed, tmp_path, **environment) == usual


def test_the_key_is_the_same_in_a_checkout_in_another_home_and_with_another_store(
    installed: Installed, usual: str, tmp_path: Path
) -> None:
    checkout = subprocess.run(
        [sys.executable, "-m", "modelprep", "cache", "key", TARGET], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert checkout.strip() == usual
    (tmp_path / "store").mkdir()
    elsewhere = {"HOME": str(tmp_path), "MODELPREP_CACHE": str(tmp_path / "store")}
    assert key(installed, tmp_path, **elsewhere) == usual
    assert {path.name for path in (tmp_path / "store").iterdir()} <= {"catalogues"}  # recipes that were read


def test_the_key_of_several_targets_knows_no_order_and_no_repetition(installed: Installed, tmp_path: Path) -> None:
    one = key(installed, tmp_path, "armnn-onnx", "armnn-caffe/mnist")
    assert one == key(installed, tmp_path, "CaffeMnist-Armnn", "armnn-onnx")
    assert one == key(installed, tmp_path, "armnn-onnx/mnist", "armnn-caffe/mnist", "armnn-onnx", "armnn-onnx")
    assert one != key(installed, tmp_path, "armnn-onnx")
