"""The history of audits: when each source last worked, and what its server said then."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from modelprep import quoting
from modelprep.audit.subjects import Place
from modelprep.audit.verdicts import VERDICTS, Finding
from modelprep.errors import UsageError
from modelprep.regular import opened
from modelprep.store.disk import storage, write_atomic

SCHEMA = 1
#: Maximum size of a history file in bytes; an entry takes about 300.
LARGEST = 32 * 1024 * 1024


@dataclass(frozen=True)
class Remembered:
    """The history of one URL. Times are UTC, ISO 8601; empty if it never happened.

    Parameters
    ----------
    asked, worked
        When it was last requested, and when it last served the file.
    failing_since
        When it first failed after it last worked.
    verdict
        Of the last audit.
    size, etag, last_modified
        As stated by the server when it last worked.
    """

    asked: str = ""
    worked: str = ""
    failing_since: str = ""
    verdict: str = ""
    size: int | None = None
    etag: str = ""
    last_modified: str = ""

    @property
    def worked_on(self) -> str:
        """The day on which it last worked, or ``the last time``."""
        return self.worked[:10] or "the last time"

    def difference(self, *, size: int | None, etag: str, last_modified: str) -> str:
        """Return how an answer differs from the last one that worked; empty if it does not, or nothing is known."""
        if not self.worked:
            return ""
        if None not in (size, self.size) and size != self.size:
            return f"its size has changed from {self.size} to {size} bytes"
        if last_modified and self.last_modified:
            if last_modified != self.last_modified:
                return f"it has been modified ({last_modified})"
            # Servers behind one name make different tags for the same file; its date is the same.
            return ""
        if etag and self.etag and etag.removeprefix("W/") != self.etag.removeprefix("W/"):
            return "its ETag has changed"
        return ""


class History:
    """A history file; `path` None keeps no history. Raises UsageError: the file is not a history of audits."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._known = _read(path) if path is not None else {}

    def __len__(self) -> int:
        return len(self._known)

    def of(self, place: Place) -> Remembered | None:
        """Return the history of a place's URL."""
        return self._known.get(place.candidate.shown)

    def learn(self, found: Iterable[tuple[Place, Finding]], now: datetime) -> None:
        """Add an audit's findings; nothing is written yet."""
        when = now.astimezone(timezone.utc).replace(microsecond=0).isoformat()
        for place, finding in found:
            if finding.verdict == "skipped":
                continue
            shown = place.candidate.shown
            before = self._known.get(shown, Remembered())
            entry = replace(before, asked=when, verdict=finding.verdict)
            if finding.living or finding.verdict == "changed":
                # A change is reported once; from then on it is the expected file.
                entry = replace(
                    entry, worked=when if finding.living else before.worked, failing_since="", size=finding.size,
                    etag=finding.etag, last_modified=finding.last_modified,
                )  # fmt: skip
            elif finding.verdict != "unclear":
                entry = replace(entry, failing_since=before.failing_since or when)
            self._known[shown] = entry

    def write(self) -> None:
        """Write the file, complete or not at all. Raises StorageError: it cannot be written."""
        if self.path is None:
            return
        urls = {
            url: {name: value for name, value in asdict(entry).items() if value not in ("", None)}
            for url, entry in sorted(self._known.items())
        }
        with storage(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            text = quoting.json({"schema": SCHEMA, "urls": urls}, indent=1)
            write_atomic(self.path, f"{text}\n".encode())


def default_history() -> Path:
    """Return the default history file, in the platform's folder for user state."""
    import platformdirs

    return Path(platformdirs.user_state_dir("modelprep", appauthor=False)).expanduser() / "audit-history.json"


def _read(path: Path) -> dict[str, Remembered]:
    try:
        with opened(path) as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError("the history cannot be read", where=str(path), got=os.strerror(error.errno or 0)) from error
    try:
        if len(data) > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes")
        record = json.loads(data)
        if not isinstance(record, dict) or record.get("schema") != SCHEMA or not isinstance(record.get("urls"), dict):
            raise ValueError("JSON of another form")
        return {url: _entry(value) for url, value in record["urls"].items()}
    except (ValueError, RecursionError, TypeError) as error:
        raise UsageError(
            "not a history of 'modelprep audit'", where=str(path), got=str(error)[:200],
            expected=f"JSON written by an audit, with schema {SCHEMA}",
            hint="name another file with --history, or remove this one; the next audit creates it",
        ) from error  # fmt: skip


def _entry(value: object) -> Remembered:
    if not isinstance(value, Mapping):
        raise TypeError("an entry is not a mapping")
    taken: dict[str, Any] = {}
    for each in fields(Remembered):
        got = value.get(each.name)
        if got is None:
            continue
        number = isinstance(got, int) and not isinstance(got, bool)
        if not (number if each.name == "size" else isinstance(got, str) and len(got) <= 1000):
            raise TypeError(f"{each.name} of an entry is not valid")
        taken[each.name] = got
    if taken.get("verdict", "alive") not in VERDICTS:
        raise ValueError("an unknown verdict")
    return Remembered(**taken)
