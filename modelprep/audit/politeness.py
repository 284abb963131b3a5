"""Rate limits: one request at a time per host, a pause between requests, a few hosts at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Manners:
    """Rate limits and timeouts.

    Parameters
    ----------
    hosts_at_once
        Number of hosts checked at the same time.
    pause
        Seconds between two requests to a host.
    connect_timeout, stall_timeout
        Connect timeout and read timeout in seconds.
    attempts, backoff
        Maximum number of attempts per URL; seconds before the second one, doubled each time.
    longest_pause
        Maximum seconds of a server's ``Retry-After``; if it asks for more, its URL is not judged.
    """

    hosts_at_once: int = 8
    pause: float = 0.5
    connect_timeout: float = 15.0
    stall_timeout: float = 20.0
    attempts: int = 2
    backoff: float = 2.0
    longest_pause: float = 15.0


class Doors:
    """One lock per host: a request holds it, and the next request waits for the pause.

    The queues of the hosts are not enough, because a redirect leads to other hosts.
    """

    def __init__(self, pause: float, stop: threading.Event) -> None:
        self._pause = pause
        self._stop = stop
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._free_at: dict[str, float] = {}

    @contextmanager
    def at(self, host: str) -> Iterator[None]:
        """Hold the lock of a host for one request. Raises Stopped: the audit was interrupted while waiting."""
        with self._guard:
            lock = self._locks.setdefault(host, threading.Lock())
        while not lock.acquire(timeout=0.2):
            if self._stop.is_set():
                raise Stopped
        try:
            if self._stop.wait(max(0.0, self._free_at.get(host, 0.0) - time.monotonic())):
                raise Stopped
            yield
        finally:
            self._free_at[host] = time.monotonic() + self._pause
            lock.release()


class Stopped(Exception):
    """The audit was interrupted."""
