"""Parse a valid command line as typer would: see :mod:`modelprep.cli.plain`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from modelprep.api.declaring import Option
from modelprep.cli.parameters import REQUIRED, Parameter


def read(parameters: Iterable[Parameter], words: Sequence[str]) -> dict[str, Any] | None:
    """Return parameter -> value of a valid line, as typer would parse it; None for any other line."""
    values: dict[str, Any] = {}
    places: list[Parameter] = []
    options: dict[str, Parameter] = {}
    flags: dict[str, tuple[str, bool]] = {}
    for each in parameters:
        values[each.name] = each.default
        if not isinstance(each.declaration, Option):
            places.append(each)
            continue
        said = os.environ.get(each.declaration.env) if each.declaration.env else None
        if each.kind in (bool, bool | None):
            on, _, off = " ".join(each.flags).partition("/")
            flags |= dict.fromkeys(on.split(), (each.name, True)) | dict.fromkeys(off.split(), (each.name, False))
            if said:
                return None
        else:
            options |= dict.fromkeys(each.flags, each)
            if said and (value := _value(each, said)) is not None:
                values[each.name] = value
            elif said:
                return None
    rest: list[str] = []
    several: dict[str, list[Any]] = {}
    left = iter(words)
    for word in left:
        name, equals, text = word.partition("=")
        if word == "--":
            rest += left
        elif word[:1] != "-":
            rest.append(word)
        elif word in flags:
            values[flags[word][0]] = flags[word][1]
        elif name not in options or (equals and name[:2] != "--"):
            return None
        else:
            each = options[name]
            text = text if equals else next(left, "-")
            if (not equals and text[:1] == "-") or (value := _value(each, text)) is None:
                return None
            values[each.name] = several.setdefault(each.name, []) if _many(each) else value
            if _many(each):
                several[each.name].append(value)
    if len(places) > 1 or "" in rest:
        return None
    for place in places:
        found = [_value(place, text) for text in rest]
        if None in found or (len(found) > 1 and not _many(place)):
            return None
        if found:
            values[place.name], rest = found if _many(place) else found[0], []
    unread = any(isinstance(value, Path) and _path(str(value)) is None for value in values.values())
    return None if rest or REQUIRED in values.values() or unread else values


def _many(each: Parameter) -> bool:
    return "list[" in str(each.kind)


def _value(each: Parameter, text: str) -> Any:
    """Parse one value; None if it is not valid."""
    kind = str(each.kind)
    if "Path" in kind:
        return _path(text)
    if "str" in kind:
        return text or None
    if "int" in kind and text.isdecimal() and text.isascii() and len(text) < 10:
        number, said = int(text), each.declaration
        least, most = (said.least, said.most) if isinstance(said, Option) else (None, None)
        return number if (least is None or number >= least) and (most is None or number <= most) else None
    return None


def _path(text: str) -> Path | None:
    # A path that exists but cannot be read is refused.
    path = Path(text)
    return path if text and (not path.exists() or os.access(path, os.R_OK)) else None
