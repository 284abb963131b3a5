"""The parameters of a command: its own options and arguments, and their declaration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelprep.api.declaring import ARGUMENTS, Option
from modelprep.structs import dataclass

Function = Callable[..., int | None]


@dataclass(frozen=True)
class Argument:
    """A positional argument: its metavar, its help, whether the shell completes targets for it."""

    metavar: str
    help: str
    completed: bool = False


def option(flags: str, help: str, metavar: str = "") -> Option:  # noqa: A002 - as :class:`Option` calls it
    """Declare an option of the command alone; its default is the parameter's."""
    return Option(None, help, flags, metavar)


def targets(metavar: str = "TARGET...", help: str = ARGUMENTS["targets"].partition(";")[0] + ".") -> Argument:  # noqa: A002
    """Declare the argument that names targets, in some commands with a destination at its end."""
    return Argument(metavar, help, completed=True)


#: The one wording for options that take several values.
REPEATED = "may be given more than once"


def _as_read(given: Any) -> Any:
    return given


@dataclass(frozen=True)
class Parameter:
    """A parameter of a command; `value` converts what is parsed (`kind`: the type for the parser) for the verb."""

    name: str
    kind: Any
    declaration: Option | Argument
    default: object
    value: Callable[[Any], Any] = _as_read

    @property
    def flags(self) -> list[str]:
        """The option's names."""
        said = self.declaration.flags if isinstance(self.declaration, Option) else ""
        return said.split() or [f"--{self.name.replace('_', '-')}"]


#: Default of a required parameter.
REQUIRED = object()

#: Output options of every command.
PRINTING = (
    Parameter("json", bool, option("--json", "Print JSON: one object, or one event per line."), False),
    Parameter("quiet", bool, option("--quiet -q", "Print only machine-readable results, warnings and errors."), False),
    Parameter("verbose", bool, option("--verbose -v", "Print everything, long lists included."), False),
)
