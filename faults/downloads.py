"""The faults of servers, disks and users under which other programs were run (:mod:`peers`), here for modelprep."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

from card import Behaviour, FaultServer, Row, Workshop, clean, workshop
from disks import mounted

DATA = random.Random(1).randbytes(2_000_000)
OTHER = random.Random(2).randbytes(2_000_000)
THING = {"data/thing.bin": DATA}


def tried(fault: Callable[[Workshop], str]) -> Callable[[], str]:
    def run() -> str:
        with workshop() as place:
            return fault(place)

    return run


def gets(server: FaultServer, path: str = "/thing.bin") -> int:
    return len(server.requests(path))


def cut_once(place: Workshop) -> str:
    place.simple("thing", DATA, urls=place.server.put("/thing.bin", DATA, cut_at=1_000_000, times=1))
    ran = place.run("fetch", "things")
    assert ran.code == 0, ran.err
    assert place.installed() == THING
    second = place.server.requests("/thing.bin")[1]
    assert second.range == "bytes=1000000-", second.range
    assert second.if_range, "no If-Range"
    return "resumes, with If-Range"


def cut_often(place: Workshop) -> str:
    def down(how: Behaviour) -> None:
        how.cut_at, how.status, how.times = None, 503, -1

    url = place.server.put("/thing.bin", DATA, cut_at=800_000, times=1, after=down)
    place.simple("thing", DATA, urls=url)
    ran = place.run("fetch", "things")
    assert ran.code == 3, ran.err
    clean(ran)
    before = place.server.sent()
    place.server.put("/thing.bin", DATA)
    ran = place.run("fetch", "things")
    assert ran.code == 0, ran.err
    assert place.installed() == THING
    assert place.server.sent() - before == len(DATA) - 800_000, "what was there came again"
    return "the new process resumes"


def replaced(place: Workshop) -> str:
    """The old object is cut; then another lies there, and the server overlooks If-Range. Pinned and unpinned."""
    url = place.server.put("/thing.bin", OTHER, cut_at=700_000, times=1, blind=True)
    place.server.paths["/thing.bin"].after = lambda how: setattr(how, "data", DATA)
    place.simple("thing", DATA, urls=url)
    ran = place.run("fetch", "things")
    assert ran.code == 0, ran.err
    assert place.installed() == THING
    model = b"\x0a\x03net" + bytes(range(256)) * 4000
    picture = _bmp(model)
    url = place.server.put("/free.bmp", _bmp(OTHER), cut_at=200_000, times=1, blind=True)
    place.server.paths["/free.bmp"].after = lambda how: setattr(how, "data", picture)
    place.recipe("free", _unpinned(url, "free.bmp"))
    ran = place.run("fetch", "things/free")
    assert ran.code == 0, ran.err
    assert place.installed()["free.bmp"] == picture, "old and new bytes are mixed"
    return "starts again; pinned and unpinned"


def _unpinned(url: str, name: str) -> str:
    return (
        f"schema: 1\ndemo: Free\ntree: Things\nassets:\n  free:\n    urls: ['{url}']\n    pin: first-use\n"
        f"    licence: {{name: MIT, source: here}}\ninstall: {{{name}: $free}}\n"
    )


def _bmp(pixels: bytes) -> bytes:
    import struct

    side = 400
    body = (pixels * (1 + side * side * 3 // len(pixels)))[: side * side * 3]
    head = struct.pack("<2sIHHI", b"BM", 54 + len(body), 0, 0, 54)
    return head + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, len(body), 2835, 2835, 0, 0) + body


def wrong_checksum(place: Workshop) -> str:
    place.simple("thing", DATA, urls=place.server.put("/thing.bin", OTHER))
    ran = place.run("fetch", "things")
    assert ran.code == 4, (ran.code, ran.err)
    clean(ran)
    assert gets(place.server) == 1
    assert place.installed() == {}
    place.server.put("/thing.bin", DATA)
    assert place.run("fetch", "things").code == 0, "the next run does not heal"
    return "1 request, exit 4, the next run heals"


def new_pin_is_404(place: Workshop) -> str:
    place.simple("thing", DATA)
    assert place.run("fetch", "things").code == 0
    place.simple("thing", OTHER, urls=place.server.url("/gone.bin"))
    ran = place.run("fetch", "things")
    assert ran.code == 3, ran.err
    assert place.installed() == THING, "the good old file is gone"
    return "the old file stays, exit 3"


def page_then_mirror(place: Workshop) -> str:
    page = place.server.put("/thing.bin", b"<!DOCTYPE html><title>Sign in</title>", content_type="text/html")
    place.simple("thing", DATA, urls=f"{page}, {place.server.put('/good.bin', DATA)}")
    ran = place.run("fetch", "things")
    assert ran.code == 0, ran.err
    assert place.installed() == THING
    assert place.server.requests("/good.bin")[0].range == "", "the page's bytes were gone on from"
    return "the mirror, from its start"


def page_unpinned(place: Workshop) -> str:
    url = place.server.put("/free.caffemodel", b"<!DOCTYPE html><title>Sign in</title>", content_type="text/html")
    place.recipe("free", _unpinned(url, "free.caffemodel"))
    ran = place.run("fetch", "things")
    assert ran.code == 3, (ran.code, ran.err)
    assert "web page" in ran.err
    assert place.installed() == {}
    return "refused, exit 3: a web page"


def missing_then_mirror(place: Workshop) -> str:
    place.simple("thing", DATA, urls=f"{place.server.url('/thing.bin')}, {place.server.put('/good.bin', DATA)}")
    assert place.run("fetch", "things").code == 0
    assert place.installed() == THING
    return "ok"


def missing(place: Workshop) -> str:
    place.simple("thing", DATA, urls=place.server.url("/thing.bin"))
    ran = place.run("fetch", "things")
    assert ran.code == 3, ran.err
    clean(ran)
    assert gets(place.server) == 1
    return "1 request, exit 3"


def unavailable_twice(place: Workshop) -> str:
    place.simple("thing", DATA, urls=place.server.put("/thing.bin", DATA, status=503, times=2))
    ran = place.run("fetch", "things")
    assert ran.code == 0, ran.err
    assert gets(place.server) == 3
    return "ok, with growing pauses"


def retry_after(place: Workshop) -> str:
    for status in (503, 429):
        path = f"/{status}.bin"
        url = place.server.put(path, DATA, status=status, times=1, retry_after="2")
        place.simple(f"thing-{status}", DATA + bytes([status & 255]), urls=url)
        place.server.paths[path].data = DATA + bytes([status & 255])
        ran = place.run("fetch", f"things/thing-{status}")
        assert ran.code == 0, ran.err
        first, second = place.server.requests(path)
        assert second.time - first.ended >= 1.9, "asked again too early"
    return "ok, both honoured"


def stall(place: Workshop) -> str:
    from cli.workshop import sha256

    from modelprep.fetch import Fetcher, Policy
    from modelprep.recipe.schema import Asset, Digests, Source
    from modelprep.store import Store

    url = place.server.put("/thing.bin", DATA, stall_at=700_000, times=1)
    asset = Asset(id="thing", sources=(Source(url=url),), digests=Digests({"sha256": sha256(DATA)}))
    fetcher = Fetcher(Store.open(place.cache), Policy(stall_timeout=2.0, archives=False))
    begun = time.monotonic()
    blob = fetcher.fetch(fetcher.plan(asset)).blob
    assert blob.path.read_bytes() == DATA
    assert time.monotonic() - begun < 20
    assert place.server.requests("/thing.bin")[1].range == "bytes=700000-"
    return "30 s (here 2 s), then resumes"


def eight_processes(place: Workshop) -> str:
    place.simple("thing", DATA, urls=place.server.put("/thing.bin", DATA, pause=0.01))
    processes = [place.start("fetch", "things") for _ in range(8)]
    ends = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, [err for _, err in ends]
    assert gets(place.server) == 1, f"{gets(place.server)} GETs"
    assert place.installed() == THING
    return "1 GET, all ok"


def _stopped(place: Workshop, how: signal.Signals) -> str:
    stalls = place.server.put("/thing.bin", DATA, pause=0.05, piece=50_000, stall_at=len(DATA) // 2)
    place.simple("thing", DATA, urls=stalls)
    process = place.start("fetch", "things")
    limit = time.monotonic() + 60
    while place.server.sent() < 0.4 * len(DATA) and time.monotonic() < limit:
        time.sleep(0.01)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (130 if how is signal.SIGINT else -9), (process.returncode, err)
    assert place.installed() == {}
    place.server.put("/thing.bin", DATA)
    assert place.run("fetch", "things").code == 0
    assert place.installed() == THING
    assert place.server.log[-1].range, "does not resume"
    left = [path.name for path in (place.cache / "partial").iterdir()]
    assert not left, f"left: {left}"
    return err


def ctrl_c(place: Workshop) -> str:
    err = _stopped(place, signal.SIGINT)
    assert err.count("\n") == 1, err
    return "one line, 130, resumes"


def kill_9(place: Workshop) -> str:
    _stopped(place, signal.SIGKILL)
    return "resumes, nothing left behind"


def disk_full(place: Workshop) -> str:
    with mounted("600k") as small:
        place.cache = small / "cache"
        place.simple("thing", DATA)
        ran = place.run("fetch", "things")
        assert ran.code == 6, (ran.code, ran.err)
        clean(ran)
        assert place.installed() == {}
    return "exit 6 before the first byte, with what is needed and free"


def bit_flip(place: Workshop) -> str:
    import os

    place.simple("thing", DATA)
    assert place.run("fetch", "things").code == 0
    (blob,) = [path for path in (place.cache / "blobs").rglob("*") if path.is_file()]
    stat = blob.stat()
    blob.chmod(0o644)
    with blob.open("r+b") as file:
        file.seek(1000)
        file.write(bytes([DATA[1000] ^ 1]))
    os.utime(blob, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    place.out = place.root / "other"
    ran = place.run("fetch", "things")
    assert ran.code == 0, ran.err
    assert place.installed() == THING, "the rotten file was installed"
    assert gets(place.server) == 2
    return "seen, quarantined, fetched again"


def second_run(place: Workshop) -> str:
    place.simple("thing", DATA)
    assert place.run("fetch", "things").code == 0
    before = len(place.server.log)
    ran = place.run("fetch", "things")
    assert ran.code == 0
    assert len(place.server.log) == before
    return "0 requests"


def gzip_encoded(place: Workshop) -> str:
    text = b"label\n" * 50_000
    place.simple("thing", text, urls=place.server.put("/thing.bin", text, encoding="gzip"))
    assert place.run("fetch", "things").code == 0
    assert place.installed() == {"data/thing.bin": text}
    return "ok"


ROWS = [
    Row("cut at 50 %, the server can Range", tried(cut_once)),
    Row("cut again and again, then healed, new process", tried(cut_often)),
    Row("object replaced between cut and resume, Range honoured blindly", tried(replaced)),
    Row("wrong checksum", tried(wrong_checksum)),
    Row("good old file, new pin, its URL is 404", tried(new_pin_is_404)),
    Row("200 with a login page, a good mirror listed", tried(page_then_mirror)),
    Row("web page, unpinned", tried(page_unpinned)),
    Row("404, then a mirror", tried(missing_then_mirror)),
    Row("404 alone", tried(missing)),
    Row("503 twice", tried(unavailable_twice)),
    Row("503 and 429 with Retry-After: 2", tried(retry_after)),
    Row("stall, the socket stays open", tried(stall)),
    Row("8 processes, one target, cold", tried(eight_processes)),
    Row("Ctrl-C at 40 %", tried(ctrl_c)),
    Row("kill -9 at 40 %", tried(kill_9)),
    Row("disk full", tried(disk_full)),
    Row("bit flip in a stored file, same size and time", tried(bit_flip)),
    Row("second run of a finished file", tried(second_run)),
    Row("gzip Content-Encoding nobody asked for", tried(gzip_encoded)),
]
