"""End a request that makes no progress, even if the connection stays active.

A time limit on single reads is not enough: headers, redirects or chunk lines that arrive one byte at a time never
exceed it. The watchdog closes the connection from a separate thread.
"""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
from collections.abc import Iterator

#: Idle seconds after which the thread ends.
_IDLE = 20.0


class Watchdog:
    """Watches one request at a time.

    The connection itself sets `handle`, its socket, which is shut down on timeout, and `peer`, the address of its peer
    or proxy. `fired`: the timeout occurred since :meth:`limit` was last entered.
    """

    def __init__(self) -> None:
        self.handle: socket.socket | None = None
        self.peer = ""
        self.fired = False
        self._deadline: float | None = None
        #: When the thread wakes up; infinity while it waits for work.
        self._wakes = math.inf
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Limit the duration of the block in seconds."""
        self.fired = False
        self._deadline = deadline = time.monotonic() + seconds
        # The thread wakes up on its own; waking it at every read would slow both threads down.
        if self._thread is None or deadline < self._wakes:
            with self._changed:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="modelprep-watchdog", daemon=True)
                    self._thread.start()
                else:
                    self._changed.notify()
        try:
            yield
        finally:
            self._deadline = None

    def _run(self) -> None:
        with self._changed:
            while True:
                self._wakes = math.inf
                if (deadline := self._deadline) is None:
                    if not self._changed.wait(_IDLE) and self._deadline is None:
                        self._thread = None
                        return
                    continue
                self._wakes = deadline
                if (left := deadline - time.monotonic()) > 0:
                    self._changed.wait(left)
                elif self._deadline is not None:
                    self._deadline, self.fired = None, True
                    if self.handle is not None:
                        with contextlib.suppress(OSError):
                            self.handle.shutdown(socket.SHUT_RDWR)
