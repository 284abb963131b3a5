"""End an exchange that makes no headway, however it keeps the connection awake.

A time limit on single reads is not enough: headers, redirects or the lines between chunks that drip in one byte at a
time pass it for ever. The watchdog closes the connection from a thread of its own.
"""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
from collections.abc import Iterator

#: Seconds without any work after which the thread ends.
_IDLE = 20.0


class Watchdog:
    """Watches one exchange at a time.

    Attributes
    ----------
    handle
        Socket of the connection in use, which is shut down when time is up; set by the connection itself.
    peer
        Address that this connection goes to (a proxy's, where there is one); set likewise.
    fired
        Whether time was up since :meth:`limit` was last entered.
    """

    def __init__(self) -> None:
        self.handle: socket.socket | None = None
        self.peer = ""
        self.fired = False
        self._deadline: float | None = None
        #: When the thread looks again; infinity while it waits for work.
        self._wakes = math.inf
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Allow the block so many seconds."""
        self.fired = False
        self._deadline = deadline = time.monotonic() + seconds
        # The thread looks again when its time is up; waking it at every read would only slow both threads down.
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
