"""Steps of other installed packages: entry points of the group ``modelprep.steps``.

Only packages installed in this environment are loaded, never anything named in a recipe. A package that does not load
is recorded with its cause, so that it does not affect other steps.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from modelprep.errors import MissingTool, ModelprepError, StepError
from modelprep.structs import dataclass, replace

GROUP = "modelprep.steps"
_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")


@dataclass(frozen=True)
class Plugin:
    """An entry point.

    `found`: what the entry point refers to; None if it cannot be used. `problem`: why it cannot be used.
    """

    name: str
    package: str
    version: str
    found: object = None
    problem: str = ""

    @property
    def origin(self) -> str:
        """Distribution and version, part of the key of the step's results."""
        return f"{self.package} {self.version}"

    def error(self) -> MissingTool:
        """Return the error of a step that cannot be used."""
        return MissingTool(
            f"the step '{self.name}' of the package {self.origin} cannot be used", got=self.problem,
            hint=f"update or uninstall {self.package}",
        )  # fmt: skip


@cache
def plugins() -> tuple[Plugin, ...]:
    """Load every entry point of the group once; names that two packages claim are loaded from neither."""
    entries = sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, _package(entry)))
    claims = Counter(entry.name for entry in entries)
    return tuple(_loaded(entry, claims[entry.name] > 1) for entry in entries)


def _package(entry: EntryPoint) -> tuple[str, str]:
    return (entry.dist.name, entry.dist.version) if entry.dist is not None else ("an unknown package", "")


def _loaded(entry: EntryPoint, contested: bool) -> Plugin:
    made = Plugin(entry.name, *_package(entry))
    if not _NAME.fullmatch(entry.name):
        return replace(made, problem=f"'{entry.name}' cannot be the name of a step")
    if contested:
        return replace(made, problem="another installed package claims the same name")
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # stdout is the command's own
            return replace(made, found=entry.load())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a package does when it is imported
        return replace(made, problem=said(error))


def said(error: BaseException) -> str:
    """Return an exception in one line."""
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def guarded(function: Callable[..., object], plugin: Plugin, *, facts: bool = False) -> Callable[..., object]:
    """Return a package's function so that what it raises is an error of ours that names the package.

    `facts`: whether it returns a step's facts, which must be JSON-ready.
    """

    def call(*arguments: object) -> object:
        try:
            found = function(*arguments)
            if facts:
                json.dumps(found)
            return found
        except ModelprepError:
            raise
        except (Exception, SystemExit) as error:
            raise StepError(
                f"the step '{plugin.name}' of the package {plugin.origin} failed", got=said(error),
                hint=f"report it to the authors of {plugin.package}",
            ) from error  # fmt: skip

    return call
