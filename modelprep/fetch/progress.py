"""Events of one task, with a limited rate of progress events."""

from __future__ import annotations

import time

from modelprep.events import Event, Kind, Listener

#: Seconds between two progress events of one task.
INTERVAL = 0.1


class Task:
    """The events of one asset: `name` is ``fetch:<asset>``, `label` the text beside a progress bar."""

    def __init__(self, listen: Listener, name: str, label: str) -> None:
        self._listen = listen
        self.name = name
        self.label = label
        self._told = 0.0

    def progress(self, done: int, total: int | None) -> None:
        """Report progress in bytes."""
        now = time.monotonic()
        if now - self._told >= INTERVAL or done == total:
            self._told = now
            self._listen(Event("progress", self.name, self.label, done, total))

    def tell(self, kind: Kind, text: str = "", **data: object) -> None:
        """Send any other event."""
        self._listen(Event(kind, self.name, self.label, text=text, data=data))

    def done(self, size: int, text: str, **data: object) -> None:
        """Report the end."""
        self._listen(Event("done", self.name, self.label, size, size, text, data))
