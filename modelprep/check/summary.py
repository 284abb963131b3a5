"""Summary of checked demos: number of each state, and the commands that fetch missing files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelprep.check.demos import Checked
from modelprep.recipe.commands import fetch_commands

#: State -> how a count of it reads; states that say which version lacks a test follow as they are.
COUNTED: Mapping[str, str] = {
    "passes": "passed",
    "fails": "failed",
    "not fetched": "not fetched",
    "unknown": "unknown",
    "nothing": "nothing to judge",
}


def totals(checked: Sequence[Checked]) -> str:
    """Return the counts in a line: ``3 passed, 1 failed, 20 not fetched``."""
    counts = Counter(one.state for one in checked)
    later = [state for state in counts if state not in COUNTED]
    named = [*COUNTED.items(), *((state, state) for state in sorted(later))]
    return ", ".join(f"{counts[state]} {word}" for state, word in named if counts[state])


def missing_commands(checked: Sequence[Checked], out: Path) -> list[str]:
    """Return the commands that fetch what is not there."""
    return fetch_commands((one.recipe for one in checked if one.state == "not fetched"), out)
