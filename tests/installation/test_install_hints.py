"""The command in a hint installs this project's distribution, in the way in which this copy was installed."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from cli.workshop import REPOSITORY
from installation.installed import Installed

from modelprep.installed import DISTRIBUTION, install_command


def hint(installed: Installed, tmp_path: Path, *extras: str) -> list[str]:
    code = "import sys; from modelprep.installed import install_command; print(install_command(*sys.argv[1:]))"
    done = subprocess.run(
        [installed.folder / "bin" / "python", "-c", code, *extras],
        cwd=tmp_path, env=installed.environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return shlex.split(done.stdout)


def test_a_checkout_adds_the_extra_to_itself() -> None:
    words = shlex.split(install_command("check", "tf"))
    assert words == [sys.executable, "-m", "pip", "install", "--editable", f"{REPOSITORY}[check,tf]"]
    assert "--upgrade" in shlex.split(install_command("check", upgrade=True))


@pytest.mark.parametrize(
    ("mark", "content", "expected"),
    [
        ("", "", None),
        ("pipx_metadata.json", "{}", ["pipx", "install", "--force"]),
        ("uv-receipt.toml", "", ["uv", "tool", "install", "--force"]),
    ],
)
def test_each_installer_gets_its_own_command(
    installed: Installed, tmp_path: Path, mark: str, content: str, expected: list[str] | None
) -> None:
    path = installed.folder / mark if mark else None
    if path is not None:
        path.write_text(content)
    try:
        words = hint(installed, tmp_path, "check")
    finally:
        if path is not None:
            path.unlink()
    start = expected or [str(installed.folder / "bin" / "python"), "-m", "pip", "install"]
    assert words == [*start, f"{DISTRIBUTION}[check]"]


def test_an_environment_made_by_uv_has_no_pip_of_its_own(installed: Installed, tmp_path: Path) -> None:
    settings = installed.folder / "pyvenv.cfg"
    before = settings.read_text()
    settings.write_text(before + "uv = 0.9.1\n")
    try:
        words = hint(installed, tmp_path, "onnx")
    finally:
        settings.write_text(before)
    python = str(installed.folder / "bin" / "python")
    assert words == ["uv", "pip", "install", "--python", python, f"{DISTRIBUTION}[onnx]"]


def test_a_copy_installed_from_a_file_names_that_file(installed: Installed, tmp_path: Path) -> None:
    (about,) = installed.folder.glob("lib/python*/site-packages/modelprep_boards-*.dist-info")
    origin = about / "direct_url.json"
    origin.write_text(json.dumps({"url": installed.wheel.as_uri(), "archive_info": {}}))
    try:
        words = hint(installed, tmp_path, "bundle")
    finally:
        origin.unlink()
    assert words[-1] == f"{DISTRIBUTION}[bundle] @ {installed.wheel.as_uri()}"


def test_doctor_names_a_stranger_with_our_name(installed: Installed, tmp_path: Path) -> None:
    packages = installed.wheel_packages
    stranger = packages / "modelprep-3.1.dist-info"
    stranger.mkdir()
    (stranger / "METADATA").write_text("Metadata-Version: 2.1\nName: modelprep\nVersion: 3.1\n")
    try:
        told = json.loads(installed.run("doctor", "--json", cwd=tmp_path).stdout)["namesakes"]
    finally:
        (stranger / "METADATA").unlink()
        stranger.rmdir()
    assert len(told) == 1
    assert "'modelprep' 3.1" in told[0]
    assert "pip uninstall modelprep" in told[0]
    assert json.loads(installed.run("doctor", "--json", cwd=tmp_path).stdout)["namesakes"] == []


def test_doctor_names_a_command_of_another_installation_on_the_path(installed: Installed, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "bin" / "modelprep"
    other.parent.mkdir(parents=True)
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    path = f"{other.parent}:{os.environ['PATH']}"
    told = json.loads(installed.run("doctor", "--json", cwd=tmp_path, PATH=path).stdout)["namesakes"]
    assert [str(other) in one for one in told] == [True]
