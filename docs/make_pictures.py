"""Make the pictures of README.md from real runs: ``make pictures``, or ``python docs/make_pictures.py``.

Serves the stand-in of ``demo/`` on this machine at a slow rate, runs ``modelprep fetch`` and ``modelprep check`` in a
pseudo-terminal of 80x24 and writes docs/pictures/fetch.svg, an animated SVG without scripts or fonts. Then
takes docs/pictures/report.png, the report that the check wrote, with a headless Chromium. Pauses are shortened to
:data:`LONGEST_PAUSE`, and the report's folder is given as :data:`FOLDER`; nothing else is edited.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

_REPOSITORY = Path(__file__).resolve().parent.parent
if str(_REPOSITORY) not in sys.path:
    sys.path.insert(0, str(_REPOSITORY))

PICTURES = Path(__file__).resolve().parent / "pictures"
COLUMNS, LINES = 80, 24
#: What is fetched and checked: with the stand-in's models two tests pass, and one fails with a cause.
TARGETS = "armnn-onnx armnn-caffe/mnist"
#: Bytes a second of each connection: slow enough that the bars are seen to move.
RATE = 220_000
PORT = 8000
TYPED, SHORTEST, LONGEST_PAUSE, LAST = 0.045, 0.12, 1.0, 5.0
CELL_X, CELL_Y, SIZE, PAD, TITLE = 8.4, 18, 14, 14, 30
BACKGROUND, FOREGROUND = "#161b22", "#d6dde6"
COLOURS = {
    "black": "#484f58", "red": "#ff7b72", "green": "#56d364", "brown": "#e3b341", "blue": "#79c0ff",
    "magenta": "#d2a8ff", "cyan": "#56d4dd", "white": "#d6dde6", "brightblack": "#8b949e",
}  # fmt: skip
#: Stands for the temporary folder, whose name says nothing.
FOLDER = "/home/you/board"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Run(NamedTuple):
    """Text of one style in a row of the screen."""

    x: int
    text: str
    colour: str
    bold: bool


Row = tuple[Run, ...]


class Frame(NamedTuple):
    """What the screen shows from a second on."""

    at: float
    rows: tuple[Row, ...]


class Recorder:
    """A terminal of 80x24 that remembers what it showed and when; needs pyte."""

    def __init__(self) -> None:
        import pyte

        self.screen = pyte.Screen(COLUMNS, LINES)
        self.stream = pyte.ByteStream(self.screen)
        self.now = 0.0
        self.frames: list[Frame] = []

    def feed(self, data: bytes, seconds: float) -> None:
        """Let some time pass, then show what a program wrote."""
        self.now += min(seconds, LONGEST_PAUSE)
        self.stream.feed(data)
        frame = Frame(self.now, tuple(self._row(y) for y in range(LINES)))
        if self.frames and frame.at - self.frames[-1].at < SHORTEST and len(self.frames) > 1:
            frame = Frame(self.frames.pop().at, frame.rows)
        if not self.frames or self.frames[-1].rows != frame.rows:
            self.frames.append(frame)

    def type(self, command: str) -> None:
        """Show a prompt, and a command as it is typed."""
        self.feed(b"\x1b[1;32m$\x1b[0m ", 0.6)
        for place in range(0, len(command), 3):
            self.feed(command[place : place + 3].encode(), TYPED * 3)
        self.feed(b"\r\n", 0.4)

    def run(self, command: list[str], *, folder: Path, environment: dict[str, str]) -> None:
        """Run a command in a pseudo-terminal and show what it writes."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment)
        os.close(theirs)
        before = time.monotonic()
        while True:
            if not select.select([ours], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(ours, 65536)
            except OSError:  # Linux: the other end is closed
                data = b""
            if not data:
                break
            after = time.monotonic()
            self.feed(data, after - before)
            before = after
        os.close(ours)
        process.wait()

    def _row(self, y: int) -> Row:
        cells = self.screen.buffer[y]
        return tuple(runs([(cells[x].data, cells[x].fg, cells[x].bold) for x in range(COLUMNS)]))


def runs(cells: list[tuple[str, str, bool]]) -> Iterator[Run]:
    """Yield the text of a row in runs of one style, without the space between columns."""
    start = 0
    for x in range(1, len(cells) + 1):
        if x < len(cells) and cells[x][1:] == cells[start][1:]:
            continue
        text, (_, colour, bold) = "".join(cell[0] for cell in cells[start:x]), cells[start]
        for found in re.finditer(r"\S+(?: \S+)*", text):
            yield Run(start + found.start(), found.group(), colour, bold)
        start = x


def svg(frames: list[Frame], title: str) -> str:
    """Return frames as an animated SVG; without motion or CSS the last one is shown."""
    width, height = COLUMNS * CELL_X, LINES * CELL_Y
    stride = width + 100  # a letter that is wider than its cell does not show in the next frame
    length = frames[-1].at - frames[0].at + LAST
    rows: dict[Row, str] = {}
    shown, keys = [], []
    for number, frame in enumerate(frames):
        uses = [
            f'<use href="#{rows.setdefault(row, f"r{len(rows)}")}"{f" y={chr(34)}{y * CELL_Y}{chr(34)}" * bool(y)}/>'
            for y, row in enumerate(frame.rows)
            if row
        ]
        shown.append(f'<g transform="translate({number * stride:g})">{"".join(uses)}</g>')
        start = (frame.at - frames[0].at) / length
        keys.append(f"{start:.2%}{{transform:translateX({-number * stride:g}px)}}")
    texts = [f'<g id="{name}">{"".join(map(text, row))}</g>' for row, name in rows.items()]
    dots = [f'<circle cx="{18 + 18 * n}" cy="17" r="5" fill="#484f58"/>' for n in range(3)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 2 * PAD:g} {height + PAD + TITLE:g}" '
            f'font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace" '
            f'font-size="{SIZE}" fill="{FOREGROUND}">',
            f"<title>{escape(title)}</title>",
            f"<style>.b{{font-weight:bold}}@keyframes play{{{''.join(keys)}}}"
            f"@media (prefers-reduced-motion:no-preference){{#film{{animation:play {length:.2f}s step-end infinite}}}}"
            "</style>",
            f"<defs>{''.join(texts)}</defs>",
            f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>{"".join(dots)}',
            f'<svg x="{PAD}" y="{TITLE}" width="{width:g}" height="{height}" overflow="hidden">',
            f'<g id="film" transform="translate({-(len(frames) - 1) * stride:g})">',
            *shown,
            "</g></svg></svg>",
            "",
        ]
    )


def text(run: Run) -> str:
    """Return one run as SVG; its length is fixed, so that columns stand under each other in every font."""
    colour = COLOURS.get(run.colour.removeprefix("bright"), COLOURS.get(run.colour, ""))
    style = f' fill="{colour}"' * bool(colour) + ' class="b"' * run.bold
    length = f' textLength="{len(run.text) * CELL_X:.4g}"' * (len(run.text) > 1)
    return f'<text x="{run.x * CELL_X:.4g}" y="{SIZE}"{length}{style}>{escape(run.text, quote=False)}</text>'


def screenshot(page: Path, picture: Path, *, width: int = 1000, height: int = 820) -> None:
    """Take a picture of the top of a page; needs Chromium and Pillow."""
    from PIL import Image

    browser = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if browser is None:
        sys.exit("Chromium is not installed, so docs/pictures/report.png stays as it is: apt-get install chromium")
    taken = page.with_suffix(".png")
    command = [browser, "--headless", "--disable-gpu", "--hide-scrollbars", f"--window-size={width},{height}"]
    # Chromium refuses its sandbox to root, which containers run as; the page is our own.
    command += ["--no-sandbox"] if os.geteuid() == 0 else []
    subprocess.run([*command, f"--screenshot={taken}", page.as_uri()], check=True, capture_output=True, timeout=120)
    with Image.open(taken) as image:
        small = io.BytesIO()
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    picture.write_bytes(small.getvalue())


def make(folder: Path) -> tuple[str, Path]:
    """Run the commands in an empty folder; return the recording and the page of the report."""
    from demo import standin
    from demo.serve import Server

    standin.make(folder / "upstream")
    standin.make_overlay(folder / "upstream", folder / "recipes")
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment |= {"TERM": "xterm-256color", "PYTHONPATH": str(_REPOSITORY), "NO_PROXY": "127.0.0.1"}
    environment |= {"MODELPREP_RECIPES": "recipes", "MODELPREP_CACHE": "cache"}
    recorder = Recorder()
    with Server(folder / "upstream", port=PORT, rate=RATE) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for line in (f"fetch {TARGETS} --mirror {server.address}", f"check {TARGETS} --html report.html"):
            recorder.type(f"modelprep {line}")
            command = [sys.executable, "-m", "modelprep", *line.split()]
            recorder.run(command, folder=folder, environment=environment)
        server.shutdown()
    recorder.feed(b"\x1b[1;32m$\x1b[0m ", 0.3)
    page = folder / "report.html"
    page.write_text(page.read_text("utf-8").replace(str(folder), FOLDER), "utf-8")
    return svg(recorder.frames, f"A recording of modelprep fetch and modelprep check, {TARGETS}"), page


def main() -> None:
    """Make both pictures."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        recording, page = make(Path(name))
        (PICTURES / "fetch.svg").write_text(recording, "utf-8")
        screenshot(page, PICTURES / "report.png")


if __name__ == "__main__":
    main()
