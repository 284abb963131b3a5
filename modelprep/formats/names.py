"""Names inside a model: new ones that are free, and what is wrong with those that a user gives."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from modelprep.errors import StepError, nearest

MAX_NAME = 4096
_UNDERSCORES = 9


def free_name(stem: str, taken: Collection[str]) -> str:
    """Return a name that is not taken.

    How many are taken is another number each time one is, so that many nodes of one name find theirs at once.
    """
    name, tries = stem, 0
    while name in taken:
        tries += 1
        name = f"{stem}_{len(taken)}" if tries == _UNDERSCORES else f"{name}_"
    return name


class Renaming:
    """What can be wrong with new names for inputs and outputs; the caller raises it.

    `where`: the file, for messages. `inputs`, `outputs`: names of those that there are.
    """

    def __init__(self, where: str, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        self.where, self.there = where, {"input": inputs, "output": outputs}
        self.listed = f"inputs: {', '.join(inputs)}; outputs: {', '.join(outputs)}"

    def check(self, name: str) -> None:
        """See that a new name is one.

        Raises StepError: it is empty, too long, or holds something unprintable.
        """
        if not name or not name.isprintable() or len(name.encode("utf-8")) > MAX_NAME:
            raise StepError(
                "a new name must be printable text", where=self.where, expected=f"1 to {MAX_NAME} bytes",
                got=repr(name[:80]),
            )  # fmt: skip

    def absent(self, kind: str, old: str) -> StepError:
        """Make the error for an input or output that is not there."""
        there = self.there[kind]
        return StepError(
            f"the model has no {kind} called '{old}'", where=self.where, expected=old,
            got=f"{kind}s: {', '.join(there) or 'none'}", hint=nearest(old, list(there)) or None,
        )  # fmt: skip

    def two_names(self, old: str, first: str, second: str) -> StepError:
        """Make the error for one that is input and output."""
        what = f"'{old}' is both input and output, and is to get two names"
        return StepError(what, where=self.where, got=f"{first} and {second}")

    def nothing(self) -> StepError:
        """Make the error for names that all are as requested."""
        return StepError("there is nothing to rename: every name is already as requested", where=self.where,
                         got=self.listed)  # fmt: skip

    def taken(self, new: str, kind: str, by: str) -> StepError:
        """Make the error for a name that something else has."""
        return StepError(
            f"the name '{new}' is already taken", where=self.where, expected=f"a name that no {kind} has",
            got=f"{by}; {self.listed}",
        )  # fmt: skip
