"""The child's side of :mod:`modelprep.pipeline.run.subprocess`: ``python -m modelprep.pipeline.run.worker FD``."""

from __future__ import annotations

import os
import sys
import threading
import time
from multiprocessing.connection import Connection

from modelprep.errors import ModelprepError
from modelprep.pipeline.run.subprocess import Job
from modelprep.steps import Call, find

_PACE = 0.05  # seconds between two progress messages


def _serve(descriptor: int) -> None:
    line = Connection(descriptor)
    job = line.recv()
    assert isinstance(job, Job)
    # The parent sends nothing more; if it ends, the child ends too.
    threading.Thread(target=_watch, args=(line,), daemon=True).start()
    lock = threading.Lock()

    def say(*words: object) -> None:
        with lock:
            line.send(words)

    last = 0.0

    def progress(done: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PACE or done == total:
            last = now
            say("progress", done, total)

    call = Call(params=job.params, output=job.output, progress=progress, warn=lambda text: say("warn", text))
    try:
        say("done", dict(find(job.step).run(call) or {}))
    except ModelprepError as error:
        say("error", error)
    except Exception as error:  # noqa: BLE001 - the parent must hear of it, whatever it is
        from modelprep.pipeline.run.errors import as_error

        say("error", as_error(error))


def _watch(line: Connection) -> None:
    try:
        line.poll(None)
    finally:
        os._exit(1)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
