"""Run a step in a separate process (:mod:`modelprep.pipeline.run.worker`).

A plain child process rather than :mod:`multiprocessing`: a caller's script needs no ``if __name__ == "__main__"``
guard, a process with threads is not forked, and output of libraries does not mix with ours. Parent and child
communicate over a socket pair: the parent sends the job, the child ``progress``, ``warn`` and finally ``done`` or
``error``.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from modelprep.errors import Interrupted, StepError

_POLL = 0.1  # seconds between looks at whether to stop
_TAIL = 2000  # characters of a dead child's output


@dataclass(frozen=True)
class Job:
    """The work of a child: the step's name, the call's parameters and output."""

    step: str
    params: Mapping[str, object]
    output: Path


def run_apart(
    job: Job,
    *,
    progress: Callable[[int, int | None], None],
    warn: Callable[[str], None],
    stop: Callable[[], bool],
    log: Path,
) -> Mapping[str, object]:
    """Run a step in a child process that prints into `log`, and return its facts; a true `stop` ends it.

    Raises what the step raises, and `StepError` if the child died (a bug in a library, or no memory left).
    """
    import subprocess

    ours, theirs = socket.socketpair()
    with ours, theirs, log.open("wb") as words:
        command = [sys.executable, "-m", "modelprep.pipeline.run.worker", str(theirs.fileno())]
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            pass_fds=(theirs.fileno(),),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, _import_path()))},
            # Ctrl-C reaches the whole foreground group; the parent ends its children.
            start_new_session=True,
        )
        theirs.close()
        line = Connection(ours.detach())
        try:
            line.send(job)
            return _listen(line, progress, warn, stop)
        except (EOFError, ConnectionResetError, BrokenPipeError):
            code = child.wait()
            raise StepError(
                f"the process of the step '{job.step}' ended unexpectedly",
                got=f"signal {-code}" if code < 0 else f"exit code {code}",
                looks_like="the system ran out of memory" if code == -9 else _last_words(log),
                hint="try again with --jobs 1 and fewer other programs" if code == -9 else None,
            ) from None
        finally:
            line.close()
            if child.poll() is None:
                child.kill()
            child.wait()


def _import_path() -> list[str]:
    # The child must import this same package, even if it is not installed and its folder was added to sys.path.
    return [str(Path(__file__).resolve().parents[3]), os.environ.get("PYTHONPATH", "")]


def _last_words(log: Path) -> str | None:
    text = log.read_text("utf-8", "replace")[-_TAIL:].strip()
    return text.splitlines()[-1] if text else None


def _listen(
    line: Connection, progress: Callable[[int, int | None], None], warn: Callable[[str], None], stop: Callable[[], bool]
) -> Mapping[str, object]:
    while True:
        while not line.poll(_POLL):
            if stop():
                raise Interrupted("stopped while a step was running")
        kind, *values = line.recv()
        if kind == "progress":
            progress(*values)
            if stop():
                raise Interrupted("stopped while a step was running")
        elif kind == "warn":
            warn(*values)
        elif kind == "done":
            (facts,) = values
            assert isinstance(facts, Mapping)
            return facts
        else:
            (error,) = values
            assert isinstance(error, BaseException)
            raise error
