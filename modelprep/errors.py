"""Every error that a user can see, with its exit code, its facts and the next thing to do.

Nothing but :class:`ModelprepError` leaves the library on bad input; the command line turns it into one message and
an exit code. An error is made of facts, so that the text on a terminal and the object in ``--json`` say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self


class ModelprepError(Exception):
    """Base of the family: something went wrong that the user can be told about.

    Parameters
    ----------
    what
        One sentence: what went wrong.
    where
        The place: a file (with line and column), a URL, a layer, a node, a tensor.
    expected, got
        What was wanted and what was there.
    looks_like
        What the bytes that arrived look like ("a web page", "a Git LFS pointer").
    hint
        The next command or action that leads on.
    tried
        What was tried, one line each (URLs with their outcome).
    brief
        Lines that stand for `tried` where a person did not ask for all of it; None shows all.
    """

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "error"

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        got: str | None = None,
        looks_like: str | None = None,
        hint: str | None = None,
        tried: Sequence[str] = (),
        brief: Sequence[str] | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.expected = expected
        self.got = got
        self.looks_like = looks_like
        self.hint = hint
        self.tried = tuple(tried)
        self.brief = None if brief is None else tuple(brief)

    def __reduce__(self) -> tuple[object, ...]:
        # Steps run in processes of their own: the facts must survive pickling.
        return _rebuild, (type(self), self.args[0], {**self._facts(), "brief": self.brief})

    def _facts(self) -> dict[str, object]:
        return {
            "where": self.where,
            "expected": self.expected,
            "got": self.got,
            "looks_like": self.looks_like,
            "hint": self.hint,
            "tried": self.tried,
        }

    def but(self, *, hint: str) -> Self:
        """Return the same error with another hint."""
        return type(self)(self.what, **{**self._facts(), "brief": self.brief, "hint": hint})  # type: ignore[arg-type]

    def renamed(self, names: Mapping[str, str]) -> Self:
        """Return the same error with other names for some paths: what the user knows for what only the store does."""

        def shown(value: object) -> object:
            if isinstance(value, tuple):
                return tuple(map(shown, value))
            if isinstance(value, str):
                for path, name in names.items():
                    value = value.replace(path, name)
            return value

        facts = {name: shown(value) for name, value in {**self._facts(), "brief": self.brief}.items()}
        return type(self)(str(shown(self.what)), **facts)  # type: ignore[arg-type]

    def to_json(self) -> dict[str, object]:
        """Return the facts as a JSON-ready mapping, empty ones left out."""
        facts: dict[str, object] = {"error": self.kind, "exit_code": self.exit_code, "what": self.what}
        for name, value in self._facts().items():
            if value:
                facts[name] = list(value) if isinstance(value, tuple) else value
        return facts

    def __str__(self) -> str:
        return self.text()

    def text(self, *, verbose: bool = False) -> str:
        """Write the error for a person; `verbose` shows all that was tried."""
        lines = [self.what]
        for label, value in (
            ("where", self.where),
            ("expected", self.expected),
            ("got", self.got),
            ("looks like", self.looks_like),
        ):
            if value:
                first, *rest = value.splitlines() or [""]
                lines.append(f"  {label + ':':<11} {first}")
                lines.extend(f"  {'':<11} {line}" for line in rest)
        lines.extend(
            f"  {'tried:':<11} {line}" for line in (self.tried if verbose or self.brief is None else self.brief)
        )
        if self.hint:
            first, *rest = self.hint.splitlines()
            lines.append(f"  {'next:':<11} {first}")
            lines.extend(f"  {'':<11} {line}" for line in rest)
        return "\n".join(lines)


def _rebuild(cls: type[ModelprepError], what: str, facts: dict[str, object]) -> ModelprepError:
    return cls(what, **facts)  # type: ignore[arg-type]  # the facts came out of the same class


class CheckFailed(ModelprepError):
    """A check says no."""

    exit_code = 1
    kind = "check"


class UsageError(ModelprepError):
    """The command was called wrongly (unknown target, bad option value)."""

    exit_code = 2
    kind = "usage"


class RecipeError(ModelprepError):
    """A recipe is not well formed, or asks for something that does not exist."""

    exit_code = 2
    kind = "recipe"


class FetchError(ModelprepError):
    """An asset could not be had from any source."""

    exit_code = 3
    kind = "fetch"


class DeployError(ModelprepError):
    """A board could not be reached, or did not take what was sent."""

    exit_code = 3
    kind = "deploy"


class ConnectionLost(DeployError):
    """The connection to a board failed or was cut: trying again may help."""


class DigestMismatch(ModelprepError):
    """Bytes are there, and they are not the ones that were asked for."""

    exit_code = 4
    kind = "digest"


class CorruptBlob(DigestMismatch):
    """A cached file has other bytes than when it was stored; it is in quarantine now, and can be had again."""

    kind = "corrupt"

    def __init__(self, sha256: str, where: str) -> None:
        super().__init__(
            "a cached file is corrupt", where=where, expected=f"sha256 {sha256}", hint="run the command again"
        )
        self.sha256 = sha256

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.sha256, str(self.where))


class StepError(ModelprepError):
    """A step cannot do its work on this input: a bad, truncated or foreign file."""

    exit_code = 5
    kind = "step"


class StorageError(ModelprepError):
    """Disk full, no permission, a file in the way."""

    exit_code = 6
    kind = "storage"


class MissingTool(ModelprepError):
    """An extra or a program that is needed is not installed."""

    exit_code = 7
    kind = "missing"


class NoNetwork(ModelprepError):
    """No host was reached, so that a question about them has no answer."""

    exit_code = 7
    kind = "network"


class NeedsBringing(ModelprepError):
    """Something has no public source; the user has to bring it."""

    exit_code = 8
    kind = "bring"


class NotEnoughMemory(ModelprepError):
    """The system gave no more memory, or no more threads."""

    exit_code = 6
    kind = "memory"


class Interrupted(ModelprepError):
    """The user pressed Ctrl-C."""

    exit_code = 130
    kind = "interrupted"

    @staticmethod
    def by(caught: KeyboardInterrupt) -> Interrupted:
        """Make the error for a KeyboardInterrupt, whose argument is the number of the signal where that is known."""
        made = Terminated if caught.args[:1] == (15,) else Interrupted
        return made("interrupted; complete files are kept, run the command again to resume")


class Terminated(Interrupted):
    """The process was asked to stop (SIGTERM)."""

    exit_code = 143


def nearest(word: str, known: Sequence[str], count: int = 3) -> str:
    """Say which known words are close to `word`: ``"did you mean a, b?"``, or an empty string."""
    import difflib

    close = difflib.get_close_matches(word, known, n=count, cutoff=0.5)
    return f"did you mean {', '.join(close)}?" if close else ""
