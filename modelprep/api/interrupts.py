"""Ctrl-C while a verb runs inside another program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: Seconds after which a signal that arrived during an import is sent again.
_PAUSE = 0.02


@contextmanager
def after_imports() -> Iterator[None]:
    """Delay Ctrl-C until no import is running.

    A KeyboardInterrupt that leaves code which an import executes from a string, as every dataclass does, is remembered
    by CPython even if it is caught: the program then ends by SIGINT, whatever its own status is (``exec`` goes through
    ``run_eval_code_obj`` in CPython's pythonrun.c, up to 3.13 at least). A caller's own handler, and threads other than
    the main one, are left alone.
    """
    import signal
    import threading

    main = threading.main_thread()
    if threading.current_thread() is not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def again() -> None:
        import time

        time.sleep(_PAUSE)
        if main.ident is not None:
            signal.pthread_kill(main.ident, signal.SIGINT)

    def handle(number: int, frame: FrameType | None) -> None:
        if not _imports(frame):
            signal.default_int_handler(number, frame)
        import _thread

        _thread.start_new_thread(again, ())  # `threading` takes locks that the interrupted code may hold

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _imports(frame: FrameType | None) -> bool:
    """Say whether an import is running below a frame."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
