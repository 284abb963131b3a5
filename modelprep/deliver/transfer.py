"""Three ways to send files to a staging folder on a board: rsync, tar over ssh, sftp.

All three keep a truncated file, so that a second run resumes it; none touches a final name. The board's ``sha256sum``
verifies the bytes afterwards.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from modelprep.deliver.remote import Channel, script_line
from modelprep.errors import DeployError
from modelprep.quoting import sftp

Method = Literal["rsync", "tar", "sftp"]
Progress = Callable[[int], None]
_CHUNK = 1 << 18


#: First rsync with ``--info``; some systems ship an older one or another program of that name.
_RSYNC = (3, 1)


@dataclass(frozen=True)
class Sending:
    """One file to send: its path, the same here below the tree and there below the staging folder; size in bytes."""

    path: str
    size: int


def choose(tools: Mapping[str, bool]) -> Method:
    """Choose the method: rsync if both ends have it (here 3.1 or newer), else tar, else sftp.

    Raises DeployError: the board has none of them.
    """
    if tools.get("rsync") and _rsync_version() >= _RSYNC:
        return "rsync"
    if tools.get("tar"):
        return "tar"
    if shutil.which("sftp"):
        return "sftp"
    raise DeployError("there is no way to copy files to the board", expected="rsync or tar on the board, or sftp here")


def _rsync_version() -> tuple[int, int]:
    if shutil.which("rsync") is None:
        return (0, 0)
    said = subprocess.run(["rsync", "--version"], capture_output=True, check=False).stdout.decode(errors="replace")
    match = re.match(r"rsync +version v?(\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def send(
    channel: Channel,
    method: Method,
    root: Path,
    staging: str,
    files: Sequence[Sending],
    partial: Mapping[str, tuple[int, str]],
    progress: Progress,
) -> None:
    """Send files to the staging folder.

    `root`: the tree that contains the files. `staging`: the folder on the board; it exists. `files`: what to send.
    `partial`: what is in the staging folder already: path -> (size in bytes, sha256); a file is resumed if its
    beginning is the same as ours. `progress`: called with bytes sent (or skipped). Raises DeployError: the connection
    was cut, or the board could not write.
    """
    if method == "rsync":
        _rsync(channel, root, staging, files, progress)
        return
    begun = {}
    for file in files:
        size, digest = partial.get(file.path, (0, ""))
        if 0 < size < file.size and _prefix(root / file.path, size) == digest:
            begun[file.path] = size
    if method == "sftp":
        _sftp(channel, root, staging, files, begun, progress)
        return
    for file in files:
        if file.path in begun:
            progress(begun[file.path])
            _append(channel, root, staging, file, begun[file.path], progress)
    if whole := [file for file in files if file.path not in begun]:
        _tar(channel, root, staging, whole, progress)


def _prefix(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while size and (chunk := stream.read(min(size, _CHUNK))):
            digest.update(chunk)
            size -= len(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def _until_the_other_end_is_gone(sink: IO[bytes]) -> Iterator[IO[bytes]]:
    """Yield a pipe to write to, closed at the end; a process that has hung up is reported elsewhere."""
    try:
        yield sink
    except ConnectionError:  # a broken pipe is one
        pass
    finally:
        with contextlib.suppress(ConnectionError):  # closing writes what is still buffered
            sink.close()


@contextlib.contextmanager
def _reaped(process: subprocess.Popen[bytes], heard: IO[bytes]) -> Iterator[None]:
    """End a process if the block fails, and close the pipe of its output in any case."""
    try:
        yield
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        heard.close()


def _feed(channel: Channel, remote: str, write: Callable[[IO[bytes]], None], what: str) -> None:
    process = channel.pipe(remote)
    assert process.stdin is not None
    assert process.stderr is not None
    with _reaped(process, process.stderr):
        with _until_the_other_end_is_gone(process.stdin) as sink:
            write(sink)
        said = process.stderr.read().decode(errors="replace")
        status = process.wait()
    if status:
        raise channel.failed(status, said, what)


def _copy(source: Path, sink: IO[bytes], skip: int, progress: Progress) -> None:
    with source.open("rb") as stream:
        stream.seek(skip)
        while chunk := stream.read(_CHUNK):
            sink.write(chunk)
            progress(len(chunk))


def _append(channel: Channel, root: Path, staging: str, file: Sending, skip: int, progress: Progress) -> None:
    def write(sink: IO[bytes]) -> None:
        _copy(root / file.path, sink, skip, progress)

    remote = script_line('cat >>"$1"', f"{staging}/{file.path}")
    _feed(channel, remote, write, "the board could not write")


def _tar(channel: Channel, root: Path, staging: str, files: Sequence[Sending], progress: Progress) -> None:
    def write(sink: IO[bytes]) -> None:
        with tarfile.open(fileobj=sink, mode="w|", format=tarfile.GNU_FORMAT, bufsize=_CHUNK) as archive:
            for file in files:
                info = tarfile.TarInfo(file.path)
                info.size, info.mode = file.size, 0o644
                with (root / file.path).open("rb") as stream:
                    archive.addfile(info, _Reading(stream, progress))

    remote = script_line('cd "$1" && tar -x -f -', staging)
    _feed(channel, remote, write, "the board could not unpack what was sent")


class _Reading(io.RawIOBase):
    """A source that reports progress."""

    def __init__(self, stream: IO[bytes], progress: Progress) -> None:
        self._stream = stream
        self._progress = progress

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._progress(len(data))
        return data


def _rsync(channel: Channel, root: Path, staging: str, files: Sequence[Sending], progress: Progress) -> None:
    """Send with rsync; a partial file is its basis, and is kept if the connection is cut."""
    # --protect-args, since the remote shell would split the folder's name at blanks; the names begin with ./, since
    # one that begins with # or ; would be a comment.
    command = [
        "rsync", "--times", "--ignore-times", "--inplace", "--partial", "--chmod=F644,D755", "--files-from=-",
        "--from0", "--protect-args", "--info=progress2", "--no-human-readable", "-e", str(channel.program()),
        "--", f"{root}/", f"{channel.board.in_a_path}:{staging}/",
    ]  # fmt: skip
    seen = 0

    def read(stdout: IO[bytes]) -> None:
        nonlocal seen
        for count in _byte_counts(stdout):
            progress(max(0, count - seen))
            seen = max(seen, count)

    status, said = _converse(channel, command, os.fsencode("".join(f"./{file.path}\0" for file in files)), read)
    if status:
        # rsync's exit statuses for a cut connection; 255 is ssh's.
        raise channel.failed(255 if status in (10, 12, 20, 30) else status, said, "rsync could not send the files")


def _converse(
    channel: Channel, command: Sequence[str], given: bytes, read: Callable[[IO[bytes]], None]
) -> tuple[int, str]:
    """Run a local program with input and a reader of its output; return its exit status and stderr.

    The input is a list of names and stderr is short: neither fills a pipe while the other is waited for.
    """
    with tempfile.TemporaryFile() as names, tempfile.TemporaryFile() as complaints:
        names.write(given)
        names.seek(0)
        process = channel.processes.start(command, stdin=names, stdout=subprocess.PIPE, stderr=complaints)
        assert process.stdout is not None
        with _reaped(process, process.stdout):
            read(process.stdout)
            status = process.wait()
        complaints.seek(0)
        return status, complaints.read(1 << 16).decode(errors="replace")


def _byte_counts(stream: IO[bytes]) -> Iterator[int]:
    """Read the byte counts that ``rsync --info=progress2`` prints between carriage returns."""
    rest = b""
    while chunk := stream.read1(4096):  # type: ignore[attr-defined]  # a pipe's buffered reader has it
        *lines, rest = re.split(rb"[\r\n]", rest + chunk)
        for line in lines:
            if match := re.match(rb"\s*(\d+)\s+\d+%", line):
                yield int(match[1])


def _sftp(
    channel: Channel, root: Path, staging: str, files: Sequence[Sending], begun: Mapping[str, int], progress: Progress
) -> None:
    """Send all files with one sftp, one after the other; `begun` are the sizes of those to resume."""
    lines = []
    for file in files:
        how = "put -a" if file.path in begun else "put"
        lines.append(f"{how} {sftp(str(root / file.path))} {sftp(f'{staging}/{file.path}')}\n")

    greeted: list[bytes] = []

    def read(stdout: IO[bytes]) -> None:
        # sftp prints each command of a batch when it starts; the previous one is done then.
        number = 0
        for line in stdout:
            if line.startswith(b"sftp> "):
                greeted.append(line)
                if number:
                    progress(files[number - 1].size)
                number = min(number + 1, len(files))
        # The last one ends with sftp; the board's checksums tell whether it is complete.
        if number == len(files):
            progress(files[-1].size)

    command = ["sftp", "-S", str(channel.program()), "-b", "-", "--", channel.board.in_a_path]
    status, said = _converse(channel, command, os.fsencode("".join(lines)), read)
    if status and not greeted and channel.answers():
        raise DeployError(
            "the board has no tar and no rsync, and its ssh server offers no sftp: nothing can be sent",
            where=channel.board.login,
            got=said.strip().splitlines()[-1] if said.strip() else f"exit status {status} of sftp",
            hint="install one of them on the board: tar (busybox has one), rsync, or openssh-sftp-server",
        )
    if status:
        # A cut connection ends sftp with 255 or SIGPIPE.
        raise channel.failed(255 if status < 0 else status, said, "sftp could not send the files")
