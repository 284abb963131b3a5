"""What a score card is made of: rows that pass or say why not, and the place that each is tried in."""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from cli.workshop import Ran, Workshop  # noqa: E402
from servers.http import Behaviour, FaultServer  # noqa: E402

__all__ = ["ROOT", "Behaviour", "FaultServer", "Ran", "Result", "Row", "Workshop", "check", "clean", "workshop"]


@dataclass(frozen=True)
class Row:
    """One fault: its name, and what is tried; that returns what was seen or raises AssertionError."""

    name: str
    tried: Callable[[], str]


@dataclass(frozen=True)
class Result:
    """What came of a row."""

    name: str
    passed: bool
    seen: str
    seconds: float


def check(rows: list[Row], told: Callable[[Result], None]) -> list[Result]:
    """Try every row; one that fails stops no other."""
    results = []
    for row in rows:
        begun = time.monotonic()
        try:
            passed, seen = True, row.tried()
        except Exception as error:
            passed, seen = False, str(error).strip().partition("\n")[0] or type(error).__name__
            traceback.print_exc()
        results.append(Result(row.name, passed, seen, time.monotonic() - begun))
        told(results[-1])
    return results


@contextmanager
def workshop() -> Iterator[Workshop]:
    """Yield recipes, a server, a cache and a tree of their own, as the tests have them."""
    new = tempfile.TemporaryDirectory(prefix="modelprep-faults-", ignore_cleanup_errors=True)
    with new as folder, FaultServer() as server:
        yield Workshop(Path(folder), server)


def clean(ran: Ran) -> None:
    """See that a command said what it had to say as an error of ours."""
    assert "Traceback" not in ran.err, ran.err
    assert "bug in modelprep" not in ran.err, ran.err
