"""What is installed from a wheel works away from the checkout, and holds all that the checkout's own package has."""

from __future__ import annotations

import json
import stat
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from cli.workshop import REPOSITORY
from installation.installed import Installed, build

import modelprep


def members(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_every_file_of_the_package_and_every_recipe(installed: Installed) -> None:
    held = members(installed.wheel)
    listed = subprocess.run(
        ["git", "ls-files", "modelprep", "recipes"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("this is no git checkout: what belongs to the package cannot be told")
    for name in listed.stdout.splitlines():
        path = installed.source / name
        if not path.is_file():
            continue  # removed, and not committed yet
        inside = name.replace("recipes/", "modelprep/_recipes/", 1) if name.startswith("recipes/") else name
        assert held.get(inside) == path.read_bytes(), f"{inside} is not in the wheel, or is another file"
    for name in ("py.typed", "pages/style.css", "pages/check.html", "tree/run-tests.sh.in", "targets/armnn_tests.yaml"):
        assert f"modelprep/{name}" in held


def test_the_wheel_holds_nothing_else_but_the_man_page(installed: Installed) -> None:
    held = members(installed.wheel)
    for name in held:
        assert name.startswith(("modelprep/", f"modelprep_boards-{modelprep.__version__}.d")), name
        assert "__pycache__" not in name


def test_the_wheel_says_what_it_is(installed: Installed) -> None:
    held = members(installed.wheel)
    about = next(data.decode() for name, data in held.items() if name.endswith("/METADATA"))
    assert f"Version: {modelprep.__version__}\n" in about
    assert "License-Expression: Apache-2.0\n" in about
    assert "Requires-Dist: typer<0.29" in about
    assert any(name.endswith("/licenses/LICENSE") for name in held)
    scripts = next(data.decode() for name, data in held.items() if name.endswith("/entry_points.txt"))
    assert "modelprep = modelprep.cli.main:run" in scripts


def test_the_installed_command_works_in_another_folder(installed: Installed, tmp_path: Path) -> None:
    assert installed.run("--version", cwd=tmp_path).stdout == f"modelprep {modelprep.__version__}\n"
    found = installed.run("list", "--json", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    rows = json.loads(found.stdout)["demos"]
    shipped = {path.relative_to(REPOSITORY / "recipes").with_suffix("") for path in REPOSITORY.glob("recipes/*/*.yaml")}
    assert {row["recipe"] for row in rows} == {str(name) for name in shipped if name.parent.name != "assets"}
    shown = installed.run("show", "CaffeMnist-Armnn", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "t10k-images.idx3-ubyte" in shown.stdout


def test_the_man_page_lies_where_man_looks_for_it(installed: Installed) -> None:
    page = installed.folder / "share" / "man" / "man1" / "modelprep.1"
    assert page.read_bytes() == (installed.source / "docs" / "man" / "modelprep.1").read_bytes()


def test_what_it_imports_is_the_wheel_and_not_the_checkout(installed: Installed, tmp_path: Path) -> None:
    told = subprocess.run(
        [installed.folder / "bin" / "python", "-c", "import modelprep; print(modelprep.__file__)"],
        cwd=tmp_path, env=installed.environment(), capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    assert Path(told).is_relative_to(installed.folder)


def test_the_installed_command_needs_no_writable_installation(installed: Installed, tmp_path: Path) -> None:
    """Where it is installed for everybody, the store is the user's own, and nothing is written beside the code."""

    def code() -> set[Path]:
        """Return what lies there, but for the bytecode, which Python writes where it can."""
        return {path for path in (installed.folder / "lib").rglob("*") if "__pycache__" not in path.parts}

    before = code()
    found = installed.run("cache", "info", "--json", cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert found.returncode == 0, found.stderr
    assert Path(json.loads(found.stdout)["root"]).is_relative_to(tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []
    assert code() == before


@pytest.mark.slow
def test_the_sdist_builds_the_same_wheel(installed: Installed, tmp_path: Path) -> None:
    sdist = build(installed.source, tmp_path / "sdist", "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (folder,) = (tmp_path / "unpacked").iterdir()
    assert members(build(folder, tmp_path / "wheel")) == members(installed.wheel)


def test_files_that_are_run_or_sent_have_no_odd_permissions(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            assert not mode or stat.S_IMODE(mode) & 0o022 == 0, info.filename
