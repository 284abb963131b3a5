"""Names inside a model: new ones that are free, and checks of those that a user states."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Literal, TypeVar

from modelprep.errors import StepError, nearest

MAX_NAME = 4096
_UNDERSCORES = 9

Kind = Literal["input", "output"]
Key = TypeVar("Key", bound=Hashable)


def free_name(stem: str, taken: Collection[str]) -> str:
    """Return a name that is not taken.

    After a few tries it ends in how many are taken, which changes each time: many nodes of one name find theirs soon.
    """
    name, tries = stem, 0
    while name in taken:
        tries += 1
        name = f"{stem}_{len(taken)}" if tries == _UNDERSCORES else f"{name}_"
    return name


class Renaming:
    """New names for inputs and outputs, checked as they are asked for.

    `where`: the file, for messages. `inputs`, `outputs`: names of those that exist.
    """

    def __init__(self, where: str, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        self.where, self.existing = where, {"input": inputs, "output": outputs}
        self.listed = f"inputs: {', '.join(inputs)}; outputs: {', '.join(outputs)}"

    def choose(
        self, inputs: Mapping[str, str], outputs: Mapping[str, str], find: Callable[[Kind, str], Key | None]
    ) -> dict[Key, tuple[Kind, str]]:
        """Return the values whose name changes, each with its kind and new name.

        `inputs`, `outputs`: old name -> new name. `find`: an input or output by its old name.

        Raises StepError: an old name does not exist; a new one is empty, too long or unprintable; a value is to get two
        names; nothing would change.
        """
        chosen: dict[Key, tuple[Kind, str]] = {}
        asked: tuple[tuple[Kind, Mapping[str, str]], ...] = (("input", inputs), ("output", outputs))
        for kind, old, new in ((kind, *pair) for kind, names in asked for pair in names.items()):
            key = find(kind, old)
            if key is None:
                existing = list(self.existing[kind])
                raise StepError(
                    f"the model has no {kind} called '{old}'", where=self.where, expected=old,
                    got=f"{kind}s: {', '.join(existing) or 'none'}", hint=nearest(old, existing) or None,
                )  # fmt: skip
            if not new or not new.isprintable() or len(new.encode("utf-8")) > MAX_NAME:
                raise StepError(
                    "a new name must be printable text", where=self.where, expected=f"1 to {MAX_NAME} bytes",
                    got=repr(new[:80]),
                )  # fmt: skip
            if (first := chosen.get(key, (kind, new))[1]) != new:
                what = f"'{old}' is both input and output, and is to get two names"
                raise StepError(what, where=self.where, got=f"{first} and {new}")
            if new != old:
                chosen[key] = (kind, new)
        if not chosen:
            what = "there is nothing to rename: every name is already as requested"
            raise StepError(what, where=self.where, got=self.listed)
        return chosen

    def taken(self, new: str, kind: str, by: str) -> StepError:
        """Return the error for a name that something else has."""
        return StepError(
            f"the name '{new}' is already taken", where=self.where, expected=f"a name that no {kind} has",
            got=f"{by}; {self.listed}",
        )  # fmt: skip
