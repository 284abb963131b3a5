"""Rows about downloads: one large file, many small ones, slow servers, several hosts, a second run."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import socketserver
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from timing import MIB, Command, Cost, Row, run, side_by_side

#: Bytes that a server of limited speed sends at a time.
_PIECE = 64 * 1024


def serve(folder: Path, host: str, each: float, together: float, before: float) -> None:
    """Serve a folder until killed; print the port.

    Parameters
    ----------
    each, together
        Bytes a second of one connection, and of all; 0 for no limit.
    before
        Seconds before an answer.
    """
    opened = time.perf_counter()
    sent = [0.0]

    class Handler(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True  # head and body are separate packets

        def handle(self) -> None:
            while request := self.rfile.readline():
                first, last = 0, None
                while (line := self.rfile.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"range: bytes="):
                        ends = line.strip().partition(b"=")[2].split(b"-")
                        first, last = int(ends[0]), int(ends[1]) if ends[1] else None
                path = folder / unquote(request.split()[1].decode()).lstrip("/")
                self.answer(path, first, last, body=not request.startswith(b"HEAD"))

        def answer(self, path: Path, first: int, last: int | None, *, body: bool) -> None:
            time.sleep(before)
            if not path.is_file():
                self.wfile.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                return
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                end = size if last is None else min(size, last + 1)
                part = first > 0 or last is not None
                head = f'HTTP/1.1 {"206 Partial Content" if part else "200 OK"}\r\nETag: "{size}"\r\n'
                head += f"X-Repo-Commit: {0:040x}\r\n"  # a hub's revision: huggingface_hub asks for it
                head += f"Content-Range: bytes {first}-{end - 1}/{size}\r\n" if part else ""
                self.wfile.write(f"{head}Content-Length: {end - first}\r\n\r\n".encode())
                self.wfile.flush()
                if not body:
                    return
                if not each and not together:
                    self.connection.sendfile(file, first, end - first)
                    return
                began, at = time.perf_counter(), first
                while at < end:
                    count = min(_PIECE, end - at)
                    self.connection.sendfile(file, at, count)
                    at += count
                    sent[0] += count
                    now = time.perf_counter()
                    late = (at - first) / each - (now - began) if each else 0.0
                    late = max(late, sent[0] / together - (now - opened) if together else 0.0)
                    if together and sent[0] / together < now - opened - 0.05:  # what was not used is lost
                        sent[0] = (now - opened - 0.05) * together
                    if late > 0:
                        time.sleep(late)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """Ignore clients that close the connection."""

    with Server((host, 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


@contextmanager
def server(
    folder: Path, *, host: str = "127.0.0.1", each: float = 0, together: float = 0, before: float = 0
) -> Iterator[str]:
    """Run :func:`serve` in a separate process; yield its base URL."""
    command = [sys.executable, __file__, str(folder), host, str(each), str(together), str(before)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://{host}:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


def make(path: Path, size: int, seed: int) -> str:
    """Write bytes that do not compress; return their SHA-256."""
    digest, block = hashlib.sha256(), hashlib.shake_256(str(seed).encode()).digest(min(size, MIB))
    with path.open("wb") as file:
        for number in range(0, size, len(block)):
            piece = (number.to_bytes(8, "big") + block[8:])[: size - number]
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def recipe(folder: Path, files: list[tuple[str, str, int]]) -> Path:
    """Write a recipe ``bench/bench`` of (URL, SHA-256, size) into a folder of recipes."""
    assets, install = "", ""
    for number, (url, sha256, size) in enumerate(files):
        assets += f"  f{number}: {{urls: ['{url}'], sha256: {sha256}, size: {size}, pinned_by: bench}}\n"
        install += f"  {number}.bin: $f{number}\n"
    (folder / "bench").mkdir(parents=True, exist_ok=True)
    text = f"schema: 1\ndemo: Bench\nstatus: ready\ntree: Bench\nassets:\n{assets}install:\n{install}"
    (folder / "bench" / "bench.yaml").write_text(text)
    return folder


class Fetches:
    """Fetches of ``bench/bench`` that start with an empty store and tree, and with all earlier writes on the disk."""

    def __init__(self, work: Path, *targets: str) -> None:
        self.work = work
        self.targets = targets or ("bench/bench",)
        self.modelprep = Command(work)

    def clear(self) -> None:
        for name in ("cache", "out", "peer"):
            shutil.rmtree(self.work / name, ignore_errors=True)
        (self.work / "peer").mkdir()
        os.sync()

    def fetch(self, *options: str) -> Cost:
        self.clear()
        return self.again(*options)

    def again(self, *options: str) -> Cost:
        places = ("--recipes", self.work / "recipes", "--out", self.work / "out", "--cache", self.work / "cache")
        return self.modelprep("fetch", *self.targets, "--quiet", *places, *options)

    def start(self) -> Cost:
        """Run the command without its work: start-up, recipes, planning."""
        self.fetch("--dry-run")
        return self.fetch("--dry-run")

    def peer(self, *command: str) -> Cost:
        self.clear()
        return run(command)


def large(work: Path, rounds: int, size: int) -> list[Row]:
    """Fetch one file: against curl and sha256sum one after the other; with ``--link`` against curl alone."""
    fetches = Fetches(work)
    (work / "www").mkdir()
    sha256 = make(work / "www" / "large.bin", size, 1)
    target = str(work / "peer" / "large.bin")
    with server(work / "www") as base:
        url = f"{base}/large.bin"
        recipe(work / "recipes", [(url, sha256, size)])
        both = f"curl -sfo '{target}' '{url}' && sha256sum '{target}'"
        name = f"{size // MIB} MiB cold, whole command, against `curl` and `sha256sum` one after the other"
        whole = Row(name, 0.5, wire=size)
        whole.pairs = side_by_side(rounds, fetches.fetch, lambda: fetches.peer("sh", "-c", both))
        link = Row("the same with `--link` against curl alone", 1.25, wire=size)
        link.pairs = side_by_side(
            rounds, lambda: fetches.fetch("--link"), lambda: fetches.peer("curl", "-sfo", target, url)
        )
        start, curl = fetches.start(), statistics.median(theirs.seconds for _, theirs in link.pairs)
        whole.note = f"start-up and planning alone take {start.seconds:.2f} s, curl alone {curl:.2f} s"
        whole.note += "; curl does not fsync; we fsync twice, in the store and in the tree"
        link.note = f"start-up and planning alone take {start.seconds / curl:.2f} of curl's time"
    return [whole, link]


def small(work: Path, rounds: int, count: int = 300, size: int = 20_000) -> list[Row]:
    """Fetch many small files of one host with default jobs, against aria2c with 16 connections."""
    row = Row(f"{count} files of {size // 1000} kB, default jobs, against `aria2c -j 16`", 1.2, wire=count * size)
    if shutil.which("aria2c") is None:
        row.note = "aria2c is not installed"
        return [row]
    fetches = Fetches(work)
    (work / "www").mkdir()
    sums = [make(work / "www" / f"{number}.bin", size, number) for number in range(count)]
    with server(work / "www") as base:
        urls = [f"{base}/{number}.bin" for number in range(count)]
        recipe(work / "recipes", [(url, sha256, size) for url, sha256 in zip(urls, sums, strict=True)])
        (work / "urls").write_text("\n".join(urls))
        command = ("aria2c", "-q", "-j", "16", "-i", str(work / "urls"), "-d", str(work / "peer"))
        row.pairs = side_by_side(rounds, fetches.fetch, lambda: fetches.peer(*command))
        start, cpu = fetches.start().cpu, statistics.median(ours.cpu for ours, _ in row.pairs)
    theirs = statistics.median(theirs.seconds for _, theirs in row.pairs)
    row.note = (
        f"one interpreter at a time runs: {cpu:.2f} s of processor time, {start:.2f} s of them start-up and planning"
        f" and {(cpu - start) / count * 1000:.1f} ms a file, where aria2c takes {theirs:.2f} s in all"
    )
    return [row]


def slow(work: Path, rounds: int, size: int, pace: float = 20e6) -> list[Row]:
    """Fetch from a server that limits each connection to 20 MB/s, against one connection."""
    fetches = Fetches(work)
    (work / "www").mkdir()
    sha256 = make(work / "www" / "large.bin", size, 1)
    row = Row(
        f"a server of 20 MB/s a connection, {size // MIB} MiB, times faster than one connection",
        4,
        more=True,
        wire=size,
    )
    with server(work / "www", each=pace) as base:
        url = f"{base}/large.bin"
        recipe(work / "recipes", [(url, sha256, size)])
        target = str(work / "peer" / "large.bin")
        row.pairs = side_by_side(rounds, fetches.fetch, lambda: fetches.peer("curl", "-sfo", target, url))
        start = fetches.start().seconds
    ours = statistics.median(ours.seconds for ours, _ in row.pairs)
    row.note = (
        f"four connections to a host by default, so 4 is the limit without start-up: at their pace"
        f" {size / pace / 4:.1f} s, of our {ours:.1f} s; start-up and planning take {start:.1f} s, one connection is"
        f" watched for 0.1 s first"
    )
    return [row]


def hosts(work: Path, rounds: int, count: int = 12, before: float = 0.8) -> list[Row]:
    """Fetch from three slow hosts with default jobs, against ``--jobs 1``."""
    names = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
    row = Row(
        f"{count} files of {before} s each on three hosts, default jobs, times faster than `--jobs 1`",
        6,
        more=True,
        wire=count * 10_000,
    )
    fetches = Fetches(work)
    (work / "www").mkdir()
    sums = [make(work / "www" / f"{number}.bin", 10_000, number) for number in range(count)]
    one, two, three = (server(work / "www", host=name, before=before) for name in names)
    try:
        socket.create_server((names[1], 0)).close()
    except OSError:
        row.note = "this system has no 127.0.0.2"
        return [row]
    with one as first, two as second, three as third:
        bases = (first, second, third)
        files = [(f"{bases[number % 3]}/{number}.bin", sha256, 10_000) for number, sha256 in enumerate(sums)]
        recipe(work / "recipes", files)
        row.pairs = side_by_side(rounds, fetches.fetch, lambda: fetches.fetch("--jobs", "1"))
    return [row]


def second(work: Path, rounds: int, size: int, count: int = 8) -> list[Row]:
    """Run the command on a finished tree, against one SHA-256 pass over its files."""
    fetches = Fetches(work)
    (work / "recipes").mkdir()
    paths = [work / f"{number}.bin" for number in range(count)]
    sums = [make(path, size // count, number) for number, path in enumerate(paths)]
    uris = [path.resolve().as_uri() for path in paths]
    recipe(work / "recipes", [(uri, sha256, size // count) for uri, sha256 in zip(uris, sums, strict=True)])
    for name in paths:
        name.replace(work / "recipes" / name.name)
    moved = [(work / "recipes" / path.name).resolve().as_uri() for path in paths]
    recipe(work / "recipes", [(uri, sha256, size // count) for uri, sha256 in zip(moved, sums, strict=True)])
    fetches.fetch("--link")
    passes = "import hashlib, sys\nfor path in sys.argv[1:]:\n    file, digest = open(path, 'rb'), hashlib.sha256()\n"
    passes += "    while data := file.read(1 << 20): digest.update(data)\n"
    command = (sys.executable, "-c", passes, *(str(work / "recipes" / path.name) for path in paths))
    row = Row(f"second run over {size // MIB} MiB, one SHA-256 pass = 1, start-up included", 0.15)
    row.pairs = side_by_side(rounds, lambda: fetches.again("--link"), lambda: run(command))
    bare = min(run([sys.executable, "-c", "pass"]).seconds for _ in range(5))
    one = sorted(peer.seconds for _, peer in row.pairs)[len(row.pairs) // 2]
    row.note = f"one pass takes {one:.2f} s, a bare interpreter {bare:.3f} s: {bare / one:.2f} of it"
    return [row]


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2], *map(float, sys.argv[3:6]))
