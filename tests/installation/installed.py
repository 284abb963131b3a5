"""The package as a user gets it: built into a wheel from this checkout, installed into an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

from cli.workshop import REPOSITORY

#: What an sdist holds, hence what a wheel is built from.
SOURCES = (
    "modelprep",
    "recipes",
    "docs",
    "conda",
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "Makefile",
    "pyproject.toml",
)


def sources(folder: Path) -> Path:
    """Copy what the wheel is built from; the checkout itself is not touched."""
    folder.mkdir(parents=True)
    for name in SOURCES:
        path = REPOSITORY / name
        if path.is_dir():
            shutil.copytree(path, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(path, folder / name)
    return folder


def build(source: Path, target: Path, kind: str = "wheel") -> Path:
    """Build a wheel or sdist with the build backend that is installed here; opens no socket."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target)]
    made = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    (path,) = target.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return path


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it; what the package needs is borrowed from the environment of the tests."""

    folder: Path
    wheel: Path
    source: Path

    @property
    def program(self) -> Path:
        """The command, as a user calls it."""
        return self.folder / "bin" / "modelprep"

    @property
    def wheel_packages(self) -> Path:
        """The folder that the wheel was unpacked into."""
        (packages,) = (self.folder / "lib").glob("python*/site-packages")
        return packages

    def run(self, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command somewhere, with an environment of its own."""
        return subprocess.run(
            [str(self.program), *arguments], cwd=cwd, env=self.environment(**environment), capture_output=True,
            text=True, check=False, timeout=120,
        )  # fmt: skip

    def environment(self, **changes: str) -> dict[str, str]:
        """Return an environment in which neither the checkout nor a setting of ours is to be found."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MODELPREP", "PYTHON"))}
        return {**kept, "HOME": str(self.folder), "PATH": f"{self.folder / 'bin'}:{kept['PATH']}", **changes}


def wheel_of_the_checkout(folder: Path) -> None:
    """Build the wheel in ``dist``, from a copy of the checkout in ``source``."""
    build(sources(folder / "source"), folder / "dist")


def install(built: Path, folder: Path) -> Installed:
    """Unpack the wheel that was built into a new environment, as an installer would."""
    source = built / "source"
    (wheel,) = (built / "dist").glob("*.whl")
    home = folder / "environment"
    venv.create(home, with_pip=False)
    (packages,) = (home / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            _, _, rest = name.partition(".data/data/")
            if rest:
                target = home / rest
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))
            else:
                archive.extract(name, packages)
    # The libraries that it needs, without any modelprep that is installed beside them; an editable installation of the
    # checkout comes through a .pth of its own, which a folder that is only put on the path does not run.
    borrowed = home / "borrowed"
    borrowed.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith("modelprep"):
            (borrowed / path.name).symlink_to(path)
    (packages / "borrowed.pth").write_text(f"{borrowed}\n")
    program = home / "bin" / "modelprep"
    program.write_text(f"#!{home / 'bin' / 'python'}\nfrom modelprep.cli.main import run\nrun()\n")
    program.chmod(0o755)
    return Installed(home, wheel, source)
