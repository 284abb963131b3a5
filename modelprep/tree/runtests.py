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
    """One demo in the script: its name, and its command of the recipe, run inside the tree.

    ``-c BACKEND`` may be appended if it takes backends (the Arm NN tests). The script does not start an interactive
    one.
    """

    demo: str
    run: str
    takes_backends: bool
    interactive: bool = False


def script(commands: Iterable[BoardCommand], programs: Iterable[str] = ()) -> str:
    """Write a POSIX shell script that runs demos in order; those without a command are left out.

    Each demo is identified by its number, so that names cannot clash. `programs` are further folders on the board with
    programs, after PATH. Raises `RecipeError` for what is not one simple command.
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
    # `command` and `timeout` ignore functions: a program with the name of one of the script's is still that program.
    before = command("command", environment=parsed.environment).removesuffix("command")
    called = f"{before}$starter {command(parsed.program, *parsed.arguments)}"
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
