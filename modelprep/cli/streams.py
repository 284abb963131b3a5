"""Standard output and error that never raise: output that cannot be written is dropped and the failure remembered.

A closed stream becomes the null device, so that no file that is opened later gets its descriptor and with it what
libraries print. A closed reader (a broken pipe) is not a failure: the exit status is that of the work. A full disk
behind standard output is one: the exit status is 6, unless the work itself failed.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

STORAGE = 6  # the exit status of StorageError


class _Descriptor(io.RawIOBase):
    """The raw side of a standard stream; `failure` is the error that ended it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self.failure: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def write(self, data: Buffer, /) -> int:
        size = len(memoryview(data))
        if self.failure is not None:
            return size
        try:
            return os.write(self._number, data)
        except BlockingIOError:  # another process made the shared terminal or pipe non-blocking
            select.select([], [self._number], [])
            return self.write(data)
        except OSError as error:
            self.failure = error
            return size


class Streams:
    """The process's standard streams, made safe; see :func:`guard`."""

    def __init__(self, out: _Descriptor) -> None:
        self._out = out

    def close(self, status: int) -> int:
        """Flush both streams and return the exit status; it is 6 where standard output was full and all else well."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(ValueError):  # closed by a library
                stream.flush()
        failure = self._out.failure
        if failure is None or failure.errno == errno.EPIPE:
            return status
        with contextlib.suppress(ValueError):
            sys.stderr.write(f"error: standard output was cut off: {(failure.strerror or str(failure)).lower()}\n")
            sys.stderr.flush()
        return status or STORAGE


def guard() -> Streams:
    """Replace ``sys.stdout`` and ``sys.stderr`` by streams whose writes never raise; open closed descriptors."""
    null = os.open(os.devnull, os.O_RDWR)
    while null <= 2:  # the lowest free descriptor: this one was closed
        os.set_inheritable(null, True)
        null = os.open(os.devnull, os.O_RDWR)
    os.close(null)
    out, err = _Descriptor(1), _Descriptor(2)
    sys.stdout = _text(out, sys.stdout, line_buffering=out.isatty())
    sys.stderr = _text(err, sys.stderr, line_buffering=True)
    return Streams(out)


def _text(raw: _Descriptor, old: object, *, line_buffering: bool) -> io.TextIOWrapper:
    encoding = getattr(old, "encoding", None) or "utf-8"
    # A name that the terminal cannot show must not end the run.
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors="backslashreplace", line_buffering=line_buffering
    )
