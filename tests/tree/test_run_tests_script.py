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


def run(
    shell: list[str], tree: Path, *arguments: str, errors: str = "strict", **extra: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*shell, str(tree / "run-tests.sh"), *arguments],
        capture_output=True, text=True, errors=errors, cwd="/", env={**os.environ, **extra}, check=False, timeout=60,
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
def test_a_demo_that_hangs_is_ended_and_the_next_ones_run(shell: list[str], tree: Path) -> None:
    (tree / "TfMnist-Armnn").write_text("#!/bin/sh\ntrap '' TERM\necho begun\nexec sleep 60\n")
    done = run(shell, tree, "-t", "1", "Mnist", "benchmark")
    assert done.returncode == 1, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("TfMnist")]
    assert "FAILED" in row
    assert row.endswith("no end after 1 s: begun")
    assert "2 passed, 1 failed, 1 without a program" in done.stdout
    assert run(shell, tree, "-t", "soon").returncode == 2


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
    assert suite.get("name") == "ArmnnTests"
    assert "called with --data-dir=data" in str(suite.findtext("testcase[@name='CaffeMnist-Armnn']/system-out"))


#: What a test program may print, and what of it a report can hold.
HOSTILE = {
    "control": (bytes(range(32)) + b"\x7f end", "end"),
    "markup": (b"</testcase> <![CDATA[ ]]> &amp; &#0; \"quoted\" 'single' <b>", "&amp; &#0; \"quoted\" 'single' <b>"),
    "latin": (b"caf\xe9 \xff\xfe \xc3", "caf? ?? ?"),
    "utf-8": ("\u00e9\u4e2d\ufffe\U0001f600 end".encode(), "end"),
    "terminal": (b"\x1b]0;title\x07\x1b[31mred", "[31mred"),
    "nothing": (b"", ""),
    "one long line": (b"x" * 100_000, "xxxx"),
    "percent": (b"%s %d %n \\n \\0 $(id) `id`", "%s %d %n \\n \\0 $(id) `id`"),
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", HOSTILE)
def test_no_output_of_a_test_breaks_the_report(shell: list[str], tree: Path, tmp_path: Path, name: str) -> None:
    printed, held = HOSTILE[name]
    (tree / "printed").write_bytes(printed)
    (tree / "CaffeMnist-Armnn").write_text("#!/bin/sh\ncat printed\nexit 1\n")
    report = tmp_path / "report.xml"
    done = run(shell, tree, "-j", str(report), "CaffeMnist", LC_ALL="C.UTF-8", errors="replace")
    assert done.returncode == 1
    data = report.read_bytes()
    assert len(data) < 1 << 17
    case = ET.fromstring(data).find("testcase")
    assert case is not None
    assert held in (case.findtext("system-out") or "")
    assert held in str(case.find("failure").get("message"))  # type: ignore[union-attr]
    # The table goes to a terminal: nothing in it may give that orders.
    assert "\x1b" not in done.stdout
    if printed:
        assert printed in (tree / "run-tests.log").read_bytes()


@pytest.mark.parametrize("shell", SHELLS)
def test_damaged_files_are_in_the_report_too(shell: list[str], tree: Path, tmp_path: Path) -> None:
    (tree / "models" / "lenet.caffemodel").write_bytes(b"weighty")
    assert run(shell, tree, "-j", str(tmp_path / "r.xml")).returncode == 3
    suite = ET.parse(tmp_path / "r.xml").getroot()
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")
    assert "models/lenet.caffemodel" in str(suite.findtext("testcase/error"))


@pytest.mark.parametrize("shell", SHELLS)
def test_files_are_named_from_where_the_caller_stands(shell: list[str], tree: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [*shell, "ArmnnTests/run-tests.sh", "-j", "r.xml", "-l", "r.log", "CaffeMnist"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r.xml").is_file()
    assert "Overall accuracy" in (tmp_path / "r.log").read_text()
    assert f"log: {tmp_path / 'r.log'}" in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_a_report_that_cannot_be_written_is_said_before_anything_runs(shell: list[str], tree: Path) -> None:
    done = run(shell, tree, "-j", "/no/such/folder/r.xml")
    assert done.returncode == 2
    assert "/no/such/folder/r.xml cannot be written" in done.stderr
    assert "called with" not in (tree / "run-tests.log").read_text()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_whole_name_is_that_demo_and_a_part_is_all_that_have_it(shell: list[str], tree: Path) -> None:
    names = ("mobilenet", "mobilenet-ssd", "ssd")
    commands = [BoardCommand(name, f"echo {name}", takes_backends=False) for name in names]
    (tree / "run-tests.sh").write_text(script(commands))

    def ran(*words: str) -> list[str]:
        done = run(shell, tree, "-s", "-n", *words)
        return [line.split()[0] for line in done.stdout.splitlines()] if done.returncode == 0 else [done.stderr]

    assert ran("mobilenet") == ["mobilenet"]
    assert ran("mob") == ["mobilenet", "mobilenet-ssd"]
    assert ran("ssd", "mobilenet-") == ["mobilenet-ssd", "ssd"]
    assert ran() == list(names)
    for wrong in ("", "net ssd", "*"):
        assert "no demo here" in ran(wrong)[0]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_crash_is_told_and_a_test_that_reads_finds_nothing(shell: list[str], tree: Path) -> None:
    (tree / "CaffeMnist-Armnn").write_text("#!/bin/sh\nkill -SEGV $$\n")
    (tree / "TfMnist-Armnn").write_text("#!/bin/sh\ncat\nexit 0\n")
    done = run(shell, tree, "Mnist")
    assert "killed by signal 11" in done.stdout
    assert "1 passed, 1 failed" in done.stdout


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


@pytest.mark.parametrize("shell", SHELLS)
def test_names_of_all_kinds_touch_neither_the_script_nor_one_another(tree: Path, shell: list[str]) -> None:
    names = ["$(touch PWNED)", "a;touch PWNED", "it's", 'say "x"', "good", "*", "a\nb", "`id`", "A&B", "\x1b[31mred"]
    commands = [BoardCommand(name, f"echo 'ran {number}'", takes_backends=False) for number, name in enumerate(names)]
    # Programs that are called like functions of the script are still programs.
    commands += [BoardCommand("report", "./report 1 2", takes_backends=False), BoardCommand("xml", "./xml", False)]
    for name in ("report", "xml"):
        (tree / name).write_text("#!/bin/sh\nexit 0\n")
        (tree / name).chmod(0o755)
    (tree / "run-tests.sh").write_text(script(commands))
    listed = run(shell, tree, "-n")
    assert len(listed.stdout.splitlines()) == len(commands)
    done = run(shell, tree, "-s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(commands)} passed" in done.stdout
    assert "\x1b" not in listed.stdout + done.stdout
    assert not (tree / "PWNED").exists()
    assert run(shell, tree, "-s", "good").stdout.count("passed") == 2
    assert run(shell, tree, "-s", "goo*").returncode == 2
