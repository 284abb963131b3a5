"""The programs that a connection has running, which another thread can end."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from typing import Any

from modelprep.errors import Interrupted


class Processes:
    """Starts programs and remembers those that run; safe for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        self._closing: list[Sequence[str]] = []

    def start(self, command: Sequence[str], **streams: Any) -> subprocess.Popen[bytes]:
        """Start a program.

        Parameters
        ----------
        streams
            As for :class:`subprocess.Popen`: ``stdin``, ``stdout``, ``stderr``.

        Raises
        ------
        Interrupted
            :meth:`stop` has been called.
        """
        with self._lock:
            if self._stopped:
                raise Interrupted("stopped while talking to a board")
            process = subprocess.Popen(command, **streams)
            self._running = {each for each in self._running if each.returncode is None} | {process}
        return process

    def run(self, command: Sequence[str], given: bytes | None = None, **streams: Any) -> tuple[int, bytes, bytes]:
        """Run a program to its end; return its exit status, its output and its complaints (empty where not piped)."""
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
                process.kill()  # one that has ended is passed over
        for command in self._closing:
            subprocess.run(command, capture_output=True, check=False)

    def close_with(self, command: Sequence[str]) -> None:
        """Have :meth:`stop` run a command: one that ends what programs of ours have left in the background."""
        self._closing.append(command)
