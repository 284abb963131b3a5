"""The report of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from modelprep.errors import ModelprepError
from modelprep.structs import dataclass

if TYPE_CHECKING:
    from modelprep.pipeline.run.missing import Missing

Outcome = Literal["installed", "unchanged", "nothing", "absent", "bring", "failed"]

#: Exit statuses from harmless to severe: a run returns the most severe one that occurred. A missing user file is the
#: least severe (many groups have such a demo), a full disk is worse than a dead server.
SEVERITY = (0, 8, 1, 7, 2, 3, 4, 5, 6, 130, 143)


def worst(codes: Iterable[int]) -> int:
    """Return the most severe exit status.

    >>> worst([0, 8, 3]), worst([])
    (3, 0)
    """
    return max(codes, key=lambda code: SEVERITY.index(code) if code in SEVERITY else len(SEVERITY), default=0)


@dataclass(frozen=True)
class DemoReport:
    """The outcome of one demo.

    Parameters
    ----------
    recipe, demo
        The recipe's name and the demo's own.
    folder
        Its tree.
    outcome
        ``installed`` (something was written), ``unchanged``, ``nothing`` (needs no files), ``absent`` (not on the
        board), ``bring``, ``failed``.
    files, written, removed
        Paths inside the tree: all of the demo's, those written now, those removed now.
    bytes_fetched
        Bytes downloaded for it; shared files count for the first demo.
    sources
        Hosts or folders of these files.
    seconds
        From its first to its last task.
    run
        The command for the board.
    error
        Why it failed.
    warnings
        Warnings of its steps and its installation.
    missing
        Its files that could not be downloaded.
    """

    recipe: str
    demo: str
    folder: Path
    outcome: Outcome
    files: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    bytes_fetched: int = 0
    sources: tuple[str, ...] = ()
    seconds: float = 0.0
    run: str = ""
    board: str = ""
    error: ModelprepError | None = None
    warnings: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()

    def __repr__(self) -> str:
        error = f": {self.error.what}" if self.error is not None else ""
        return f"<DemoReport {self.demo}: {self.outcome}, {len(self.files)} files{error}>"

    def to_json(self) -> dict[str, object]:
        """Return it JSON-ready."""
        apart = ("board", "error", "missing")
        facts: dict[str, object] = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
            if name not in apart
        }
        facts |= {"folder": str(self.folder), "seconds": round(self.seconds, 3)}
        if self.error is not None:
            facts["error"] = self.error.to_json()
        if self.missing:
            facts["missing"] = [each.to_json() for each in self.missing]
        return facts


@dataclass(frozen=True)
class Report:
    """The report of a run.

    Parameters
    ----------
    demos
        In the order asked for.
    bytes_fetched, seconds
        In total.
    pins_added
        Asset keys for which a pin of first use was written to the lock file.
    online
        Whether a host has answered.
    """

    demos: tuple[DemoReport, ...]
    bytes_fetched: int
    seconds: float
    pins_added: tuple[str, ...] = ()
    online: bool = False

    def __repr__(self) -> str:
        counts = Counter(demo.outcome for demo in self.demos)
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "no demos"
        return f"<Report: {told}; exit code {self.exit_code}>"

    def _repr_html_(self) -> str:
        from modelprep.pages import table

        rows = [
            (demo.demo, demo.outcome, len(demo.files), ", ".join(demo.sources), demo.error.what if demo.error else "")
            for demo in self.demos
        ]
        return table(["demo", "outcome", "files", "from", "cause"], rows, repr(self).strip("<>"))

    def raise_for_failure(self) -> None:
        """Raise the first error with the report's exit status, if a demo failed or needs a file from you."""
        for demo in self.demos:
            if demo.error is not None and demo.error.exit_code == self.exit_code:
                raise demo.error

    @property
    def exit_code(self) -> int:
        """The most severe exit status of the demos (:data:`SEVERITY`)."""
        return worst(demo.error.exit_code for demo in self.demos if demo.error is not None)

    @property
    def ok(self) -> bool:
        """True if no demo failed."""
        return self.exit_code == 0

    def to_json(self) -> dict[str, object]:
        """Return it JSON-ready."""
        return {
            "exit_code": self.exit_code,
            "bytes_fetched": self.bytes_fetched,
            "seconds": round(self.seconds, 3),
            "pins_added": list(self.pins_added),
            "demos": [demo.to_json() for demo in self.demos],
        }
