"""Progress in a notebook: one tqdm bar for each running task, as a widget if possible."""

from __future__ import annotations

from typing import Any

from modelprep import quoting
from modelprep.events import Event


class Bars:
    """A listener that draws a bar for each running task, and prints warnings."""

    def __init__(self) -> None:
        self._bars: dict[str, Any] = {}

    def __call__(self, event: Event) -> None:
        """Follow one event."""
        from tqdm.auto import tqdm

        if event.kind == "warning":
            tqdm.write(f"warning: {quoting.terminal(event.text)}")
        elif event.kind in ("done", "failed"):
            if (bar := self._bars.pop(event.task, None)) is not None:
                if event.kind == "done" and bar.total:
                    bar.update(bar.total - bar.n)
                bar.close()
        elif event.kind == "progress" and event.task:
            if (bar := self._bars.get(event.task)) is None:
                bar = self._bars[event.task] = tqdm(
                    desc=quoting.line(event.label or event.task), unit="B", unit_scale=True
                )
            bar.total = event.total
            # When a source has failed, the next one starts from zero.
            bar.update((event.done or 0) - bar.n)
