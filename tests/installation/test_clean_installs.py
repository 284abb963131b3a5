"""Wheel and sdist in clean environments: every Python from 3.10 on that is here, the oldest libraries, the extras."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from installation.clean import Clean, interpreter
from installation.installed import Installed, build
from packaging.requirements import Requirement

from modelprep.installed import DISTRIBUTION

DISTRIBUTIONS = "import importlib.metadata as found; print(*(each.name for each in found.distributions()))"


@pytest.fixture(scope="session")
def sdist(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(installed.source, tmp_path_factory.mktemp("sdist"), "sdist")


def about(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode(), headersonly=True)


def test_the_package_index_would_show_wheel_and_sdist(installed: Installed, sdist: Path) -> None:
    pytest.importorskip("twine", reason="checks what a package index shows of a distribution")
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", installed.wheel, sdist],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.count("PASSED") == 2


@pytest.mark.slow
@pytest.mark.parametrize("minor", range(10, 16))
def test_the_wheel_works_on_this_python(installed: Installed, tmp_path: Path, minor: int) -> None:
    clean = Clean(tmp_path / "environment", interpreter(minor))
    clean.install(installed.wheel)
    clean.smoke()


def oldest(requirement: Requirement) -> str:
    """Pin the first minor version that is allowed; of typer, which every command stands on, the very first."""
    (bound,) = (spec.version for spec in requirement.specifier if spec.operator == ">=")
    major, minor = (*bound.split("."), "0")[:2]
    return f"{requirement.name}=={major}.{minor}.{'0' if requirement.name == 'typer' else '*'}"


@pytest.mark.slow
def test_the_wheel_works_with_the_oldest_libraries_it_allows(installed: Installed, tmp_path: Path) -> None:
    needed = [Requirement(line) for line in about(installed.wheel).get_all("Requires-Dist") or ()]
    core = [requirement for requirement in needed if requirement.marker is None]
    assert "typer" in {requirement.name for requirement in core}
    clean = Clean(tmp_path / "environment", interpreter(10))
    clean.install(installed.wheel, *map(oldest, core))
    clean.smoke()


@pytest.mark.slow
def test_the_sdist_installs_as_the_wheel_does(sdist: Path, tmp_path: Path) -> None:
    clean = Clean(tmp_path / "environment")
    clean.install(sdist)
    clean.smoke()


def test_all_is_every_extra_but_those_with_environments_of_their_own(installed: Installed) -> None:
    needed = [Requirement(line) for line in about(installed.wheel).get_all("Requires-Dist") or ()]

    def of(extra: str) -> set[str]:
        return {need.name for need in needed if need.marker is not None and need.marker.evaluate({"extra": extra})}

    extras = set(about(installed.wheel).get_all("Provides-Extra") or ())
    assert {"tf", "onnx", "check", "bundle", "vela", "all"} <= extras
    assert of("all") == set().union(
        *(of(extra) for extra in extras - {"all", "labgrid", "vela", "quantise", "onnx2tf"})
    )


@pytest.mark.slow
def test_all_extras_of_the_wheel_bring_no_distribution_called_modelprep(installed: Installed, tmp_path: Path) -> None:
    """Every extra is installed but TensorFlow's: that is a gigabyte, and pip only resolves what it would add."""
    every = set(about(installed.wheel).get_all("Provides-Extra") or ()) - {"all", "vela", "quantise", "onnx2tf"}
    clean = Clean(tmp_path / "environment")
    clean.install(f"{installed.wheel}[{','.join(sorted(every - {'tf'}))}]")
    report = tmp_path / "report.json"
    resolved = clean.pip("install", "--dry-run", "--report", report, f"{installed.wheel}[all]")
    assert resolved.returncode == 0, resolved.stderr[-2000:]
    names = {entry["metadata"]["name"].lower() for entry in json.loads(report.read_text())["install"]}
    assert any(name.startswith("tensorflow") for name in names)
    names |= {name.lower() for name in clean.run("python", "-c", DISTRIBUTIONS).split()}
    assert {DISTRIBUTION, "onnxruntime", "zstandard", "s3fs", "pysocks"} <= names
    assert "modelprep" not in names
    clean.smoke()
