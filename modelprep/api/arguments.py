"""What callers may hand in, and the frame around every verb: what is raised, and what a listener may do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import NoReturn

from modelprep.errors import Interrupted, UsageError
from modelprep.events import Event, Listener, orderly, silent

AnyPath = str | PathLike[str]
#: One word or several: ``"armnn-caffe"`` and ``["armnn-caffe"]`` are the same.
Words = str | Sequence[str]
#: One folder or several.
Paths = AnyPath | Sequence[AnyPath]


def words(given: Words) -> tuple[str, ...]:
    """Give what may be one word as several: a string is a word, not a sequence of letters."""
    return (given,) if isinstance(given, str) else tuple(given)


def paths(given: Paths) -> list[Path]:
    """Give what may be one path as several."""
    return [Path(given)] if isinstance(given, (str, PathLike)) else [Path(each) for each in given]


def places(given: Paths) -> tuple[str, ...]:
    """Give folders and URLs as text: a Path would make one of the two slashes of a URL."""
    return (fspath(given),) if isinstance(given, (str, PathLike)) else tuple(fspath(each) for each in given)


def path_or_none(given: AnyPath | None) -> Path | None:
    """Give a path, or None for None."""
    return None if given is None else Path(given)


def within(name: str, value: float, least: float, most: float | None = None) -> None:
    """Refuse a number that the command line would not take.

    Raises
    ------
    UsageError
        It is too small, too large or no number.
    """
    if not (least <= value and (most is None or value <= most)):
        expected = f"at least {least:g}" if most is None else f"{least:g} to {most:g}"
        raise UsageError(f"{name} cannot be that number", expected=expected, got=str(value))


class _Hearing:
    """A caller's listener, which is never called again once it has raised.

    What it raises ends the work on the road that Ctrl-C takes, which leaves nothing half-written.
    """

    def __init__(self, listen: Listener) -> None:
        self._listen = listen
        self.raised: BaseException | None = None

    def __call__(self, event: Event) -> None:
        if self.raised is None:
            try:
                self._listen(event)
            except BaseException as error:  # noqa: BLE001 - the caller's own; it gets it back
                self.raised = error
            else:
                return
        raise Interrupted("stopped by its listener")


@contextmanager
def framed(listen: Listener = silent) -> Iterator[Listener]:
    """Hold a verb: give its listener, and let out of it nothing but what is documented.

    Raises
    ------
    ModelprepError
        For everything that goes wrong: Ctrl-C is :class:`~modelprep.errors.Interrupted`, an ``OSError`` a
        :class:`~modelprep.errors.StorageError`, and a bug of ours says that it is one; the cause hangs on it.
    BaseException
        What the listener raised, as it was (its KeyboardInterrupt is Interrupted, too).
    """
    hearing = _Hearing(listen)
    try:
        yield orderly(hearing)
    except (Exception, KeyboardInterrupt) as caught:  # noqa: BLE001 - told apart below
        _leave(caught, hearing.raised)
    if hearing.raised is not None:
        _leave(hearing.raised, hearing.raised)


def _leave(caught: BaseException, of_listener: BaseException | None) -> NoReturn:
    if of_listener is not None and not isinstance(of_listener, KeyboardInterrupt):
        raise of_listener from None
    from modelprep.pipeline.run.errors import as_error

    if isinstance(of_listener, KeyboardInterrupt):
        caught = of_listener
    error = as_error(caught)
    if error is caught:
        raise error
    raise error from caught
