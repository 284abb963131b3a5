"""The user's own ssh to a board: one connection, shell scripts in, text out.

Everything uses the ``ssh`` program, with the user's configuration files, agents, keys, ports and jump hosts. One master
connection is shared (``ControlMaster``), so that a password is asked for once. Scripts are POSIX sh and are sent over
standard input; busybox on the board is enough.
"""

from __future__ import annotations

import codecs
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from modelprep import quoting
from modelprep.deliver.board_place import plain_place
from modelprep.deliver.processes import Processes
from modelprep.errors import ConnectionLost, DeployError, MissingTool, UsageError

_PLACE = re.compile(r"(?P<login>(?:[^@:/\s]+@)?(?:\[[^\[\]\s/]+\]|[^@:/\s\[\]]+))(?::(?P<path>.*))?", re.DOTALL)


@dataclass(frozen=True)
class Board:
    """Where to deploy: ``login`` as ssh takes it (``root@imx8``), `path` on the board (empty: the home directory)."""

    login: str
    path: str = ""

    @property
    def in_a_path(self) -> str:
        """The login in the form for rsync and sftp with a path: an IPv6 address in brackets."""
        user, at, host = self.login.rpartition("@")
        return f"{user}{at}[{host}]" if ":" in host else self.login


def parse_board(text: str) -> Board:
    """Read ``user@host[:path]``. Raises UsageError: the text has another form, or would be read as an ssh option."""
    match = _PLACE.fullmatch(plain_place(text))
    user, at, host = match["login"].rpartition("@") if match is not None else ("", "", "")
    try:
        login = quoting.destination(f"{user}{at}{host.removeprefix('[').removesuffix(']')}")
    except quoting.Unquotable:
        match = None
    if match is None or "\n" in text:
        raise UsageError(
            f"'{text}' is not a board",
            expected="user@host or user@host:path, in letters, digits, dots, dashes and underscores",
            hint="for example root@imx8mq",
        )
    return Board(login, (match["path"] or "").rstrip("/") or ("/" if match["path"] else ""))


@dataclass(frozen=True)
class Channel:
    """An open connection to a board.

    `board`: the board. `command`: the ssh command with the options of the shared connection. `folder`: a temporary
    folder on this machine, removed when the connection is closed. `processes`: its processes.
    """

    board: Board
    command: tuple[str, ...]
    folder: Path
    processes: Processes = field(default_factory=Processes)

    def program(self) -> Path:
        """Return a program that runs the ssh command with all its options, for programs that take no ssh options.

        sftp uses other letters (``-p`` is not the port there), so the user's options cannot be passed on.
        """
        path = self.folder / "ssh"
        path.write_text(f'#!/bin/sh\nexec {quoting.command(*self.command)} "$@"\n')
        path.chmod(0o700)
        return path

    def script(self, text: str, *arguments: str, given: bytes = b"") -> str:
        """Run a shell script on the board and return its output.

        `text`: the script, a constant. `arguments`: its arguments, ``$1`` and so on. `given`: its standard input.
        Raises DeployError: the connection failed, or the script ended with a status other than 0.
        """
        status, said, complaints = self.processes.run(
            self._call(script_line(text, *arguments)), given, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        if status:
            raise self.failed(status, complaints.decode(errors="replace"), "the board refused a command")
        return said.decode(errors="surrogateescape")

    def _call(self, remote: str, *options: str) -> list[str]:
        return [*self.command, *options, *quoting.remote(self.board.login, remote)]

    def pipe(self, remote: str) -> subprocess.Popen[bytes]:
        """Start a command on the board with a pipe to its standard input."""
        return self.processes.start(
            self._call(remote), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def interactive(self, remote: str) -> int:
        """Run a command on the board and stream its output; return its exit status.

        On a terminal the command gets a terminal too, so that Ctrl-C ends it. Control characters in the board's output
        are escaped.

        Raises DeployError: the connection failed.
        """
        terminal = ["-t", "-q"] if sys.stdin.isatty() and sys.stdout.isatty() else []
        stdin = None if terminal else subprocess.DEVNULL
        with self.processes.start(self._call(remote, *terminal), stdin=stdin, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            try:
                _show(process.stdout)
                status = process.wait()
            except BaseException:
                process.kill()
                raise
        if status == 255:
            raise self.failed(status, "", "")
        return status

    def capture(self, remote: str) -> tuple[int, str]:
        """Run a command on the board without a terminal; return its exit status and its output.

        Raises DeployError: the connection failed.
        """
        status, output, _ = self.processes.run(
            self._call(remote), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said = output.decode(errors="replace")
        if status == 255:
            raise self.failed(status, said, "the board refused a command")
        return status, said

    def answers(self) -> bool:
        """Say whether the board still runs commands."""
        try:
            self.script("true")
        except DeployError:
            return False
        return True

    def failed(self, status: int, said: str, what: str) -> DeployError:
        """Make the error for a command that failed, from its output."""
        return failed(self.board.login, status, said, what)


def _show(stream: IO[bytes]) -> None:
    """Copy what a board prints to our standard output, as text for a terminal."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    held = ""
    while True:
        data = stream.read1(4096)  # type: ignore[attr-defined]  # a pipe's buffered reader has it
        text = held + decoder.decode(data, final=not data)
        # A terminal ends lines with both characters; the second may arrive later.
        held = "\r" if data and text.endswith("\r") else ""
        sys.stdout.write(quoting.terminal(text.removesuffix(held).replace("\r\n", "\n")))
        sys.stdout.flush()
        if not data:
            return


def script_line(text: str, *arguments: str) -> str:
    """Write the command that runs a script with arguments, for the shell on the board."""
    return quoting.command("sh", "-c", text, "sh", *arguments)


def failed(login: str, status: int, said: str, what: str) -> DeployError:
    """Make the error for a command that failed on the way to a board or there."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if "No space left" in said:
        return DeployError(
            "the board's disk is full",
            where=login,
            got=lines[-1],
            hint="free some space there, or name another folder: user@host:/path",
        )
    if status == 255:
        return ConnectionLost(
            "the connection to the board failed or was cut",
            where=login, got=lines[-1] if lines else "ssh ended with status 255",
            hint=f"try `ssh {quoting.sh(login)}` by hand, then run the command again to resume",
        )  # fmt: skip
    return DeployError(what, where=login, got="; ".join(lines[-3:]) or f"exit status {status}")


@contextmanager
def connect(
    board: Board, ssh: Sequence[str] = ("ssh",), *, options: Sequence[str] = (), processes: Processes | None = None
) -> Iterator[Channel]:
    """Open the shared connection and close it at the end.

    `board`: see :func:`parse_board`. `ssh`: the ssh command with options of the user's own (``--ssh``,
    ``MODELPREP_SSH``). `options`: further ssh options; the user's take precedence. `processes`: processes that use it;
    None for a connection that no other thread stops. Raises MissingTool: no ssh program on this machine.
    """
    if not ssh or shutil.which(ssh[0]) is None:
        raise MissingTool(
            "deploying needs the ssh program", expected=ssh[0] if ssh else "ssh", hint="install openssh-client"
        )
    # A short path: socket names have at most about 100 characters.
    with tempfile.TemporaryDirectory(prefix="mp-", dir="/tmp" if Path("/tmp").is_dir() else None) as folder:  # noqa: S108
        shared = ("-o", "ControlMaster=auto", "-o", f"ControlPath={folder}/s", "-o", "ControlPersist=30")
        alive = ("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4")
        channel = Channel(board, (*ssh, *options, *shared, *alive), Path(folder), processes or Processes())
        end = [*channel.command, "-O", "exit", "--", board.login]
        # The master keeps the pipes of its sessions open: their readers end only when it ends.
        channel.processes.close_with(end)
        try:
            yield channel
        finally:
            subprocess.run(end, capture_output=True, check=False)


def ssh_words(text: str | None) -> tuple[str, ...]:
    """Split ``--ssh`` (or ``MODELPREP_SSH``, or plain ``ssh``) into a command."""
    words = tuple(shlex.split(text or os.environ.get("MODELPREP_SSH", "") or "ssh"))
    if not words:
        raise UsageError("--ssh is empty", expected="an ssh command, such as 'ssh -p 2222'")
    return words
