"""Three ways to bring files into a staging folder on a board: rsync, tar over ssh, sftp.

All three leave a file that is cut short where it is, so that a second run goes on from there; none touches a final
name. Whether the bytes are right is the board's own ``sha256sum`` to say, afterwards.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from modelprep.errors import DeployError
from modelprep.tree.remote import Channel

Method = Literal["rsync", "tar", "sftp"]
Progress = Callable[[int], None]
_CHUNK = 1 << 18


@dataclass(frozen=True)
class Sending:
    """One file to send: its path, the same here below the tree and there below the staging folder; size in bytes."""

    path: str
    size: int


def choose(tools: Mapping[str, bool]) -> Method:
    """Choose the way: rsync when both ends have it, else tar, else sftp.

    Raises
    ------
    DeployError
        The board has none of them.
    """
    if tools.get("rsync") and shutil.which("rsync"):
        return "rsync"
    if tools.get("tar"):
        return "tar"
    if shutil.which("sftp"):
        return "sftp"
    raise DeployError("there is no way to copy files to the board", expected="rsync or tar on the board, or sftp here")


def send(
    channel: Channel,
    method: Method,
    root: Path,
    staging: str,
    files: Sequence[Sending],
    partial: Mapping[str, tuple[int, str]],
    progress: Progress,
) -> None:
    """Bring files into the staging folder.

    Parameters
    ----------
    root
        The tree that the files lie in.
    staging
        The folder on the board; it exists.
    files
        What to send.
    partial
        What lies in the staging folder already: path -> (size in bytes, sha256); the beginning of a file is gone on
        from when it is the same as ours.
    progress
        Called with bytes that have gone over (or need not).

    Raises
    ------
    DeployError
        The connection was cut, or the board could not write.
    """
    if method == "rsync":
        _rsync(channel, root, staging, files, progress)
        return
    whole = []
    for file in files:
        size, digest = partial.get(file.path, (0, ""))
        if 0 < size < file.size and _prefix(root / file.path, size) == digest:
            progress(size)
            _append(channel, root, staging, file, size, progress)
        else:
            whole.append(file)
    if whole and method == "tar":
        _tar(channel, root, staging, whole, progress)
    elif whole:
        _sftp(channel, root, staging, whole, progress)


def _prefix(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while size and (chunk := stream.read(min(size, _CHUNK))):
            digest.update(chunk)
            size -= len(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def _until_the_other_end_is_gone(sink: IO[bytes]) -> Iterator[IO[bytes]]:
    """Give a pipe to write to, closed at the end; what a process says that has hung up is read elsewhere."""
    try:
        yield sink
    except ConnectionError:  # a broken pipe is one
        pass
    finally:
        with contextlib.suppress(ConnectionError):  # closing writes what is still buffered
            sink.close()


def _feed(channel: Channel, remote: str, write: Callable[[IO[bytes]], None], what: str) -> None:
    process = channel.pipe(remote)
    assert process.stdin is not None
    assert process.stderr is not None
    try:
        with _until_the_other_end_is_gone(process.stdin) as sink:
            write(sink)
        said = process.stderr.read().decode(errors="replace")
        status = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        process.stderr.close()
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

    _feed(channel, f"cat >> {shlex.quote(f'{staging}/{file.path}')}", write, "the board could not write")


def _tar(channel: Channel, root: Path, staging: str, files: Sequence[Sending], progress: Progress) -> None:
    def write(sink: IO[bytes]) -> None:
        with tarfile.open(fileobj=sink, mode="w|", format=tarfile.GNU_FORMAT, bufsize=_CHUNK) as archive:
            for file in files:
                info = tarfile.TarInfo(file.path)
                info.size, info.mode = file.size, 0o644
                with (root / file.path).open("rb") as stream:
                    archive.addfile(info, _Reading(stream, progress))

    _feed(channel, f"cd {shlex.quote(staging)} && tar -x -f -", write, "the board could not unpack what was sent")


class _Reading(io.RawIOBase):
    """A source that reports what was read of it."""

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
    """Let rsync send; a file that is there in part serves it as a basis, and stays when the line is cut."""
    command = [
        "rsync", "--times", "--ignore-times", "--inplace", "--partial", "--chmod=F644,D755", "--files-from=-",
        "--info=progress2", "--no-human-readable", "-e", shlex.join(channel.command),
        f"{root}/", f"{channel.board.login}:{staging}/",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        with _until_the_other_end_is_gone(process.stdin) as sink:
            sink.write("".join(f"{file.path}\n" for file in files).encode())
        seen = 0
        for count in _byte_counts(process.stdout):
            progress(max(0, count - seen))
            seen = max(seen, count)
        said = process.stderr.read().decode(errors="replace")
        status = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        process.stdout.close()
        process.stderr.close()
    if status:
        # rsync's own numbers for a line that was cut; 255 is ssh's.
        raise channel.failed(255 if status in (10, 12, 20, 30) else status, said, "rsync could not send the files")


def _byte_counts(stream: IO[bytes]) -> Iterator[int]:
    """Read the byte counts that ``rsync --info=progress2`` prints between carriage returns."""
    rest = b""
    while chunk := stream.read1(4096):  # type: ignore[attr-defined]  # a pipe's buffered reader has it
        *lines, rest = re.split(rb"[\r\n]", rest + chunk)
        for line in lines:
            if match := re.match(rb"\s*(\d+)\s+\d+%", line):
                yield int(match[1])


def _sftp(channel: Channel, root: Path, staging: str, files: Sequence[Sending], progress: Progress) -> None:
    for file in files:
        target = f"{staging}/{file.path}"
        # -b reads commands; sftp's own quoting is a backslash or double quotes.
        line = f'put "{_sftp_quote(str(root / file.path))}" "{_sftp_quote(target)}"\n'
        done = subprocess.run(
            ["sftp", *channel.options, "-b", "-", channel.board.login],
            input=line.encode(),
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise channel.failed(done.returncode, done.stderr.decode(errors="replace"), "sftp could not send a file")
        progress(file.size)


def _sftp_quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
