"""``run-tests.sh``: the script that stands in a tree and runs its demos on the board."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from modelprep.errors import RecipeError

#: Characters by which the shell would read more than one simple command.
_NOT_SIMPLE = re.compile(r"[|&;<>()`$\n]")


@dataclass(frozen=True)
class BoardCommand:
    """One demo as the script knows it.

    Parameters
    ----------
    demo
        Its name in the table and on the command line (no white space).
    run
        The command, as in the recipe: one simple command, run inside the tree.
    takes_backends
        Whether ``-c BACKEND`` may be put behind it (the Arm NN tests).
    """

    demo: str
    run: str
    takes_backends: bool


def script(commands: Iterable[BoardCommand]) -> str:
    """Write the script for some demos; those that have no command are left out.

    Parameters
    ----------
    commands
        In the order in which they are to run.

    Returns
    -------
    str
        A POSIX shell script.

    Raises
    ------
    RecipeError
        A command is not one simple command, or a name has white space in it.
    """
    chosen = [command for command in commands if command.run]
    functions = []
    branches = []
    for command in chosen:
        if not command.demo or re.search(r"[\s'\"\\]", command.demo):
            raise RecipeError(
                f"a demo called {command.demo!r} cannot be named on a command line", hint="change 'demo:'"
            )
        words = _words(command)
        slug = re.sub(r"[^A-Za-z0-9]", "_", command.demo)
        line = shlex.join(words)
        functions.append(f'run_{slug}() {{\n    {line} "$@"\n}}')
        branches.append(
            f"        {command.demo}) slug={slug} program={shlex.quote(words[0])} "
            f"takes_backends={'yes' if command.takes_backends else ''} command_line={shlex.quote(line)} ;;"
        )
    describe = ["describe() {", "    case $1 in", *branches, "    esac", "}"]
    template = Path(__file__).with_name("run-tests.sh.in").read_text("utf-8")
    return template.replace("@DEMOS@", " ".join(c.demo for c in chosen)).replace(
        "@COMMANDS@", "\n\n".join([*functions, "\n".join(describe)])
    )


def _words(command: BoardCommand) -> list[str]:
    try:
        words = [] if _NOT_SIMPLE.search(command.run) else shlex.split(command.run)
    except ValueError:
        words = []
    if not words:
        raise RecipeError(
            f"the command of {command.demo} is not one simple command", got=command.run,
            hint="give 'run:' as a program and its arguments, without pipes, variables or redirections",
        )  # fmt: skip
    return words
