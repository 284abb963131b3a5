"""A real OpenSSH server on loopback that plays a board: its own userland, its own home, and bad days on request."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

#: What a small board has; rsync and sftp are added by choice.
APPLETS = [
    "sh",
    "awk",
    "cat",
    "chmod",
    "cp",
    "cut",
    "date",
    "df",
    "dirname",
    "echo",
    "env",
    "false",
    "grep",
    "head",
    "ls",
    "mkdir",
    "mktemp",
    "mv",
    "printf",
    "pwd",
    "rm",
    "rmdir",
    "sed",
    "sha256sum",
    "sleep",
    "sync",
    "tail",
    "tar",
    "tee",
    "test",
    "timeout",
    "tr",
    "true",
    "wc",
    "[",
]

ENTRY = """#!/bin/sh
# Every session comes through here, with the board's own programs and home.
cd "{home}" || exit 1
{{ printf '%s' "$SSH_ORIGINAL_COMMAND" | tr '\\n' ' '; echo; }} >>"{root}/commands"
# Passes so many bytes on at once, as they come, and no more.
relay='import os, sys
left = int(sys.argv[1])
while left and (data := os.read(0, min(left, 65536))):
    os.write(1, data)
    left -= len(data)'
run() {{
    case "$SSH_ORIGINAL_COMMAND" in
        *sftp-server*|*internal-sftp*)
            [ -e "{root}/sftp" ] || exit 127
            {sftp} -d "{home}" ;;
        *) userland ;;
    esac
}}
userland() {{ env -i HOME="{home}" PATH="{home}/../bin" "{home}/../bin/sh" -c "$SSH_ORIGINAL_COMMAND"; }}
case "$SSH_ORIGINAL_COMMAND" in
    *'cat >>"$1"'* | *'tar -x'* | rsync* | *sftp-server* | *internal-sftp*) ;;
    *) run; exit $? ;;
esac
if [ -e "{root}/cut" ]; then
    # The line breaks in mid-copy: only so many bytes arrive, then the connection is gone.
    bytes=$(cat "{root}/cut")
    rm "{root}/cut"
    {python} -c "$relay" "$bytes" | run
    kill -9 $PPID
    exit 1
fi
run
"""


class BoardServer:
    """A running server.

    Attributes
    ----------
    home
        The login's home on the "board".
    ssh
        The command to give to ``--ssh``.
    login
        ``user@host``.
    """

    login = "root@board"

    def __init__(
        self, root: Path, *, rsync: bool = False, tar: bool = True, sftp: bool = False, name: str = "board"
    ) -> None:
        self.root = root
        self.home = root / "board"
        # A test may have laid a file system of its own there.
        self.home.mkdir(parents=True, exist_ok=True)
        self._userland(rsync=rsync, tar=tar)
        if sftp:
            (root / "sftp").touch()
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", root / key], check=True)
        entry = root / "entry.sh"
        server = next(
            (p for p in ("/usr/lib/openssh/sftp-server", "/usr/libexec/sftp-server") if Path(p).exists()), "false"
        )
        entry.write_text(ENTRY.format(home=self.home, root=root, sftp=server, python=sys.executable))
        entry.chmod(0o755)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (root / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {root}/host\nAuthorizedKeysFile {root}/user.pub\n"
            f"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
            f"Subsystem sftp internal-sftp\nForceCommand {entry}\nMaxStartups 100\n"
            # The login shell reads no start-up file of this machine's user, and a handshake takes a tenth of the time.
            f"SetEnv HOME={root}\nKexAlgorithms curve25519-sha256\n"
        )
        user = getpass.getuser()
        (root / "ssh_config").write_text(
            f"Host {name}\n HostName 127.0.0.1\n Port {self.port}\n User {user}\n IdentityFile {root}/user\n"
            f" UserKnownHostsFile {root}/known\n StrictHostKeyChecking accept-new\n"
            " BatchMode yes\n IdentitiesOnly yes\n"
        )
        self.login = f"{user}@{name}"
        self.ssh = f"ssh -F {root}/ssh_config"
        Path("/run/sshd").mkdir(exist_ok=True)
        self._log = (root / "sshd.log").open("wb")
        sshd = shutil.which("sshd") or "/usr/sbin/sshd"
        self._process = subprocess.Popen([sshd, "-D", "-e", "-f", root / "sshd_config"], stderr=self._log)
        self._wait()

    def _userland(self, *, rsync: bool, tar: bool) -> None:
        folder = self.root / "bin"
        folder.mkdir()
        busybox = shutil.which("busybox")
        assert busybox is not None
        for applet in APPLETS:
            if applet != "tar" or tar:
                (folder / applet).symlink_to(busybox)
        if rsync:
            (folder / "rsync").symlink_to(shutil.which("rsync") or "missing")

    def _wait(self) -> None:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._process.poll() is not None:
                pytest.skip(f"sshd does not start here: {(self.root / 'sshd.log').read_text()[-200:]}")
            time.sleep(0.05)
        pytest.fail("sshd does not answer")

    def cut_after(self, count: int) -> None:
        """Break the next copy after that many bytes."""
        (self.root / "cut").write_text(str(count))

    def commands(self) -> list[str]:
        """Every command that a session asked for."""
        path = self.root / "commands"
        return path.read_text().splitlines() if path.exists() else []

    def connections(self) -> int:
        """How many connections were let in."""
        return (self.root / "sshd.log").read_text().count("Accepted publickey")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()


def joint_ssh(servers: Sequence[BoardServer], folder: Path) -> str:
    """Write one configuration that knows all these servers; give the ssh command with it."""
    config = folder / "joint_ssh_config"
    config.write_text("".join((server.root / "ssh_config").read_text() for server in servers))
    return f"ssh -F {config}"


def missing() -> str:
    """Say what this machine lacks for a server, or nothing."""
    if not shutil.which("sshd") and not Path("/usr/sbin/sshd").exists():
        return "needs an OpenSSH server (openssh-server)"
    if not shutil.which("busybox"):
        return "needs busybox, as the board's userland"
    if os.geteuid() != 0:
        return "needs root: sshd wants its privilege separation folder"
    return ""


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Callable[..., BoardServer]]:
    """Yield a maker of boards: a real OpenSSH server on loopback, with a busybox userland of its own."""
    if why := missing():
        pytest.skip(why)
    servers: list[BoardServer] = []

    def make(*, rsync: bool = False, tar: bool = True, sftp: bool = False) -> BoardServer:
        if rsync and not shutil.which("rsync"):
            pytest.skip("needs rsync")
        servers.append(BoardServer(tmp_path / f"sshd{len(servers)}", rsync=rsync, tar=tar, sftp=sftp))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()
