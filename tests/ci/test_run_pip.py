"""What `make` shows while it installs: ``tools/run_pip.py``, with the real pip, without a network."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parent.parent.parent / "tools" / "run_pip.py"


@pytest.fixture(scope="module")
def run_pip() -> Any:
    spec = importlib.util.spec_from_file_location("run_pip", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def install(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "install", "--no-index", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_is_installed_is_said_and_pip_itself_is_silent() -> None:
    result = install("pip")
    assert result.returncode == 0
    first, last = result.stdout.splitlines()
    assert first.startswith("Installing ")
    assert last.startswith("  installed in ")


def test_when_pip_fails_its_words_and_its_status_are_passed_on() -> None:
    result = install("no-distribution-has-this-name")
    assert result.returncode == 1
    assert "ERROR: No matching distribution found for no-distribution-has-this-name" in result.stdout
    assert "installed in" not in result.stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("install --editable .", "modelprep"),
        ("install --editable .[check,onnx]", "modelprep with check,onnx"),
        ("install --group dev", "the packages of the group dev"),
        ("install kendryte-caffe numpy<2", "kendryte-caffe numpy<2"),
        ("install --upgrade pip>=25.1", "pip>=25.1"),
    ],
)
def test_a_command_line_is_told_in_words(run_pip: Any, words: str, text: str) -> None:
    assert run_pip.what(words.split()) == text


def test_the_lines_of_pip_say_what_it_is_doing(run_pip: Any) -> None:
    state = run_pip.State()
    assert state.text(0.2) == "0 s, 0 packages found, starting"
    state.read("Collecting requests>=2.31 (from modelprep-boards==0.2.0)\n")
    assert state.text(1) == "1 s, 1 package found, looking up requests"
    state.read("  Downloading https://example.org/numpy-2.1.0-cp312-cp312-manylinux_2_17_x86_64.whl (16.3 MB)\n")
    assert state.doing == "downloading numpy (16.3 MB)"
    state.read("Building wheels for collected packages: caffe\n")
    state.read("  Building wheel for caffe (pyproject.toml): started\n")
    assert state.doing == "building caffe"
    state.read("Installing collected packages: numpy, requests\n")
    assert state.doing == "writing them"
