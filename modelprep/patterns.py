"""Regular expressions that are compiled when they are first used: a millisecond each, of which a command uses few."""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast


class _Pattern:
    def __init__(self, text: str | bytes, flags: int) -> None:
        self._given = text, flags

    def __getattr__(self, name: str) -> Any:
        compiled: re.Pattern[Any] = re.compile(*self._given)
        # From now on its methods are found directly.
        methods = ("search", "match", "fullmatch", "split", "findall", "finditer", "sub", "subn", "pattern")
        self.__dict__.update({each: getattr(compiled, each) for each in methods})
        return getattr(compiled, name)


def pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what behaves as ``re.compile(text, flags)``; a pattern that is wrong is reported when it is first used."""
    return cast("re.Pattern[AnyStr]", _Pattern(text, flags))
