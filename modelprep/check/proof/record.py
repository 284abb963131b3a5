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

#: Part of every entry: raise it when another way of measuring would give another number. Older entries are then made
#: anew.
VERSION = 3
#: Entries kept of one result: a store that many machines share does not grow for ever.
_MOST = 8


@dataclass(frozen=True)
class Measured:
    """How far apart original and result were.

    Parameters
    ----------
    difference
        Largest difference, as a share of the largest value of its output; None if there is no such number.
    tensor, input
        The output and the input (from 1) where that was.
    said
        Why there is no number, though the inputs did change the outputs.
    runtimes
        Names and versions of who ran the original and who the result.
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
        """Read what is kept of a result; nothing if the file is absent, torn or foreign."""
        path = None if folder is None else folder / f"{key}.json"
        record = cls(path)
        if path is not None:
            try:
                with opened(path) as file:
                    found = json.load(file)["measured"]
                record.entries = [entry for entry in found if _measured(entry) is not None]
            except (OSError, ValueError, KeyError, TypeError, RecursionError):
                record.entries = []
        return record

    def find(self, output: str, shape: Sequence[int], runtimes: Sequence[str]) -> Measured | None:
        """Return what these very runtimes measured of these very bytes."""
        return self._last(output, shape, list(runtimes))

    def newest(self, output: str, shape: Sequence[int]) -> Measured | None:
        """Return what was measured last of these very bytes, whoever did."""
        return self._last(output, shape, None)

    def _last(self, output: str, shape: Sequence[int], runtimes: list[str] | None) -> Measured | None:
        facts = [VERSION, output, list(shape)]
        for entry in reversed(self.entries):
            same = [entry.get("proof"), entry.get("output"), entry.get("shape")] == facts
            if same and runtimes in (None, entry["runtimes"]):
                return _measured(entry)
        return None

    def keep(self, output: str, shape: Sequence[int], measured: Measured) -> None:
        """Add a measurement and write the file.

        Raises StorageError: the store cannot be written.
        """
        if self.path is None:
            return
        facts = {"proof": VERSION, "output": output, "shape": list(shape), "runtimes": list(measured.runtimes)}
        kept = [entry for entry in self.entries if any(entry.get(name) != value for name, value in facts.items())]
        made = {
            "difference": measured.difference,
            "tensor": measured.tensor,
            "input": measured.input,
            "said": measured.said,
        }
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
