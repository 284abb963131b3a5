"""Measurements of a step's result, stored under its key.

One file per result, with one entry for each set of runtimes that compared it: a machine without them still has the
others' measurements.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelprep.regular import opened
from modelprep.store.disk import write_atomic

#: Part of every entry: raise it when a change of the method changes the numbers; older entries are then ignored.
VERSION = 3
#: Entries kept of one result, so that a store of many machines does not grow without limit.
_MOST = 8


@dataclass(frozen=True)
class Measured:
    """How far apart original and result were.

    Parameters
    ----------
    difference
        Largest difference, as a fraction of the largest value of its output; None if there is no such number.
    tensor, input
        The output and the input (from 1) with that difference.
    said
        Why there is no number, although the inputs did change the outputs.
    runtimes
        Names and versions of the runtimes of original and result.
    moved
        False if the outputs do not depend on the input, so that nothing is proven.
    """

    difference: float | None
    tensor: str
    input: int
    said: str
    runtimes: tuple[str, ...]
    moved: bool = True


@dataclass
class Record:
    """The measurements of one result.

    `path`: where they are kept; None keeps none. `entries`: newest last, as in the file.
    """

    path: Path | None
    entries: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path | None, key: str) -> Record:
        """Read the measurements of a result; none if the file is absent, damaged or of another kind."""
        if folder is None:
            return cls(None)
        path = folder / f"{key}.json"
        try:
            with opened(path) as file:
                found = json.load(file)["measured"]
            return cls(path, [entry for entry in found if _measured(entry) is not None])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return cls(path)

    def find(self, output: str, shape: Sequence[int], runtimes: Sequence[str] | None = None) -> Measured | None:
        """Return the newest measurement of exactly these bytes, by these runtimes; None: by any."""
        facts = [VERSION, output, list(shape)]
        for entry in reversed(self.entries):
            same = [entry.get("proof"), entry.get("output"), entry.get("shape")] == facts
            if same and (runtimes is None or list(runtimes) == entry["runtimes"]):
                return _measured(entry)
        return None

    def keep(self, output: str, shape: Sequence[int], measured: Measured) -> None:
        """Add a measurement and write the file. Raises StorageError: the store cannot be written."""
        if self.path is None:
            return
        facts = {"proof": VERSION, "output": output, "shape": list(shape), "runtimes": list(measured.runtimes)}
        kept = [entry for entry in self.entries if any(entry.get(name) != value for name, value in facts.items())]
        made = {name: getattr(measured, name) for name in ("difference", "tensor", "input", "said")}
        self.entries = [*kept, facts | made][-_MOST:]
        text = json.dumps({"schema": 1, "measured": self.entries}, indent=1, sort_keys=True, allow_nan=False)
        write_atomic(self.path, f"{text}\n".encode())


def _measured(entry: Any) -> Measured | None:
    try:
        difference = None if entry["difference"] is None else float(entry["difference"])
        runtimes = tuple(str(name) for name in entry["runtimes"])
        said = str(entry["said"])
        # A number that is none, or no number and no reason: not written by this module.
        if (difference is None) != bool(said) or (difference is not None and not 0 <= difference < float("inf")):
            return None
        return Measured(difference, str(entry["tensor"]), int(entry["input"]), said, runtimes)
    except (KeyError, TypeError, ValueError):
        return None
