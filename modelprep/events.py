"""What the library tells while it works: small records handed to one callback.

The command line draws bars or prints JSON lines from them; a caller of the Python interface does as he likes. The
records are part of the public interface and are documented in ``docs/events.md``.
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
        A stable name of what is going on: ``fetch:<asset>``, ``step:<recipe>#<id>``, ``install:<recipe>``.
    label
        What to show a person beside a bar.
    done, total
        Bytes so far and in all; None where it is not known.
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


#: What it gives back is not looked at.
Listener = Callable[[Event], object]


def silent(event: Event) -> None:
    """Ignore the event."""


#: Seconds between two words of progress about one task: a bar that moves ten times a second moves smoothly, and a log
#: does not drown.
PACE = 0.1


def orderly(listen: Listener) -> Listener:
    """Return a listener that any thread may call: it passes events on one at a time, and of progress only so much.

    The last word of progress about a task, with `done` equal to `total`, is always passed on.
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
