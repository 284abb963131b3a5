"""Debian's pyarmnn, a real Arm NN 20.08 on its reference backend, where it is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Tree

pytest.importorskip("numpy", reason="running the models needs the check extra")
PYTHON = "/usr/bin/python3"
DEMO, MODEL = "TfLiteMobilenetQuantized-Armnn", "mobilenet_v1_1.0_224_quant.tflite"


@pytest.fixture
def pyarmnn(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path(PYTHON).is_file() or subprocess.run([PYTHON, "-c", "import pyarmnn"], capture_output=True).returncode:
        pytest.skip("needs Debian's python3-pyarmnn, libarmnn-cpuref-backend22 and libarmnntfliteparser22")
    monkeypatch.setenv("MODELPREP_PYARMNN", PYTHON)


@pytest.mark.usefixtures("pyarmnn")
def test_the_stand_in_passes_in_arm_nn(tree: Tree) -> None:
    verdict = tree.judge(DEMO)
    assert verdict.runtime.startswith("pyarmnn")
    assert verdict.outcome == "passes"


@pytest.mark.usefixtures("pyarmnn")
def test_the_real_mobilenet_passes_in_arm_nn(real: Path) -> None:
    from modelprep.check.verdict import Files, judge
    from modelprep.targets.armnn_tests import of_version

    verdict = judge(of_version()[DEMO], Files(real / "models", real / "data"))
    assert verdict.runtime.startswith("pyarmnn")
    assert [case.got for case in verdict.cases] == [209, 283, 3]


def test_an_interpreter_that_is_not_there_is_told(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELPREP_PYARMNN", "/nowhere/python")
    verdict = tree.judge(DEMO)
    assert verdict.outcome == "unknown"
    assert "MODELPREP_PYARMNN" in verdict.message
