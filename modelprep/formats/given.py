"""Check that what a user names can be an input or an output, before any work is done on it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from modelprep.errors import StorageError, UsageError


def require_input(path: Path) -> None:
    """Check that `path` is a file that can be read more than once: no folder, no device, no pipe.

    Raises UsageError: it is not.
    """
    if path.is_file():
        return
    if (path / "data.mdb").is_file():
        raise UsageError("the input is an LMDB database (a training set), and no model", where=str(path))
    if path.is_dir():
        raise UsageError("the input is a folder", where=str(path), expected="a file")
    if path.is_symlink() and not path.exists():
        raise UsageError("the input is a link to nothing", where=str(path), got=f"-> {path.readlink()}")
    if path.exists():
        raise UsageError(
            "the input is no ordinary file", where=str(path), expected="a file", hint="save it to a file first"
        )
    raise UsageError("the input file is not there", where=str(path))


def require_output(path: Path, *, force: bool = False, folder: bool = False) -> None:
    """Check that a result may be put at `path`: nothing is there, or a file that may be replaced.

    `path`: where the result is renamed to, so that a link is replaced and not followed. `force`: whether a file that is
    there may be replaced. Folders, devices and pipes never are. Raises UsageError: the place is taken, or is no place
    in the file system; StorageError: the folder that it belongs into is not there.
    """
    if str(path) == "-":
        raise UsageError("the result cannot go to standard output", got="-", expected="a file name: -o FILE")
    if path.is_dir():
        hint = "name one that is not there yet" if folder else "name the output: -o FILE"
        raise UsageError("the output is a folder", where=str(path), hint=hint)
    if path.exists() and not path.is_file():
        raise UsageError(
            "the output is no ordinary file", where=str(path), expected="a file name", hint="name a file: -o FILE"
        )
    if os.path.lexists(path) and (folder or not force):
        hint = "name one that is not there yet" if folder else "--force replaces it"
        raise UsageError("the output exists already", where=str(path), hint=hint)
    if not path.parent.is_dir():
        raise StorageError("the output's folder is not there", where=str(path.parent))


def require_apart(source: Path, output: Path) -> None:
    """Check that an output does not replace its own input, under whatever names.

    Raises UsageError: they are one file.
    """
    if output.exists() and source.exists() and source.samefile(output):
        raise UsageError("the output would replace its own input", where=str(output))


def cannot_write(output: Path, error: OSError) -> StorageError:
    """Return the error for an output that the system refuses."""
    hint = "name another place with -o"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = f"make {output.parent} writable, or {hint}"
    return StorageError(f"the output cannot be written: {error.strerror or error}", where=str(output), hint=hint)
