"""Running programs of a connection, which another thread can stop."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from typing import Any

from modelprep.errors import Interrupted


class Processes:
    """Starts programs and tracks the running ones; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        self._closing: list[Sequence[str]] = []

    def start(self, command: Sequence[str], **streams: Any) -> subprocess.Popen[bytes]:
        """Start a program.

        `streams`: as for :class:`subprocess.Popen`: ``stdin``, ``stdout``, ``stderr``. Raises Interrupted: :meth:`stop`
        has been called.
        """
        with self._lock:
            if self._stopped:
                raise Interrupted("stopped while connected to a board")
            process = subprocess.Popen(command, **streams)
            self._running = {each for each in self._running if each.returncode is None} | {process}
        return process

    def run(self, command: Sequence[str], given: bytes | None = None, **streams: Any) -> tuple[int, bytes, bytes]:
        """Run a program to its end; return exit status, stdout and stderr (empty if not piped)."""
        if given is not None:
            streams["stdin"] = subprocess.PIPE
        with self.start(command, **streams) as process:
            try:
                out, err = process.communicate(given)
            except BaseException:
                process.kill()
                raise
        return process.returncode, out or b"", err or b""

    def stop(self) -> None:
        """End every program that runs, and start no more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()  # an ended one is ignored
        for command in self._closing:
            subprocess.run(command, capture_output=True, check=False)

    def close_with(self, command: Sequence[str]) -> None:
        """Let :meth:`stop` run a command that ends background processes of our programs."""
        self._closing.append(command)
