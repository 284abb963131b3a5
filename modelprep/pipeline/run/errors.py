"""Anything that is raised becomes an error that can be shown; a bug of ours is said to be one."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from modelprep.errors import Interrupted, ModelprepError, NotEnoughMemory, StorageError
from modelprep.store.disk import storage_error
from modelprep.url import scrub

#: Attribute of an exception that names the file with its traceback.
_PLACE = "__modelprep_log__"


class BugError(ModelprepError):
    """Something went wrong that is nobody's fault but ours.

    Ends with exit code 5, the nearest of the documented ones: something failed in the middle; 1 and 2 would say that a
    check or the user is at fault.
    """

    exit_code = 5
    kind = "bug"


def as_error(caught: BaseException) -> ModelprepError:
    """Turn anything that was raised into an error that can be shown.

    An ``OSError`` that nobody turned into a :class:`~modelprep.errors.StorageError` before becomes one here; the
    traceback of what is none of the known kinds goes to a file that the message names.
    """
    if isinstance(caught, ModelprepError):
        return caught
    if isinstance(caught, KeyboardInterrupt):
        return Interrupted.by(caught)
    if any(map(_is_memory, _causes(caught))):
        return _not_enough_memory()
    if isinstance(caught, OSError) and caught.errno is not None:
        from pathlib import Path

        return storage_error(caught, Path(str(caught.filename2 or caught.filename or ".")), doing="go on")
    text = scrub(str(caught).strip().partition("\n")[0])
    if isinstance(caught, RuntimeError) and "home directory" in text:  # pathlib and platformdirs
        return StorageError(
            "your home directory is unknown: HOME is not set, and the system has no entry for this user",
            hint="set HOME, or name every folder in full (--cache DIR or MODELPREP_CACHE)",
        )
    return BugError(
        "this is a bug in modelprep",
        got=f"{type(caught).__name__}: {text}" if text else type(caught).__name__,
        hint=f"please report it with the traceback in {_written(caught)}",
    )


def _causes(caught: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = caught
    while one is not None:
        yield one
        one = one.__cause__


def _is_memory(caught: BaseException) -> bool:
    """Tell whether an exception says that there is no memory: Python, the system and the linker word it differently."""
    text = str(caught)
    return (
        isinstance(caught, MemoryError)
        or (isinstance(caught, OSError) and caught.errno == errno.ENOMEM)
        or (isinstance(caught, RuntimeError) and text == "can't start new thread")
        or (isinstance(caught, SystemError) and "without exception set" in text)  # CPython, when a C function had none
        or (isinstance(caught, ImportError) and ("failed to map segment" in text or "cannot allocate memory" in text))
    )


def _not_enough_memory() -> NotEnoughMemory:
    limited, limit = False, 0
    with contextlib.suppress(ImportError):  # there may not be enough for this either
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        limited = limit != resource.RLIM_INFINITY
    return NotEnoughMemory(
        "there is not enough memory",
        got=f"the address space is limited to {limit >> 10} kB (ulimit -v)" if limited else None,
        hint="raise the limit and run the command again" if limited else "close other programs, or try --jobs 1",
    )


def _written(caught: BaseException) -> str:
    """Return the file with the traceback of a bug: one, however often the same exception comes by here."""
    if (path := getattr(caught, _PLACE, None)) is not None:
        return str(path)
    import tempfile
    import traceback

    text = scrub("".join(traceback.format_exception(caught)))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="modelprep-", suffix=".log", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as log:
            log.write(text)
    except OSError as error:
        return f"a file (which could not be written: {error.strerror})"
    with contextlib.suppress(AttributeError):  # a type with slots
        setattr(caught, _PLACE, log.name)
    return log.name
