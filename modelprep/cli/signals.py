"""SIGINT and SIGTERM: one line and exit status 130 or 143, from the first import to the last flush.

A signal that the caller ignores (``nohup``, a shell's background job) stays ignored.
"""

from __future__ import annotations

# The C half of `signal`: the other one imports enum, functools and collections, and until a handler is installed Python
# answers Ctrl-C with a traceback.
import _signal as signal  # type: ignore[import-not-found]
import os

TYPE_CHECKING = False  # nor is `typing` imported
if TYPE_CHECKING:
    from typing import NoReturn

#: Message of a signal before a command has begun, and of a second signal.
_LINE = b"error: interrupted\n"


def end_at_once() -> None:
    """From now on a signal ends the process immediately: no work has begun that needs cleaning up."""
    _handle_with(_end_at_once)


def interrupt() -> None:
    """From now on a signal raises KeyboardInterrupt with its number; a second one ends the process immediately."""
    _handle_with(_interrupt)


def keep_status(status: int) -> None:
    """From now on a signal ends the process with `status`: the work is done, and its outcome is known."""
    _handle_with(lambda *_: os._exit(status))


def _handle_with(handler: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def end(number: int) -> NoReturn:
    """Say that a signal ends the process, and end it."""
    try:
        os.write(2, _LINE)
    finally:
        os._exit(128 + number)


def _end_at_once(number: int, _frame: object) -> None:
    end(number)


def _interrupt(number: int, _frame: object) -> None:
    end_at_once()
    raise KeyboardInterrupt(number)
