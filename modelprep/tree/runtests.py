"""``run-tests.sh``: the script in a tree that runs its demos on the board."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from modelprep.errors import RecipeError
from modelprep.quoting import Unquotable, command, line, sh
from modelprep.recipe.text import Command, CommandFault, parse_command
from modelprep.structs import dataclass


@dataclass(frozen=True)
class BoardCommand:
    """One demo in the script.

    Parameters
    ----------
    demo
        Its name in the table and on the command line.
    run
        The command, as in the recipe: one simple command, run inside the tree.
    takes_backends
        Whether ``-c BACKEND`` may be appended (the Arm NN tests).
    interactive
        Whether it needs a display, a camera or a network: the script lists it but does not start it.
    """

    demo: str
    run: str
    takes_backends: bool
    interactive: bool = False


def script(commands: Iterable[BoardCommand], programs: Iterable[str] = ()) -> str:
    """Write the script for some demos; those without a command are left out.

    Each demo is identified by its number, so that names cannot clash.

    Parameters
    ----------
    commands
        In the order in which they are to run.
    programs
        Further folders on the board with programs, after PATH.

    Returns
    -------
    str
        A POSIX shell script.

    Raises
    ------
    RecipeError
        A command is not one simple command.
    """
    known = [command for command in commands if command.run]
    chosen = [command for command in known if not command.interactive]
    functions = [_functions(number, each) for number, each in enumerate(chosen, 1)]
    # importlib.resources would take longer than writing the script.
    template = Path(__file__).with_name("run-tests.sh.in").read_text("utf-8")
    search = "".join(f":{sh(folder)}" for folder in programs)
    by_hand = [
        f"echo {sh(line(f'not a test, start it by hand: {_parsed(each).line}'))}" for each in known if each.interactive
    ]
    parts = {"SEARCH": search, "COUNT": str(len(chosen)), "DEMOS": "\n\n".join([*functions, *by_hand])}
    # In one pass: a placeholder in an inserted text is text.
    return re.sub("@(SEARCH|COUNT|DEMOS)@", lambda mark: parts[mark[1]], template)


def _functions(number: int, demo: BoardCommand) -> str:
    parsed = _parsed(demo)
    # `command` ignores functions: a program with the name of one of the script's functions is still that program.
    called = command("command", parsed.program, *parsed.arguments, environment=parsed.environment)
    facts = {
        "demo": line(demo.demo),
        "program": parsed.program,
        "takes_backends": "yes" if demo.takes_backends else "",
        "command_line": line(parsed.line),
    }
    assigned = "\n".join(f"    {name}={sh(value)}" for name, value in facts.items())
    return f'demo_{number}() {{\n{assigned}\n}}\nrun_{number}() {{\n    {called} "$@"\n}}'


def _parsed(demo: BoardCommand) -> Command:
    try:
        parsed = parse_command(demo.run)
        sh(parsed.line)
    except (CommandFault, Unquotable) as fault:
        raise RecipeError(
            f"the command of {line(demo.demo)} is not one simple command: {fault}", got=demo.run,
            hint="write 'run:' as a program and its arguments, without pipes, variables or redirections",
        )  from None  # fmt: skip
    return parsed
