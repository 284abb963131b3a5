"""A step in a process of its own: facts, progress and errors come back; it dies with its parent or on demand."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cli.workshop import REPOSITORY

from modelprep.errors import Interrupted, StepError
from modelprep.pipeline.run.subprocess import Job, run_apart
from modelprep.steps import find


def nothing(*_: object) -> None:
    pass


def never() -> bool:
    return False


def plain_params(step: str, **given: object) -> dict[str, object]:
    return {name: given.get(name, param.default) for name, param in find(step).params.items()}


def test_a_step_runs_apart_and_reports(tmp_path: Path) -> None:
    data = os.urandom(1000) * 5000
    (tmp_path / "a.gz").write_bytes(gzip.compress(data))
    progress: list[tuple[int, int | None]] = []
    job = Job("gunzip", plain_params("gunzip", file=tmp_path / "a.gz"), tmp_path / "out")
    run_apart(job, progress=lambda *p: progress.append(p), warn=nothing, stop=never, log=tmp_path / "log")
    assert (tmp_path / "out").read_bytes() == data
    assert progress


def test_a_steps_error_comes_back_with_its_facts(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(b"no gzip")
    job = Job("gunzip", plain_params("gunzip", file=tmp_path / "a.gz"), tmp_path / "out")
    with pytest.raises(StepError) as apart:
        run_apart(job, progress=nothing, warn=nothing, stop=never, log=tmp_path / "log")
    from modelprep.steps import Call

    with pytest.raises(StepError) as here:
        find("gunzip").run(Call(job.params, tmp_path / "out2"))
    assert apart.value.to_json() == here.value.to_json()


def fifo_job(tmp_path: Path) -> Job:
    """A job that waits for ever: it reads a pipe that nobody writes."""
    os.mkfifo(tmp_path / "pipe")
    return Job("gunzip", plain_params("gunzip", file=tmp_path / "pipe"), tmp_path / "out")


def children() -> list[int]:
    text = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in text.splitlines() if "modelprep.pipeline.run.worker" in line]


def test_a_stop_ends_the_child_at_once(tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(Interrupted):
        run_apart(
            fifo_job(tmp_path),
            progress=nothing,
            warn=nothing,
            stop=lambda: time.monotonic() - begun > 0.5,
            log=tmp_path / "log",
        )
    assert time.monotonic() - begun < 5


def test_a_child_that_dies_is_a_step_error_that_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def remember(*args: object, **options: object) -> subprocess.Popen[bytes]:
        started.append(real(*args, **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", remember)
    job = fifo_job(tmp_path)

    def kill() -> None:
        while not started:
            time.sleep(0.02)
        time.sleep(0.3)
        started[0].send_signal(signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(StepError, match="ended unexpectedly") as caught:
        run_apart(job, progress=nothing, warn=nothing, stop=never, log=tmp_path / "log")
    thread.join()
    assert caught.value.got == "signal 9"
    assert "memory" in (caught.value.looks_like or "")


def test_a_child_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    driver = (
        "import sys; from pathlib import Path; from modelprep.pipeline.run.subprocess import Job, run_apart\n"
        "p = Path(sys.argv[1])\n"
        "n = lambda *a: None\n"
        "job = Job('gunzip', {'file': p / 'pipe'}, p / 'out')\n"
        "run_apart(job, progress=n, warn=n, stop=lambda: False, log=p / 'log')"
    )
    os.mkfifo(tmp_path / "pipe")
    parent = subprocess.Popen([sys.executable, "-c", driver, str(tmp_path)], cwd=REPOSITORY)
    before = set(children())
    limit = time.monotonic() + 20
    while not (mine := set(children()) - (before - {parent.pid})) and time.monotonic() < limit:
        time.sleep(0.05)
    time.sleep(0.3)
    parent.kill()
    parent.wait()
    while (alive := {pid for pid in mine if Path(f"/proc/{pid}").exists()}) and time.monotonic() < limit:
        time.sleep(0.05)
    assert not alive
