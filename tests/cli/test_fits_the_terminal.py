"""On a terminal of 80 columns no line of a table, a text or a command is wider."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest
from cli.workshop import Workshop


def drawn(workshop: Workshop, arguments: list[str], columns: int) -> str:
    """Run a command with stdout on a terminal of so many columns (0: it does not say)."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**workshop.environment(), "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    process = subprocess.Popen(
        workshop.command(*arguments),
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        env=environment,
    )
    os.close(theirs)
    text = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    os.close(ours)
    process.wait(timeout=60)
    return re.sub(r"\x1b\[[0-9;]*m", "", text.decode()).replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("arguments", "columns"),
    [
        (["list"], 80),
        (["list"], 0),
        (["show", "armnn-caffe/vgg"], 80),
        (["check", "all", "--lint-only"], 80),
        (["doctor"], 80),
        (["audit", "--hosts"], 80),
        (["lint", "net.tflite", "--parser", "tflite"], 80),
    ],
)
def test_nothing_is_wider_than_80_columns(workshop: Workshop, arguments: list[str], columns: int) -> None:
    Path("net.tflite").write_bytes(b"<html>this is a page and no model</html>")
    text = drawn(workshop, arguments, columns)
    lines = text.splitlines()
    assert len(lines) > 1, text
    # A single word (an address, a path) is never broken: it must be copied whole.
    wide = [line for line in lines if len(line) > 80 and len(line.removesuffix(" \\").split()) > 1]
    assert not wide
