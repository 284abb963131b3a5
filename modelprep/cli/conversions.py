"""Commands made of steps: ``modelprep onnx fix`` runs the step ``onnx.fix`` on files of the user's own.

A step's :class:`modelprep.steps.Param` declare the names and types of its options; a new step becomes a command without
further code.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from typer.core import TyperGroup

from modelprep.api.converting import conversion_called, conversions, convert
from modelprep.cli import common, typed
from modelprep.cli.output import Output
from modelprep.errors import UsageError

if TYPE_CHECKING:
    from modelprep.api.types import Converted, Param, Step

OutputFile = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write the result.")]
OutputFolder = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="A new or empty folder.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace an existing output.")]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify/--no-verify", help="Compare the numbers of original and result (if a runtime is installed)."
    ),
]

#: Kind of a parameter -> the type that typer parses, and its metavar.
_KINDS: Mapping[str, tuple[Any, str]] = {
    "file": (Path, "FILE"),
    "files": (list[Path], "FILE"),
    "str": (str, "NAME"),
    "strs": (list[str], "NAME"),
    "int": (int, "N"),
    "float": (float, "X"),
    "bool": (bool, ""),
    "map": (list[str], "NAME=VALUE"),
    "any": (str, "VALUE"),
}
Values = dict[str, Any]


class _Family(TyperGroup):
    """The commands of a family of steps: a step's module is imported when its command is called."""

    family = ""
    own: ClassVar[Mapping[str, Callable[..., None]]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted({*super().list_commands(ctx), *(verb_of(step) for step in conversions(self.family))})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if (written := super().get_command(ctx, cmd_name)) is not None:
            return written
        step = conversion_called(self.family, cmd_name)
        return None if step is None else _command(cmd_name, conversion(step, self.own.get(cmd_name)))


def _command(name: str, function: Callable[..., None]) -> Any:
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command(name)(function)
    command = typer.main.get_command(app)
    command.name = name
    return command


def steps_of(family: str, help: str, own: Mapping[str, Callable[..., None]] | None = None) -> typer.Typer:  # noqa: A002
    """Make the ``app`` of a family: one command per step, and those that are added by hand.

    Parameters
    ----------
    family
        ``caffe``, ``tf``, ``tflite``, ``onnx``: the first part of the steps' names.
    own
        Command -> the function to call instead of :func:`modelprep.convert`, with its own options (:func:`conversion`).
    """
    made = type("_Steps", (_Family,), {"family": family, "own": own or {}})
    app = common.group(help, cls=made)
    app.callback()(lambda: None)  # a group, also with one command written by hand
    return app


def plugged_in(family: str) -> Any:
    """Return what a name that is no command of ours means: a family of steps or a step without one; None if neither."""
    if not family.replace("-", "_").isidentifier():
        return None
    if not conversions(family):
        step = conversion_called("", family)
        return None if step is None else _command(family, conversion(step))
    return typer.main.get_command(steps_of(family, f"The steps {family}.* of installed packages."))


def verb_of(step: Step) -> str:
    """Return the name of a step's command in its family."""
    return step.name.partition(".")[2].replace("_", "-")


def conversion(step: Step, more: Callable[..., None] | None = None) -> Callable[..., None]:
    """Make the command of a step.

    Parameters
    ----------
    more
        Called instead of :func:`modelprep.convert`, with the sink, the step's parameters, and its own options by name.
    """
    shown = {name: param for name, param in step.params.items() if param.option is not None}

    def run(output: Output, **given: Any) -> None:
        params: Values = {}
        for name, param in shown.items():
            value = _value(name, param, given.pop(name))
            if value is not None and value != [] and value != {}:
                params[name] = value
        (more or _convert_step)(output, step, params, **given)

    own = typed.own_parameters(more or _convert_step, "output", "step", "params")
    parameters = [_parameter(name, param) for name, param in shown.items()] + own
    called = " ".join(("modelprep", *step.name.replace("_", "-").split(".")))
    examples = (f"{called} {step.example}",) if step.example else ()
    return typed.made(run, parameters, common.with_examples(_sentence(step.summary), examples))


def _convert_step(
    output: Output, step: Step, params: Values, *, output_file: OutputFile, force: Force = False, verify: Verify = True
) -> None:
    tell(output, convert(step.name, params, output_file, force=force, numbers=verify))


def tell(output: Output, made: Converted) -> None:
    """Print what a step made, and its path."""
    for text in made.warnings:
        output.warning(text)
    output.value(str(made.output))
    for key, value in made.facts.items():
        if value not in ((), [], {}, "", None):
            output.note(f"  {key.replace('_', ' ')}: {_text(value)}")
    for line in made.verified.notes:
        output.note(f"  {line}")
    output.result(
        {
            "output": str(made.output), "step": made.step, "facts": dict(made.facts), "warnings": list(made.warnings),
            "verified": dict(made.verified.to_json()),
        }
    )  # fmt: skip


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} -> {_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return str(value)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _flags(name: str, param: Param) -> list[str]:
    return param.option.split() if param.option else [f"--{name.replace('_', '-')}"]


def _chosen_by(name: str, param: Param) -> str | None:
    """Return the flag that selects a choice: ``--text``."""
    word = _flags(name, param)[0].removeprefix("--")
    return word if word in param.choices else None


def _parameter(name: str, param: Param) -> inspect.Parameter:
    """Make typer's parameter from a step's."""
    kind, metavar = _KINDS[param.kind]
    metavar = param.metavar or ("|".join(map(str, param.choices)) if param.choices else metavar)
    flags, text = _flags(name, param), _sentence(param.doc)
    default: Any = inspect.Parameter.empty if param.required else param.default
    if param.kind == "file" and param.required:
        place = metavar if param.metavar else name.upper()
        declaration: Any = typer.Argument(metavar=place, help=text)
        if place.startswith("["):
            kind, default = kind | None, None
    elif _chosen_by(name, param) is not None:
        text = f"{text.rstrip('.')}: {_chosen_by(name, param)} instead of {param.default}."
        kind, default, declaration = bool, False, typer.Option(*flags, help=text)
    elif param.kind == "bool":
        if param.default is None:
            kind, flags = bool | None, [f"{flags[0]}/--no-{flags[0].removeprefix('--')}"]
        elif param.default is True and param.option:
            default, text = False, f"Do not {text[:1].lower()}{text[1:]}"
        elif param.default is True:
            flags = [f"{flags[0]}/--no-{flags[0].removeprefix('--')}"]
        declaration = typer.Option(*flags, help=text)
    else:
        if param.kind in ("strs", "map", "files"):
            text, default = f"{text.rstrip('.')}; {common.REPEATED}.", default if param.required else None
        kind = kind if param.required or default is not None else kind | None
        declaration = typer.Option(*flags, metavar=metavar, help=text, min=param.least)
    annotation: Any = Annotated[kind, declaration]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _value(name: str, param: Param, given: Any) -> Any:
    """Convert typer's value for the step; None if the option was left out."""
    flag = _flags(name, param)[0]
    if (choice := _chosen_by(name, param)) is not None:
        return choice if given else None
    if param.kind == "bool":
        return not given if param.default is True and param.option else given
    if param.kind == "map":
        return pairs(given or (), flag, param)
    if param.kind == "files":
        return {each.name: each for path in given or () for each in _files(path)}
    if param.kind == "any" and given is not None:
        return _read(given, flag, param)
    if param.choices and given is not None and given not in param.choices:
        known = ", ".join(map(str, param.choices))
        raise UsageError(f"{flag} takes one of a few values", expected=known, got=str(given))
    return given


def _files(path: Path) -> list[Path]:
    """Return a file, or all files of a folder."""
    return sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]


def pairs(values: Sequence[str], flag: str, param: Param) -> Values:
    """Read the values of a ``NAME=VALUE`` option; an equals sign within brackets belongs to the name.

    Raises
    ------
    UsageError
        No equals sign, an empty side, a value of the wrong type, or a name given twice.
    """
    shape, found = param.metavar or "NAME=VALUE", dict[str, Any]()
    for text in values:
        # A name may contain an equals sign if the value cannot; a value of kind ``any`` may.
        split = text.rfind("=") if param.read is not None else _first_equals(text)
        name, value = text[:split], text[split + 1 :]
        if split < 1 or not value:
            raise UsageError(f"{flag} takes {shape}", got=text)
        if name in found:
            raise UsageError(f"'{name}' occurs twice in {flag}", got=f"{found[name]} and {value}")
        found[name] = _read(value, f"{flag} {name}", param)
    return found


def _first_equals(text: str) -> int:
    """Return the place of the first equals sign outside brackets: ``layer[type=LRN].name=x``."""
    depth = 0
    for place, letter in enumerate(text):
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if letter == "=" and not depth:
            return place
    return -1


def _read(text: str, flag: str, param: Param) -> Any:
    import yaml

    try:
        return (param.read or yaml.safe_load)(text)
    except (ValueError, yaml.YAMLError):
        raise UsageError(
            f"{flag.split()[0]} takes {param.metavar or 'a value'}", expected=param.doc, got=text
        ) from None
