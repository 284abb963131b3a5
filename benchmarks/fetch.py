"""Measure fetching as ratios, side by side in one run: ``python benchmarks/fetch.py [--size MiB] [--rounds N]``.

Three rows, each against something that anybody can repeat:

- a cold fetch with SHA-256 into the store, against curl that writes a file and hashes nothing;
- twelve slow files at once (`--jobs 12`), against the same one after another;
- a second run over files that are in the store, against one SHA-256 pass over them.

The server is a process of its own that answers with ``sendfile``; everything goes over loopback.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import json
import os
import shutil
import socketserver
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from servers.http import FaultServer  # noqa: E402

from modelprep.fetch import Fetcher, Policy  # noqa: E402 - the checkout's own
from modelprep.recipe.schema import Asset, Digests, Source  # noqa: E402
from modelprep.store import Store  # noqa: E402

MIB = 1 << 20


def serve(folder: Path) -> None:
    """Serve the files of a folder until killed; prints the port."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while request := self.rfile.readline():
                while self.rfile.readline() not in (b"\r\n", b""):
                    pass
                with (folder / request.split()[1].decode().lstrip("/")).open("rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    self.wfile.write(b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: %d\r\n\r\n' % size)
                    self.wfile.flush()
                    self.connection.sendfile(file)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def make(path: Path, size: int, seed: int) -> str:
    """Write `size` bytes that do not compress; gives their SHA-256."""
    digest = hashlib.sha256()
    block = hashlib.shake_256(str(seed).encode()).digest(MIB)
    with path.open("wb") as file:
        for number in range(size // MIB):
            piece = number.to_bytes(8, "big") + block[8:]
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def asset(url: str, sha256: str, size: int) -> Asset:
    return Asset("weights", (Source(url),), Digests({"sha256": sha256}), size, filename=url.rpartition("/")[2])


def fetch(cache: Path, *assets: Asset) -> None:
    fetcher = Fetcher(Store.open(cache), Policy(archives=False))
    for one in assets:
        fetcher.fetch(fetcher.plan(one))


def in_process(cache: Path, *assets: Asset) -> None:
    """The same in an interpreter of its own, its start included."""
    wanted = [[a.sources[0].url.reveal(), a.digests.values["sha256"], a.size] for a in assets]
    command = [sys.executable, __file__, "--fetch", str(cache), json.dumps(wanted)]
    subprocess.run(command, check=True)


def cold(work: Path, rounds: int, size: int) -> dict[str, float]:
    served = work / "served"
    served.mkdir()
    sha256 = make(served / "big.bin", size, 1)
    server = subprocess.Popen([sys.executable, __file__, "--serve", str(served)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/big.bin"
        wanted = asset(url, sha256, size)
        curl: list[float] = []
        library: list[float] = []
        process: list[float] = []
        fetch(work / "warm", wanted)  # imports, page cache
        shutil.rmtree(work / "warm")
        target = work / "curl.bin"
        for _ in range(rounds):
            curl.append(timed(lambda: subprocess.run(["curl", "-sfo", str(target), url], check=True)))
            target.unlink()
            os.sync()
            for times, run in ((library, fetch), (process, in_process)):
                times.append(timed(lambda run=run: run(work / "cache", wanted)))  # type: ignore[misc]
                shutil.rmtree(work / "cache")
                os.sync()
        base = statistics.median(curl)
        return {
            "curl seconds": base,
            "library": statistics.median(library) / base,
            "process": statistics.median(process) / base,
        }
    finally:
        server.kill()
        server.communicate()


def many(work: Path, count: int = 12) -> dict[str, float]:
    data = os.urandom(400_000)
    with FaultServer() as server:
        urls = [server.put(f"/{n}", bytes([n]) + data, pause=0.02, piece=10_000) for n in range(count)]
        wanted = [asset(u, hashlib.sha256(bytes([n]) + data).hexdigest(), len(data) + 1) for n, u in enumerate(urls)]
        serial = timed(lambda: fetch(work / "serial", *wanted))

        def at_once(jobs: int) -> None:
            fetcher = Fetcher(Store.open(work / f"at-once-{jobs}"), Policy(archives=False))
            with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
                list(pool.map(lambda a: fetcher.fetch(fetcher.plan(a)), wanted))

        twelve, four = timed(lambda: at_once(count)), timed(lambda: at_once(4))
    return {"serial seconds": serial, "times faster": serial / twelve, "times faster by default": serial / four}


def second(work: Path, rounds: int, size: int, count: int = 8) -> dict[str, float]:
    folder = work / "files"
    folder.mkdir()
    wanted = []
    for number in range(count):
        path = folder / str(number)
        sha256 = make(path, size // count // MIB * MIB, number)
        wanted.append(asset(path.as_uri(), sha256, path.stat().st_size))
    fetch(work / "second", *wanted)

    def hash_all() -> None:
        for path in folder.iterdir():
            with path.open("rb") as file:
                digest = hashlib.sha256()
                while data := file.read(MIB):
                    digest.update(data)

    one_pass: list[float] = []
    library: list[float] = []
    process: list[float] = []
    for _ in range(rounds):
        one_pass.append(timed(hash_all))
        library.append(timed(lambda: fetch(work / "second", *wanted)))
        process.append(timed(lambda: in_process(work / "second", *wanted)))
    base = statistics.median(one_pass)
    return {
        "pass seconds": base,
        "library": statistics.median(library) / base,
        "process": statistics.median(process) / base,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=512, help="MiB of the cold fetch; the second run takes twice that")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to work; default the system's temporary folder")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--fetch", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    if options.fetch:
        fetch(Path(options.fetch[0]), *(asset(*one) for one in json.loads(options.fetch[1])))
        return
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(prefix="modelprep-bench-", dir=options.folder) as name:
        work = Path(name)
        found: dict[str, dict[str, float]] = {
            "cold": cold(work, options.rounds, options.size * MIB),
            "many": many(work),
            "second": second(work, options.rounds, 2 * options.size * MIB),
        }
    load.append(os.getloadavg()[0])
    found["machine"] = {"processors": os.cpu_count() or 1, "load before": load[0], "load after": load[1]}
    if options.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{'what':<58} {'reach':>8} {'found':>8}")
    for text, reach, value in (
        (f"{options.size} MiB cold with SHA-256, against curl without", "<= 1.15", found["cold"]["library"]),
        ("  the same with the interpreter's start", "", found["cold"]["process"]),
        ("12 slow files, --jobs 12, times faster than serial", ">= 10", found["many"]["times faster"]),
        ("  the same with the default, --jobs 4", "", found["many"]["times faster by default"]),
        (f"second run over {2 * options.size} MiB, one SHA-256 pass = 1", "<= 0.3", found["second"]["library"]),
        ("  the same with the interpreter's start", "", found["second"]["process"]),
    ):
        print(f"{text:<58} {reach:>8} {value:>8.3f}")
    print(f"{os.cpu_count()} processors; load average {load[0]:.1f} before, {load[1]:.1f} after, its own share in it")


if __name__ == "__main__":
    main()
