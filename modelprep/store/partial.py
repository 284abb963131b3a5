"""A partial download, kept across runs and kills together with the validator for resuming it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from modelprep.regular import opened
from modelprep.store.disk import storage, write_atomic
from modelprep.structs import dataclass


@dataclass(frozen=True)
class Validator:
    """A server's validator of the object whose first bytes are in a partial.

    Parameters
    ----------
    etag
        A strong entity tag, quotes included; empty when there was none.
    last_modified
        The HTTP date, used when there is no strong tag; empty when there was none.
    total
        Size of the whole object in bytes, None if not stated.
    encoding
        ``Content-Encoding`` the bytes are in; empty for none.
    boot
        Boot id of the machine when the bytes were written: after a power cut a file may have its length but not its
        content.
    """

    etag: str = ""
    last_modified: str = ""
    total: int | None = None
    encoding: str = ""
    boot: str = ""

    @property
    def condition(self) -> str:
        """The value for ``If-Range``; empty if nothing proves that the object is unchanged."""
        return self.etag or self.last_modified


@dataclass
class Partial:
    """``partial/<name>`` (the bytes at `path`) and ``partial/<name>.json`` (URL and validator).

    `lock` is the path of the writer's lock, which ``gc`` checks.
    """

    path: Path
    lock: Path

    @property
    def _notes(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def size(self) -> int:
        """Number of bytes."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    @property
    def url(self) -> str:
        """URL of the bytes; empty if unknown."""
        url = self._read().get("url")
        return url if isinstance(url, str) else ""

    @property
    def validator(self) -> Validator | None:
        """The object's validator, None if unknown."""
        record = self._read().get("validator")
        if not isinstance(record, dict):
            return None
        total = record.get("total")
        texts = {k: v for k in ("etag", "last_modified", "encoding", "boot") if isinstance(v := record.get(k), str)}
        return Validator(**texts, total=total if isinstance(total, int) else None)

    def note(self, url: str, validator: Validator) -> None:
        """Record URL and validator; call this before the first byte of an object is written."""
        record = {"url": url, "validator": dict(vars(validator)), "lock": self.lock.name}
        # Notes emptied by a power cut are invalid, so the download restarts; those of another boot prove nothing.
        write_atomic(self._notes, (json.dumps(record, sort_keys=True, indent=1) + "\n").encode(), lasting=False)

    def discard(self) -> None:
        """Remove the bytes, then the notes, so that bytes always have notes."""
        with storage(self.path, doing="remove"):
            self.path.unlink(missing_ok=True)
            self._notes.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        return _read(self._notes)


def lock_name(notes: Path) -> str:
    """Return the file name of the lock in a partial's notes; empty if there is none."""
    name = _read(notes).get("lock")
    return name if isinstance(name, str) and name.endswith(".lock") and Path(name).name == name else ""


def _read(notes: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        with opened(notes) as file:
            record = json.load(file)
        if isinstance(record, dict):
            return record
    return {}
