"""Small indexes that many processes append to: one JSON record per line, the last one of a key wins.

A record is written by a single ``write`` to a file opened for appending, so that records of several processes do not
mix; an incomplete line is not JSON and is ignored. Losing a record costs time, never correctness.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from modelprep.regular import opened
from modelprep.store.disk import claim_temporary, write_all

#: Rewrite the file once it has this many lines and more than twice as many as there are live keys.
COMPACT_FROM = 2048
#: So many keys are searched for in the file's text; whoever asks for more has it read as a whole: of a store with many
#: files, a command looks at few.
SEARCHES = 32
#: A key, still escaped, and the JSON text of its value.
_RECORD = re.compile(r'^\["([^"\\]*(?:\\.[^"\\]*)*)",(.*)\]$', re.MULTILINE)


class Index:
    """A mapping from a string key to a JSON value, kept in one file, which need not exist.

    If it cannot be written (a shared read-only store), records are kept in memory only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._texts: dict[str, str] = {}
        #: Lines that came after those of which `_texts` was made.
        self._unread = bytearray(b"\n")
        self._searches = 0
        self._lines = 0
        self._offset = 0
        self._inode = -1
        self._mutex = threading.RLock()
        #: Records that are not in the file yet, and how many blocks of :meth:`together` are open.
        self._unwritten: list[bytes] = []
        self._open = 0

    def get(self, key: str) -> Any:
        """Return the value of `key`, or None; records of other processes are seen."""
        with self._mutex:
            self._catch_up()
            if len(self._unread) > 1 and self._searches < SEARCHES:
                self._searches += 1
                start = f"\n[{json.dumps(key)},".encode()
                if (at := self._unread.rfind(start)) >= 0:
                    return _value(self._unread[at + len(start) : self._unread.index(b"\n", at + 1) - 1])
            else:
                self._read()
            return _value(self._texts.get(key, "null"))

    def items(self) -> list[tuple[str, Any]]:
        """Return all keys with their values."""
        with self._mutex:
            self._catch_up()
            self._read()
            found = [(key, _value(text)) for key, text in self._texts.items()]
        return [(key, value) for key, value in found if value is not None]

    def put(self, key: str, value: Any) -> None:
        """Record that `key` has `value` (None forgets the key)."""
        with self._mutex:
            self._catch_up()
            self._read()
            text = json.dumps(value, separators=(",", ":"))
            if self._texts.get(key, "null") == text:
                return
            self._set(key, text)
            self._unwritten.append(_line(key, text).encode())
            if not self._open:
                self._append()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Write the records of the block by one append at its end; this process sees them immediately."""
        with self._mutex:
            self._open += 1
        try:
            yield
        finally:
            with self._mutex:
                self._open -= 1
                if self._unwritten and not self._open:
                    self._append()

    def _append(self) -> None:
        records, count = b"".join(self._unwritten), len(self._unwritten)
        self._unwritten.clear()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o666)
            try:
                os.write(descriptor, records)
                stat = os.fstat(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            return  # read-only or full: kept in memory
        if (stat.st_ino, stat.st_size) == (self._inode, self._offset + len(records)):
            self._offset, self._lines = stat.st_size, self._lines + count  # only ours: nothing to read
        if self._lines > COMPACT_FROM and self._lines > 2 * len(self._texts):
            self._rewrite()

    def forget(self, keys: Iterable[str]) -> None:
        """Drop keys."""
        for key in list(keys):
            self.put(key, None)

    def _set(self, key: str, text: str) -> None:
        if text == "null":
            self._texts.pop(key, None)
        else:
            self._texts[key] = text

    def _read(self) -> None:
        self._lines += self._unread.count(b"\n") - 1
        for key, text in _RECORD.findall(self._unread.decode("ascii", "replace")):
            with contextlib.suppress(ValueError):
                self._set(json.loads(f'"{key}"') if "\\" in key else key, text)
        self._unread = bytearray(b"\n")

    def _catch_up(self) -> None:
        if self._unwritten:  # read once a block; what others write meanwhile is seen after it
            return
        try:
            with opened(self.path) as file:
                stat = os.fstat(file.fileno())
                if stat.st_ino != self._inode or stat.st_size < self._offset:
                    # Rewritten by another process: read it again, keeping this process's own records.
                    self._inode, self._offset, self._lines = stat.st_ino, 0, 0
                if stat.st_size == self._offset:
                    return
                file.seek(self._offset)
                before = len(self._unread)
                file.seek(self._offset)
                self._unread += file.read(stat.st_size - self._offset)
        except OSError:
            return
        del self._unread[self._unread.rfind(b"\n") + 1 :]  # a line still being written is read next time
        self._offset += len(self._unread) - before

    def _rewrite(self) -> None:
        # A record appended by another process between our reading and our rename is lost: it costs one re-hash.
        lines = "".join(_line(key, text) for key, text in self._texts.items())
        with contextlib.suppress(OSError):
            temporary, descriptor = claim_temporary(self.path)
            try:
                write_all(descriptor, lines.encode())
                temporary.replace(self.path)
            except OSError:
                temporary.unlink(missing_ok=True)
            finally:
                os.close(descriptor)
        self._inode = -1


def _line(key: str, text: str) -> str:
    return f"[{json.dumps(key)},{text}]\n"


def _value(text: str | bytearray) -> Any:
    """Return the value of a JSON text, None where it was torn."""
    try:
        return json.loads(text)
    except ValueError:
        return None
