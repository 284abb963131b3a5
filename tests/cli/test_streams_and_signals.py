"""Streams that are closed or full, signals at any time, little memory, no home directory: processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest
from cli.workshop import Workshop

DATA = b"some bytes\n" * 100


def finish(workshop: Workshop, *arguments: object, **streams: Any) -> tuple[int, str]:
    """Run a command with given streams; return its status and what it wrote to stderr where that was a pipe."""
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **streams}
    command = workshop.command(*workshop.arguments(*map(str, arguments)))  # type: ignore[arg-type]
    ran = subprocess.run(command, env=workshop.environment(), timeout=60, check=False, **streams)
    return ran.returncode, (ran.stderr or b"").decode()


@pytest.fixture
def full() -> Any:
    with Path("/dev/full").open("wb") as stream:
        yield stream


def gone() -> IO[bytes]:
    """Return the writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "wb")


@pytest.mark.parametrize("options", [[], ["--json"], ["-q"]])
def test_a_reader_that_has_gone_leaves_the_work_and_its_status(workshop: Workshop, options: list[str]) -> None:
    workshop.simple("one", DATA)
    with gone() as pipe:
        assert finish(workshop, "fetch", "things", *options, stdout=pipe)[0] == 0
    assert workshop.installed() == {"data/one.bin": DATA}


def test_a_reader_that_has_gone_does_not_make_a_failure_a_success(workshop: Workshop) -> None:
    workshop.simple("one", DATA, urls=workshop.server.url("/nowhere"))
    with gone() as pipe:
        assert finish(workshop, "fetch", "things", "--json", stdout=pipe)[0] == 3


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_streams_leave_the_work_and_its_status(workshop: Workshop, closed: tuple[int, ...]) -> None:
    workshop.simple("one", DATA)

    def close() -> None:
        for number in closed:
            os.close(number)

    code, err = finish(workshop, "fetch", "things", preexec_fn=close)
    assert code == 0
    assert "error" not in err
    assert workshop.installed() == {"data/one.bin": DATA}
    assert b"one.bin" not in (workshop.out / "Things" / "data" / "one.bin").read_bytes()


def test_a_full_stderr_leaves_the_work_and_its_status(workshop: Workshop, full: IO[bytes]) -> None:
    workshop.simple("one", DATA)
    assert finish(workshop, "fetch", "things", stderr=full)[0] == 0
    assert workshop.installed() == {"data/one.bin": DATA}


@pytest.mark.parametrize("command", [["fetch", "things"], ["fetch", "things", "--json"], ["list"]])
def test_a_full_stdout_is_6_and_said_once_with_the_work_done(
    workshop: Workshop, full: IO[bytes], command: list[str]
) -> None:
    workshop.simple("one", DATA)
    code, err = finish(workshop, *command, stdout=full)
    assert code == 6
    assert err.count("error:") == 1
    assert "error: standard output was cut off: no space left on device" in err
    assert "cache gc" not in err
    if command[0] == "fetch":
        assert workshop.installed() == {"data/one.bin": DATA}


def test_a_full_stdout_does_not_hide_what_failed(workshop: Workshop, full: IO[bytes]) -> None:
    workshop.simple("one", DATA, urls=workshop.server.url("/nowhere"))
    assert finish(workshop, "fetch", "things", stdout=full)[0] == 3


def test_a_pipe_that_does_not_block_loses_nothing(workshop: Workshop) -> None:
    for number in range(300):
        workshop.recipe(f"thing-{number}", f"schema: 1\ndemo: Demo-{number}-{'x' * 60}\nassets: {{}}\ninstall: {{}}\n")
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    command = workshop.command(*workshop.arguments("list", "things", "--json"))
    with subprocess.Popen(command, stdout=writing, env=workshop.environment()) as process:
        os.close(writing)
        time.sleep(0.5)
        with os.fdopen(reading) as stream:
            text = stream.read()
    assert process.returncode == 0
    assert len(json.loads(text)["demos"]) == 300


SELF_SIGNALLED = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            exec("os.kill(os.getpid(), {number}); sum(range(1000))")  # as a dataclass executes its methods
sys.meta_path.insert(0, Finder())
sys.argv[1:] = {arguments!r}
from modelprep.cli.main import run
run()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "module",
    ["modelprep.cli.streams", "typer", "modelprep.cli.commands", "modelprep.cli.list", "modelprep.recipe.catalogue"],
)
def test_a_signal_during_any_import_is_one_line_and_its_status(
    workshop: Workshop, module: str, number: signal.Signals
) -> None:
    workshop.simple("one", DATA)
    # typer is imported for lines that it has to look at: one with a value joined to its short option.
    words = ["fetch", "things", "-j2", "-n"] if module in ("typer", "modelprep.cli.commands") else ["list"]
    code = SELF_SIGNALLED.format(module=module, number=int(number), arguments=workshop.arguments(*words))
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=workshop.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 128 + number
    assert ran.stderr.startswith("error: interrupted")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize("module", ["modelprep.recipe.catalogue", "modelprep.pipeline.plan.planner", "yaml"])
def test_ctrl_c_during_an_import_of_a_verb_is_interrupted_and_the_program_that_called_it_goes_on(
    workshop: Workshop, module: str
) -> None:
    workshop.simple("one", DATA)
    code = SELF_SIGNALLED.format(module=module, number=int(signal.SIGINT), arguments=[])
    verb = (
        "import modelprep, signal\n"
        f"try: modelprep.fetch('things', recipes=[{str(workshop.recipes)!r}], cache={str(workshop.cache)!r},"
        f" out={str(workshop.out)!r})\n"
        "except modelprep.errors.Interrupted: print('interrupted')\n"
        "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code.partition("from modelprep.cli.main")[0] + verb],
        env=workshop.environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ran.stdout, ran.stderr, ran.returncode) == ("interrupted\nTrue\n", "", 0)


def test_an_ignored_signal_stays_ignored(workshop: Workshop) -> None:
    workshop.simple("one", DATA)
    code = SELF_SIGNALLED.format(
        module="modelprep.cli.list", number=int(signal.SIGINT), arguments=workshop.arguments("list", "things", "-q")
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=workshop.environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_second_signal_does_not_wait_for_the_first_ones_end(workshop: Workshop) -> None:
    workshop.simple("slow", DATA * 1000, urls=workshop.server.put("/slow.bin", DATA * 1000, stall_at=1000))
    arguments = workshop.arguments("fetch", "things")
    code = (
        f"import sys, time\nsys.argv[1:] = {arguments!r}\n"
        "from modelprep.pipeline.run import runner\n"
        "runner._Run._stop = lambda self: (print('stopping', flush=True), time.sleep(60))\n"
        "from modelprep.cli.main import run\nrun()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=workshop.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    limit = time.monotonic() + 30
    while not workshop.server.log and time.monotonic() < limit:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "stopping\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "error: interrupted\n"


def limited(kilobytes: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (kilobytes << 10, kilobytes << 10))


@pytest.mark.parametrize("kilobytes", [*range(26_000, 80_000, 6_000), 150_000, 250_000, 400_000, 1_000_000])
def test_short_memory_is_named_and_never_a_bug_or_a_hang(workshop: Workshop, kilobytes: int) -> None:
    workshop.simple("one", DATA)
    ran = workshop.run("fetch", "things", preexec=limited(kilobytes))
    assert ran.code in (0, 6), ran.err
    assert "Traceback" not in ran.err
    assert "bug" not in ran.err
    if ran.code:
        assert "not enough memory" in ran.err
    else:
        assert workshop.installed() == {"data/one.bin": DATA}


def test_a_thread_that_cannot_be_started_is_done_without(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    import queue

    from modelprep.pipeline.run.thread_pools import Lane, Outcome

    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    lane = Lane(3, outcomes)
    lane.submit("first", lambda: 1)
    with monkeypatch.context() as patch:
        patch.setattr("threading.Thread.start", _no_thread)
        lane.submit("second", lambda: 2)
    assert {outcomes.get(timeout=10).value, outcomes.get(timeout=10).value} == {1, 2}
    lane.ensure_alive()
    lane.close(time.monotonic() + 10)
    with pytest.raises(MemoryError):
        lane.ensure_alive()


def _no_thread(_: object) -> None:
    raise RuntimeError("can't start new thread")


def test_a_hash_that_fails_is_raised_and_blocks_nobody() -> None:
    from modelprep.store.copying import BackgroundHash

    class Short:
        def update(self, _: object) -> None:
            raise MemoryError

    def feed() -> None:
        with BackgroundHash(Short(), depth=2) as background:  # type: ignore[arg-type]
            for _ in range(100):
                background.update(b"x")

    with pytest.raises(MemoryError):
        feed()


def in_a_user_namespace() -> list[str]:
    command = ["unshare", "--user", "--map-user=12345", "--map-group=12345"]
    with contextlib.suppress(OSError):
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("no user namespaces here, so no user without an entry in passwd")


@pytest.mark.parametrize("command", [["fetch", "things"], ["list"], ["audit"], ["cache", "info"]])
def test_without_a_home_directory_the_error_says_so(workshop: Workshop, command: list[str]) -> None:
    workshop.simple("one", DATA)
    environment = {name: value for name, value in workshop.environment().items() if not name.startswith("XDG_")}
    environment.pop("HOME", None)
    environment["MODELPREP_CACHE"] = "~/cache"
    options = ["--recipes", str(workshop.recipes)] if command[0] != "cache" else []
    ran = subprocess.run(
        [*in_a_user_namespace(), *workshop.command(*command, *options)],
        env=environment, cwd=workshop.root, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 6
    assert "\nerror: your home directory is unknown" in f"\n{ran.stderr}"
    assert not (workshop.root / "~").exists()


@pytest.mark.parametrize("cache", ["~/cache", "file"])
def test_doctor_tells_why_there_is_no_cache_and_the_rest_all_the_same(workshop: Workshop, cache: str) -> None:
    (workshop.root / "file").write_text("in the way")
    environment = {name: value for name, value in workshop.environment().items() if not name.startswith("XDG_")}
    environment.pop("HOME", None)
    environment["MODELPREP_CACHE"] = cache
    ran = subprocess.run(
        [*in_a_user_namespace(), *workshop.command("doctor", "--json")],
        env=environment, cwd=workshop.root, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    store = json.loads(ran.stdout)["store"]
    assert not store["writable"]
    assert ("home directory is unknown" if cache == "~/cache" else "folder is a file") in store["says"]
