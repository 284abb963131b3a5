"""Commands for typer: for help, completion, and lines that :mod:`modelprep.cli.plain` does not parse."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import typer

from modelprep.api.declaring import Option
from modelprep.cli import frame
from modelprep.cli.parameters import PRINTING, REPEATED, REQUIRED, Argument, Function, Parameter
from modelprep.errors import ModelprepError

_REQUIRED = inspect.Parameter.empty


def complete_target(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a TARGET for the shell; a broken recipe must not break the completion."""
    from modelprep.api.fetching import catalogue

    try:
        return catalogue(context.params.get("recipes") or ()).offers(incomplete)
    except (ModelprepError, OSError):
        return []


def signature(parameters: Sequence[Parameter]) -> inspect.Signature:
    """Return the signature of these parameters for typer."""
    flags = {each.name: each.flags[0] for each in parameters if isinstance(each.declaration, Option)}
    return _signature(_parameter(each, flags) for each in parameters)


def _parameter(each: Parameter, flags: dict[str, str]) -> inspect.Parameter:
    said = each.declaration
    if isinstance(said, Argument):
        completion = complete_target if said.completed else None
        made: Any = typer.Argument(metavar=said.metavar, help=said.help, autocompletion=completion)
    elif isinstance(said, Option):
        text = re.sub(r"`(\w+)`", lambda match: flags.get(match[1], f"--{match[1]}"), said.help)
        if each.kind == list[str] | None:
            text = f"{text.rstrip('.')}; {REPEATED}."
        elif said.default is True and each.default is False:
            text = f"Do not {text[:1].lower()}{text[1:]}"
        made = typer.Option(
            *each.flags, metavar=said.metavar or None, help=text, envvar=said.env or None, min=said.least, max=said.most
        )
    else:
        made = said  # typer's own
    default = _REQUIRED if each.default is REQUIRED else each.default
    return _keyword(each.name, Annotated[each.kind, made], default)


def _keyword(name: str, annotation: Any, default: object = _REQUIRED) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _signature(parameters: Iterable[inspect.Parameter]) -> inspect.Signature:
    printing = [_parameter(each, {}) for each in PRINTING]
    return inspect.Signature([*parameters, _keyword("context", typer.Context), *printing])


def own_parameters(function: Callable[..., Any], *others: str) -> list[inspect.Parameter]:
    """Return the parameters that a function declares with typer: all but `others`."""
    # Annotations of the others may be names that exist only for type checkers.
    written = {name: each for name, each in function.__annotations__.items() if name not in (*others, "return")}
    function.__annotations__ = written
    return [each for name, each in inspect.signature(function, eval_str=True).parameters.items() if name in written]


def made(run: Function, parameters: Sequence[inspect.Parameter], text: str) -> Callable[..., None]:
    """Make a typer command of a function that takes the sink and values by name, and may return an exit status."""

    def command(context: typer.Context, **given: Any) -> None:
        call(run, context, **given)

    keyword = inspect.Parameter.KEYWORD_ONLY
    command.__signature__ = _signature(each.replace(kind=keyword) for each in parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {}
    command.__doc__ = text
    return command


def call(run: Function, context: typer.Context, /, *, json: bool, quiet: bool, verbose: bool, **given: Any) -> None:
    """Run what typer has parsed; a nonzero exit status is raised as typer's exception."""
    words = context.obj if isinstance(context.obj, list) else ()
    if status := frame.perform(run, words, given, json=json, quiet=quiet, verbose=verbose):
        raise typer.Exit(status)
