"""Real shells on a terminal of their own, with Tab pressed in them."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SHELLS = ("bash", "zsh", "fish")
PROMPT = "READY>"
#: Seconds of silence after which a shell is thought to wait for the next key.
SILENCE = 0.2

#: How a shell is told to start with nothing of the user's, and then its prompt and our script.
START = {
    "bash": ["--norc", "--noprofile", "-i"],
    "zsh": ["-f", "-i"],
    "fish": ["--no-config", "-i"],
}
SETUP = {
    "bash": "bind 'set bell-style none'; eval \"$(modelprep completion bash)\"; PS1='READY''> '",
    "zsh": "autoload -Uz compinit; compinit -u -D; unsetopt beep zle_bracketed_paste; "
    "eval \"$(modelprep completion zsh)\"; PROMPT='READY''> '",
    "fish": "modelprep completion fish | source; function fish_prompt; echo -n 'READY''> '; end; "
    "function fish_right_prompt; end",
}


@dataclass
class Desk:
    """A folder to work in, with a ``modelprep`` on the path that completes for real and else notes its arguments."""

    folder: Path
    bin: Path
    noted: Path

    def environment(self) -> dict[str, str]:
        hidden = ("MODELPREP_CACHE", "MODELPREP_RECIPES", "BASH_ENV", "ENV", "FPATH", "INPUTRC")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        return {
            **kept, "PATH": f"{self.bin}:{kept['PATH']}", "HOME": str(self.folder / "home"), "TERM": "xterm",
            "INPUTRC": os.devnull, "LC_ALL": "C.UTF-8", "XDG_CONFIG_HOME": str(self.folder / "home"),
            "XDG_DATA_HOME": str(self.folder / "home"), "COLUMNS": "200", "LINES": "50",
        }  # fmt: skip


def program(shell: str) -> str:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed here")
    return path


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    for name in ("home", "bin", "here"):
        (tmp_path / name).mkdir()
    command = tmp_path / "bin" / "modelprep"
    noted = tmp_path / "noted"
    command.write_text(
        f"""#!/bin/sh
PYTHONPATH='{REPOSITORY}'; export PYTHONPATH
case "$1" in
    completion) exec '{sys.executable}' -m modelprep "$@" ;;
    __complete) '{sys.executable}' -m modelprep "$@"; touch '{tmp_path}/answered'; exit ;;
esac
printf '<%s>\\n' "$@" > '{noted}.new' && mv '{noted}.new' '{noted}'
"""
    )
    command.chmod(0o755)
    return Desk(tmp_path, tmp_path / "bin", noted)


class Terminal:
    """A shell on a terminal."""

    def __init__(self, shell: str, desk: Desk) -> None:
        self.desk = desk
        self.seen = ""
        here = str(desk.folder / "here")
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [program(shell), *START[shell]], stdin=slave, stdout=slave, stderr=slave, cwd=here,
            env=desk.environment(), start_new_session=True,
            # The terminal is to be the session's own: no shell works without.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        try:
            self.type(SETUP[shell] + "\n")
            self.wait(lambda: PROMPT in self.seen, "the prompt")
        except BaseException:
            self.close()
            raise

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def read(self, seconds: float) -> bool:
        """Read what comes within some time; False when nothing did."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.seen += data.decode(errors="replace")
        if "\x1b[0c" in self.seen or "\x1b[c" in self.seen:
            # A shell that asks what kind of terminal this is waits for the answer.
            self.seen = self.seen.replace("\x1b[0c", "").replace("\x1b[c", "")
            self.type("\x1b[?1;2c")
        return True

    def wait(self, happened: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + 30
        while not happened():
            self.read(0.1)
            assert time.monotonic() < end, f"{what} did not come; the terminal shows {self.seen!r}"

    def tab(self, line: str, *, times: int = 1) -> None:
        """Type a line, press Tab, and wait until the shell has made something of the command's answer."""
        answered = self.desk.folder / "answered"
        while self.read(SILENCE):
            pass
        self.seen = ""
        self.type(line)
        for _ in range(times):
            while self.read(SILENCE):
                pass
            answered.unlink(missing_ok=True)
            self.type("\t")
            self.wait(answered.exists, "the question what fits")
            while self.read(SILENCE):
                pass

    def enter(self) -> list[str]:
        """Press Enter, and give the arguments that the command was called with."""
        self.desk.noted.unlink(missing_ok=True)
        self.type("\n")
        self.wait(self.desk.noted.exists, "the call of the command")
        return [line[1:-1] for line in self.desk.noted.read_text().splitlines()]

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.master)


@pytest.fixture(params=SHELLS)
def terminal(request: pytest.FixtureRequest, desk: Desk) -> object:
    terminal = Terminal(str(request.param), desk)
    yield terminal
    terminal.close()
