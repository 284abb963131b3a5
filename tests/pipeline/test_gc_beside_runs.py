"""Collecting garbage while a run in another process is at work with the same store."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.workshop import Workshop

from modelprep.errors import StorageError
from modelprep.store import Store, maintenance


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "it never came to that"
        time.sleep(0.01)


def two_files(workshop: Workshop) -> None:
    """Write a recipe of a quick file and a slow one, and another recipe that uses neither."""
    quick, slow = b"quick" * 1000, b"slow" * 20_000
    workshop.simple("quick", quick)
    workshop.simple("slow", slow, urls=workshop.server.put("/slow.bin", slow, pause=0.05, piece=1000))
    workshop.simple("other", b"other")


@pytest.mark.parametrize("how", ["ends", "killed"])
def test_gc_takes_nothing_from_a_run_in_another_process(workshop: Workshop, how: str) -> None:
    two_files(workshop)
    running = workshop.start("fetch", "things/quick", "things/slow")
    store = Store.open(workshop.cache)
    # The quick one is in the store, the slow one under way: gc for the recipe that needs neither would take both.
    until(lambda: any(store.blobs()) and maintenance.info(store).partial_bytes > 0)
    refused = workshop.run("cache", "gc", "things/other")
    assert refused.code == 6, refused.err
    assert str(running.pid) in refused.err
    assert "nothing was removed" in refused.err
    assert maintenance.info(store).blobs == 1
    rehearsed = workshop.run("cache", "gc", "things/other", "--dry-run")
    assert rehearsed.code == 0, rehearsed.err
    if how == "killed":
        running.send_signal(signal.SIGKILL)
        running.communicate(timeout=20)
    else:
        _out, err = running.communicate(timeout=60)
        assert running.returncode == 0, err
        assert workshop.installed().keys() == {"data/quick.bin", "data/slow.bin"}
    # Whoever is dead holds nobody up.
    done = workshop.run("cache", "gc", "things/other")
    assert done.code == 0, done.err
    assert maintenance.info(store).blobs == 0


_HOLD_THE_GATE = """
import sys, time, pathlib
from modelprep.store import Store, maintenance
store = Store.open(pathlib.Path(sys.argv[1]))
def keep():
    print("collecting", flush=True)
    sys.stdin.readline()
    return set()
maintenance.gc(store, keep)
"""


def test_a_run_that_starts_during_gc_waits_and_brings_again_what_its_plan_had_found(workshop: Workshop) -> None:
    workshop.simple("quick", b"quick" * 1000)
    assert workshop.run("fetch", "things/quick").code == 0
    (workshop.out / "Things" / "data" / "quick.bin").unlink()
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD_THE_GATE, str(workshop.cache)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=workshop.environment(),
    ) as collecting:
        assert collecting.stdout is not None
        assert collecting.stdin is not None
        assert collecting.stdout.readline() == "collecting\n"
        running = workshop.start("fetch", "things/quick")
        time.sleep(1.5)
        assert running.poll() is None  # planned with the blob, and waiting
        collecting.stdin.write("\n")
        collecting.stdin.close()
        assert collecting.wait(20) == 0
    _out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert workshop.installed() == {"data/quick.bin": b"quick" * 1000}
    assert len(workshop.server.requests("/quick.bin")) == 2


def test_what_is_kept_is_asked_once_nobody_is_at_work(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    blob = None
    with store.writer() as writer:
        writer.write(b"young")
        blob = writer.commit()
    with store.in_use(), pytest.raises(StorageError, match="is using the cache"):
        maintenance.gc(store, lambda: pytest.fail("asked too early"))
    assert maintenance.gc(store, lambda: {blob.sha256}).kept == 1


def test_a_store_that_is_not_there_is_not_made_by_gc(tmp_path: Path) -> None:
    assert maintenance.gc(Store.open(tmp_path / "none"), set()).removed == ()
    assert not (tmp_path / "none").exists()
