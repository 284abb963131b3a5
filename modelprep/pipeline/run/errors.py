"""Turn any exception into an error for the user; unexpected ones are reported as bugs."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from modelprep.errors import Interrupted, ModelprepError, NotEnoughMemory, StorageError
from modelprep.store.disk import storage_error
from modelprep.url import scrub

#: Attribute of an exception with the path of its traceback file.
_PLACE = "__modelprep_log__"


class BugError(ModelprepError):
    """A bug in modelprep. Exit status 5 is the nearest documented one: 1 and 2 would blame a check or the user."""

    exit_code = 5
    kind = "bug"


def as_error(caught: BaseException) -> ModelprepError:
    """Turn any exception into an error for the user; it names the traceback file of an unexpected one."""
    if isinstance(caught, ModelprepError):
        return caught
    if isinstance(caught, KeyboardInterrupt):
        return Interrupted.by(caught)
    if any(map(_is_memory, _causes(caught))):
        return _not_enough_memory()
    if isinstance(caught, OSError) and caught.errno is not None:
        from pathlib import Path

        return storage_error(caught, Path(str(caught.filename2 or caught.filename or ".")), doing="continue")
    text = scrub(str(caught).strip().partition("\n")[0])
    if isinstance(caught, RuntimeError) and "home directory" in text:  # pathlib and platformdirs
        return StorageError(
            "your home directory is unknown: HOME is not set, and the system has no entry for this user",
            hint="set HOME, or name every folder in full (--cache DIR or MODELPREP_CACHE)",
        )
    return BugError(
        "this is a bug in modelprep",
        got=f"{type(caught).__name__}: {text}" if text else type(caught).__name__,
        hint=f"report it with the traceback in {_written(caught)}",
    )


def _causes(caught: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = caught
    while one is not None:
        yield one
        one = one.__cause__


def _is_memory(caught: BaseException) -> bool:
    """Say whether an exception means that there is no memory: Python, the system and the linker word it differently."""
    text = str(caught)
    return (
        isinstance(caught, MemoryError)
        or (isinstance(caught, OSError) and caught.errno == errno.ENOMEM)
        or (isinstance(caught, RuntimeError) and text == "can't start new thread")
        or (
            isinstance(caught, SystemError) and "without exception set" in text
        )  # CPython, when a C function failed without an exception
        or (isinstance(caught, ImportError) and ("failed to map segment" in text or "cannot allocate memory" in text))
    )


def _not_enough_memory() -> NotEnoughMemory:
    limited, limit = False, 0
    with contextlib.suppress(ImportError):  # even this may need too much memory
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        limited = limit != resource.RLIM_INFINITY
    return NotEnoughMemory(
        "there is not enough memory",
        got=f"the address space is limited to {limit >> 10} kB (ulimit -v)" if limited else None,
        hint="raise the limit and run the command again" if limited else "close other programs, or try --jobs 1",
    )


def _written(caught: BaseException) -> str:
    """Return the traceback file of a bug: one per exception."""
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
