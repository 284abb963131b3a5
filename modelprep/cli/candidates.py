"""What can stand at the cursor: ``modelprep __complete WORD...`` answers the completion scripts of the shells.

The words are those of the command line after ``modelprep``, up to the cursor; the last one is being typed. The first
line of the answer says what the shell should offer by itself (``files``, ``dirs`` or ``none``), each further one is a
candidate, with a tab and a remark where there is one. Nothing but the module of the named command is imported, and no
recipe is parsed unless its variants are asked for: a shell waits for this at every press of a key.

This is our own, and not typer's, because typer's answers know no ``group/name@variant`` (bash takes words apart at @),
offer files beside targets or not at all, and are reached through parts of typer that move from version to version.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import typer

from modelprep.errors import ModelprepError

Kind = Literal["none", "files", "dirs"]

#: Entries of a folder that are looked at, at most.
_MOST_ENTRIES = 2000
_SUFFIXES = (".yaml", ".yml")
_FOLDERS = ("DIR", "DIR_OR_URL")


@dataclass(frozen=True)
class Answer:
    """What can stand at the cursor.

    Parameters
    ----------
    kind
        What the shell should offer by itself.
    words
        Candidate -> remark (may be empty), in the order to show them in. Each begins with what was typed.
    """

    kind: Kind = "none"
    words: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Write the answer as the scripts read it."""
        lines = [f"{word}\t{' '.join(remark.split())}" if remark else word for word, remark in self.words.items()]
        return "\n".join([self.kind, *lines])


@dataclass
class _Line:
    """What has been typed before the word at the cursor."""

    command: Any
    context: Any
    waiting: Any = None
    "option whose value comes next"
    options_ended: bool = False
    given: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    recipes: list[Path] = field(default_factory=list)
    "values of --recipes"


def answer(words: Sequence[str]) -> Answer:
    """Say what can stand at the cursor.

    Parameters
    ----------
    words
        The command line after ``modelprep``, up to the cursor; the last one (perhaps empty) is being typed.

    Returns
    -------
    Answer
        An empty one where the line makes no sense.
    """
    *before, current = words or ("",)
    line = _read(before)
    if line is None:
        return Answer()
    if line.waiting is not None:
        return _value(line, line.waiting, current)
    if current.startswith("-") and not line.options_ended:
        name, equals, value = current.partition("=")
        if not equals:
            return _beginning(current, _options(line))
        option = _option(line, name)
        if option is None or option.is_flag:
            return Answer()
        found = _value(line, option, value)
        return Answer(found.kind, {f"{name}={word}": remark for word, remark in found.words.items()})
    if hasattr(line.command, "list_commands"):
        return _beginning(current, _commands(line))
    argument = _argument(line)
    return Answer() if argument is None else _value(line, argument, current)


def _read(words: Sequence[str]) -> _Line | None:
    """Walk over the finished words; None when a command is not known."""
    from modelprep.cli.main import app

    command: Any = typer.main.get_command(app)
    line = _Line(command, typer.Context(command, info_name="modelprep"))
    for word in words:
        if line.waiting is not None:
            _take(line, line.waiting, word)
            line.waiting = None
        elif word == "--" and not line.options_ended:
            line.options_ended = True
        elif len(word) > 1 and word.startswith("-") and not line.options_ended:
            _take_option(line, word)
        elif hasattr(line.command, "list_commands"):
            command = line.command.get_command(line.context, word)
            if command is None:
                return None
            line.context = typer.Context(command, info_name=word, parent=line.context)
            line.command, line.used = command, set()
        else:
            line.given.append(word)
    return line


def _take(line: _Line, option: Any, value: str) -> None:
    if "--recipes" in option.opts and Path(value).expanduser().is_dir():
        line.recipes.append(Path(value).expanduser())


def _take_option(line: _Line, word: str) -> None:
    name, equals, value = word.partition("=")
    if not word.startswith("--"):
        # -j4 or -qj 4: the first letter that takes a value takes the rest.
        for index, letter in enumerate(word[1:], 2):
            option = _option(line, f"-{letter}")
            if option is None:
                return
            line.used.update(option.opts)
            if not option.is_flag:
                line.waiting = None if word[index:] else option
                return
        return
    option = _option(line, name)
    if option is None:
        return
    line.used.update(option.opts)
    if equals:
        _take(line, option, value)
    elif not option.is_flag:
        line.waiting = option


def _params(line: _Line) -> list[Any]:
    return [each for each in line.command.get_params(line.context) if not getattr(each, "hidden", False)]


def _option(line: _Line, name: str) -> Any:
    options = [each for each in _params(line) if each.param_type_name == "option"]
    return next((each for each in options if name in (*each.opts, *each.secondary_opts)), None)


def _options(line: _Line) -> Iterator[tuple[str, str]]:
    for each in _params(line):
        if each.param_type_name != "option" or (line.used.intersection(each.opts) and not each.multiple):
            continue
        for name in (*each.opts, *each.secondary_opts):
            if name.startswith("--"):
                yield name, each.help or ""


def _commands(line: _Line) -> Iterator[tuple[str, str]]:
    from modelprep.cli.main import COMMANDS

    for name in line.command.list_commands(line.context):
        if line.context.parent is None:
            # The top's are known by name; importing every module would cost more than all the rest.
            yield name, COMMANDS[name]
        elif not (command := line.command.get_command(line.context, name)).hidden:
            yield name, command.get_short_help_str(100)


def _argument(line: _Line) -> Any:
    """Give the argument that the word at the cursor belongs to."""
    before = len(line.given)
    for each in _params(line):
        if each.param_type_name == "argument":
            if each.nargs < 0 or before < each.nargs:
                return each
            before -= each.nargs
    return None


def _value(line: _Line, param: Any, current: str) -> Answer:
    """Say what a parameter can be; its metavar tells what it is."""
    metavar = param.metavar or ""
    if param.param_type_name == "argument" and "TARGET" in metavar:
        return Answer("none", _targets(line, current))
    if choices := getattr(param.type, "choices", None):
        return _beginning(current, ((str(choice), "") for choice in choices))
    if "|" in metavar:
        return _beginning(current, ((choice, "") for choice in metavar.split("|")))
    if "--armnn" in param.opts or "--for" in param.opts:
        from modelprep.targets import armnn_tests

        before = "armnn-" if "--for" in param.opts else ""
        return _beginning(current, ((f"{before}{version}", "") for version in armnn_tests.versions()))
    if metavar in _FOLDERS:
        return Answer("dirs")
    return Answer("files") if "PATH" in metavar or getattr(param.type, "name", "") in ("path", "file") else Answer()


def _beginning(current: str, found: Iterator[tuple[str, str]]) -> Answer:
    return Answer("none", {word: remark for word, remark in found if word.startswith(current)})


def _targets(line: _Line, current: str) -> dict[str, str]:
    """Offer groups and ``all``; from the first letter on also recipes, demos' own names, and files of recipes.

    A target that stands on the line already is not offered again; a broken recipe must not break the shell.
    """
    from modelprep.recipe.catalogue import Catalogue

    try:
        catalogue = Catalogue.open(line.recipes)
        plain, at, _ = current.rpartition("@")
        if at:
            return {f"{plain}@{name}": why for name, why in _variants(catalogue, plain) if name}
    except (ModelprepError, OSError):
        return {}
    found = dict(_known(catalogue, shortly=not current))
    matching = {word: remark for word, remark in found.items() if word.startswith(current)}
    matching |= dict(_files(current))
    given = set(line.given)
    return {word: remark for word, remark in matching.items() if word not in given}


def _known(catalogue: Any, *, shortly: bool) -> Iterator[tuple[str, str]]:
    names = catalogue.names()
    yield "all", f"{len(names)} recipes"
    for group in catalogue.groups():
        yield group, f"{sum(name.startswith(f'{group}/') for name in names)} recipes"
    if shortly:
        return
    demos = {name: _demo(catalogue.path(name)) for name in names}
    yield from demos.items()
    yield from ((demo, name) for name, demo in demos.items() if demo)


def _variants(catalogue: Any, target: str) -> Iterator[tuple[str, str]]:
    for recipe in catalogue.resolve([target]):
        yield from recipe.variants.items()


def _demo(path: Path) -> str:
    """Give the demo's own name in a recipe file, by its line alone; empty where it is not on one."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                if text.startswith("demo:"):
                    return text[5:].partition(" #")[0].strip().strip("'\"")
    except OSError:
        pass
    return ""


def _files(current: str) -> Iterator[tuple[str, str]]:
    """Offer files that may be recipes, and folders that may lead to them once something was typed."""
    folder, slash, start = current.rpartition("/")
    found = []
    try:
        with os.scandir(Path(f"{folder}{slash}" or ".").expanduser()) as entries:
            for _, entry in zip(range(_MOST_ENTRIES), entries, strict=False):
                if not entry.name.startswith(start) or (entry.name.startswith(".") and not start.startswith(".")):
                    continue
                if entry.is_dir():
                    if current:
                        found.append(f"{folder}{slash}{entry.name}/")
                elif entry.name.endswith(_SUFFIXES):
                    found.append(f"{folder}{slash}{entry.name}")
    except (OSError, RuntimeError):
        # No such folder, or no such user's home.
        return
    # A name with a line's end or a tab in it cannot be told to a shell.
    yield from ((word, "") for word in sorted(found) if word.isprintable())
