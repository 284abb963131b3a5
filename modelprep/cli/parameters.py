"""What a command reads: its own options and arguments, and how they are declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from modelprep.api.declaring import ARGUMENTS, Option

Function = Callable[..., int | None]


class Argument(NamedTuple):
    """What stands by its place: how help texts call it, what it means, whether the shell completes targets for it."""

    metavar: str
    help: str
    completed: bool = False


def option(flags: str, help: str, metavar: str = "") -> Option:  # noqa: A002 - as :class:`Option` calls it
    """Declare an option that only the command has; its default is the parameter's."""
    return Option(None, help, flags, metavar)


def targets(metavar: str = "TARGET...", help: str = ARGUMENTS["targets"].partition(";")[0] + ".") -> Argument:  # noqa: A002
    """Declare the argument that names targets, and maybe a place at its end."""
    return Argument(metavar, help, completed=True)


#: The one wording for options that take several values.
REPEATED = "may be given more than once"


class Parameter(NamedTuple):
    """What a command reads.

    Parameters
    ----------
    name
        Of the function's parameter.
    kind
        Type that is read: text, path, number, flag, or a list of texts.
    declaration
        :class:`Option`, or :class:`Argument` where it stands by its place; or typer's own.
    default
        What is read where it is left out; :data:`REQUIRED` if it must not be.
    value
        Makes the verb's value of what was read.
    """

    name: str
    kind: Any
    declaration: Any
    default: object
    value: Callable[[Any], Any] = lambda given: given

    @property
    def flags(self) -> list[str]:
        """The option's names."""
        return str(self.declaration.flags).split() or [f"--{self.name.replace('_', '-')}"]


#: Default of what must be given.
REQUIRED = object()


#: How every command prints.
PRINTING = (
    Parameter("json", bool, option("--json", "Print JSON: one object, or one event a line while it runs."), False),
    Parameter("quiet", bool, option("--quiet -q", "Print only what a script would read, warnings and errors."), False),
    Parameter("verbose", bool, option("--verbose -v", "Print everything, long lists included."), False),
)
