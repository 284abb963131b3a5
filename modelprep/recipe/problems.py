"""Collect the problems of a file, so that all are reported together.

A checker records problems and continues; at the end :meth:`Problems.raise_any` raises a :class:`RecipeError` for one
problem and a :class:`RecipeErrors` for several.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from modelprep.errors import RecipeError, nearest
from modelprep.url import scrub

#: Result of reading a wrong value, whose problem has been recorded.
BAD: Final = object()


class Placed:
    """A node's place: the parser's marks of its start and end."""

    __slots__ = ("end", "start")

    def __init__(self, start: Any, end: Any = None) -> None:
        self.start, self.end = start, end

    @property
    def line(self) -> int:
        """Line, counted from 0."""
        return int(self.start.line)

    @property
    def column(self) -> int:
        """Column, counted from 0."""
        return int(self.start.column)


class RecipeErrors(RecipeError):
    """Several problems in one file, each with its own place."""

    def __init__(self, what: str, problems: Sequence[RecipeError], *, where: str | None = None) -> None:
        super().__init__(what, where=where)
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_many, (self.what, self.problems, self.where)

    def to_json(self) -> dict[str, object]:
        """Return the facts as a JSON-ready mapping, the single problems in a list."""
        return {**super().to_json(), "problems": [problem.to_json() for problem in self.problems]}

    def __str__(self) -> str:
        return "\n".join([f"{self.what}:", *(f"- {problem}".replace("\n", "\n  ") for problem in self.problems)])


def _rebuild_many(what: str, problems: Sequence[RecipeError], where: str | None) -> RecipeErrors:
    return RecipeErrors(what, problems, where=where)


class Problems:
    """The problems found in one file; `path` is the file, for places (``file:line:column``)."""

    #: Maximum number of reported problems: the rest usually follows from the first ones.
    LIMIT = 50

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)
        self.found: list[RecipeError] = []

    @property
    def many(self) -> bool:
        """Whether the limit is reached, so that no further problem is reported."""
        return len(self.found) >= self.LIMIT

    def near(self, word: str, known: Collection[str], count: int = 3) -> str:
        """Suggest known names close to a word, unless there are too many: a hostile file could make comparing slow."""
        if self.many or len(known) > self.LIMIT * 20 or len(word) > 200:
            return ""
        return nearest(word, list(known), count)

    def where(self, place: Placed | None) -> str:
        """Write a place as ``file:line:column``, counted from 1 as editors do."""
        return self.path if place is None else f"{self.path}:{place.line + 1}:{place.column + 1}"

    def add(
        self,
        what: str,
        place: Placed | None = None,
        at: str = "",
        *,
        expected: str | None = None,
        got: str | None = None,
        hint: str | None = None,
    ) -> Any:
        """Record one problem: a sentence, the wrong node, its key path (``assets.weights.urls[1]``); return `BAD`."""
        # The value may be a misplaced URL, whose secrets must not be shown.
        where = scrub(self.where(place) + (f" ({at})" if at else ""))
        what, got = scrub(what), scrub(got) if got else got
        self.found.append(RecipeError(what, where=where, expected=expected, got=got, hint=hint or None))
        return BAD

    def extend(self, errors: Sequence[RecipeError]) -> None:
        """Add problems that were found elsewhere (another file, the check of steps)."""
        for error in errors:
            self.found.extend(error.problems if isinstance(error, RecipeErrors) else [error])

    def raise_any(self) -> None:
        """Raise the problems, if any: one as a `RecipeError`, several as `RecipeErrors`."""
        if not self.found:
            return
        if len(self.found) == 1:
            raise self.found[0]
        shown = self.found[: self.LIMIT]
        more = f" (the first {self.LIMIT} are shown)" if len(self.found) > self.LIMIT else ""
        raise RecipeErrors(f"{self.path} has {len(self.found)} problems{more}", shown, where=shown[0].where)


def one_of(names: Iterable[object], limit: int = 40) -> str:
    """List allowed values, shortened if there are many."""
    from itertools import islice

    listed = [str(name) for name in islice(names, limit + 1)]
    return f"one of {', '.join(listed[:limit])}{', ...' if len(listed) > limit else ''}"


def flatten(error: RecipeError) -> tuple[RecipeError, ...]:
    """Return the single problems behind an error."""
    return error.problems if isinstance(error, RecipeErrors) else (error,)
