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
        Number of the case, and its data file.
    wanted, got
        Expected class (None if none is compared) and best class (None if nothing was detected).
    top
        (class, score) of the five best.
    found, asked
        For a detection test: the detections, best first, and the expected one.
    message
        The board's output if the case fails; empty if it passes.
    seen
        The input tensor, for reports.
    close
        Whether the scores are so close that the board may have another result.
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
    outcome
        ``passes``, ``fails``, or ``unknown`` if this machine has no runtime for the model.
    message
        The board's output if it fails; the reason if it is unknown; empty if it passes.
    hint, command
        What to do; the next command for a shell, empty if no single command helps.
    findings, cases, warnings
        Findings of the lint; the cases judged; what matters without deciding the result.
    runtime
        What ran the model.
    missing, absent
        Whether it fails because a file is missing or of another kind; because a file does not exist.
    status
        The exit status if it fails with another one than 1.
    cause
        Why it fails or is unknown, in this tool's words; the board's message if empty.
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
        """Why the test does not pass, in one line; empty if it passes."""
        return self.cause or self.message

    @property
    def exit_status(self) -> int | None:
        """The status that the program will end with; None if it is not known."""
        return {"passes": 0, "fails": 1, "unknown": None}[self.outcome] if self.status is None else self.status

    @property
    def source(self) -> str:
        """The source of Arm NN that the verdict is for, if a board's may be another; else empty."""
        return SOURCES.get(self.test.version, "")

    @property
    def close(self) -> bool:
        """Whether the scores of a case are closer than those of host and board may be."""
        return any(case.close for case in self.cases)

    def to_json(self) -> dict[str, object]:
        """Return it as JSON-ready values."""
        return {
            "test": self.test.name,
            "armnn": self.test.version,
            "armnn_source": self.source,
            **_taken(self, "outcome close exit_status message hint runtime"),
            "warnings": list(self.warnings),
            "findings": [finding.to_json() for finding in self.findings],
            "cases": [
                _taken(case, "id file wanted got passes close message")
                | {
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


def _taken(of: object, names: str) -> dict[str, object]:
    return {name: getattr(of, name) for name in names.split()}


@dataclass(frozen=True)
class Files:
    """The folders that a test is given: ``--model-dir`` and ``--data-dir``."""

    models: Path
    data: Path
