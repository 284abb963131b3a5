"""Progress for people: a bar for every running download and step on a terminal, a line a finished task elsewhere."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from modelprep.events import Event
from modelprep.quoting import line

if TYPE_CHECKING:
    from tqdm import tqdm

    Bar = tqdm[Any]


class Sink(Protocol):
    """What progress needs of :class:`modelprep.cli.output.Output`: its stderr, and lines above the bars."""

    err: TextIO

    def note(self, text: str) -> None:
        """Write a line that a person reading a log wants."""

    def warning(self, text: str) -> None:
        """Write a warning."""


class Lines:
    """A listener for a log file or a pipe: one line for each task that ends, and what went wrong between.

    Parameters
    ----------
    output
        The sink; its mode decides what is shown (quiet: warnings and failures).
    """

    def __init__(self, output: Sink) -> None:
        self._output = output
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Tell of one event."""
        with self._lock:
            tell(self._output, event)


def tell(output: Sink, event: Event) -> None:
    """Write an event as a line, if it is one that a person reading a log wants."""
    if event.data.get("no_network"):
        return  # of hosts that are not reached one line is said in the end, for all files
    label = event.label or event.task
    if event.kind == "warning":
        output.warning(event.text)
    elif event.kind == "note":
        output.note(event.text)
    elif event.kind == "retry":
        output.note(f"{label}: {event.text}" if label else event.text)
    elif event.kind == "failed":
        output.note(f"{label}: failed: {event.text}")
    elif event.kind == "done" and event.text:
        output.note(f"{label}: {event.text}")


class Bars:
    """A listener for a terminal: one bar a running task, taken away when it ends.

    Parameters
    ----------
    output
        The sink whose stderr the bars are drawn on, and whose lines are to appear above them.
    """

    def __init__(self, output: Sink) -> None:
        self._output = output
        self._bars: dict[str, Bar] = {}
        self._lock = threading.RLock()

    def __call__(self, event: Event) -> None:
        """Draw one event."""
        with self._lock:
            if event.kind in ("start", "progress") and event.task:
                self._move(event)
                return
            if event.kind in ("done", "failed"):
                bar = self._bars.pop(event.task, None)
                if bar is not None:
                    bar.close()
            tell(self._output, event)

    def _move(self, event: Event) -> None:
        from tqdm import tqdm

        bar: Bar | None = self._bars.get(event.task)
        if bar is None:
            label = line(event.label or event.task)
            bar = tqdm(
                desc=label if len(label) <= 32 else f"{label[:31]}~",
                total=event.total,
                initial=event.done or 0,
                unit="B",
                unit_scale=True,
                unit_divisor=1024,
                dynamic_ncols=True,
                leave=False,
                file=self._output.err,
                mininterval=0.1,
            )
            self._bars[event.task] = bar
        if event.total is not None and bar.total != event.total:
            bar.total = event.total
        if event.done is not None:
            # A source that is given up starts the next one from zero: bars may go back.
            bar.update(event.done - bar.n)

    def write_above(self, stream: TextIO, text: str) -> None:
        """Write lines to a stream without tearing the bars below."""
        from tqdm import tqdm

        with self._lock, tqdm.external_write_mode(file=stream):
            stream.write(text)
            stream.flush()

    def close(self) -> None:
        """Take every bar away."""
        with self._lock:
            for bar in self._bars.values():
                bar.close()
            self._bars.clear()
