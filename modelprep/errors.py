"""Every error that a user can see, with its exit status, its facts and the next command.

Only :class:`ModelprepError` leaves the library on bad input; the command line turns it into one message and an exit
status. An error consists of facts, so that the text on a terminal and the object in ``--json`` say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self


class ModelprepError(Exception):
    """Base class of all errors.

    Parameters
    ----------
    what
        One sentence: the cause.
    where
        The place: a file (with line and column), a URL, a layer, a node, a tensor.
    expected, got
        Expected and actual value.
    looks_like
        What the bytes that arrived look like ("a web page", "a Git LFS pointer").
    hint
        The next command or action.
    tried
        Attempts, one line each (URLs with their outcome).
    brief
        Lines shown instead of `tried` without ``--verbose``; None shows all.
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
        # Steps run in separate processes: the facts must survive pickling.
        return _rebuild, (type(self), self.args[0], self._facts())

    def _facts(self) -> dict[str, Any]:
        names = ("where", "expected", "got", "looks_like", "hint", "tried", "brief")
        return {name: getattr(self, name) for name in names}

    def but(self, *, hint: str) -> Self:
        """Return the same error with another hint."""
        return type(self)(self.what, **{**self._facts(), "hint": hint})

    def renamed(self, names: Mapping[str, str]) -> Self:
        """Return the same error with the user's paths instead of the store's."""

        def shown(value: object) -> object:
            if isinstance(value, tuple):
                return tuple(map(shown, value))
            if isinstance(value, str):
                for path, name in names.items():
                    value = value.replace(path, name)
            return value

        facts: dict[str, Any] = {name: shown(value) for name, value in self._facts().items()}
        return type(self)(str(shown(self.what)), **facts)

    def to_json(self) -> dict[str, object]:
        """Return the facts as a JSON-ready mapping, empty ones left out."""
        facts: dict[str, object] = {"error": self.kind, "exit_code": self.exit_code, "what": self.what}
        for name, value in self._facts().items():
            if value and name != "brief":
                facts[name] = list(value) if isinstance(value, tuple) else value
        return facts

    def __str__(self) -> str:
        return self.text()

    def text(self, *, verbose: bool = False) -> str:
        """Write the error for a person; `verbose` shows all attempts."""
        lines = [self.what]

        def add(label: str, value: str | None) -> None:
            for number, line in enumerate(value.splitlines() if value else ()):
                lines.append(f"  {'' if number else label + ':':<11} {line}")

        for name in ("where", "expected", "got", "looks_like"):
            add(name.replace("_", " "), getattr(self, name))
        tried = self.tried if verbose or self.brief is None else self.brief
        lines.extend(f"  {'tried:':<11} {line}" for line in tried)
        add("next", self.hint)
        return "\n".join(lines)


def _rebuild(cls: type[ModelprepError], what: str, facts: dict[str, Any]) -> ModelprepError:
    return cls(what, **facts)


class CheckFailed(ModelprepError):
    """A check says no."""

    exit_code = 1
    kind = "check"


class UsageError(ModelprepError):
    """The command was called wrongly (unknown target, bad option value)."""

    exit_code = 2
    kind = "usage"


class RecipeError(ModelprepError):
    """A recipe is not valid, or refers to something that does not exist."""

    exit_code = 2
    kind = "recipe"


class FetchError(ModelprepError):
    """An asset could not be downloaded from any source."""

    exit_code = 3
    kind = "fetch"


class DeployError(ModelprepError):
    """A board could not be reached, or did not accept the files."""

    exit_code = 3
    kind = "deploy"


class ConnectionLost(DeployError):
    """The connection to a board failed or was cut: trying again may help."""


class DigestMismatch(ModelprepError):
    """A file's checksum is not the expected one."""

    exit_code = 4
    kind = "digest"


class CorruptBlob(DigestMismatch):
    """A cached file has changed since it was stored; it is quarantined and can be downloaded again."""

    kind = "corrupt"

    def __init__(self, sha256: str, where: str) -> None:
        super().__init__(
            "a cached file is corrupt", where=where, expected=f"sha256 {sha256}", hint="run the command again"
        )
        self.sha256 = sha256

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.sha256, str(self.where))


class StepError(ModelprepError):
    """A step cannot process its input: a damaged, truncated or foreign file."""

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
    """No host was reached, so a check has no result."""

    exit_code = 7
    kind = "network"


class NeedsBringing(ModelprepError):
    """A file has no public source; the user has to supply it."""

    exit_code = 8
    kind = "bring"


class NotEnoughMemory(ModelprepError):
    """The system has no more memory or threads."""

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
    """Suggest known words close to `word`: ``"did you mean a, b?"``, or an empty string."""
    import difflib

    close = difflib.get_close_matches(word, known, n=count, cutoff=0.5)
    return f"did you mean {', '.join(close)}?" if close else ""
