"""The types that the package ships are those a program is held to, from an installation of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from cli.workshop import REPOSITORY

#: A line ends in ``# E: words`` where the type checker has to object.
PROGRAM = '''
"""A program of somebody who uses the library."""

from __future__ import annotations

from pathlib import Path

import modelprep
from modelprep import Event, ModelprepError, Report
from modelprep.api import fetch as same
from modelprep.audit import AuditReport
from modelprep.check.lint.findings import Finding
from modelprep.deliver.bundle import Bundled
from modelprep.deliver.one_board import Deployment
from modelprep.events import Listener
from modelprep.pipeline.deploying import BoardOutcome, Deployments
from modelprep.pipeline.mirroring import Mirrored
from modelprep.pipeline.run.report import DemoReport


def prepare(targets: list[str], out: Path, listen: Listener) -> Report:
    try:
        return modelprep.fetch(targets, out=out, mirrors=[Path("mirror"), "https://mirror.example"], listen=listen)
    except modelprep.errors.Interrupted as error:
        raise SystemExit(error.exit_code) from None
    except ModelprepError as error:
        print(error.what, error.hint or "")
        raise


def verdicts(out: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for checked in modelprep.check("all", out=out):
        if checked.verdict is not None:
            found[checked.recipe.demo] = checked.verdict.outcome
        print(checked.verdict.outcome)  # E: has no attribute "outcome"
    return found


def quiet(event: Event) -> str:
    return event.kind


def main() -> int:
    events: list[Event] = []
    report = prepare(["armnn-onnx"], Path("out"), events.append)
    same("armnn-onnx", listen=quiet)
    first: DemoReport = report.demos[0]
    first.files = ()  # E: read-only
    modelprep.fetch("armnn-onnx", ofline=True)  # E: Unexpected keyword argument
    modelprep.fetch("armnn-onnx", "out")  # E: to "fetch"
    modelprep.fetch(jobs=2)  # E: Missing positional argument
    modelprep.fetch("x", jobs="2")  # E: Argument "jobs"
    modelprep.fetch("x", listen=print)
    modelprep.fetch("x", listen=len)  # E: Argument "listen"
    modelprep.fecth("x")  # E: has no attribute "fecth"
    plan: modelprep.Plan = modelprep.plan("x", overrides={"logo": Path("logo.png")})
    number: str = plan.bytes_to_come  # E: Incompatible types in assignment
    sent: Deployment = modelprep.deploy("x", "root@board", run=True, compute=["CpuRef"])
    all_sent: Deployments = modelprep.deploy_many("x", ["root@a", "root@b"], retries=2)
    one: BoardOutcome = all_sent.boards[0]
    packed: Bundled = modelprep.bundle("x", Path("x.zip"))
    mirrored: Mirrored = modelprep.mirror("x", "folder")
    found: tuple[Finding, ...] = modelprep.lint("x.onnx")
    audited: AuditReport = modelprep.audit()
    lost: int = len(audited.lost)
    print(number, sent.ok, one.exit_status, packed.sha256, mirrored.exit_code, found[0].serious, lost)
    return report.exit_code
'''


@pytest.mark.slow
@pytest.mark.slow
def test_a_program_is_held_to_the_types(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="the program is held to the types")
    # An environment in which the package is installed: only then does it matter that it says it is typed.
    venv.create(tmp_path / "venv", with_pip=False)
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (packages / "modelprep.pth").write_text(f"{REPOSITORY}\n")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    ran = subprocess.run(
        [
            sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}/cache",
            f"--python-executable={tmp_path}/venv/bin/python", "--no-error-summary", "program.py",
        ],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert ran.stderr == ""
    told = [re.fullmatch(r"program\.py:(\d+): (error|note): (.*)", line) for line in ran.stdout.splitlines()]
    assert all(told), ran.stdout
    got = {int(match[1]): match[3] for match in told if match is not None and match[2] == "error"}
    wanted = {
        number: line.partition("# E: ")[2] for number, line in enumerate(PROGRAM.splitlines(), 1) if "# E: " in line
    }
    assert set(got) == set(wanted), ran.stdout
    assert len(wanted) == 9
    for number, words in wanted.items():
        assert words in got[number]
