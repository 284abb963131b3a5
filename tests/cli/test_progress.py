"""What a person sees while a run works: bars on a terminal, lines in a log."""

from __future__ import annotations

import io
import re
import time

import pytest

from modelprep.cli.output import Output
from modelprep.cli.progress import Bars, Lines
from modelprep.events import Event

MIB = 2**20


class Terminal(io.StringIO):
    """A terminal that understands what the bars write."""

    def isatty(self) -> bool:
        return True

    @property
    def screen(self) -> list[str]:
        lines, row, column = [""], 0, 0
        for piece in re.findall(r"\x1b\[\d*[A-Z]|\r|\n|[^\x1b\r\n]+", self.getvalue()):
            if piece == "\r":
                column = 0
            elif piece == "\n":
                row, column = row + 1, 0
                lines += [""] * (row + 1 - len(lines))
            elif piece.endswith("A") and piece.startswith("\x1b"):
                row -= int(piece[2:-1])
            elif piece == "\x1b[J":
                lines = [*lines[:row], lines[row][:column]]
            else:
                lines[row] = lines[row][:column].ljust(column) + piece + lines[row][column + len(piece) :]
                column += len(piece)
        return [each for each in lines if each]


def plan(*files: tuple[str, int, int]) -> Event:
    fetch = [{"asset": name, "bytes_to_come": size - held, "resumable": held} for name, size, held in files]
    expected = sum(size - held for _, size, held in files)
    return Event("plan", data={"fetch": fetch, "bytes_to_come": expected, "sizes_unknown": 0})


def came(name: str, done: int, total: int) -> Event:
    return Event("progress", f"fetch:{name}", f"{name}.bin", done, total)


def ended(name: str, size: int) -> Event:
    data: dict[str, object] = {"source": "https://me:pw@example.org:8443/x", "bytes_fetched": size}
    return Event("done", f"fetch:{name}", f"{name}.bin", size, size, "https://example.org:8443/x", data)


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


@pytest.fixture
def output(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Output:
    monkeypatch.delenv("TERM", raising=False)
    return Output("human", out=io.StringIO(), err=terminal)


def test_a_total_stands_above_aligned_bars_and_waiting_files_are_not_drawn(output: Output, terminal: Terminal) -> None:
    listen = output.listener()
    listen(plan(("a", 10 * MIB, 0), ("longer", 30 * MIB, 0), ("waits", MIB, 0)))
    for name in ("a", "longer", "waits"):
        listen(Event("start", f"fetch:{name}", f"{name}.bin"))
    listen(came("a", 5 * MIB, 10 * MIB))
    listen(Event("source", "fetch:waits"))
    listen(came("longer", 3 * MIB, 30 * MIB))
    listen(Event("source", "fetch:waits"))  # draws whatever came before
    total, first, second = terminal.screen
    assert "8.0 of 41.0 MiB  0 of 3 files" in total
    assert re.search(r"MiB/s  ETA \d+:\d\d$", total)
    assert " 50%" in first
    assert " 10%" in second
    assert first.index("[") == second.index("[")
    assert all(len(each) < 80 for each in terminal.screen)
    output.close()
    assert terminal.screen == []


def test_a_finished_file_leaves_one_line_with_size_time_and_host(output: Output, terminal: Terminal) -> None:
    listen = output.listener()
    listen(plan(("a", 10 * MIB, 0)))
    listen(Event("start", "fetch:a", "a.bin"))
    listen(came("a", 10 * MIB, 10 * MIB))
    listen(ended("a", 10 * MIB))
    assert len(terminal.screen) == 1
    assert re.fullmatch(r"a\.bin  10\.0 MiB  \d+\.\d s  example\.org:8443", terminal.screen[0])
    output.close()
    assert len(terminal.screen) == 1


def test_a_resumed_file_says_from_where_and_its_rate_counts_what_came_now(output: Output, terminal: Terminal) -> None:
    listen = output.listener()
    listen(plan(("a", 100 * MIB, 60 * MIB)))
    listen(Event("start", "fetch:a", "a.bin"))
    listen(came("a", 61 * MIB, 100 * MIB))
    listen(Event("source", "fetch:a"))
    note, total, bar = terminal.screen
    assert note == "a.bin: resuming at 60.0 MiB"
    assert "1.0 of 40.0 MiB" in total
    rate = re.search(r"([\d.]+) MiB/s", bar)
    assert rate is not None
    assert float(rate[1]) <= 10.0  # a megabyte in at least a tenth of a second
    output.close()


def test_an_archive_counts_with_its_own_size_not_its_members(output: Output, terminal: Terminal) -> None:
    bars = Bars(output)
    bars(plan(("member", 10_000, 0), ("other", 2 * MIB, MIB)))
    bars(came("other", MIB, 2 * MIB))
    time.sleep(0.15)  # the bars are drawn ten times a second at most
    bars(came("member", 3 * MIB, 4 * MIB))
    assert any(line.startswith("total  3.0 of 5.0 MiB  0 of 2 files") for line in terminal.screen), terminal.screen


def test_more_bars_than_lines_are_counted(output: Output, terminal: Terminal) -> None:
    listen = output.listener()
    names = [f"f{number:02}" for number in range(40)]
    listen(plan(*((name, MIB, 0) for name in names)))
    for name in names:
        listen(Event("start", f"fetch:{name}", name))
        listen(came(name, 1000, MIB))
    listen(Event("source", "fetch:f00"))
    assert len(terminal.screen) == 23
    assert terminal.screen[-1] == "and 19 more"
    output.close()
    assert terminal.screen == []


def test_results_are_written_above_the_bars(output: Output, terminal: Terminal) -> None:
    listen = output.listener()
    listen(plan(("a", 10 * MIB, 0)))
    listen(Event("start", "fetch:a", "a.bin"))
    listen(came("a", MIB, 10 * MIB))
    output.note("a note")
    assert terminal.screen[0] == "a note"
    assert len(terminal.screen) == 3
    output.close()
    assert terminal.screen == ["a note"]


def test_nothing_is_drawn_after_the_end(output: Output, terminal: Terminal) -> None:
    bars = Bars(output)
    bars(plan(("a", 10 * MIB, 0)))
    bars.close()
    bars(Event("start", "fetch:a", "a.bin"))
    bars(came("a", MIB, 10 * MIB))
    assert terminal.screen == []


def test_a_log_gets_a_line_now_and_then_while_a_long_task_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    output = Output("human", out=io.StringIO(), err=log)
    monkeypatch.setattr(Lines, "interval", 0.05)
    listen = output.listener()
    listen(plan(("a", 10 * MIB, 0), ("b", MIB, 0)))
    listen(Event("start", "fetch:a", "a.bin"))
    listen(came("a", 4 * MIB, 10 * MIB))
    limit = time.monotonic() + 30
    while "still working" not in log.getvalue() and time.monotonic() < limit:
        listen(came("a", 4 * MIB, 10 * MIB))
    output.close()
    first = log.getvalue().splitlines()[0]
    assert first.startswith("still working: 4.0 of 11.0 MiB  0 of 2 files")


def test_a_cached_file_is_called_cached() -> None:
    log = io.StringIO()
    listen = Output("human", out=io.StringIO(), err=log).listener()
    listen(Event("done", "fetch:a", "a.bin", 5, 5, "cached", {"source": "x", "bytes_fetched": 0}))
    assert log.getvalue() == "a.bin  5 B  cached\n"
