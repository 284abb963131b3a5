"""Summary of checked demos: number of each state, and the commands that fetch missing files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelprep import quoting
from modelprep.check.demos import Checked, fetch_command, typed

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


def fetch_commands(checked: Sequence[Checked], out: Path) -> list[str]:
    """Return the commands that fetch all missing files: one for all demos that can be downloaded.

    There are several if demos are for different boards, and one for each demo that needs a user's file.
    """
    missing = [one.recipe for one in checked if one.state == "not fetched"]
    brought = [recipe for recipe in missing if any(not asset.sources for asset in recipe.assets.values())]
    together: dict[tuple[str, ...], list[str]] = {}
    for recipe in missing:
        if recipe not in brought:
            target, options = typed(recipe)
            together.setdefault(tuple(options), []).append(target)
    commands = [
        quoting.command("modelprep", "fetch", *targets, *options, "--out", str(out))
        for options, targets in together.items()
    ]
    return commands + [fetch_command(recipe, out) for recipe in brought]
