"""How options are declared once (:mod:`modelprep.api.options`) and used by functions and commands.

A verb takes ``**options: Unpack[FetchOptions]``; :func:`verb` sets its signature and documentation from the
declaration, :func:`settle` checks the caller's values and fills in the defaults. The command line makes its options
from the same declaration (:mod:`modelprep.cli.common`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from modelprep.errors import UsageError, nearest
from modelprep.structs import dataclass

if TYPE_CHECKING:
    from typing_extensions import Unpack as Unpack
else:
    Unpack = dict  # annotations are not evaluated

AnyPath = str | PathLike[str]
#: One name or several: ``"armnn-caffe"`` and ``["armnn-caffe"]`` mean the same.
Words = str | Sequence[str]
#: One folder (or URL) or several.
Paths = AnyPath | Sequence[AnyPath]
#: Names, each with a file.
Files = Mapping[str, AnyPath] | None


@dataclass(frozen=True)
class Option:
    """An option of a verb.

    `default`: its value when left out. `help`: its meaning, for the command's help and the function's documentation. A
    parameter in backquotes is shown as its option. `flags`: names on the command line if not just ``--name``: ``--jobs
    -j``. ``--no-name`` alone is a flag that turns off a default. Empty: ``--`` and the name, with dashes. `metavar`:
    placeholder of the value in help texts; none for a flag. `env`: environment variable that the command reads if the
    option is left out. `least`, `most`: bounds of a number.
    """

    default: object
    help: str
    flags: str = ""
    metavar: str = ""
    env: str = ""
    least: float | None = None
    most: float | None = None


#: Positional parameters, and `listen`, which every long-running verb takes.
ARGUMENTS: Mapping[str, str] = {
    "targets": "A group, a recipe (group/name, with @variant), a demo's own name, a path to a recipe file, or 'all'; "
    "one, or a sequence of them.",
    "recipes": "Folders of your own recipes.",
    "listen": "Called with an :class:`~modelprep.events.Event` for each event, from several threads, one at a time. "
    "An exception that it raises ends the work as Ctrl-C would, and is passed on. None: "
    "progress bars in a notebook, nothing elsewhere.",
}


def declared(options: type) -> Iterator[tuple[str, Any, Option]]:
    """Yield name, type and declaration of each option of a verb."""
    for name, annotation in options.__annotations__.items():
        kind, option = get_args(annotation)
        yield name, kind, option


def settle(options: type, given: Mapping[str, Any]) -> SimpleNamespace:
    """Check the options that a caller passed and fill in the defaults.

    `options`: the declaration. `given`: options by name. Returns every option as an attribute: a path as Path, words
    and places (:data:`Paths`) as a tuple of str, files as a dict of Paths. Raises TypeError: an option is not declared;
    UsageError: a number is out of bounds.
    """
    values: dict[str, Any] = {}
    for name, kind, option in declared(options):
        value = given.get(name, option.default)
        if option.least is not None and value is not None:
            within(name, value, option.least, option.most)
        values[name] = _CONVERTERS[kind](value) if kind in _CONVERTERS else value
    for name in given:
        if name not in values:
            hint = nearest(name, list(values), 1)
            raise TypeError(f"unexpected keyword argument '{name}'{'; ' + hint if hint else ''}")
    return SimpleNamespace(**values)


def within(name: str, value: float, least: float, most: float | None = None) -> None:
    """Refuse a number that is out of bounds, as the command line does.

    Raises UsageError: the value is too small, too large or not a number.
    """
    if not (least <= value and (most is None or value <= most)):
        expected = f"at least {least:g}" if most is None else f"{least:g} to {most:g}"
        raise UsageError(f"{name} is out of range", expected=expected, got=str(value))


def words(given: Words) -> tuple[str, ...]:
    """Return one word or several as a tuple: a string is one word, not a sequence of letters."""
    return (given,) if isinstance(given, str) else tuple(given)


def places(given: Paths) -> tuple[str, ...]:
    """Return folders and URLs as text: a Path would merge the two slashes of a URL."""
    return (fspath(given),) if isinstance(given, (str, PathLike)) else tuple(fspath(each) for each in given)


_CONVERTERS: Mapping[Any, Callable[[Any], Any]] = {
    AnyPath: Path,
    AnyPath | None: lambda given: None if given is None else Path(given),
    Words: words,
    Paths: places,
    Files: lambda given: {name: Path(path) for name, path in (given or {}).items()},
}

Function = TypeVar("Function", bound=Callable[..., Any])


def verb(options: type | None = None) -> Callable[[Function], Function]:
    """Declare the options of a function of ``**options``."""

    def declare(function: Function) -> Function:
        function.__dict__["_options"] = options
        return function

    return declare


def completed(function: Any) -> Any:
    """Set a verb's signature, and a docstring that describes every parameter; return what is no verb as it is.

    This is done when a verb is asked for by its public name: a command needs neither.
    """
    import inspect

    if "_options" in getattr(function, "__dict__", ()):
        options = function.__dict__.pop("_options")
        signature = inspect.signature(function)
        fixed = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        texts = {each.name: ARGUMENTS[each.name] for each in fixed if each.name in ARGUMENTS}
        keywords = []
        for name, kind, option in declared(options) if options is not None else ():
            keywords.append(
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=kind)
            )
            texts[f"{name} : {_shown(kind)}, default {option.default!r}"] = option.help
        # A positional parameter with a default stays before the keyword-only ones.
        split = next((i for i, each in enumerate(fixed) if each.kind is inspect.Parameter.KEYWORD_ONLY), len(fixed))
        function.__signature__ = signature.replace(parameters=[*fixed[:split], *keywords, *fixed[split:]])
        function.__doc__ = _documented(inspect.cleandoc(function.__doc__ or ""), texts)
    return function


def _shown(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("collections.abc.", "")


def _documented(text: str, texts: Mapping[str, str]) -> str:
    """Add the descriptions of parameters to a docstring, after those that it has already."""
    import textwrap

    title = "Parameters\n----------\n"
    lines = [
        f"{name}\n{textwrap.fill(says, 116, initial_indent='    ', subsequent_indent='    ')}"
        for name, says in texts.items()
        if f"\n{name}\n" not in text
    ]
    sections = text.split("\n\n")
    place = next((i for i, each in enumerate(sections) if each.startswith(title)), None)
    if place is not None:
        sections[place] += "\n" + "\n".join(lines)
    else:
        before = (i for i, each in enumerate(sections) if each.startswith(("Returns\n---", "Raises\n---")))
        sections.insert(next(before, len(sections)), title + "\n".join(lines))
    return "\n\n".join(sections)
