"""Progress for people: a total and a bar for each running task on a terminal, lines in a log elsewhere."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import Protocol, TextIO
from urllib.parse import urlsplit

from modelprep.api.text import line
from modelprep.cli.table import write
from modelprep.cli.units import clock, mib, size_text
from modelprep.events import Event
from modelprep.structs import dataclass

#: Seconds between two progress lines if there is no terminal.
HEARTBEAT = 10.0
#: Seconds between two drawings of the bars.
_PACE = 0.1
#: Maximum width of a name in columns.
_NAME = 32


class Sink(Protocol):
    """What progress needs of :class:`modelprep.cli.output.Output`: its stderr, and lines above the bars."""

    err: TextIO

    def note(self, text: str) -> None: ...  # noqa: D102

    def warning(self, text: str) -> None: ...  # noqa: D102


@dataclass
class Row:
    """One running task.

    `done`, `total`: bytes now and in all; None if unknown. `base`, `since`: bytes present at the start (a resumed
    download), and the time of the start: the rate counts from there.
    """

    label: str
    since: float
    done: int | None = None
    total: int | None = None
    base: int = 0

    @property
    def moved(self) -> int:
        """Bytes received in this run."""
        return max(0, (self.done or 0) - self.base)

    @property
    def rate(self) -> float:
        """Bytes per second."""
        return self.moved / max(time.monotonic() - self.since, 0.1)


class Progress:
    """Follows the events of a run; :class:`Lines` and :class:`Bars` decide what is shown."""

    #: Seconds between two calls of :meth:`_tick`.
    interval = HEARTBEAT

    def __init__(self, output: Sink) -> None:
        self._output = output
        self._lock = threading.RLock()
        self._rows: dict[str, Row] = {}
        self._began: dict[str, float] = {}
        self._planned: dict[str, Mapping[str, object]] = {}
        self._expected: int | None = None
        self._coming: dict[str, int] = {}
        self._received = self._finished = 0
        self._first = 0.0
        self._closed = False
        self._ticked = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Follow one event, and print it if it is of interest."""
        with self._lock:
            if event.kind == "plan":
                self._plan(event)
            elif event.kind == "start":
                self._start(event)
            elif event.kind == "progress" and event.task:
                self._move(event)
            else:
                began = self._began.get(event.task, time.monotonic())
                if event.kind in ("done", "failed"):
                    self._end(event)
                tell(self._output, event, time.monotonic() - began)
            if time.monotonic() - self._ticked >= self.interval:
                self._ticked = time.monotonic()
                self._tick()

    def close(self) -> None:
        """Stop printing."""
        self._closed = True

    def _plan(self, event: Event) -> None:
        fetches = event.data.get("fetch")
        expected = event.data.get("bytes_to_come")
        if isinstance(fetches, list):
            self._planned = {f"fetch:{each['asset']}": each for each in fetches}
        self._expected = expected if isinstance(expected, int) and not event.data.get("sizes_unknown") else None
        sizes = {task: each.get("bytes_to_come") for task, each in self._planned.items()}
        self._coming = {task: size for task, size in sizes.items() if isinstance(size, int)}

    def _start(self, event: Event) -> None:
        self._began[event.task] = time.monotonic()
        self._first = self._first or time.monotonic()
        if not event.task.startswith("fetch:"):  # a download may wait for another; it is drawn once bytes arrive
            self._rows[event.task] = Row(_name(event), time.monotonic(), event.done, event.total)

    def _move(self, event: Event) -> None:
        row = self._rows.get(event.task)
        if row is None:
            row = self._rows[event.task] = Row(_name(event), self._began.get(event.task, time.monotonic()))
            resumable = self._planned.get(event.task, {}).get("resumable")
            if isinstance(resumable, int) and 0 < resumable <= (event.done or 0):
                row.base = resumable
                self._output.note(f"{row.label}: resuming at {size_text(resumable)}")
        if event.done is not None and event.done < (row.done or 0):
            # When a source has failed, the next one starts from zero.
            row.base, row.since = 0, time.monotonic()
        row.done = event.done if event.done is not None else row.done
        row.total = event.total if event.total is not None else row.total
        if self._expected is not None and row.total is not None and event.task in self._coming:
            # The recipe states the size of the asset; the download may be the archive that contains it.
            coming = row.total - row.base
            self._expected += coming - self._coming[event.task]
            self._coming[event.task] = coming

    def _end(self, event: Event) -> None:
        row = self._rows.pop(event.task, None)
        if event.kind == "done" and event.task in self._planned:
            self._finished += 1
            self._received += row.moved if row is not None else 0

    def _total(self) -> str:
        """Return a line about the progress of all downloads; empty if none was planned."""
        if not self._planned:
            return ""
        came = self._received + sum(row.moved for task, row in self._rows.items() if task in self._planned)
        rate = came / max(time.monotonic() - self._first, 0.1)
        bound = f"{mib(came)} of {mib(self._expected)} MiB" if self._expected is not None else f"{mib(came)} MiB"
        words = [bound, f"{self._finished} of {len(self._planned)} files", f"{mib(rate)} MiB/s"]
        if self._expected is not None and rate > 0 and self._finished < len(self._planned):
            words.append(f"ETA {clock(max(0, self._expected - came) / rate)}")
        return "  ".join(words)

    def _tick(self) -> None:
        """Show the progress again, without a new event."""


class Lines(Progress):
    """A listener for a log file or a pipe: a line for each finished task, and one every ten seconds between."""

    def _tick(self) -> None:
        steps = [row.label for task, row in self._rows.items() if task not in self._planned]
        words = [self._total() if self._finished < len(self._planned) else "", ", ".join(steps)]
        if text := "; ".join(filter(None, words)):
            self._output.note(f"still working: {text}")


class Bars(Progress):
    """A listener for a terminal: a total above a bar for each running task; finished tasks leave a line above."""

    def __init__(self, output: Sink) -> None:
        super().__init__(output)
        self._drawn = 0
        self._last = 0.0

    def __call__(self, event: Event) -> None:
        """Follow one event and draw."""
        with self._lock:
            super().__call__(event)
            if event.kind != "progress" or time.monotonic() - self._last >= _PACE:
                self._draw()

    def write_above(self, stream: TextIO, text: str) -> None:
        """Write lines to a stream without tearing the bars below."""
        with self._lock:
            self._put(self._erase())
            write(stream, text)
            stream.flush()
            self._draw()

    def close(self) -> None:
        """Remove every bar."""
        super().close()
        with self._lock:
            self._put(self._erase())

    def _draw(self) -> None:
        if self._closed:
            return
        try:
            size = os.get_terminal_size(self._output.err.fileno())
        except (OSError, ValueError):
            size = os.terminal_size((80, 24))
        lines = self._lines((size.columns or 80) - 1, max(2, (size.lines or 24) - 1))
        erase = self._erase()
        self._drawn, self._last = len(lines), time.monotonic()
        # The cursor moves to the line's start, so that a typed ``^C`` cannot wrap a full line.
        self._put(erase + "\n".join(lines) + "\r" * bool(lines))

    def _lines(self, columns: int, most: int) -> list[str]:
        if not self._rows:
            return []
        total = self._total()
        lines = [f"total  {total}"] if total else []
        shown = list(self._rows.values())
        left = len(shown) - (most - len(lines))
        if left > 0:
            shown = shown[: most - len(lines) - 1]
        width = min(max(len(row.label) for row in shown), _NAME, max(8, columns - 48)) if shown else 0
        lines += [_bar(row, width, columns) for row in shown]
        if left > 0:
            lines.append(f"and {len(self._rows) - len(shown)} more")
        return [each[:columns] for each in lines]

    def _erase(self) -> str:
        """Return the codes that erase the block; the cursor is in its last line."""
        up = f"\x1b[{self._drawn - 1}A" if self._drawn > 1 else ""
        erase = f"\r{up}\x1b[J" if self._drawn else ""
        self._drawn = 0
        return erase

    def _put(self, text: str) -> None:
        if text:
            write(self._output.err, text)
            self._output.err.flush()


def _name(event: Event) -> str:
    return line(event.label or event.task)


def _bar(row: Row, width: int, columns: int) -> str:
    name = f"{row.label if len(row.label) <= width else row.label[: width - 1] + '~':<{width}}"
    if row.done is None:
        return f"{name}  {clock(time.monotonic() - row.since)}"
    if not row.total:
        return f"{name}  {mib(row.done)} MiB  {mib(row.rate)} MiB/s"
    part = min(1.0, row.done / row.total)
    numbers = f"{part:4.0%}  {mib(row.done):>6} of {mib(row.total)} MiB  {mib(row.rate)} MiB/s"
    length = min(24, columns - width - len(numbers) - 5)
    graph = f"[{'#' * round(part * length):.<{length}}] " if length >= 4 else ""
    return f"{name}  {graph}{numbers}"


def tell(output: Sink, event: Event, seconds: float = 0.0) -> None:
    """Write an event as a line if it is of interest; `seconds` is how long the task took."""
    if event.data.get("no_network"):
        return  # unreachable hosts are reported once at the end, for all files
    label = event.label or event.task
    if event.kind == "warning":
        output.warning(event.text)
    elif event.kind in ("note", "retry"):
        output.note(f"{label}: {event.text}" if label and event.kind == "retry" else event.text)
    elif event.kind == "failed":
        output.note(f"{label}: failed: {event.text}")
    elif event.kind == "done" and event.task.startswith("fetch:"):
        output.note(f"{label}  {_delivery(event, seconds)}")
    elif event.kind == "done" and event.text:
        output.note(f"{label}: {event.text}")


def _delivery(event: Event, seconds: float) -> str:
    """Return size, duration and source of a finished download."""
    if not event.data.get("bytes_fetched") and not event.data.get("server"):
        return f"{size_text(event.done)}  cached"
    if server := event.data.get("server"):
        return f"{size_text(event.done)}  {seconds:.1f} s  {server}"
    parts = urlsplit(str(event.data.get("source", "")))
    place = parts.netloc.rpartition("@")[2] if parts.scheme in ("http", "https") else "a local folder"
    return f"{size_text(event.done)}  {seconds:.1f} s  {place}"
