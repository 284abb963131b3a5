"""Measure processes, two in turns: seconds, processor seconds, peak memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MIB = 1 << 20


@dataclass(frozen=True)
class Cost:
    """Cost of one run of a process and its children: wall and processor seconds, peak resident MiB."""

    seconds: float
    cpu: float
    peak: float


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, *, may_fail: bool = False) -> Cost:
    """Run a command to its end; its output is discarded.

    Raises
    ------
    RuntimeError
        It failed, with the end of its stderr.
    """
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode and not may_fail:
            said.seek(0)
            text = said.read()[-800:].decode(errors="replace")
            raise RuntimeError(f"{' '.join(command[:6])} ... ended with {process.returncode}\n{text}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


@dataclass
class Row:
    """One line of the table.

    Parameters
    ----------
    name
        What is measured, and its peer.
    reach
        The aim: at most, or with `more` at least.
    pairs
        Costs of each round: ours and the peer's.
    wire
        Bytes that one of our runs transfers, None for a row without a network.
    note
        The measured limit, or why there is no figure.
    """

    name: str
    reach: float | None
    more: bool = False
    pairs: list[tuple[Cost, Cost]] = field(default_factory=list)
    wire: int | None = None
    note: str = ""
    #: Replaces the ratios of pairs: seconds, ratios of another script, an exponent.
    values: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """Our seconds over the peer's, sorted; the inverse with `more`."""
        if self.values:
            return sorted(self.values)
        both = [(a.seconds, b.seconds) for a, b in self.pairs]
        return sorted(b / a if self.more else a / b for a, b in both)

    @property
    def median(self) -> float:
        """Median of the ratios."""
        return statistics.median(self.ratios)

    @property
    def reached(self) -> bool | None:
        """Whether the median meets the aim; None without a figure or an aim."""
        if self.reach is None or not self.ratios:
            return None
        return self.median >= self.reach if self.more else self.median <= self.reach

    def to_json(self) -> dict[str, object]:
        """Return the row for results.json."""
        found: dict[str, object] = {"name": self.name, "reach": self.reach, "more": self.more, "note": self.note}
        if self.ratios:
            found |= {"median": self.median, "range": [self.ratios[0], self.ratios[-1]], "reached": self.reached}
            found["rounds"] = len(self.ratios)
        return {**found, "wire": self.wire, "pairs": [[asdict(a), asdict(b)] for a, b in self.pairs]}


def side_by_side(rounds: int, ours: Callable[[], Cost], peer: Callable[[], Cost]) -> list[tuple[Cost, Cost]]:
    """Run both in turns, the first to start alternating; a first round warms the caches and is not counted."""
    found = []
    for number in range(rounds + 1):
        if number % 2:
            theirs = peer()
            found.append((ours(), theirs))
        else:
            mine = ours()
            found.append((mine, peer()))
    return found[1:]


class Command:
    """`modelprep` of this checkout, with its bytecode on the disk as in an installation."""

    def __init__(self, work: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        cleared = {name: value for name, value in kept.items() if not name.startswith("MODELPREP_")}
        self.environment = cleared | {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(work / "bytecode")}

    def __call__(self, *words: str | Path, may_fail: bool = False) -> Cost:
        """Run it."""
        return run([sys.executable, "-m", "modelprep", *map(str, words)], self.environment, may_fail=may_fail)
