"""Thread pools that put their outcomes into one queue."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from modelprep.structs import dataclass


@dataclass(frozen=True)
class Outcome:
    """The outcome of a piece of work: a value, or an exception."""

    name: str
    value: object = None
    error: BaseException | None = None


#: Returned by a piece of work whose outcome another thread puts into the queue later.
LATER = object()


class Lane:
    """A pool of at most `width` threads: daemons, so that an interrupted process does not wait for a silent server."""

    def __init__(self, width: int, outcomes: queue.SimpleQueue[Outcome]) -> None:
        self._width = width
        self._outcomes = outcomes
        self._work: queue.SimpleQueue[tuple[str, Callable[[], object]] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._submitted = 0

    def submit(self, name: str, work: Callable[[], object]) -> None:
        """Run a piece of work when a thread is free."""
        self._submitted += 1
        self._work.put((name, work))
        if len(self._threads) < min(self._width, self._submitted):
            thread = threading.Thread(target=self._serve, daemon=True, name=f"modelprep-{name.partition(':')[0]}")
            try:
                thread.start()
            except RuntimeError:  # the system has no more threads: the existing ones do the work
                if not self._threads:
                    raise
                self._width = len(self._threads)
            else:
                self._threads.append(thread)

    def ensure_alive(self) -> None:
        """Raise MemoryError if a thread has died, since its work would never finish."""
        # A thread passes on all exceptions of its work; it dies only if there is no memory for that.
        if not all(thread.is_alive() for thread in self._threads):
            raise MemoryError

    def close(self, limit: float) -> None:
        """End the threads once the work is done, and wait for them until `limit` (of the monotonic clock)."""
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join(max(0.0, limit - time.monotonic()))

    def clear(self) -> None:
        """Drop work that has not begun."""
        try:
            while True:
                self._work.get_nowait()
        except queue.Empty:
            return

    def _serve(self) -> None:
        while (piece := self._work.get()) is not None:
            name, work = piece
            try:
                outcome = Outcome(name, value=work())
            except BaseException as caught:  # noqa: BLE001 - handed to the thread that waits for it
                outcome = Outcome(name, error=caught)
            if outcome.value is not LATER:
                self._outcomes.put(outcome)
