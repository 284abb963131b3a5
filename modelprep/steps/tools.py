"""External compilers that steps run in a separate process: found by a variable, on PATH, or in an extra."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from modelprep import quoting
from modelprep.errors import MissingTool, StepError
from modelprep.installed import install_command
from modelprep.steps._subprocess import ENVIRONMENT
from modelprep.structs import dataclass, replace

#: Timeout in seconds for a compiler that is asked for its version.
_ANSWER = 60


@dataclass(frozen=True)
class Tool:
    """An external program.

    Parameters
    ----------
    name, variable
        Its command (``vela``), and the environment variable that names another one (``MODELPREP_VELA``).
    module, extra
        Module that ``python -m`` runs, and the extra that installs it; empty if there is none.
    hint
        How to install the program if no extra does.
    distribution
        Python distribution of the program: its version is read from the metadata of the Python beside the command,
        because some programs load TensorFlow before they print it.
    wanted
        The version asked for (:meth:`of_version`); empty if any will do.
    beside_old
        Versions, and what pip must install with older ones, which do not declare it; the first match counts.
    old_python
        A version, and the Python that older ones need.
    """

    name: str
    variable: str
    module: str = ""
    extra: str = ""
    hint: str = ""
    distribution: str = ""
    wanted: str = ""
    beside_old: tuple[tuple[str, str], ...] = ()
    old_python: tuple[str, str] = ("0", "")

    def of_version(self, version: str) -> Tool:
        """Return this program in the version asked for: one in :attr:`environment` comes before PATH and the extra."""
        return replace(self, wanted=version)

    @property
    def environment(self) -> Path:
        """The folder of an environment with the version asked for: ``tools/vela-4.1.0`` in the user's data folder."""
        import platformdirs

        try:
            data = Path(platformdirs.user_data_dir("modelprep", appauthor=False)).expanduser()
        except RuntimeError:  # a user without a home directory has no such folder
            data = Path("/nonexistent")
        return data / "tools" / f"{self.name}-{self.wanted}"

    def to_install(self) -> str:
        """Return the shell command that makes the environment of the version asked for."""
        folder = str(self.environment)
        old = self.old_python[1] if self._older(self.old_python[0]) else ""
        more = next((name for version, name in self.beside_old if self._older(version)), "")
        words = (f"{folder}/bin/pip", "install", f"{self.distribution}=={self.wanted}", *([more] if more else []))
        return f"{quoting.command(old or 'python3', '-m', 'venv', folder)} && {quoting.command(*words)}"

    def _older(self, version: str) -> bool:
        wanted, other = ([int(part) for part in text.split(".")] for text in (self.wanted, version))
        return wanted < other

    def command(self) -> list[str]:
        """Return the words that start the program. Raises MissingTool: it is in none of the places."""
        if named := os.environ.get(self.variable):
            found = shutil.which(named)
            if found is None:
                what = f"the program of {self.variable} cannot be run"
                raise MissingTool(what, where=named, hint=f"unset {self.variable}")
            return [found]
        if self.wanted and (own := shutil.which(self.environment / "bin" / self.name)) is not None:
            return [own]
        if (found := shutil.which(self.name)) is not None:
            return [found]
        if self.module and find_spec(self.module.partition(".")[0]) is not None:
            return [sys.executable, "-m", self.module]
        if self.distribution and (others := sorted(self.environment.parent.glob(f"{self.name}-*"), key=_by_version)):
            return [str(others[-1] / "bin" / self.name)]
        raise MissingTool(
            f"{self.distribution or f'the program {self.name}'} is not installed",
            expected=f"{self.name} on PATH, or {self.variable}=/path/to/{self.name}",
            hint=self.to_install() if self.wanted else install_command(self.extra) if self.extra else self.hint,
        )

    def version(self) -> str:
        """Return the program's name and version: ``vela 5.2.0``. Raises MissingTool: it is missing, or does not run."""
        command = self.command()
        if self.distribution and (known := installed_version(beside(command[0]), self.distribution)):
            return f"{self.name} {known}"
        return f"{self.name} {_version(tuple(command))}"

    def run(
        self, arguments: Sequence[str | Path], *, folder: Path, source: Path,
        environment: Mapping[str, str] | None = None,
    ) -> str:  # fmt: skip
        """Run the program in a folder and return what it printed. Raises StepError: it ended with an error."""
        done = subprocess.run(
            [*self.command(), *map(str, arguments)], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
            env={**os.environ, **ENVIRONMENT, **(environment or {})},
        )  # fmt: skip
        if done.returncode:
            said = [line for line in done.stdout.splitlines() if line.strip()]
            signal = f"ended by signal {-done.returncode}" if done.returncode < 0 else "no reason given"
            got = " ".join((said or [signal])[-1].split())[:400]
            raise StepError(f"{self.name} cannot convert this model", where=str(source), got=got)
        return done.stdout


def _by_version(environment: Path) -> list[int]:
    return [int(part) for part in environment.name.rpartition("-")[2].split(".") if part.isdigit()]


def beside(program: str) -> str:
    """Return the Python of the environment of a command; the program itself if it is a Python."""
    path = Path(program)
    return program if path.name.startswith("python") else str(path.resolve().parent / "python")


def _answer(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ANSWER, check=False
    )


@cache
def installed_version(python: str, distribution: str) -> str:
    """Return the version of a distribution in another Python; an empty string if it has none, or does not run."""
    code = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    try:
        done = _answer(python, "-c", code, distribution)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@cache
def _version(command: tuple[str, ...]) -> str:
    try:
        done = _answer(*command, "--version")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingTool("an external program does not run", where=command[0], got=str(error)) from error
    # What libraries log on stderr changes from run to run.
    lines = [line.strip() for line in (done.stdout.strip() or done.stderr).splitlines() if line.strip()]
    if done.returncode or not lines:
        got = lines[-1] if lines else f"exit status {done.returncode}"
        raise MissingTool("an external program does not report its version", where=" ".join(command), got=got)
    return lines[-1]
