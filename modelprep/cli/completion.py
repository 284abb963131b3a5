"""``modelprep completion``: the script that makes a shell complete commands, options and targets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelprep.cli import common

#: Shell -> the script that comes with the package. A wheel lays them where the shells look, too.
SCRIPTS = {"bash": "modelprep.bash", "zsh": "_modelprep", "fish": "modelprep.fish"}


def command(
    shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="The shell.")],
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Print the completion script of a shell.

    bash: eval "$(modelprep completion bash)" in ~/.bashrc; zsh: the same with zsh, after compinit in ~/.zshrc; fish:
    modelprep completion fish > ~/.config/fish/completions/modelprep.fish.
    """
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.errors import UsageError, nearest

        if shell not in SCRIPTS:
            raise UsageError(
                f"there is no completion for '{shell}'",
                expected=f"one of {', '.join(SCRIPTS)}",
                hint=nearest(Path(shell).name, list(SCRIPTS)) or None,
            )
        text = (Path(__file__).parent / "completions" / SCRIPTS[shell]).read_text("utf-8")
        output.result({"shell": shell, "script": text})
        output.value(text.rstrip("\n"))
