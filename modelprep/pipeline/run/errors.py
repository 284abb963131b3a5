"""Anything that is raised becomes an error that can be shown; a bug of ours is said to be one."""

from __future__ import annotations

import contextlib

from modelprep.errors import Interrupted, ModelprepError
from modelprep.store.disk import storage_error

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
        return Interrupted("interrupted; what was complete is kept, and the next run goes on from there")
    if isinstance(caught, OSError) and caught.errno is not None:
        from pathlib import Path

        return storage_error(caught, Path(str(caught.filename2 or caught.filename or ".")), doing="go on")
    text = str(caught).strip().partition("\n")[0]
    return BugError(
        "this is a bug in modelprep",
        got=f"{type(caught).__name__}: {text}" if text else type(caught).__name__,
        hint=f"please report it with the traceback in {_written(caught)}",
    )


def _written(caught: BaseException) -> str:
    """Give the file with the traceback of a bug: one, however often the same exception comes by here."""
    if (path := getattr(caught, _PLACE, None)) is not None:
        return str(path)
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="modelprep-", suffix=".log", delete=False, encoding="utf-8") as log:
        log.write("".join(traceback.format_exception(caught)))
    with contextlib.suppress(AttributeError):  # a type with slots
        setattr(caught, _PLACE, log.name)
    return log.name
