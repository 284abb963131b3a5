"""Progress events of the library: small records passed to one callback.

The command line draws bars or prints JSON lines from them. The records are part of the public interface and are
documented in ``docs/events.md``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

from modelprep.structs import dataclass, field

Kind = Literal["plan", "start", "progress", "note", "warning", "retry", "source", "done", "failed", "summary"]


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Parameters
    ----------
    kind
        ``start`` / ``progress`` / ``done`` / ``failed`` of a task, ``retry`` and ``source`` (next source is tried)
        within one, ``plan``, ``note``, ``warning`` and ``summary`` for the whole run.
    task
        A stable name of the task: ``fetch:<asset>``, ``step:<recipe>#<id>``, ``install:<recipe>``.
    label
        Text beside a progress bar.
    done, total
        Bytes until now and in total; None if unknown.
    text
        A sentence, for notes, warnings, retries and failures.
    data
        Further facts, JSON-ready.
    """

    kind: Kind
    task: str = ""
    label: str = ""
    done: int | None = None
    total: int | None = None
    text: str = ""
    data: dict[str, object] = field(default_factory=dict)


#: Its return value is ignored.
Listener = Callable[[Event], object]


def silent(event: Event) -> None:
    """Ignore the event."""


#: Seconds between two progress events of one task: a bar updated ten times a second moves smoothly, and a log stays
#: short.
PACE = 0.1


def orderly(listen: Listener) -> Listener:
    """Return a listener that any thread may call: it passes events on one at a time and limits progress events.

    The last progress event of a task, with `done` equal to `total`, is always passed on.
    """
    told: dict[str, float] = {}
    lock = threading.Lock()

    def hear(event: Event) -> None:
        with lock:
            if event.kind == "progress" and event.done != event.total:
                now = time.monotonic()
                if now - told.get(event.task, float("-inf")) < PACE:
                    return
                told[event.task] = now
            listen(event)

    return hear
