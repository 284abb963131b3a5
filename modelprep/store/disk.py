"""What the store asks of a disk: durable writes, renames, free space, and errors a user can act on."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from modelprep.errors import StorageError

#: Read and write size, bytes. Large enough that system calls cost nothing, small enough for a smooth progress bar.
CHUNK = 1 << 20

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file grows over the size that is allowed here",
    errno.EACCES: "no permission to write",
    errno.EPERM: "no permission to write",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "a file is in the way of a folder",
    errno.EEXIST: "a file is in the way",
    errno.EISDIR: "a folder is in the way of a file",
    errno.ENAMETOOLONG: "the name is too long for this file system",
    errno.EIO: "the disk reports an input/output error",
    errno.ENOLCK: "this file system cannot lock files",
    errno.ENOSYS: "this file system cannot lock files",
    errno.ENOENT: "there is no such file or folder",
    errno.EMFILE: "too many files are open",
}
_FULL = (errno.ENOSPC, errno.EDQUOT)
#: ``errno`` values after which another cache folder is the way out.
_ELSEWHERE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOLCK, errno.ENOSYS)


def human(size: int) -> str:
    """Write a number of bytes for a person: ``574,671,192 bytes (548.0 MiB)``."""
    if size < 1 << 10:
        return f"{size} bytes" if size != 1 else "1 byte"
    value, unit = float(size), "bytes"
    for unit in ("KiB", "MiB", "GiB", "TiB"):  # noqa: B007 - the last unit reached is the one printed
        value /= 1024
        if value < 1024:
            break
    return f"{size:,} bytes ({value:.1f} {unit})"


def free_space(path: Path) -> int | None:
    """Give the free bytes on the file system of `path` (or of its nearest parent that exists); None when unknown."""
    for place in (path, *path.parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(place).free
    return None


def storage_error(error: OSError, path: Path, *, needed: int | None = None, doing: str = "write") -> StorageError:
    """Turn an OSError into a :class:`StorageError` with the path, the space needed and free, and what to do."""
    reason = _REASONS.get(error.errno or 0, error.strerror or type(error).__name__)
    hint = f"look at {path}"
    expected = got = None
    if error.errno in _FULL:
        free = free_space(path)
        expected = f"{human(needed)} free" if needed is not None else None
        got = f"{human(free)} free" if free is not None else None
        hint = "make room, run `modelprep cache gc`, or name another folder with --cache DIR"
    elif error.errno in _ELSEWHERE:
        hint = f"make {path} writable, or name another folder with --cache DIR (or MODELPREP_CACHE)"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        hint = f"move what lies at {path} away, or name another folder"
    return StorageError(f"cannot {doing}: {reason}", where=str(path), expected=expected, got=got, hint=hint)


@contextlib.contextmanager
def storage(path: Path, *, needed: int | None = None, doing: str = "write") -> Iterator[None]:
    """Let no OSError out of the block; a :class:`StorageError` about `path` comes instead."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path, needed=needed, doing=doing) from error


def ensure_free(path: Path, needed: int, *, what: str) -> None:
    """Raise a :class:`StorageError` when fewer than `needed` bytes are free where `path` lies."""
    free = free_space(path)
    if free is not None and free < needed:
        raise StorageError(
            f"there is no room for {what}",
            where=str(path),
            expected=f"{human(needed)} free",
            got=f"{human(free)} free",
            hint="make room, run `modelprep cache gc`, or name another folder with --cache DIR",
        )


def sync_folder(path: Path) -> None:
    """Make a rename inside `path` last through a power cut, where the system can do that."""
    # Some network file systems refuse to fsync a folder; the rename itself has happened all the same.
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write the whole of `data`; a plain ``os.write`` may stop short (and does, just before a full disk)."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_atomic(path: Path, data: bytes) -> None:
    """Write a small file so that at `path` lies the old one or the new one, whole, whatever happens.

    Raises
    ------
    StorageError
        Nothing was changed at `path`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    with storage(path, needed=len(data)):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                write_all(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def remove_tree(path: Path) -> None:
    """Remove a folder and all below it, read-only parts too; what is gone already is no error."""
    if path.is_symlink() or not path.is_dir():
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        return
    for folder, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            Path(folder).chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)
