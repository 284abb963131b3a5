"""A download under way, kept across runs and kills together with what proves that it may be continued."""

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
    """What a server said about the object whose first bytes are in a partial.

    Parameters
    ----------
    etag
        A strong entity tag, quotes included; empty when there was none.
    last_modified
        The HTTP date, used when there is no strong tag; empty when there was none.
    total
        Size of the whole object in bytes, None when the server did not say.
    encoding
        ``Content-Encoding`` the bytes are in; empty for none.
    boot
        Which run of the machine wrote the bytes: after a power cut a file may have its length and not its content.
    """

    etag: str = ""
    last_modified: str = ""
    total: int | None = None
    encoding: str = ""
    boot: str = ""

    @property
    def condition(self) -> str:
        """The value for ``If-Range``; empty when nothing proves that the object is still the same."""
        return self.etag or self.last_modified


@dataclass
class Partial:
    """``partial/<name>`` (the bytes) and ``partial/<name>.json`` (where from, and the validator).

    Parameters
    ----------
    path
        The bytes.
    lock
        Path of the lock that whoever writes here holds; ``gc`` looks at it.
    """

    path: Path
    lock: Path

    @property
    def _notes(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def size(self) -> int:
        """How many bytes are there."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    @property
    def url(self) -> str:
        """Where the bytes came from; empty when nothing is known."""
        url = self._read().get("url")
        return url if isinstance(url, str) else ""

    @property
    def validator(self) -> Validator | None:
        """What is known of the object, None when nothing is."""
        record = self._read().get("validator")
        if not isinstance(record, dict):
            return None
        total = record.get("total")
        texts = {k: v for k in ("etag", "last_modified", "encoding", "boot") if isinstance(v := record.get(k), str)}
        return Validator(**texts, total=total if isinstance(total, int) else None)

    def note(self, url: str, validator: Validator) -> None:
        """Write down where the bytes come from; to be called before the first byte of an object is written."""
        record = {"url": url, "validator": dict(vars(validator)), "lock": self.lock.name}
        # Notes that a power cut empties are no notes, and the bytes begin anew; those of another boot prove nothing.
        write_atomic(self._notes, (json.dumps(record, sort_keys=True, indent=1) + "\n").encode(), lasting=False)

    def discard(self) -> None:
        """Remove the bytes and the notes; the notes go last, so that no bytes are ever without theirs."""
        with storage(self.path, doing="remove"):
            self.path.unlink(missing_ok=True)
            self._notes.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        return _read(self._notes)


def lock_name(notes: Path) -> str:
    """Return the file name of the lock that a partial's notes name; empty when they name none."""
    name = _read(notes).get("lock")
    return name if isinstance(name, str) and name.endswith(".lock") and Path(name).name == name else ""


def _read(notes: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        with opened(notes) as file:
            record = json.load(file)
        if isinstance(record, dict):
            return record
    return {}
