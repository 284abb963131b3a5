"""Kills at random moments, many processes on one cache, and disks that are full in every phase."""

from __future__ import annotations

import gzip
import io
import random
import signal
import subprocess
import tarfile
import time
import zipfile

from card import Row, Workshop, clean, workshop
from cli.workshop import sha256
from disks import mounted

KILLS = 200
PROCESSES = 16


def payload(version: int, part: int, size: int = 400_000) -> bytes:
    return random.Random(100 * version + part).randbytes(size)


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_BZIP2) as bundle:
        bundle.writestr("inner/part.bin", data)
    return out.getvalue()


def tarred(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz") as bundle:
        member = tarfile.TarInfo("inner/part.bin")
        member.size = len(data)
        bundle.addfile(member, io.BytesIO(data))
    return out.getvalue()


def publish(place: Workshop, version: int, *, pause: float = 0.0) -> dict[str, bytes]:
    """Serve a version of four files, each packed in another way, and write the recipe; return what it installs."""
    parts = [payload(version, part) for part in range(4)]
    packed = [parts[0], gzip.compress(parts[1], 1, mtime=0), zipped(parts[2]), tarred(parts[3])]
    urls = [
        place.server.put(f"/v{version}-{part}.bin", data, pause=pause, piece=20_000) for part, data in enumerate(packed)
    ]
    pins = [f"sha256: {sha256(data)}, size: {len(data)}, pinned_by: here, licence: {{name: MIT, source: here}}"
            for data in (parts[0], packed[1], parts[2], parts[3])]  # fmt: skip
    members = ["", "", ", member: inner/part.bin", ", member: inner/part.bin"]
    assets = "".join(
        f"  part{part}: {{urls: [{{url: '{urls[part]}'{members[part]}}}], {pins[part]}}}\n" for part in range(4)
    )
    place.recipe(
        "thing",
        f"schema: 1\ndemo: Thing\ntree: Things\nassets:\n{assets}"
        "steps: [{id: open, uses: gunzip, with: {file: $part1}}]\n"
        "install: {data/0.bin: $part0, data/1.bin: $open, data/2.bin: $part2, data/3.bin: $part3}\n",
    )
    return {f"data/{part}.bin": data for part, data in enumerate(parts)}


def leftovers(place: Workshop, version: int = 1) -> list[str]:
    """Return what no finished run leaves: temporary files in trees, partial downloads, scratch folders."""
    known = {"MANIFEST.json", "SHA256SUMS", "run-tests.sh", "modelprep.lock"}
    tree = [p for p in place.out.rglob("*") if p.is_file() and p.suffix != ".bin" and p.name not in known]
    cache = [p for p in (place.cache / "scratch").rglob("*") if p.is_file()]
    # A download of the other version stays: the next run of that one resumes it.
    cache += [p for p in (place.cache / "partial").rglob("*") if f"v{version}-" in p.name]
    return [path.relative_to(place.root).as_posix() for path in tree + cache if not path.name.endswith(".lock")]


def _difference(place: Workshop, wanted: dict[str, bytes]) -> str:
    there = place.installed()
    return ", ".join(name for name in sorted({*there, *wanted}) if there.get(name) != wanted.get(name))


def kills(count: int = KILLS, seed: int = 1) -> str:
    chance = random.Random(seed)
    ended = {"killed": 0, "interrupted": 0, "finished": 0}
    with workshop() as place:
        versions = {number: publish(place, number, pause=0.01) for number in (1, 2)}
        begun = time.monotonic()
        assert place.run("fetch", "things").code == 0
        usual = time.monotonic() - begun
        for number in range(count):
            version = 1 + number % 2
            wanted = publish(place, version, pause=0.01)
            if chance.random() < 0.3:
                place.server.paths.pop("/nothing", None)
                subprocess.run(["rm", "-rf", str(place.cache)], check=True)
            process = place.start("fetch", "things")
            how = chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
            time.sleep(chance.uniform(0.0, 1.2 * usual))
            process.send_signal(how)
            _, err = process.communicate(timeout=60)
            assert "bug in modelprep" not in err, err
            ended["killed" if process.returncode == -9 else "interrupted" if process.returncode else "finished"] += 1
            for name, data in place.installed().items():
                if name in wanted:
                    assert data in (versions[1][name], versions[2][name]), f"{name} is corrupt after kill {number}"
            if number % 10 == 9 or number == count - 1:
                ran = place.run("fetch", "things")
                assert ran.code == 0, ran.err
                assert place.installed() == wanted, f"not whole after kill {number}: {_difference(place, wanted)}"
                assert not leftovers(place, version), leftovers(place, version)
    return ", ".join(f"{value} {name}" for name, value in ended.items()) + "; no file corrupt, nothing left behind"


def many_processes() -> str:
    with workshop() as place:
        wanted = publish(place, 1, pause=0.002)
        outs = [place.root / f"out{number}" for number in range(PROCESSES)]
        processes = []
        for out in outs:
            place.out = out
            processes.append(place.start("fetch", "things"))
        verify = subprocess.Popen(
            place.command("cache", "verify", "--cache", str(place.cache)),
            env=place.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        ends = [process.communicate(timeout=300)[1] for process in processes]
        assert [process.returncode for process in processes] == [0] * PROCESSES, ends
        _, err = verify.communicate(timeout=60)
        assert verify.returncode == 0, err
        for out in outs:
            place.out = out
            assert place.installed() == wanted
        counts = [len(place.server.requests(f"/v1-{part}.bin")) for part in range(4)]
        assert counts == [1] * 4, f"GETs per file: {counts}"
    return f"{PROCESSES} processes and a verify: 1 GET a file, all whole"


def full_disks() -> str:
    full = fitted = 0
    for what in ("cache", "out"):
        for size in (*range(40, 400, 60), *range(420, 5200, 420)):
            with workshop() as place, mounted(f"{size}k") as small:
                setattr(place, what, small / what)
                wanted = publish(place, 1)
                ran = place.run("fetch", "things")
                clean(ran)
                for name, data in place.installed().items():
                    assert data == wanted[name], f"{name} is corrupt at {size} KiB for the {what}"
                if ran.code == 0:
                    fitted += 1
                    assert place.installed() == wanted
                    continue
                assert ran.code == 6, (size, ran.code, ran.err)
                assert "full" in ran.err or "space" in ran.err or "room" in ran.err, ran.err
                full += 1
                subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
                ran = place.run("fetch", "things")
                assert ran.code == 0, (size, ran.err)
                assert place.installed() == wanted
                assert not leftovers(place), leftovers(place)
    return (
        f"{full} full disks of {full + fitted} sizes: exit 6, no file corrupt, the next run with free space completes"
    )


def many_inodes() -> str:
    with workshop() as place, mounted("64m,nr_inodes=6") as small:
        place.out = small / "out"
        publish(place, 1)
        ran = place.run("fetch", "things")
        clean(ran)
        assert ran.code == 6, (ran.code, ran.err)
        assert "disk is full" not in ran.err, ran.err
    return "exit 6: no inodes left"


def rows(count: int) -> list[Row]:
    return [
        Row(f"{count} kills at random moments", lambda: kills(count)),
        Row(f"{PROCESSES} processes on one cache", many_processes),
        Row("disk full in every phase", full_disks),
        Row("no inodes left", many_inodes),
    ]
