"""What command modules share: how a command is made from its verb, and the frame that turns errors into exit codes.

How a command module is written
-------------------------------
``modelprep NAME`` lives in ``modelprep/cli/NAME.py`` and offers either ``command`` (one function) or ``app`` (a
``typer.Typer`` with subcommands, made by :func:`group`). :mod:`modelprep.cli.commands` lists the names; a module is
imported only when its command is called. The function gets the sink, calls its verb, says what came of it, and returns
the exit status if that is not 0. Its options are those of the verb (:mod:`modelprep.api.options`); what only the
command has is declared with typer. ``--json``, ``--quiet`` and ``--verbose`` come by themselves::

    @common.command(CheckOptions, examples=("modelprep check armnn-caffe",))
    def command(output: Output, targets: common.Targets, **options: Unpack[CheckOptions]) -> int:
        \"\"\"Say whether the board's tests will pass.\"\"\"
        checked = check(targets, listen=output.listener(), **options)
        output.table("", ["test", "result"], [(each.name, each.text) for each in checked], key=0)
        output.result({"checks": [each.to_json() for each in checked]})
        return 0 if all(each.passes for each in checked) else 1

A :class:`~modelprep.errors.ModelprepError` becomes one message and its exit code. An ``OSError`` that nobody turned
into one counts as :class:`~modelprep.errors.StorageError`; Ctrl-C as exit code 130; anything else is a bug of ours, and
is said to be one.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from modelprep.api.declaring import ARGUMENTS, AnyPath, Files, Option, Paths, Words, declared
from modelprep.api.frame import as_error
from modelprep.api.text import scrub
from modelprep.cli.output import Output
from modelprep.errors import ModelprepError, UsageError


def complete_target(context: typer.Context, incomplete: str) -> list[str]:
    """Offer what a TARGET may be to the shell's completion; what is wrong with a recipe must not break the shell."""
    from modelprep.api.fetching import catalogue

    try:
        return catalogue(context.params.get("recipes") or ()).offers(incomplete)
    except (ModelprepError, OSError):
        return []


def targets(metavar: str = "TARGET...", help: str = ARGUMENTS["targets"].partition(";")[0] + ".") -> Any:  # noqa: A002
    """Make the argument that names targets, and maybe a place at its end."""
    return typer.Argument(metavar=metavar, help=help, autocompletion=complete_target)


Targets = Annotated[list[str], targets()]
SomeTargets = Annotated[list[str] | None, targets("[TARGET]...", "As for fetch; everything if left out.")]
Target = Annotated[str, targets("TARGET", "A recipe, a demo's own name or a path to a recipe file.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done; do nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON: one object, or one event a line while it runs.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only what a script would read, warnings and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print everything, long lists included.")]

#: Type of an option -> what typer reads for it.
_KINDS: Mapping[Any, Any] = {
    AnyPath: Path,
    AnyPath | None: Path | None,
    Words: list[str] | None,
    Paths: list[str] | None,
    Files: list[str] | None,
}
#: The one wording for options that take several values.
REPEATED = "may be given more than once"


def _flags(name: str, option: Option) -> list[str]:
    return option.flags.split() or [f"--{name.replace('_', '-')}"]


def _parameter(
    name: str, kind: Any, option: Option, known: Mapping[str, str]
) -> tuple[inspect.Parameter, Callable[[Any], Any]]:
    """Make typer's parameter of an option, and what turns its value into the verb's."""
    flags = _flags(name, option)
    text = re.sub(r"`(\w+)`", lambda match: known.get(match[1], f"--{match[1]}"), option.help)
    read = _KINDS.get(kind, kind)
    default: Any = option.default
    value: Callable[[Any], Any] = lambda given: given  # noqa: E731
    if read == list[str] | None:
        default, text = None, f"{text.rstrip('.')}; {REPEATED}."
        value = (lambda given: pairs(given, flags[0])) if kind == Files else (lambda given: given or ())
    elif read is Path:
        default = Path(default)
    elif flags[0].startswith("--no-") and default is True:
        default, text = False, f"Do not {text[:1].lower()}{text[1:]}"
        value = lambda given: not given  # noqa: E731
    declaration = typer.Option(
        *flags, metavar=option.metavar or None, help=text, envvar=option.env or None, min=option.least, max=option.most
    )
    annotation: Any = Annotated[read, declaration]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation), value


Function = Callable[..., int | None]


def command(options: type | None = None, *, examples: Sequence[str] = ()) -> Callable[[Function], Callable[..., None]]:
    """Make a typer command of a function: with the options of its verb, a sink, and its exit status.

    Parameters
    ----------
    options
        The verb's options; the function gets them as keywords.
    examples
        Command lines for the end of the help.
    """
    known = list(declared(options)) if options else []
    flags = {name: _flags(name, option)[0] for name, _, option in known}
    read = {name: _parameter(name, kind, option, flags) for name, kind, option in known}

    def decorate(function: Function) -> Callable[..., None]:
        def run(output: Output, **given: Any) -> int | None:
            values = {name: read[name][1](value) if name in read else value for name, value in given.items()}
            return function(output, **values)

        parameters = [*own_parameters(function, "output", "options"), *(each for each, _ in read.values())]
        text = inspect.cleandoc(function.__doc__ or "")
        if examples:
            text += "\n\n\b\nExamples:\n" + "\n".join(f"  {each}" for each in examples)
        call = made(run, parameters, text)
        call.__name__ = function.__name__
        return call

    return decorate


def own_parameters(function: Callable[..., Any], *others: str) -> list[inspect.Parameter]:
    """Return the parameters that a function declares with typer: all but `others`."""
    # Annotations of the others may be names that only a type checker knows.
    written = {name: each for name, each in function.__annotations__.items() if name not in (*others, "return")}
    function.__annotations__ = written
    return [each for name, each in inspect.signature(function, eval_str=True).parameters.items() if name in written]


def made(run: Function, parameters: Sequence[inspect.Parameter], text: str) -> Callable[..., None]:
    """Make a typer command of a function that takes the sink and values by name, and may return an exit status."""

    def call(context: typer.Context, json: bool, quiet: bool, verbose: bool, **given: Any) -> None:
        with sink(json=json, quiet=quiet, verbose=verbose) as output:
            output.words = _typed(context)
            if status := run(output, **given):
                raise typer.Exit(status)

    keyword, empty = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.empty
    common = (
        ("context", typer.Context, empty),
        ("json", Json, False),
        ("quiet", Quiet, False),
        ("verbose", Verbose, False),
    )
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            *(each.replace(kind=keyword) for each in parameters),
            *(inspect.Parameter(name, keyword, default=default, annotation=kind) for name, kind, default in common),
        ]
    )
    call.__annotations__ = {}
    call.__doc__ = text
    return call


def group(help: str, **more: Any) -> typer.Typer:  # noqa: A002 - typer's own word
    """Make the ``app`` of a command that has subcommands."""
    return typer.Typer(help=help, no_args_is_help=True, rich_markup_mode=None, add_completion=False, **more)


@contextmanager
def sink(*, json: bool = False, quiet: bool = False, verbose: bool = False) -> Iterator[Output]:
    """Open the sink; on the way out, turn what was raised into a message and an exit code (``typer.Exit``)."""
    output = Output("json" if json else "quiet" if quiet else "human", verbose=verbose)
    try:
        yield output
        output.close()
    except typer.Exit:
        output.close()
        raise
    except (KeyboardInterrupt, Exception) as caught:  # noqa: BLE001 - the outermost frame
        # Whatever comes is told in the mode the user asked for.
        output.close()
        error = as_error(caught)
        output.error(error)
        output.close()
        raise typer.Exit(error.exit_code) from None


def _typed(context: typer.Context) -> tuple[str, ...]:
    """Return the command line as it was typed, for a hint that repeats it: without what only says how to print."""
    left_out = ("--json", "--quiet", "-q", "--verbose", "-v", "--dry-run", "-n")
    words = context.obj if isinstance(context.obj, list) else []
    return ("modelprep", *(scrub(word) for word in words if word not in left_out)) if words else ()


def pairs(values: Sequence[str] | None, flag: str) -> dict[str, Path]:
    """Read the values of a ``NAME=PATH`` option.

    Raises
    ------
    UsageError
        No equals sign, a name given twice, or a file that is not there.
    """
    chosen: dict[str, Path] = {}
    for value in values or ():
        name, equals, path = value.partition("=")
        if not equals or not name or not path:
            raise UsageError(f"{flag} takes NAME=PATH", got=value)
        if name in chosen:
            raise UsageError(f"{flag} gives '{name}' twice", got=f"{chosen[name]} and {path}")
        # The shell expands ~ only at the start of a word, and this one starts with NAME=.
        file = Path(path).expanduser()
        if not file.is_file():
            raise UsageError(f"the file for '{name}' is not there", where=str(file))
        chosen[name] = file
    return chosen
