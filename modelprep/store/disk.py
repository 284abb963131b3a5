"""Disk operations: durable writes, renames, free space, and errors that a user can act on."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from modelprep.errors import StorageError
from modelprep.patterns import pattern

_T = TypeVar("_T")

#: Read and write size in bytes: large enough for few system calls, small enough for smooth progress.
CHUNK = 1 << 20

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file exceeds the size limit",
    errno.EACCES: "no permission to write",
    errno.EPERM: "no permission to write",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "a file is in the way of a folder",
    errno.EEXIST: "a file is in the way",
    errno.EISDIR: "a folder is in the way of a file",
    errno.ENAMETOOLONG: "the name is too long for this file system",
    errno.EIO: "the disk reports an input/output error",
    errno.ENOENT: "the file or folder does not exist",
    errno.EMFILE: "too many files are open",
}
_FULL = (errno.ENOSPC, errno.EDQUOT)
#: Errors of ``fsync`` on file systems that do not support it.
_NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
#: Errors of ``flock`` on file systems without locks (NFS without its lock daemon, some FUSE file systems).
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
#: ``errno`` values for which the hint is another folder.
_ELSEWHERE = (errno.EACCES, errno.EPERM, errno.EROFS)
#: Folder -> the option that sets it, for hints.
_NAMED_BY: dict[Path, str] = {}


def named_by(folder: Path, option: str) -> None:
    """Record that the user can choose another folder with `option` (``--cache DIR``)."""
    _NAMED_BY[folder.absolute()] = option


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
    """Return the free bytes on the file system of `path` (or of its nearest parent that exists); None when unknown."""
    facts = _nearest(path, os.statvfs)
    # Unknown for a file system without a size (/proc).
    return facts.f_bavail * facts.f_frsize if facts is not None and facts.f_blocks else None


def _nearest(path: Path, ask: Callable[[Path], _T]) -> _T | None:
    """Ask about a path or its nearest parent that exists."""
    for place in (path, *path.parents):
        with contextlib.suppress(OSError):
            return ask(place)
    return None


def require_folder(path: Path, option: str) -> None:
    """Raise `StorageError` if files cannot be written below a folder: it or a parent is a file or in ``/proc``.

    Parameters
    ----------
    option
        Its option: ``--out``.
    """
    there = next((place for place in (path, *path.parents) if os.path.lexists(place)), None)
    if there is not None and there.exists() and not there.is_dir():
        raise StorageError(
            f"{option} is a file, not a folder" if there == path else f"{option} is below a file",
            where=str(path), got=f"a file at {there}" if there != path else None,
            hint=f"choose another folder with {option} DIR, or move the file away",
        )  # fmt: skip
    if Path(os.path.realpath(path)).parts[1:2] in (("proc",), ("sys",)):
        raise StorageError(
            "the kernel's file systems cannot contain files",
            where=str(path),
            hint=f"choose another folder with {option} DIR",
        )


def _elsewhere(path: Path) -> str:
    """Return a hint on how to choose another folder than that of `path`."""
    here = path.absolute()
    for folder in (here, *here.parents):
        if folder in _NAMED_BY:
            return f"choose another folder with {_NAMED_BY[folder]}"
    return "choose another folder"


def _make_room(path: Path, how: str) -> str:
    """Return a hint on how to free space at `path`; ``cache gc`` helps only on the file system of the cache."""
    device = device_of(path)
    caches = [folder for folder, option in _NAMED_BY.items() if option.startswith("--cache")]
    gc = "run `modelprep cache gc`, " if any(device_of(folder) == device for folder in caches) else ""
    return f"{how} on the file system of {path.parent}, {gc}or {_elsewhere(path)}"


def device_of(path: Path) -> int:
    """Return the device of a path or of its nearest parent that exists; 0 if there is none."""
    return _nearest(path, lambda place: place.stat().st_dev) or 0


def _no_inodes(path: Path) -> bool:
    """Say whether a file system has free blocks but no free inodes."""
    found = _nearest(path, os.statvfs)
    return found is not None and found.f_files > 0 and found.f_favail == 0 and found.f_bavail > 0


def storage_error(error: OSError, path: Path, *, needed: int | None = None, doing: str = "write") -> StorageError:
    """Turn an OSError into a :class:`StorageError` with the path, needed and free space, and a hint."""
    reason = _REASONS.get(error.errno or 0, error.strerror or type(error).__name__)
    hint = f"check {path}"
    expected = got = None
    if error.errno in _FULL:
        hint = _make_room(path, "free some space")
        if error.errno == errno.ENOSPC and _no_inodes(path):
            reason = "the file system has no free inodes, so no file can be added"
            hint = _make_room(path, "remove files")
        else:
            free = free_space(path)
            expected = f"{human(needed)} free" if needed is not None else None
            got = f"{human(free)} free" if free is not None else None
    elif error.errno in _ELSEWHERE:
        hint = f"make {path} writable, or {_elsewhere(path)}"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        hint = f"move {path} away, or {_elsewhere(path)}"
    return StorageError(f"cannot {doing}: {reason}", where=str(path), expected=expected, got=got, hint=hint)


def no_locks(path: Path) -> StorageError:
    """Make the error for a folder whose file system cannot lock files."""
    return StorageError(
        "this file system cannot lock files, which a cache needs",
        where=str(path.parent),
        hint=f"{_elsewhere(path)} on a local disk",
    )


@contextlib.contextmanager
def storage(path: Path, *, needed: int | None = None, doing: str = "write") -> Iterator[None]:
    """Turn an OSError in the block into a :class:`StorageError` about `path`."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path, needed=needed, doing=doing) from error


def ensure_free(path: Path, needed: int, *, what: str) -> None:
    """Raise a :class:`StorageError` when fewer than `needed` bytes are free where `path` lies."""
    free = free_space(path)
    if free is not None and free < needed:
        raise StorageError(
            f"not enough disk space for {what}",
            where=str(path),
            expected=f"{human(needed)} free",
            got=f"{human(free)} free",
            hint=_make_room(path, "free some space"),
        )


def sync_file(descriptor: int) -> None:
    """Synchronize written data, if the file system supports it."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def set_mode(path: Path, mode: int) -> None:
    """Set a file's permissions; unchanged on a file system without permissions (vfat, some network shares)."""
    with contextlib.suppress(OSError):
        path.chmod(mode)


def sync_folder(path: Path) -> None:
    """Synchronize a rename inside `path`, if the system supports it."""
    # Some network file systems refuse to fsync a folder; the rename itself has succeeded.
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


_TEMPORARY = pattern(r"\.(.+)\.([0-9a-f]{8})([0-9a-f]{8})\.modelprep", re.DOTALL)
_FORMER = pattern(r"\..+\.\d+\.[0-9a-f]{8}")


def claim_temporary(path: Path) -> tuple[Path, int]:
    """Create the temporary file of `path`; return its name and an open descriptor.

    The descriptor holds a lock on it; if the lock is free, the writer is gone (:func:`abandoned_temporaries`). Rename
    the file before the descriptor is closed. The end of its name is a checksum of the beginning, so that similar names
    of other programs are not mistaken for ours.
    """
    stem = os.fsdecode(os.fsencode(path.name)[:100])
    while True:
        token = os.urandom(4).hex()
        temporary = path.with_name(f".{stem}.{token}{_checksum(stem, token)}.modelprep")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        _locked(descriptor)
        if os.fstat(descriptor).st_nlink:
            return temporary, descriptor
        os.close(descriptor)  # another process removed it before it was locked


def _checksum(stem: str, token: str) -> str:
    return hashlib.sha256(os.fsencode(f"{stem}.{token}")).hexdigest()[:8]


def abandoned_temporaries(folder: Path, *, former: bool = False) -> Iterator[Path]:
    """Find the files of :func:`claim_temporary` in a folder whose writer is gone; the caller may remove each.

    With `former`, also the names of versions before 0.2 (``.NAME.PID.TOKEN``), for folders that only modelprep uses.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except OSError:
        return
    for name in names:
        found = _TEMPORARY.fullmatch(name)
        ours = found is not None and found[3] == _checksum(found[1], found[2])
        if not ours and not (former and _FORMER.fullmatch(name)):
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if _locked(descriptor):
                    yield folder / name
            finally:
                os.close(descriptor)


def sweep_temporaries(folder: Path) -> None:
    """Remove the files that :func:`abandoned_temporaries` finds, if possible."""
    for path in abandoned_temporaries(folder):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _locked(descriptor: int) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def write_atomic(path: Path, data: bytes, *, lasting: bool = True) -> None:
    """Write a small file atomically: `path` is always the complete old or new file.

    If it may be empty after a power cut, `lasting` is False, and it is not synchronized. After a StorageError nothing
    has changed at `path`.
    """
    with storage(path, needed=len(data)):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary, descriptor = claim_temporary(path)
        try:
            with contextlib.suppress(OSError):  # keep the permissions of the replaced file
                os.fchmod(descriptor, path.stat().st_mode & 0o7777)
            write_all(descriptor, data)
            if lasting:
                sync_file(descriptor)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        if lasting:
            sync_folder(path.parent)


def remove_tree(path: Path) -> None:
    """Remove a folder and all below it, read-only parts too; a missing file is not an error."""
    if path.is_symlink() or not path.is_dir():
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        return
    for folder, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            Path(folder).chmod(0o700)
    import shutil

    shutil.rmtree(path, ignore_errors=True)
