"""The options that commands on a user's own model files share; what they do with them is `modelprep.cli.run_step`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

OutputFile = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write the result.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace the output if it is there.")]
Verify = Annotated[
    bool,
    typer.Option("--verify/--no-verify", help="Compare the numbers of original and result (where a runtime is here)."),
]
RenameInput = Annotated[
    list[str] | None, typer.Option("--rename-input", metavar="OLD=NEW", help="Rename an input; may be repeated.")
]
RenameOutput = Annotated[
    list[str] | None, typer.Option("--rename-output", metavar="OLD=NEW", help="Rename an output; may be repeated.")
]
