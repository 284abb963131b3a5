"""Shared by command modules: making a command from its verb, and turning errors into exit statuses.

How a command module is written
-------------------------------
``modelprep NAME`` lives in ``modelprep/cli/NAME.py`` and offers either ``command`` (one function) or ``app`` (a
``typer.Typer`` with subcommands, made by :func:`group`). :mod:`modelprep.cli.commands` lists the names; a module is
imported only when its command is called. The function gets the sink, calls its verb, prints the result, and returns the
exit status if that is not 0. Its options are those of the verb (:mod:`modelprep.api.options`); options of the command
alone are declared with :func:`option` and :class:`Argument`. ``--json``, ``--quiet`` and ``--verbose`` are added
automatically::

    @common.command("modelprep check armnn-caffe")
    def command(output: Output, targets: common.Targets, **options: common.Unpack[CheckOptions]) -> int:
        \"\"\"Say whether the board's tests will pass.\"\"\"
        checked = check(targets, listen=output.listener(), **options)
        output.table("", ["test", "result"], [(each.name, each.text) for each in checked], key=0)
        output.result({"checks": [each.to_json() for each in checked]})
        return 0 if all(each.passes for each in checked) else 1

A :class:`~modelprep.errors.ModelprepError` becomes one message and its exit status. An unhandled ``OSError`` counts as
:class:`~modelprep.errors.StorageError`; Ctrl-C as exit status 130; anything else is reported as a bug.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from modelprep.api.declaring import AnyPath, Files, Option, Paths, Words, declared
from modelprep.cli.output import Output
from modelprep.cli.parameters import REQUIRED, Function, Parameter, option, targets
from modelprep.cli.parameters import Argument as Argument
from modelprep.errors import UsageError
from modelprep.structs import replace

if TYPE_CHECKING:
    import inspect

    import typer
    from typing_extensions import Unpack as Unpack

Targets = Annotated[list[str], targets()]
SomeTargets = Annotated[list[str] | None, targets("[TARGET]...", "As for fetch; everything if left out.")]
Target = Annotated[str, targets("TARGET", "A recipe, a demo's own name or a path to a recipe file.")]
DryRun = Annotated[bool, option("--dry-run -n", "Show what would be done; do nothing.")]

#: Type of an option -> the type that typer parses.
_KINDS: Mapping[Any, Any] = {
    AnyPath: Path,
    AnyPath | None: Path | None,
    Words: list[str] | None,
    Paths: list[str] | None,
    Files: list[str] | None,
}


def _parameter(name: str, kind: Any, option: Option) -> Parameter:
    """Make a command's parameter of a verb's option."""
    read, default = _KINDS.get(kind, kind), option.default
    made = Parameter(name, read, option, default)
    flag = made.flags[0]
    if read == list[str] | None:
        return replace(made, default=None, value=lambda given: pairs(given, flag) if kind == Files else given or ())
    if read is Path:
        return replace(made, default=Path(str(default)))
    if flag.startswith("--no-") and default is True:
        return replace(made, default=False, value=lambda given: not given)
    return made


class Command:
    """A command: a function with the options of its verb, a sink, and its exit status.

    :mod:`modelprep.cli.plain` reads a command line for it that is plainly right. For every other, for help and for the
    shell's completion, typer takes it for a function: by its ``__signature__``, its docstring and its name.
    """

    _given = 1  # number of the function's first parameters that are not read from the line: the sink

    def __init__(
        self, function: Function, text: str, examples: Sequence[str], parameters: Sequence[Parameter] = ()
    ) -> None:
        self._function, self._more = function, parameters
        for name in ("__module__", "__name__", "__qualname__"):
            setattr(self, name, getattr(function, name))
        self.__annotations__: dict[str, Any] = {}
        lines = "".join(f"\n      {each}" for each in examples)
        self.__doc__ = f"{text.rstrip()}\n\n    \b\n    Examples:{lines}" if examples else text

    @cached_property
    def parameters(self) -> list[Parameter]:
        """What it reads: those that it was made with, the function's own, then the options of its verb."""
        function = self._function
        code, defaults = function.__code__, function.__defaults__ or ()
        given = dict(zip(code.co_varnames[code.co_argcount - len(defaults) :], defaults, strict=False))
        given |= function.__kwdefaults__ or {}
        found = [*self._more]
        for name, annotation in function.__annotations__.items():
            if name == "options":
                options = annotation.removeprefix("common.Unpack[").removesuffix("]")
                found += [_parameter(*each) for each in declared(function.__globals__[options])]
            elif name not in (*code.co_varnames[: self._given], "given", "return"):
                kind, declaration = get_args(eval(annotation, function.__globals__))  # noqa: S307 - our own source
                found.append(Parameter(name, kind, declaration, given.get(name, REQUIRED)))
        return found

    @cached_property
    def __signature__(self) -> inspect.Signature:
        from modelprep.cli import typed

        return typed.signature(self.parameters)

    def run(self, output: Output, /, **given: Any) -> int | None:
        """Call the function with the values that were read."""
        return self._function(output, **{each.name: each.value(given[each.name]) for each in self.parameters})

    def __call__(self, context: typer.Context, json: bool, quiet: bool, verbose: bool, **given: Any) -> None:
        """Do what typer has read."""
        from modelprep.cli import typed

        typed.call(self.run, context, json=json, quiet=quiet, verbose=verbose, **given)


def command(*examples: str) -> Callable[[Function], Command]:
    """Make a command of a function; `examples` are command lines for the end of its help."""
    return lambda function: Command(function, function.__doc__ or "", examples)


def group(help: str, **more: Any) -> typer.Typer:  # noqa: A002 - typer's own word
    """Make the ``app`` of a command that has subcommands."""
    import typer

    return typer.Typer(help=help, no_args_is_help=True, rich_markup_mode=None, add_completion=False, **more)


def of_typer(name: str, command: Command | typer.Typer) -> Any:
    """Return typer's command of that name."""
    import typer

    if isinstance(command, Command):
        alone = typer.Typer(rich_markup_mode=None, add_completion=False)
        alone.command(name)(command)
        command = alone
    made = typer.main.get_command(command)
    made.name = name
    return made


def split(words: Sequence[str], example: str) -> tuple[Sequence[str], str]:
    """Split targets from the folder after them, or raise a UsageError with an example of the command."""
    if len(words) < 2:
        what = f"{example.split()[1]} needs targets and a folder"
        raise UsageError(what, got=" ".join(words), hint=example)
    return words[:-1], words[-1]


def pairs(values: Sequence[str] | None, flag: str) -> dict[str, Path]:
    """Read the values of a ``NAME=PATH`` option; raise a UsageError for a wrong one, or a file that does not exist."""
    chosen: dict[str, Path] = {}
    for value in values or ():
        name, equals, path = value.partition("=")
        if not equals or not name or not path:
            raise UsageError(f"{flag} takes NAME=PATH", got=value)
        if name in chosen:
            raise UsageError(f"'{name}' occurs twice in {flag}", got=f"{chosen[name]} and {path}")
        # The shell expands ~ only at the start of a word, and this one starts with NAME=.
        file = Path(path).expanduser()
        if not file.is_file():
            raise UsageError(f"the file for '{name}' does not exist", where=str(file))
        chosen[name] = file
    return chosen
