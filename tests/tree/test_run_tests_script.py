"""run-tests.sh under real small shells, with stand-ins for the board's programs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from modelprep.errors import RecipeError
from modelprep.tree.runtests import BoardCommand, script

SHELLS = [
    pytest.param(command, id=command[0] if len(command) == 1 else "busybox")
    for command in (["busybox", "sh"], ["dash"], ["sh"])
    if shutil.which(command[0])
]
COMMANDS = (
    BoardCommand("CaffeMnist-Armnn", "CaffeMnist-Armnn --data-dir=data --model-dir=models", takes_backends=True),
    BoardCommand("TfMnist-Armnn", "TfMnist-Armnn --data-dir=data --model-dir=models", takes_backends=True),
    BoardCommand("benchmark", "./benchmark_model --graph='a model.tflite'", takes_backends=False),
    BoardCommand("OnnxMnist-Armnn", "OnnxMnist-Armnn -d data", takes_backends=True),
    BoardCommand("needs-nothing", "", takes_backends=False),
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with three stand-in programs, one of which fails, and one program missing."""
    folder = tmp_path / "ArmnnTests"
    (folder / "models").mkdir(parents=True)
    model = folder / "models" / "lenet.caffemodel"
    model.write_bytes(b"weights")
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(b'weights').hexdigest()}  models/lenet.caffemodel\n")
    for name, body in (
        ("CaffeMnist-Armnn", 'echo "called with $*"; echo "Overall accuracy: 1.000"'),
        ("TfMnist-Armnn", 'echo "Prediction for test case 0 (7) is incorrect (should be <3>)" >&2; echo bye; exit 1'),
        ("benchmark_model", 'echo "bench $*"'),
    ):
        program = folder / name
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
    (folder / "run-tests.sh").write_text(script(COMMANDS))
    return folder


def run(shell: list[str], tree: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*shell, str(tree / "run-tests.sh"), *arguments],
        capture_output=True, text=True, cwd="/", env={**os.environ, **extra}, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_every_demo_is_run_and_judged_by_its_exit_status(shell: list[str], tree: Path) -> None:
    done = run(shell, tree)
    assert done.returncode == 1, done.stderr
    rows = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()[1:5]}
    assert rows == {
        "CaffeMnist-Armnn": "passed",
        "TfMnist-Armnn": "FAILED",
        "benchmark": "passed",
        "OnnxMnist-Armnn": "missing",
    }
    assert "Prediction for test case 0 (7) is incorrect (should be <3>)" in done.stdout
    assert "2 passed, 1 failed, 1 without a program" in done.stdout
    log = (tree / "run-tests.log").read_text()
    assert "Overall accuracy: 1.000" in log
    assert "bench --graph=a model.tflite" in log


@pytest.mark.parametrize("shell", SHELLS)
def test_names_choose_and_backends_are_passed_on_to_armnn_tests_only(shell: list[str], tree: Path) -> None:
    done = run(shell, tree, "-c", "CpuRef", "-c", "CpuAcc", "CaffeMnist", "benchmark")
    assert done.returncode == 0, done.stdout + done.stderr
    log = (tree / "run-tests.log").read_text()
    assert "called with --data-dir=data --model-dir=models -c CpuRef -c CpuAcc" in log
    assert "bench --graph=a model.tflite\n" in log
    assert "TfMnist" not in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_listing_runs_nothing(shell: list[str], tree: Path) -> None:
    done = run(shell, tree, "-n")
    assert done.returncode == 0
    assert "CaffeMnist-Armnn --data-dir=data --model-dir=models" in done.stdout
    assert not (tree / "run-tests.log").exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_damaged_files_stop_it_before_anything_is_run(shell: list[str], tree: Path) -> None:
    (tree / "models" / "lenet.caffemodel").write_bytes(b"weighty")
    done = run(shell, tree)
    assert done.returncode == 3
    assert "models/lenet.caffemodel" in done.stdout
    assert "called with" not in (tree / "run-tests.log").read_text()
    assert run(shell, tree, "-s").returncode == 1


@pytest.mark.parametrize("shell", SHELLS)
def test_an_unknown_name_is_wrong_usage(shell: list[str], tree: Path) -> None:
    done = run(shell, tree, "CafeMnist")
    assert done.returncode == 2
    assert "CaffeMnist-Armnn" in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_the_junit_report_is_well_formed_and_says_the_same(shell: list[str], tree: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    run(shell, tree, "-j", str(report))
    suite = ET.parse(report).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "1", "1")
    failure = suite.find("testcase[@name='TfMnist-Armnn']/failure")
    assert failure is not None
    assert "(should be <3>)" in str(failure.get("message"))


@pytest.mark.parametrize("shell", SHELLS)
def test_programs_may_lie_elsewhere(shell: list[str], tree: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "bin"
    elsewhere.mkdir()
    (elsewhere / "OnnxMnist-Armnn").write_text("#!/bin/sh\nexit 0\n")
    (elsewhere / "OnnxMnist-Armnn").chmod(0o755)
    assert run(shell, tree, "OnnxMnist", MODELPREP_BIN=str(elsewhere)).returncode == 0


@pytest.mark.parametrize("bad", ["a; rm -rf b", "a | b", "a $(b)", "a `b`", "a > b", "'unclosed", "a\nb"])
def test_a_command_that_is_more_than_a_command_is_refused(bad: str) -> None:
    with pytest.raises(RecipeError, match="one simple command"):
        script([BoardCommand("x", bad, takes_backends=False)])


def test_the_same_demos_give_the_same_script() -> None:
    assert script(COMMANDS) == script(list(COMMANDS))
    assert "needs-nothing" not in script(COMMANDS)
