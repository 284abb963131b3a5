"""Message classes that are made at run time: one of each, whichever threads ask for it first."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from modelprep.formats.protos import once

CODE = """
import sys, threading
sys.setswitchinterval(1e-6)
from {module} import {function} as message
barrier, found = threading.Barrier(8), []
def ask():
    barrier.wait()
    found.append(message({name!r}))
threads = [threading.Thread(target=ask) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert len(found) == 8 and len(set(map(id, found))) == 1, found
"""


@pytest.mark.parametrize(
    ("module", "function", "name"),
    [
        ("modelprep.formats.caffe.messages", "message_class", "NetParameter"),
        ("modelprep.formats.tensorflow.messages", "message", "GraphDef"),
        ("modelprep.formats.tensorflow.messages", "message_of_1_12", "GraphDef"),
    ],
)
def test_threads_that_ask_at_the_same_time_get_the_same_class(module: str, function: str, name: str) -> None:
    code = CODE.format(module=module, function=function, name=name)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_what_one_thread_makes_the_others_wait_for() -> None:
    made: list[int] = []
    begun = threading.Event()

    @once
    def slow(number: int) -> object:
        made.append(number)
        begun.wait(0.2)
        return object()

    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(slow(1))) for _ in range(4)]
    for thread in threads:
        thread.start()
    begun.set()
    for thread in threads:
        thread.join()
    assert made == [1]
    assert len(set(map(id, found))) == 1
    assert slow(2) is not slow(1)
