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
from modelprep.structs import dataclass, replace

#: Seconds after which a compiler that says nothing of its version is given up.
_ANSWER = 60


@dataclass(frozen=True)
class Tool:
    """An external program.

    Parameters
    ----------
    name
        Its command: ``vela``.
    variable
        Environment variable that names the command where it is not on PATH (``MODELPREP_VELA``).
    module
        Module that ``python -m`` runs where the extra is installed in this environment; empty if there is none.
    extra
        The extra that brings the module.
    hint
        How to get the program where no extra brings it.
    distribution
        Python distribution that brings the program: its version is read from the metadata in the Python beside the
        command, where there is one. Some programs load TensorFlow before they tell it.
    wanted
        The version asked for (:meth:`of_version`); empty if any serves.
    beside_old
        Versions, and what pip has to install with those before each, which do not say so themselves; the first counts.
    old_python
        A version, and the Python that those before it need.
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
        """The folder where an environment of the version asked for is looked for; nothing is installed there unasked.

        ``tools/vela-4.1.0`` below the user's data folder of modelprep (``XDG_DATA_HOME``).
        """
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
        """Return the words that start the program.

        Raises MissingTool: it is in none of the places.
        """
        if named := os.environ.get(self.variable):
            found = shutil.which(named)
            if found is None:
                raise MissingTool(
                    f"the program of {self.variable} cannot be run", where=named, hint=f"unset {self.variable}"
                )
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
            f"the program {self.name} is not installed",
            expected=f"{self.name} on PATH, or {self.variable}=/path/to/{self.name}",
            hint=self.to_install() if self.wanted else install_command(self.extra) if self.extra else self.hint,
        )

    def version(self) -> str:
        """Return the program's name and what it says of its version: ``vela 5.2.0``.

        Raises MissingTool: it is missing, or it does not run.
        """
        command = self.command()
        if self.distribution and (known := installed_version(beside(command[0]), self.distribution)):
            return f"{self.name} {known}"
        return f"{self.name} {_version(tuple(command))}"

    def run(
        self,
        arguments: Sequence[str | Path],
        *,
        folder: Path,
        source: Path,
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """Run the program in a folder and return what it printed.

        Raises StepError: it ended with an error.
        """
        words = [*self.command(), *map(str, arguments)]
        done = subprocess.run(
            words, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", check=False, env={**os.environ, "PYTHONHASHSEED": "0", "CUDA_VISIBLE_DEVICES": "-1",
                 "TF_CPP_MIN_LOG_LEVEL": "3",
                 **(environment or {})},
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
    """Return the Python of the environment that a command is in; the program itself where it is a Python."""
    path = Path(program)
    return program if path.name.startswith("python") else str(path.resolve().parent / "python")


@cache
def installed_version(python: str, distribution: str) -> str:
    """Return the version of a distribution in another Python; an empty string where it has none, or does not run."""
    code = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    try:
        done = subprocess.run(
            [python, "-c", code, distribution], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_ANSWER, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@cache
def _version(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            [*command, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ANSWER,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingTool("an external program does not run", where=command[0], got=str(error)) from error
    # What libraries log on stderr changes from run to run.
    lines = [line.strip() for line in (done.stdout.strip() or done.stderr).splitlines() if line.strip()]
    if done.returncode or not lines:
        raise MissingTool(
            "an external program does not report its version",
            where=" ".join(command),
            got=lines[-1] if lines else f"exit status {done.returncode}",
        )
    return lines[-1]
