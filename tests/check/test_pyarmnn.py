"""Debian's pyarmnn, a real Arm NN 20.08 on its reference backend, where it is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from detectors import ssd_model

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
    from modelprep.check.types import Files
    from modelprep.check.verdict import judge
    from modelprep.targets.armnn_tests import of_version

    verdict = judge(of_version()[DEMO], Files(real / "models", real / "data"))
    assert verdict.runtime.startswith("pyarmnn")
    assert [case.got for case in verdict.cases] == [209, 283, 3]


@pytest.mark.usefixtures("pyarmnn")
def test_a_small_detector_is_judged_by_arm_nn_as_by_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelprep.check.types import Files
    from modelprep.check.verdict import judge
    from modelprep.targets.armnn_tests import of_version

    image = pytest.importorskip("PIL.Image", reason="the test picture is written with Pillow")
    image.new("RGB", (30, 40), (200, 10, 10)).save(tmp_path / "Cat.jpg", "PNG")
    test, files = of_version("20.08")["TfLiteMobileNetSsd-Armnn"], Files(tmp_path, tmp_path)
    cat = (16, 203 / 256, test.cases[0].box)
    faint = (2, 0.7, (0.0, 0.0, 0.2, 0.3))
    for found, message in (
        ([cat], ""),
        ([cat, faint], "Number of detections is incorrect: Expected (1) but got (2)"),
        (
            [(17, 203 / 256, test.cases[0].box)],
            "Prediction for test case 0 is incorrect: Expected (16) but predicted (17)",
        ),
    ):
        (tmp_path / test.model).write_bytes(ssd_model(found))
        theirs = judge(test, files)
        assert (theirs.runtime[:7], theirs.message) == ("pyarmnn", message)
        with monkeypatch.context() as patch:
            patch.delenv("MODELPREP_PYARMNN")
            ours = judge(test, files)
        assert ours.message == message
        for one, other in zip(ours.cases[0].found, theirs.cases[0].found, strict=True):
            assert one.box == pytest.approx(other.box, rel=1e-5)
            assert (one.number, one.score) == (other.number, other.score)


def test_an_interpreter_that_is_not_there_is_told(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    # The process that runs the models is there already, and hears of the change both ways.
    monkeypatch.delenv("MODELPREP_PYARMNN", raising=False)
    assert tree.judge(DEMO).outcome == "passes"
    monkeypatch.setenv("MODELPREP_PYARMNN", "/nowhere/python")
    verdict = tree.judge(DEMO)
    assert verdict.outcome == "unknown"
    assert "MODELPREP_PYARMNN" in verdict.message
    monkeypatch.delenv("MODELPREP_PYARMNN")
    assert tree.judge(DEMO).outcome == "passes"
