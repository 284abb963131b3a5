"""The typer application of all commands, which imports one when it is called.

Only the module of the named command is imported, so that commands start quickly.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from modelprep.cli.plain import COMMANDS as COMMANDS
from modelprep.errors import Interrupted, UsageError, nearest

# typer bundles its own click from 0.2x on and needs the separate package before; the base classes of its public
# BadParameter are right for both.
ClickException: type[Any] = typer.BadParameter.__mro__[2]


class _Commands(TyperGroup):
    """The top level: lists the commands by name and imports one when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's signature
        from importlib.util import find_spec

        return [name for name in COMMANDS if find_spec(f"modelprep.cli.{name}") is not None]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - click's signature
        from importlib import import_module
        from importlib.util import find_spec

        if cmd_name not in COMMANDS:
            from modelprep.cli.conversions import plugged_in

            return plugged_in(cmd_name)
        if find_spec(f"modelprep.cli.{cmd_name}") is None:
            return None
        from modelprep.cli.common import of_typer

        module = import_module(f"modelprep.cli.{cmd_name}")
        return of_typer(cmd_name, getattr(module, "app", None) or module.command)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            known = self.list_commands(ctx)
            raise UsageError(f"unknown command '{name}'", hint=nearest(name, known) or f"commands: {', '.join(known)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as caught:  # typer would end without a message
            raise Interrupted.by(caught) from None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        if rows := [(name, COMMANDS[name]) for name in self.list_commands(ctx)]:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


app = typer.Typer(
    name="modelprep", cls=_Commands, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]}
)


def _version(wanted: bool) -> None:
    if wanted:
        from modelprep.api.text import __version__

        typer.echo(f"modelprep {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - the callback does the work
        bool, typer.Option("--version", "-V", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Fetch and convert the model assets that embedded ML demos need: recipes in, a board-ready folder out."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run(arguments: list[str]) -> int:
    """Read a command line and do what it says; return the exit status. Raises UsageError: it is wrong."""
    command = typer.main.get_command(app)
    try:
        code = command.main(args=arguments, prog_name="modelprep", standalone_mode=False, obj=arguments)
    except ClickException as caught:
        if type(caught).__name__ != "NoArgsIsHelpError":
            raise _usage_error(caught) from None
        caught.show()
        return 2
    return code if isinstance(code, int) else 0


def _usage_error(caught: Any) -> UsageError:
    """Turn click's message about a wrong call into a UsageError, with the nearest option."""
    context = getattr(caught, "ctx", None)
    path = context.command_path if context is not None else "modelprep"
    hint = ""
    option = getattr(caught, "option_name", None)
    if option and context is not None:
        known = [name for parameter in context.command.params for name in (*parameter.opts, *parameter.secondary_opts)]
        hint = nearest(option, [name for name in known if name.startswith("--")])
        return UsageError(f"unknown option '{option}' of '{path}'", hint=hint or f"see '{path} --help'")
    message = caught.format_message().rstrip(".")
    return UsageError(message[:1].lower() + message[1:], hint=f"see '{path} --help'")
