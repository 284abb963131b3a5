"""The verdict of a board test and its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from modelprep.check.board.boxes import Detection
from modelprep.check.lint.findings import Finding
from modelprep.structs import dataclass, field
from modelprep.targets.armnn_tests import SOURCES, BoardTest
from modelprep.targets.class_names import label

Outcome = Literal["passes", "fails", "unknown"]


@dataclass(frozen=True)
class Judged:
    """One test case.

    Parameters
    ----------
    id, file
        The case, and the data file it comes from.
    wanted, got
        Class asked for (None if none is compared) and class that came first (None if nothing was detected).
    top
        (class, score) of the five best.
    found, asked
        Of a detection test: the boxes that the network found, best first, and the one wanted.
    message
        What the board prints when the case fails; empty when it passes.
    seen
        The input tensor, for reports.
    close
        Whether the scores lie so near each other that the board may decide otherwise.
    """

    id: int
    file: str
    wanted: int | None
    got: int | None
    top: tuple[tuple[int, float], ...] = ()
    message: str = ""
    found: tuple[Detection, ...] = ()
    asked: Detection | None = None
    seen: Any = field(default=None, repr=False, compare=False)
    close: bool = False

    @property
    def passes(self) -> bool:
        """Whether the board counts it as right."""
        return not self.message


@dataclass(frozen=True)
class Verdict:
    """The predicted result of a test.

    Parameters
    ----------
    test
        The test program.
    outcome
        ``passes``, ``fails``, or ``unknown`` where this machine lacks a runtime to say it.
    message
        What the board prints when it fails; why it is not known; empty when it passes.
    hint
        What to do about it.
    findings
        Of the lint.
    cases
        The cases judged.
    runtime
        What ran the model.
    warnings
        What does not decide but matters.
    missing
        Whether it fails because a file is missing or of another kind.
    status
        The exit status where it fails otherwise than with 1.
    absent
        Whether it fails because a file is not there at all.
    cause
        Why it fails, or why it is not known, in this tool's words; the board's message where left out.
    command
        What to type next, as a shell takes it; empty if no one command helps.
    """

    test: BoardTest
    outcome: Outcome
    message: str = ""
    hint: str = ""
    findings: tuple[Finding, ...] = ()
    cases: tuple[Judged, ...] = ()
    runtime: str = ""
    warnings: tuple[str, ...] = ()
    missing: bool = False
    status: int | None = None
    absent: bool = False
    cause: str = ""
    command: str = ""

    @property
    def why(self) -> str:
        """Why the test does not pass, in a line; empty if it passes."""
        return self.cause or self.message

    @property
    def exit_status(self) -> int | None:
        """The status that the program will end with; None if it is not known."""
        if self.status is not None:
            return self.status
        return {"passes": 0, "fails": 1, "unknown": None}[self.outcome]

    @property
    def source(self) -> str:
        """Which source of Arm NN the verdict is for, where a board's may be another; else empty."""
        return SOURCES.get(self.test.version, "")

    @property
    def close(self) -> bool:
        """Whether a case is decided by less than host and board may differ."""
        return any(case.close for case in self.cases)

    def to_json(self) -> dict[str, object]:
        """Return it as JSON-ready values."""
        return {
            "test": self.test.name,
            "armnn": self.test.version,
            "armnn_source": self.source,
            "outcome": self.outcome,
            "close": self.close,
            "exit_status": self.exit_status,
            "message": self.message,
            "hint": self.hint,
            "runtime": self.runtime,
            "warnings": list(self.warnings),
            "findings": [finding.to_json() for finding in self.findings],
            "cases": [
                {
                    "id": case.id,
                    "file": case.file,
                    "wanted": case.wanted,
                    "got": case.got,
                    "passes": case.passes,
                    "close": case.close,
                    "message": case.message,
                    "found": [detection.to_json() for detection in case.found],
                    "asked": None if case.asked is None else case.asked.to_json(),
                    "top": [
                        {"class": number, "name": label(self.test.names, number), "score": score}
                        for number, score in case.top
                    ],
                }
                for case in self.cases
            ],
        }


@dataclass(frozen=True)
class Files:
    """The folders that a test is given: ``--model-dir`` and ``--data-dir``."""

    models: Path
    data: Path
