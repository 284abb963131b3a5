"""Run pip and show how far it is: ``python tools/run_pip.py install ...``, as the Makefile calls it.

On a terminal one line is kept up to date; in a log a line is written every few seconds. What pip itself says is shown
only when it fails.
"""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
import time
from typing import TextIO

#: Seconds between two lines in a log, and between two states on a terminal.
LOG, TERMINAL = 10.0, 0.5
_SHOWN_OF_A_FAILURE = 30


def what(arguments: list[str]) -> str:
    """Say what a pip command line installs."""
    words = [word for word in arguments[1:] if word not in ("--editable", "-e", "--upgrade")]
    text = re.sub(r"--group (\S+)", r"the packages of the group \1", " ".join(words))
    return re.sub(r"(?<!\S)\.(\[(\S+)\])?(?!\S)", lambda m: f"modelprep with {m[2]}" if m[2] else "modelprep", text)


class State:
    """What pip is doing, from the lines that it writes."""

    def __init__(self) -> None:
        self.packages = 0
        self.doing = "starting"

    def read(self, line: str) -> None:
        """Follow one line."""
        if found := re.match(r"\s*Collecting (\S+)", line):
            self.packages += 1
            self.doing = f"looking up {re.split('[^A-Za-z0-9_.-]', found[1])[0]}"
        elif found := re.match(r"\s*Processing (\S+)", line):
            self.packages += 1
            self.doing = f"unpacking {found[1].rpartition('/')[2].split('-')[0]}"
        elif found := re.match(r"\s*Downloading (\S+) \(([^)]*)\)", line):
            self.doing = f"downloading {found[1].rpartition('/')[2].split('-')[0]} ({found[2]})"
        elif found := re.match(r"\s*Building wheel\w* for ([^\s(]+)", line):
            self.doing = f"building {found[1].rstrip(',')}"
        elif found := re.match(r"Installing collected packages: (.*)", line):
            self.doing = "writing them"

    def text(self, seconds: float) -> str:
        """Say it in a line."""
        return f"{seconds:.0f} s, {self.packages} package{'s' * (self.packages != 1)} found, {self.doing}"


def run(arguments: list[str], out: TextIO) -> int:
    """Run pip, show on `out` how far it is and return its exit status."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-color", *arguments]
    process = subprocess.Popen(
        [*command, "--progress-bar", "off"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines: queue.Queue[str | None] = queue.Queue()

    def follow() -> None:
        for line in process.stdout or ():
            lines.put(line)
        lines.put(None)

    threading.Thread(target=follow, daemon=True).start()
    # Beside other jobs of make nobody owns the terminal's last line.
    alive = out.isatty() and "-j" not in os.environ.get("MAKEFLAGS", "")
    state, said, began = State(), [""], time.monotonic()
    out.write(f"Installing {what(arguments)} ...\n")
    shown = began
    while True:
        out.flush()
        try:
            line = lines.get(timeout=TERMINAL)
        except queue.Empty:
            line = ""
        if line is None:
            break
        if line:
            said.append(line)
            state.read(line)
        now = time.monotonic()
        if now - shown >= (TERMINAL if alive else LOG):
            shown = now
            out.write(f"\r\x1b[K  {state.text(now - began)[:76]}" if alive else f"  {state.text(now - began)}\n")
    out.write("\r\x1b[K" * alive)
    status = process.wait()
    if status:
        out.writelines(said[-_SHOWN_OF_A_FAILURE:])
    else:
        out.write(f"  installed in {time.monotonic() - began:.0f} s\n")
    return status


if __name__ == "__main__":
    try:
        sys.exit(run(sys.argv[1:], sys.stdout))
    except KeyboardInterrupt:
        sys.exit(130)
