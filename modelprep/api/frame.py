"""The frame around every verb: which exceptions it raises, how listeners are called, and the default listener."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NoReturn

from modelprep.api.declaring import settle
from modelprep.api.interrupts import after_imports
from modelprep.errors import Interrupted, ModelprepError
from modelprep.events import Event, Listener, orderly, silent


class _OwnListener:
    """A caller's listener, which is never called again once it has raised.

    Its exception ends the work in the same way as Ctrl-C, which leaves nothing half-written.
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
def framed(listen: Listener | None = silent) -> Iterator[Listener]:
    """Run a verb: yield its listener, and turn every exception into a documented one.

    `listen`: the caller's listener; None shows progress in a notebook, and nothing elsewhere. Raises ModelprepError:
    every failure: Ctrl-C is :class:`~modelprep.errors.Interrupted`, an ``OSError`` a
    :class:`~modelprep.errors.StorageError`, and a bug in modelprep says so; ``__cause__`` is the original exception;
    BaseException: the listener's own exception, unchanged (its KeyboardInterrupt is Interrupted, too).
    """
    own = _OwnListener(_default() if listen is None else listen)
    try:
        with after_imports():
            yield orderly(own)
    except (Exception, KeyboardInterrupt) as caught:  # noqa: BLE001 - told apart below
        _leave(caught, own.raised)
    if own.raised is not None:
        _leave(own.raised, own.raised)


@contextmanager
def verb_of(
    options: type, given: Mapping[str, Any], listen: Listener | None = silent
) -> Iterator[tuple[SimpleNamespace, Listener]]:
    """Settle the options of a verb, then run it as :func:`framed` does; yield both."""
    settled = settle(options, given)
    with framed(listen) as tell:
        yield settled, tell


def _leave(caught: BaseException, of_listener: BaseException | None) -> NoReturn:
    if of_listener is not None and not isinstance(of_listener, KeyboardInterrupt):
        raise of_listener from None
    if isinstance(of_listener, KeyboardInterrupt):
        caught = of_listener
    error = as_error(caught)
    if error is caught:
        raise error
    raise error from caught


def as_error(caught: BaseException) -> ModelprepError:
    """Turn a caught exception into a ModelprepError: an ``OSError``, Ctrl-C, or a bug."""
    from modelprep.pipeline.run.errors import as_error as turned

    return turned(caught)


def _default() -> Listener:
    """Return the default listener: progress bars if the code runs in a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return silent
    from modelprep.api.notebook import Bars

    return Bars()
