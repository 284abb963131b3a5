"""Commands made of steps: ``modelprep onnx fix`` runs the step ``onnx.fix`` on files of the user's own.

A step's :class:`modelprep.steps.Param` declare the names and types of its options; a new step becomes a command without
further code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from typer.core import TyperGroup

from modelprep.api.converting import conversion_called, conversions, convert
from modelprep.api.declaring import Option
from modelprep.cli import common
from modelprep.cli.output import Output
from modelprep.cli.parameters import REQUIRED, Argument, Parameter
from modelprep.errors import UsageError

if TYPE_CHECKING:
    from modelprep.api.types import Converted, Param, Step

OutputFile = Annotated[Path, common.option("--output -o", "Where to write the result.", "FILE")]
OutputFolder = Annotated[Path, common.option("--output -o", "A new or empty folder.", "DIR")]
Force = Annotated[bool, common.option("--force -f", "Replace an existing output.")]
Verify = Annotated[
    bool,
    common.option("--verify/--no-verify", "Compare the numbers of original and result (if a runtime is installed)."),
]

#: Kind of a parameter -> the type that is parsed, and its metavar.
_KINDS: Mapping[str, tuple[Any, str]] = {
    "file": (Path, "FILE"), "files": (list[Path], "FILE"), "str": (str, "NAME"), "strs": (list[str], "NAME"),
    "int": (int, "N"), "float": (float, "X"), "bool": (bool, ""), "map": (list[str], "NAME=VALUE"),
    "any": (str, "VALUE"),
}  # fmt: skip
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
        return None if step is None else common.of_typer(cmd_name, conversion(step, self.own.get(cmd_name)))


def steps_of(family: str, help: str, own: Mapping[str, Callable[..., None]] | None = None) -> typer.Typer:  # noqa: A002
    """Make the ``app`` of a family (``caffe``, ``tf``): one command per step, and those that are added by hand.

    `own` maps commands to what is called instead of :func:`modelprep.convert`, with its own options.
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
        return None if step is None else common.of_typer(family, conversion(step))
    return typer.main.get_command(steps_of(family, f"The steps {family}.*"))


def verb_of(step: Step) -> str:
    """Return the name of a step's command in its family."""
    return step.name.partition(".")[2].replace("_", "-")


class Conversion(common.Command):
    """The command of a step: its parameters, then those of a function that gets the sink, the step and their values."""

    _given = 3

    def __init__(self, step: Step, function: Callable[..., None]) -> None:
        called = " ".join(("modelprep", *step.name.replace("_", "-").split(".")))
        examples = (f"{called} {step.example}",) if step.example else ()
        read = [_parameter(name, param) for name, param in step.params.items() if param.option is not None]
        super().__init__(function, _sentence(step.summary), examples, read)
        self._step = step

    def run(self, output: Output, /, **given: Any) -> None:
        """Call the function with the values that were read; what was left out is the step's to fill in."""
        read = {each.name: each.value(given.pop(each.name)) for each in self._more}
        params = {name: value for name, value in read.items() if value not in (None, [], {})}
        self._function(output, self._step, params, **given)


def conversion(step: Step, more: Callable[..., None] | None = None) -> Conversion:
    """Make the command of a step; `more` is called instead of :func:`modelprep.convert`."""
    return Conversion(step, more or _convert_step)


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


def _flags(name: str, param: Param) -> str:
    return param.option or f"--{name.replace('_', '-')}"


def _chosen_by(name: str, param: Param) -> str | None:
    """Return the flag that selects a choice: ``--text``."""
    word = _flags(name, param).split()[0].removeprefix("--")
    return word if word in param.choices else None


def _parameter(name: str, param: Param) -> Parameter:
    """Make a command's parameter from a step's."""
    kind, metavar = _KINDS[param.kind]
    metavar = param.metavar or ("|".join(map(str, param.choices)) if param.choices else metavar)
    flags, text, of_option = _flags(name, param), _sentence(param.doc), param.default
    default: Any = REQUIRED if param.required else param.default
    if param.kind == "file" and param.required:
        place = metavar if param.metavar else name.upper()
        optional = place.startswith("[")
        return Parameter(name, kind | None if optional else kind, Argument(place, text), None if optional else REQUIRED)
    if (choice := _chosen_by(name, param)) is not None:
        kind, default, of_option, metavar = bool, False, None, ""
        text = f"{text.rstrip('.')}: {choice} instead of {param.default}."
    elif param.kind == "bool":
        if param.default is None or (param.default is True and not param.option):
            kind, flags = kind if param.default else kind | None, f"{flags}/--no-{flags.removeprefix('--')}"
        elif param.default is True:
            default = False
    else:
        default = default if param.required or param.kind not in ("strs", "map", "files") else None
        kind = kind if default is not None else kind | None
    declared = Option(of_option, text, flags, metavar, least=param.least)
    return Parameter(name, kind, declared, default, lambda given: _value(name, param, given))


def _value(name: str, param: Param, given: Any) -> Any:
    """Convert typer's value for the step; None if the option was left out."""
    flag = _flags(name, param).split()[0]
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
    """Read the values of a ``NAME=VALUE`` option; an equals sign within brackets belongs to the name."""
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
