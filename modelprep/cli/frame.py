"""The frame around a command: its output, and the handling of exceptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelprep.api.frame import as_error
from modelprep.api.text import scrub
from modelprep.cli.output import Output


def perform(
    run: Callable[..., int | None],
    words: Sequence[str],
    given: Mapping[str, Any],
    *,
    json: bool = False,
    quiet: bool = False,
    verbose: bool = False,
) -> int:
    """Open the output, run with the parsed values, and turn exceptions into a message; return the exit status."""
    output = Output("json" if json else "quiet" if quiet else "human", verbose=verbose)
    try:
        output.words = _typed(words)
        status = run(output, **given)
        output.close()
    except (KeyboardInterrupt, Exception) as caught:  # noqa: BLE001 - the outermost frame
        # Every error is printed in the mode that the user asked for.
        output.close()
        error = as_error(caught)
        output.error(error)
        output.close()
        return error.exit_code
    return status or 0


def _typed(words: Sequence[str]) -> tuple[str, ...]:
    """Return the command line as typed, for a hint that repeats it, without output options."""
    left_out = ("--json", "--quiet", "-q", "--verbose", "-v", "--dry-run", "-n")
    return ("modelprep", *(scrub(word) for word in words if word not in left_out)) if words else ()
