"""The output of the command line: for people, for programs, or quiet.

Results go to stdout, everything else (progress, notes, warnings, errors for people) to stderr. Three modes:

human
    Tables and lines; progress bars if stderr is a terminal, else one line per finished task. Colors only on a
    terminal, never with ``NO_COLOR`` set or ``TERM=dumb``.
json
    stdout is JSON only: one object (:meth:`Output.result`), or, for a command that called :meth:`Output.listener`, one
    event per line and the result as the last line (``"event": "summary"``). An error is another such object with an
    ``error`` key. See ``docs/events.md``.
quiet
    Only machine-readable results (:meth:`Output.value`, the key column of a table), warnings and errors.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TextIO

from modelprep.api import text as quoting
from modelprep.cli.table import STYLE, continued, measure, paragraph, write
from modelprep.cli.table import Style as Style
from modelprep.cli.table import layout as layout
from modelprep.cli.table import paint as paint
from modelprep.cli.units import size_text as size_text
from modelprep.errors import ModelprepError
from modelprep.events import Event, Listener, orderly

if TYPE_CHECKING:
    from modelprep.cli.progress import Bars, Progress

Mode = Literal["human", "json", "quiet"]
#: Columns of a terminal of unknown width, and of prose elsewhere.
_COLUMNS = 80


class Output:
    """Writes what a command prints.

    `mode`: ``human``, ``json`` or ``quiet``. `verbose`: show errors in full, long lists included. `out`, `err`: for
    results and for everything else; the process's own streams when left out.
    """

    def __init__(
        self, mode: Mode = "human", *, verbose: bool = False, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self.mode = mode
        self.verbose = verbose
        self.words: tuple[str, ...] = ()
        self.out = out if out is not None else sys.stdout
        self.err = err if err is not None else sys.stderr
        self._streaming = False
        self._bars: Bars | None = None
        self._progress: Progress | None = None

    # -- results ---------------------------------------------------------------------------------------------------

    def line(self, text: str = "") -> None:
        """Print one line of the result (human mode only)."""
        if self.mode == "human":
            self._write(self.out, text)

    def value(self, text: str) -> None:
        """Print a bare value for scripts (a key, a path), in human and quiet mode."""
        if self.mode != "json":
            self._write(self.out, text)

    def table(
        self,
        title: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        key: int | None = None,
        spare: str = "",
    ) -> None:
        """Print a table (human mode).

        `title`: a line above it; empty for none. `columns`: headings; one that starts with ``>`` is aligned to the
        right (the sign is not printed). `rows`: cells, made text with ``str``; None is an empty cell. A cell may be
        styled (:meth:`style`). `key`: the only column that quiet mode prints, one row per line; quiet mode prints
        nothing without it. `spare`: the column that is left out where cells would have to fold otherwise.
        """
        if self.mode == "quiet" and key is not None:
            for row in rows:
                self._write(self.out, STYLE.sub("", str(row[key])))
        if self.mode != "human":
            return
        if title:
            self._write(self.out, self.style(title, "bold"))
        width = self._known_columns()
        if spare and width and max(map(measure, layout(columns, rows))) > width:
            place = columns.index(spare)
            columns, *rows = [[*row[:place], *row[place + 1 :]] for row in (columns, *rows)]  # type: ignore[assignment]
        for line in layout(columns, rows, width or None):
            self._write(self.out, line)

    def records(
        self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, lead: int, key: int | None = None
    ) -> None:
        """Print a table whose last cell is a command; rows that are too wide take several lines.

        `columns`, `rows`, `key`: as for :meth:`table`. `lead`: number of cells in the first line of a row; each of the
        others starts a new line.
        """
        width = self._known_columns()
        if self.mode != "human" or not width or max(map(measure, layout(columns, rows)), default=0) <= width:
            self.table("", columns, rows, key=key)
            return
        for row in rows:
            self.prose("  ".join(row[:lead]), "", "    ")
            for name, cell in list(zip(columns, row, strict=True))[lead:-1]:
                if cell:
                    self.prose(f"{name}: {cell}", "  ", "    ")
            if row[-1]:
                self.line(f"  {columns[-1]}:")
                self.typed(row[-1], "    ")

    def _known_columns(self) -> int:
        """Return the columns of ``COLUMNS`` or the terminal (80 if unknown); 0 if it is not a terminal.

        Rows are not folded in a pipe or file: a program reads them.
        """
        if (said := os.environ.get("COLUMNS", "")).isdigit() and int(said):
            return int(said)
        if not self.out.isatty():
            return 0
        try:
            return os.get_terminal_size(self.out.fileno()).columns or _COLUMNS
        except (OSError, ValueError, AttributeError):
            return _COLUMNS

    def prose(self, text: str, first: str = "", later: str | None = None) -> None:
        """Print a paragraph folded to the terminal (human mode); `first` and `later` begin its lines."""
        for line in paragraph(text, self._known_columns() or _COLUMNS, first, later):
            self.line(line)

    def fact(self, text: str, first: str = "", later: str | None = None) -> None:
        """Print text that may be searched for (human mode): :meth:`prose`, but in one line if no width is known."""
        if self._known_columns():
            self.prose(text, first, later)
        else:
            self.line(first + text)

    def typed(self, command: str, indent: str = "  ") -> None:
        """Print a command to be copied (human mode), over several lines if it is wider than the terminal."""
        command = self.repeated(command)
        width = self._known_columns()
        for line in continued(command, width, indent) if width else [indent + command]:
            self.line(line)

    def result(self, mapping: Mapping[str, object]) -> None:
        """Print the one JSON object of ``--json`` (the last line when events were streamed); else nothing."""
        if self.mode != "json":
            return
        if self._streaming:
            self._json({"event": "summary", **mapping})
        else:
            self._json(mapping, indent=2)

    def style(self, text: str, *styles: Style) -> str:
        """Color a text if stdout takes colors; else return it unchanged."""
        return paint(text, *styles) if self.mode == "human" and takes_color(self.out) else text

    # -- everything else -------------------------------------------------------------------------------------------

    def repeated(self, text: str) -> str:
        """Return a text with the options that were typed in the commands that it names."""
        if "modelprep " not in text or not self.words:
            return text
        from modelprep.api.again import given, repeat

        return repeat(text, given(self.words))

    def note(self, text: str) -> None:
        """Print a note (human mode, stderr)."""
        text = self.repeated(text)
        if self.mode == "human":
            self._write(self.err, text)
        elif self.mode == "json" and self._streaming:
            self._json({"event": "note", "text": text})

    def warning(self, text: str) -> None:
        """Warn, in every mode."""
        if self.mode == "json" and self._streaming:
            self._json({"event": "warning", "text": text})
        else:
            self._write(self.err, f"{self._err_style('warning:', 'yellow')} {text}")

    def error(self, error: ModelprepError) -> None:
        """Print an error, in every mode: as text on stderr, or as a JSON object on stdout."""
        if error.hint and (hint := self.repeated(error.hint)) != error.hint:
            error = error.but(hint=hint)
        if self.mode == "json":
            facts = error.to_json()
            self._json({"event": "error", **facts} if self._streaming else facts)
        else:
            self._write(self.err, f"{self._err_style('error:', 'red')} {error.text(verbose=self.verbose)}")

    def listener(self) -> Listener:
        """Return the callback for progress events; in JSON mode this turns the output into JSON lines."""
        if self.mode == "json":
            self._streaming = True
            return orderly(self._event)
        from modelprep.cli.progress import Bars, Lines

        if self.mode == "human" and self.err.isatty() and os.environ.get("TERM") != "dumb":
            self._progress = self._bars = Bars(self)
        else:
            self._progress = Lines(self)
        return orderly(self._progress)

    def close(self) -> None:
        """Remove the bars from the screen and flush."""
        if self._progress is not None:
            self._progress.close()
            self._progress = self._bars = None
        self.out.flush()

    def _event(self, event: Event) -> None:
        facts: dict[str, object] = {"event": event.kind}
        for name in ("task", "label", "text"):
            if value := getattr(event, name):
                facts[name] = value
        for name in ("done", "total"):
            if (value := getattr(event, name)) is not None:
                facts[name] = value
        self._json({**facts, **event.data})

    def _json(self, mapping: Mapping[str, object], indent: int | None = None) -> None:
        self._write(self.out, quoting.json(mapping, indent=indent, default=str))
        if self._streaming:
            self.out.flush()

    def _err_style(self, text: str, *styles: Style) -> str:
        return paint(text, *styles) if takes_color(self.err) else text

    def _write(self, stream: TextIO, text: str) -> None:
        text = _rendered(text) + "\n"
        if self._bars is not None:
            self._bars.write_above(stream, text)
            return
        write(stream, text)


def takes_color(stream: TextIO) -> bool:
    """Say whether a stream is a terminal that takes colors (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _rendered(text: str) -> str:
    """Render a text for a terminal: our styles become escape codes, all other control characters are shown escaped."""
    pieces = STYLE.split(text)
    return "".join(f"\x1b[{piece}m" if number % 2 else quoting.terminal(piece) for number, piece in enumerate(pieces))
