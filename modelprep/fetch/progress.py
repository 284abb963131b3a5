"""Telling what goes on: one task's events, progress ones not too often."""

from __future__ import annotations

import time

from modelprep.events import Event, Kind, Listener

#: Seconds between two progress events of one task.
INTERVAL = 0.1


class Task:
    """One asset's events.

    Parameters
    ----------
    listen
        Who hears them.
    name, label
        ``fetch:<asset>``, and what to show beside a bar.
    """

    def __init__(self, listen: Listener, name: str, label: str) -> None:
        self._listen = listen
        self.name = name
        self.label = label
        self._told = 0.0

    def progress(self, done: int, total: int | None) -> None:
        """Tell how far it is, in bytes."""
        now = time.monotonic()
        if now - self._told >= INTERVAL or done == total:
            self._told = now
            self._listen(Event("progress", self.name, self.label, done, total))

    def tell(self, kind: Kind, text: str = "", **data: object) -> None:
        """Tell anything else."""
        self._listen(Event(kind, self.name, self.label, text=text, data=data))

    def done(self, size: int, text: str, **data: object) -> None:
        """Tell that it is finished."""
        self._listen(Event("done", self.name, self.label, size, size, text, data))
