"""Run models in a separate process, so that a crashing runtime does not end the check.

One worker (:mod:`modelprep.check.runtimes.worker`) serves this process; it starts with the first model, and again after
a crash. A failure of a host runtime says nothing about the board: it becomes :class:`~modelprep.errors.MissingTool`,
never the board's message.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from modelprep.check.runtimes.base import INTERPRETERS, Ready
from modelprep.errors import CheckFailed, MissingTool, ModelprepError
from modelprep.formats.arrays import Array
from modelprep.installed import install_command

if TYPE_CHECKING:
    import subprocess
    from multiprocessing.connection import Connection


_T = TypeVar("_T")
#: Parser -> what may run a model that the usual runtime refuses.
_OTHERS: Mapping[str, Callable[[], str]] = {
    "caffe": lambda: f"update OpenCV: {install_command('check', upgrade=True)}",
    "tf": lambda: f"let TensorFlow run it: {install_command('tf')}",
    "tflite": lambda: "let Arm NN run it: apt-get install python3-pyarmnn, then MODELPREP_PYARMNN=/usr/bin/python3",
    "onnx": lambda: f"update onnxruntime: {install_command('check', upgrade=True)}",
}
_TAIL = 2000  # bytes of a dead worker's output
#: For glibc: keep freed memory for the next model. Getting pages again took a third of the time of verifying a VGG-19.
_KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 32)}


class _Worker:
    """The child process and the socket to it."""

    def __init__(self) -> None:
        import socket
        import subprocess
        import tempfile
        from multiprocessing.connection import Connection

        ours, theirs = socket.socketpair()
        self.words = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the child
        # The child must find exactly this package, even if it is not installed.
        package = str(Path(__file__).resolve().parents[3])
        path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), package)))
        self.child: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-m", "modelprep.check.runtimes.worker", str(theirs.fileno())],
            stdin=subprocess.DEVNULL, stdout=self.words, stderr=self.words, pass_fds=(theirs.fileno(),),
            # `-m` searches the working directory first, where the user may have a folder of this package's name.
            env={**_KEEP_MEMORY, **os.environ, "PYTHONPATH": path}, start_new_session=True, cwd=package,
        )  # fmt: skip
        theirs.close()
        self.line: Connection = Connection(ours.detach())
        self.lock = threading.Lock()

    def ask(self, *question: object) -> Any:
        """Send a request and return its answer. Raises EOFError: the worker is dead; ModelprepError: the runtime's."""
        with self.lock:
            try:
                interpreters = {name: os.environ.get(name) for name in INTERPRETERS}
                self.line.send((_folder(), interpreters, *question))
                kind, answer = self.line.recv()
            except (EOFError, OSError) as error:
                raise EOFError from error
        if kind == "error":
            raise answer
        return answer

    def cause(self) -> str:
        """Return how the worker ended."""
        code = self.child.wait()
        name = f"exit status {code}" if code >= 0 else f"signal {-code}"
        with suppress(ValueError):
            name = signal.Signals(-code).name
        self.words.seek(0, os.SEEK_END)
        self.words.seek(max(0, self.words.tell() - _TAIL))
        last = self.words.read().decode("utf-8", "replace").strip().splitlines()
        return f"{name}: {last[-1]}" if last else name

    def close(self) -> None:
        """End the child."""
        self.line.close()
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.words.close()


class Crashed(MissingTool):
    """A runtime ended its process."""


def _folder() -> str:
    """Return the current directory, to which paths are relative."""
    try:
        return os.getcwd()  # noqa: PTH109 - Path.cwd() is the same call
    except FileNotFoundError:
        return os.sep


_worker: _Worker | None = None
_starting = threading.Lock()


def _running() -> _Worker:
    global _worker
    with _starting:
        if _worker is None or _worker.child.poll() is not None:
            if _worker is not None:
                _worker.close()
            else:
                atexit.register(stop)
            _worker = _Worker()
        return _worker


def stop() -> None:
    """End the worker; the next model starts a new one."""
    global _worker
    with _starting:
        if _worker is not None:
            _worker.close()
            _worker = None


def call(function: Callable[..., _T], *arguments: object) -> _T:
    """Call a function of a module, with arguments that can be pickled, in the worker.

    Raises Crashed: the worker crashed; ModelprepError: as the function raised it.
    """
    worker = _running()
    try:
        answer: _T = worker.ask("call", function, *arguments)
    except EOFError:
        raise Crashed(f"the host's runtime crashed ({worker.cause()})") from None
    return answer


def ready(path: Path, parser: str, input_name: str, shape: Sequence[int], outputs: Sequence[str]) -> Ready:
    """Load a model into the runtime for its kind, in the worker.

    Raises MissingTool: no runtime for this kind is installed, or it does not run this model.
    """
    worker = _running()

    def ask(*question: object) -> Any:
        try:
            return worker.ask(*question)
        except EOFError:
            what = f"the host's runtime crashed on this model ({worker.cause()})"
            raise MissingTool(what, where=str(path), hint=_OTHERS[parser]()) from None
        except CheckFailed as error:
            said = f"{error.what}: {error.got}" if error.got else error.what
            hint = error.hint or _OTHERS[parser]()
            raise MissingTool(f"this machine cannot run the model ({said})", where=str(path), hint=hint) from error

    handle, runtime, quantisation, sizes = ask("load", path, parser, input_name, tuple(shape), tuple(outputs))

    def run(values: Array) -> list[Array]:
        found: list[Array] = ask("run", handle, values)
        return found

    weakref.finalize(run, _drop, worker, handle)
    return Ready(runtime, run, quantisation, sizes)


def _drop(worker: _Worker, handle: int) -> None:
    if worker.child.poll() is None and not sys.is_finalizing():
        with suppress(EOFError, ModelprepError):  # a dead worker holds nothing
            worker.ask("drop", handle)
