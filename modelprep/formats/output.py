"""Writing a file so that it appears complete at its name or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelprep.errors import StorageError


def temporary_beside(path: Path) -> Path:
    """Return an unused name in the folder of `path`: hidden, not longer than file systems allow."""
    return path.with_name(f".{path.name[:100]}.{os.getpid()}-{os.urandom(4).hex()}.part")


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn the system's error of writing `path` within the block into a StorageError."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from None


@contextmanager
def writing(path: Path) -> Iterator[Callable[[bytes | memoryview], None]]:
    """Write `path` through a temporary file beside it.

    Yields the function that writes. At the end of the block the file is renamed to `path`; when the block raises, it
    is removed and `path` is unchanged.

    Raises StorageError: the file cannot be written. Errors of the block's own reading pass through untouched.
    """
    temporary = temporary_beside(path)
    with refusals(path):
        file = temporary.open("xb")
    try:
        with file:

            def write(data: bytes | memoryview) -> None:
                with refusals(path):
                    file.write(data)

            yield write
            with refusals(path):
                file.flush()
        with refusals(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Return a file's checksum.

    Raises StorageError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise StorageError(f"the file cannot be read: {error.strerror}", where=str(path)) from error
    return digest.hexdigest()


def copy(source: Path, output: Path, progress: Callable[[int, int | None], None] | None = None) -> int:
    """Copy a file, letting the file system share the blocks where it can; return its size in bytes.

    Raises StorageError: cannot be read or written.
    """
    temporary = temporary_beside(output)
    try:
        with source.open("rb", buffering=0) as read, temporary.open("xb", buffering=0) as write:
            total = os.fstat(read.fileno()).st_size
            done = 0
            in_kernel = hasattr(os, "copy_file_range")
            count = 1
            while count:
                count = 0
                if in_kernel:
                    # Not every kernel does it between every two file systems, and some answer 0 if there is more.
                    with contextlib.suppress(OSError):
                        count = os.copy_file_range(read.fileno(), write.fileno(), 16 << 20)
                    in_kernel = count > 0
                count = count or write.write(os.read(read.fileno(), 1 << 20))
                done += count
                if count and progress is not None:
                    progress(done, total)
        if done != total:
            raise StorageError(
                "the file changed its length while it was copied", where=str(source), expected=f"{total} bytes",
                got=f"{done} bytes",
            )  # fmt: skip
        temporary.replace(output)
    except OSError as error:
        if error.filename == str(source):
            raise StorageError(f"the file cannot be read: {error.strerror or error}", where=str(source)) from None
        raise cannot_write(output, error) from None
    finally:
        temporary.unlink(missing_ok=True)
    return done


def cannot_write(path: Path, error: OSError) -> StorageError:
    """Return the error for a file that cannot be written."""
    hint = ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "free some space, or choose another place with `--cache` or `--out`"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = "make the folder writable, or choose another place with `--cache` or `--out`"
    return StorageError(f"the file cannot be written: {error.strerror or error}", where=str(path), hint=hint)
