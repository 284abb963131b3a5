"""A source on this machine: a mirror folder, or a ``file:`` URL."""

from __future__ import annotations

import os
import stat as modes
from pathlib import Path
from threading import Event as Flag

from modelprep.errors import Interrupted
from modelprep.fetch.digests import MultiHash, all_digests, first_difference
from modelprep.fetch.failures import SourceFailed, Want, content_failure
from modelprep.fetch.partials import Landed
from modelprep.fetch.progress import Task
from modelprep.fetch.sniff import describe, describe_bytes, is_lfs_pointer, is_web_page
from modelprep.store import Store
from modelprep.store.disk import CHUNK, ensure_free, human, storage, storage_error, write_all


def copy_in(store: Store, path: Path, want: Want, task: Task, stop: Flag) -> Landed:
    """Copy a local file to the store's file system, hashed on the way; the source is never changed.

    Raises SourceFailed if it does not exist, cannot be read, or is another file; StorageError.
    """
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise SourceFailed("no such file") from None
    except (OSError, ValueError) as error:
        raise SourceFailed(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not modes.S_ISREG(stat.st_mode):
        raise SourceFailed("not a regular file")
    if want.size is not None and stat.st_size != want.size:
        looks = describe(path, expected_size=want.size)
        raise SourceFailed(
            f"is {looks}",
            mismatch=not want.replaced_by(looks),
            looks=looks,
            got=human(stat.st_size),
            size=stat.st_size,
        )
    ensure_free(store.root, stat.st_size, what=want.name)
    target = store.new_file()
    try:
        return _copy(path, target, stat.st_size, want, task, stop)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _copy(path: Path, target: Path, size: int, want: Want, task: Task, stop: Flag) -> Landed:
    hashes = MultiHash(want.digests, size=size)
    try:
        source = path.open("rb", buffering=0)
    except OSError as error:
        raise SourceFailed(f"cannot be read ({error.strerror})") from error
    with source, storage(target):
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "wb", buffering=0):
            while True:
                try:
                    data = source.read(CHUNK)
                except OSError as error:
                    raise SourceFailed(f"cannot be read ({error.strerror})") from error
                if not data:
                    break
                if hashes.size == 0:
                    _judge_head(data, size, want)
                try:
                    write_all(descriptor, data)
                except OSError as error:
                    raise storage_error(error, target, needed=size - hashes.size) from error
                hashes.update(data)
                task.progress(hashes.size, size)
                if stop.is_set():
                    raise Interrupted(f"stopped while copying {want.name}")
    digests = hashes.digests()
    if (difference := first_difference(want.digests, digests)) is not None:
        looks = describe(path, expected_size=want.size)
        raise content_failure(want, looks, hashes.size, difference, all_digests(path, digests))
    return Landed(target, digests, hashes.size, hashes.size)


def _judge_head(head: bytes, size: int, want: Want) -> None:
    page = is_web_page(head) and not want.may_be_page
    pointer = is_lfs_pointer(head) and size < CHUNK and want.size != size
    if page or pointer:
        looks = describe_bytes(head, size=size)
        raise SourceFailed(f"is {looks} instead of the file", looks=looks)
