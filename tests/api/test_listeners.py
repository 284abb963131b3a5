"""What a listener may do: hear everything, one event at a time, and raise at any moment without spoiling anything."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cli.workshop import Workshop, gzipped
from servers.sshd import BoardServer, missing

import modelprep
from modelprep.events import PACE, Event

CONTENT = {"one": b"1" * 300_000, "two": b"2" * 5000}


class Own(Exception):
    """The listener's."""


class Raising:
    """A listener that raises at one event, and counts what it hears."""

    def __init__(self, at: int, error: BaseException) -> None:
        self.at = at
        self.error = error
        self.calls = 0
        self.last = ""

    def __call__(self, event: Event) -> None:
        self.calls += 1
        self.last = event.kind
        if self.calls > self.at:
            raise self.error


@contextmanager
def stopped(at: int) -> Iterator[Raising]:
    """Expect that a listener ends the verb at one event, gets its own error back, and is not called again.

    How often progress is told depends on the machine's speed: of what a run told, the next may tell less.
    """
    listen = Raising(at, Own())
    raised = None
    try:
        yield listen
    except Own as error:
        raised = error
    assert (raised is listen.error) == (listen.calls > at), "the verb has overlooked that its listener raised"
    assert listen.calls <= at + 1


def stray(folder: Path) -> list[Path]:
    """Files under way, of any package's naming."""
    return [path for path in folder.rglob("*") if path.is_file() and path.name.endswith((".modelprep", ".tmp"))]


@pytest.fixture
def things(workshop: Workshop) -> Workshop:
    """Return recipes with a download that is installed as it is, one that a step works on."""
    workshop.simple("one", CONTENT["one"])
    workshop.simple(
        "two", gzipped(CONTENT["two"]), install="data/two.bin: $unpacked\n  data/two.gz",
        more="steps:\n  - {id: unpacked, uses: gunzip, with: {file: $two-file}}\n",
    )  # fmt: skip
    return workshop


def fetching(workshop: Workshop, name: str) -> dict[str, Any]:
    return {
        "out": workshop.root / name / "out",
        "cache": workshop.root / name / "cache",
        "recipes": workshop.recipes,
        "archives": False,
    }


def test_a_listener_may_raise_at_any_event_of_a_fetch_and_nothing_is_spoilt(things: Workshop) -> None:
    heard: list[Event] = []
    report = modelprep.fetch("things", listen=heard.append, **fetching(things, "calm"))
    assert report.ok
    things.out = things.root / "calm" / "out"
    wanted = things.installed()
    assert wanted["data/two.bin"] == CONTENT["two"]
    assert {event.kind for event in heard} >= {"plan", "start", "source", "progress", "done"}
    assert len(heard) > 10
    for number in range(len(heard)):
        options = fetching(things, f"try-{number}")
        with stopped(number) as listen:
            modelprep.fetch("things", listen=listen, **options)
        assert not stray(options["out"])
        things.out = options["out"]
        for path, data in things.installed().items():
            assert data == wanted[path], "a file stands that is not whole"
        assert modelprep.fetch("things", **options).ok
        assert things.installed() == wanted
        assert not stray(options["out"])
        del options["archives"]
        assert {demo.state for demo in modelprep.list_demos("things", **options)} == {"present"}
    # What watches, and what stores finished files, ends by itself once it has had nothing to do for a while.
    left = {thread.name for thread in threading.enumerate() if thread.name.startswith("modelprep-")}
    assert left <= {"modelprep-watchdog", "modelprep-landing"}


def test_a_listener_may_raise_at_any_event_of_a_mirror(things: Workshop) -> None:
    heard: list[Event] = []
    made = modelprep.mirror("things", things.root / "whole", listen=heard.append, **fetching(things, "calm"))
    assert made.exit_code == 0
    wanted = {file.path: file.sha256 for file in made.written}
    assert len(wanted) == 2
    for number in range(len(heard)):
        folder, options = things.root / f"mirror-{number}", fetching(things, f"try-{number}")
        with stopped(number) as listen:
            modelprep.mirror("things", folder, listen=listen, **options)
        assert not stray(folder)
        if (folder / "modelprep-mirror.json").exists():
            assert modelprep.verify_mirror(folder).ok
        modelprep.mirror("things", folder, **options)
        found = modelprep.verify_mirror(folder)
        assert found.ok
        assert {file.path: file.sha256 for file in found.files} == wanted


def test_a_listener_may_raise_at_any_event_of_a_bundle_and_the_old_one_stays(things: Workshop) -> None:
    options = fetching(things, "calm")
    assert modelprep.fetch("things", **options).ok
    heard: list[Event] = []
    file = things.root / "models.zip"
    packing: dict[str, Any] = {"out": options["out"], "recipes": things.recipes}
    whole = modelprep.bundle("things", file, listen=heard.append, **packing)
    assert [event.kind for event in heard][:: len(heard) - 1] == ["start", "done"]
    for number in range(len(heard)):
        file.write_bytes(b"an older one")
        with stopped(number) as listen:
            modelprep.bundle("things", file, listen=listen, **packing)
        # When the end is told the new one stands; before, the old one.
        assert (file.read_bytes() == b"an older one") == (listen.last != "done")
        assert not stray(things.root)
    assert modelprep.bundle("things", file, **packing) == whole


def test_a_listener_may_raise_at_any_event_of_a_deployment(things: Workshop, tmp_path: Path) -> None:
    if why := missing():
        pytest.skip(why)
    options = fetching(things, "calm")
    assert modelprep.fetch("things", **options).ok
    sending: dict[str, Any] = {"out": options["out"], "recipes": things.recipes}
    board = BoardServer(tmp_path / "sshd", rsync=False, tar=True, sftp=False)
    try:
        sending["ssh"] = board.ssh
        heard: list[Event] = []
        modelprep.deploy("things", f"{board.login}:whole", listen=heard.append, **sending)
        assert heard[0].kind == "start"
        assert heard[-1].kind == "done"
        for number in range(len(heard)):
            place = f"{board.login}:try-{number}"
            with stopped(number) as listen:
                modelprep.deploy("things", place, listen=listen, **sending)
            there = board.home / f"try-{number}" / "Things"
            for path in ("data/one.bin", "data/two.bin"):
                assert not (there / path).exists() or (there / path).read_bytes() == CONTENT[path[5:8]]
            modelprep.deploy("things", place, **sending)
            assert (there / "data/one.bin").read_bytes() == CONTENT["one"]
            assert (there / "data/two.bin").read_bytes() == CONTENT["two"]
            assert not (there / ".modelprep-incoming").exists()
    finally:
        board.stop()


def test_a_listener_may_raise_at_any_event_of_an_audit_and_the_history_stays(things: Workshop) -> None:
    history = things.root / "history.json"
    asking: dict[str, Any] = {"history": history, "pause": 0, "recipes": things.recipes, "out": things.out}
    heard: list[Event] = []
    modelprep.audit("things", listen=heard.append, **asking)
    assert [event.kind for event in heard] == ["start", "progress", "progress", "done"]
    for number in range(len(heard)):
        history.unlink(missing_ok=True)
        with stopped(number) as listen:
            modelprep.audit("things", listen=listen, **asking)
        assert history.exists() == (listen.last == "done")
    assert modelprep.audit("things", **asking).counts == {"alive": 2}


def test_a_listener_may_raise_while_a_mirror_is_verified_or_a_layer_is_written(things: Workshop) -> None:
    options = fetching(things, "calm")
    assert modelprep.fetch("things", **options).ok
    assert modelprep.mirror("things", things.root / "mirror", **options).exit_code == 0
    with stopped(0) as listen:
        modelprep.verify_mirror(things.root / "mirror", listen=listen)
    assert listen.calls == 1
    assert modelprep.verify_mirror(things.root / "mirror").ok
    layer: dict[str, Any] = {"out": options["out"], "recipes": things.recipes}
    with stopped(1) as listen:
        modelprep.export_yocto("things", things.root / "layer", listen=listen, **layer)
    assert listen.calls == 2
    assert not stray(things.root / "layer")
    assert modelprep.export_yocto("things", things.root / "layer", **layer).recipes


def test_a_listener_that_raises_ctrl_c_is_an_interruption(things: Workshop) -> None:
    for error in (KeyboardInterrupt(), modelprep.errors.Interrupted("enough")):
        with pytest.raises(modelprep.errors.Interrupted) as caught:
            modelprep.fetch("things", listen=Raising(1, error), **fetching(things, "out"))
        assert caught.value.exit_code == 130


def test_a_listener_that_ends_the_process_ends_it(things: Workshop) -> None:
    with pytest.raises(SystemExit):
        modelprep.fetch("things", listen=Raising(2, SystemExit(3)), **fetching(things, "out"))


def test_one_event_at_a_time_and_not_too_many(things: Workshop) -> None:
    for number in range(6):
        data = bytes([number]) * 400_000
        things.simple(f"slow{number}", data, urls=things.server.put(f"/slow{number}", data, pause=0.03, piece=20_000))
    inside = threading.Lock()
    times: dict[str, list[float]] = {}
    threads = set()

    def listen(event: Event) -> None:
        assert inside.acquire(blocking=False), "two events at a time"
        threads.add(threading.get_ident())
        if event.kind == "progress" and event.done != event.total:
            times.setdefault(event.task, []).append(time.monotonic())
        time.sleep(0.001)
        inside.release()

    for verb, place in ((modelprep.fetch, ()), (modelprep.mirror, (things.root / "mirror",))):
        times.clear()
        threads.clear()
        verb("things", *place, jobs=6, listen=listen, **fetching(things, verb.__name__))  # type: ignore[operator]
        assert len(threads) > 2
        assert sum(map(len, times.values())) > 6
        for told in times.values():
            assert all(after - before > PACE * 0.9 for before, after in pairwise(told))


PROGRAM = """
import json, sys
import modelprep
options = json.loads(sys.argv[1])
def listen(event):
    if event.kind == "progress":
        print("under way", flush=True)
try:
    modelprep.{verb}("things", {place} listen=listen, archives=False, **options)
except modelprep.ModelprepError as error:
    print(type(error).__name__, error.exit_code, flush=True)
"""


@pytest.mark.parametrize("verb", ["fetch", "mirror"])
def test_ctrl_c_is_interrupted_and_the_next_run_resumes(workshop: Workshop, verb: str) -> None:
    data = bytes(range(256)) * 8000
    url = workshop.server.put("/slow.bin", data, pause=0.05, piece=50_000)
    workshop.simple("slow", data, urls=url)
    options = {name: str(path) for name, path in fetching(workshop, "it").items() if name != "archives"}
    folder = workshop.root / "mirror"
    code = PROGRAM.format(verb=verb, place=f"{str(folder)!r}," if verb == "mirror" else "")
    child = subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(options)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=workshop.environment(),
        # CI may have been started in the background, where Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert child.stdout is not None
    for _ in range(3):
        assert child.stdout.readline() == "under way\n"
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert out.splitlines()[-1] == "Interrupted 130", out + err
    assert err == ""
    workshop.server.put("/slow.bin", data)
    before = len(workshop.server.log)
    again = modelprep.fetch("things", archives=False, **options)  # type: ignore[arg-type]
    assert again.ok
    assert [request.status for request in workshop.server.log[before:]] == [206]
