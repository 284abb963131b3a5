"""Commands for typer: for help, completion, and lines that :mod:`modelprep.cli.plain` does not parse."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from modelprep.api.declaring import Option
from modelprep.cli import frame
from modelprep.cli.parameters import PRINTING, REPEATED, REQUIRED, Argument, Function, Parameter
from modelprep.errors import ModelprepError


def complete_target(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a TARGET for the shell; a broken recipe must not break the completion."""
    from modelprep.api.fetching import catalogue

    try:
        return catalogue(context.params.get("recipes") or ()).offers(incomplete)
    except (ModelprepError, OSError):
        return []


def signature(parameters: Sequence[Parameter]) -> inspect.Signature:
    """Return the signature of these parameters for typer, the printing options included."""
    flags = {each.name: each.flags[0] for each in parameters if isinstance(each.declaration, Option)}
    made = [_parameter(each, flags) for each in (*parameters, *PRINTING)]
    return inspect.Signature([*made, _keyword("context", typer.Context)])


def _parameter(each: Parameter, flags: dict[str, str]) -> inspect.Parameter:
    said = each.declaration
    if isinstance(said, Argument):
        completion = complete_target if said.completed else None
        made: Any = typer.Argument(metavar=said.metavar, help=said.help, autocompletion=completion)
    else:
        text = re.sub(r"`(\w+)`", lambda match: flags.get(match[1], f"--{match[1]}"), said.help)
        if "list[" in str(each.kind):
            text = f"{text.rstrip('.')}; {REPEATED}."
        elif said.default is True and each.default is False:
            text = f"Do not {text[:1].lower()}{text[1:]}"
        made = typer.Option(
            *each.flags, metavar=said.metavar or None, help=text, envvar=said.env or None, min=said.least, max=said.most
        )
    default = inspect.Parameter.empty if each.default is REQUIRED else each.default
    return _keyword(each.name, Annotated[each.kind, made], default)


def _keyword(name: str, annotation: Any, default: object = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def call(run: Function, context: typer.Context, /, *, json: bool, quiet: bool, verbose: bool, **given: Any) -> None:
    """Run what typer has parsed; a nonzero exit status is raised as typer's exception."""
    words = context.obj if isinstance(context.obj, list) else ()
    if status := frame.perform(run, words, given, json=json, quiet=quiet, verbose=verbose):
        raise typer.Exit(status)
