"""Limits on connections, per host and in total.

A transfer holds a slot with its sessions and watchdog, so that the next thread reuses an open connection.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelprep.errors import Interrupted
from modelprep.fetch.policy import Policy
from modelprep.fetch.watchdog import Watchdog

if TYPE_CHECKING:
    import requests

#: Seconds between looks at whether to stop, while waiting.
_LOOK = 0.1


@dataclass
class Slot:
    """The right to one connection, held by one thread at a time.

    `sessions`: why private addresses may not be contacted (:mod:`modelprep.fetch.connections`) -> the session.
    """

    host: str = ""
    watchdog: Watchdog = field(default_factory=Watchdog)
    sessions: dict[str, requests.Session] = field(default_factory=dict)


class Slots:
    """Manages slots: at most `per_host` held ones for each host, `in_all` in total."""

    def __init__(self, per_host: int = Policy.per_host, in_all: int = Policy.connections) -> None:
        self._per_host = per_host
        self._left = in_all
        self._held: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        self._idle: defaultdict[str, list[Slot]] = defaultdict(list)
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def hold(self, host: str, stop: Callable[[], bool] = lambda: False) -> Iterator[Slot]:
        """Wait for a slot and hold it; Interrupted if `stop` returns true."""
        with self._changed:
            self._waiting[host] += 1
            try:
                while (slot := self._take(host)) is None:
                    self._changed.wait(_LOOK)
                    if stop():
                        raise Interrupted("stopped while waiting for a connection")
            finally:
                self._waiting[host] -= 1
        try:
            yield slot
        finally:
            self.give_back(slot)

    def spare(self, host: str) -> Slot | None:
        """Return a free slot that nobody waits for, to be released later; None if there is none."""
        with self._changed:
            return None if self._waiting[host] else self._take(host)

    def give_back(self, slot: Slot) -> None:
        """Release a slot."""
        with self._changed:
            self._held[slot.host] -= 1
            self._left += 1
            self._idle[slot.host].append(slot)
            self._changed.notify_all()

    def _take(self, host: str) -> Slot | None:
        if not self._left or self._held[host] >= self._per_host:
            return None
        self._left -= 1
        self._held[host] += 1
        return self._idle[host].pop() if self._idle[host] else Slot(host)
