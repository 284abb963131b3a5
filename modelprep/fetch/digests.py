"""Several digests in one pass over the bytes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.errors import StorageError
from modelprep.recipe.schema import ALGORITHMS
from modelprep.store.disk import CHUNK, storage

if TYPE_CHECKING:
    from collections.abc import Callable


class MultiHash:
    """Several digests at once, sha256 always among them.

    The blob id of git needs the `size` in bytes before the first byte; :meth:`digests` omits it if the size is None or
    differs from the number of received bytes.
    """

    def __init__(self, algorithms: Iterable[str] = (), *, size: int | None = None) -> None:
        wanted = {"sha256", *algorithms}
        if unknown := wanted - set(ALGORITHMS):
            raise ValueError(f"unknown digest algorithm: {', '.join(sorted(unknown))}")
        self.size = 0
        self._announced = size
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in sorted(wanted - {"git"})}
        if "git" in wanted and size is not None:
            self._hashes["git"] = hashlib.new("sha1", b"blob %d\0" % size, usedforsecurity=False)

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take more bytes."""
        self.size += len(data)
        for digest in self._hashes.values():
            digest.update(data)

    def digests(self) -> dict[str, str]:
        """Return the digests of the received bytes, lower-case hexadecimal."""
        return {
            name: digest.hexdigest()
            for name, digest in self._hashes.items()
            if name != "git" or self.size == self._announced
        }


def digests_of(data: bytes) -> dict[str, str]:
    """Return every supported digest of some bytes."""
    hashes = MultiHash(ALGORITHMS, size=len(data))
    hashes.update(data)
    return hashes.digests()


def hash_path(
    path: Path, algorithms: Iterable[str] = (), *, progress: Callable[[int, int | None], None] | None = None
) -> tuple[dict[str, str], int]:
    """Return the digests of a file (sha256 among them) and its size in bytes.

    Raises
    ------
    StorageError
        It cannot be read.
    """
    with storage(path, doing="read"), path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        hashes = MultiHash(algorithms, size=size)
        buffer = memoryview(bytearray(CHUNK))
        while count := file.readinto(buffer):
            hashes.update(buffer[:count])
            if progress is not None:
                progress(hashes.size, size)
    return hashes.digests(), hashes.size


def all_digests(path: Path, known: Mapping[str, str]) -> dict[str, str]:
    """Return every supported digest of a file, to recognize a wrong file; `known` if the file is gone."""
    try:
        return hash_path(path, ALGORITHMS)[0]
    except StorageError:
        return dict(known)


def first_difference(wanted: Mapping[str, str], got: Mapping[str, str]) -> tuple[str, str, str] | None:
    """Return (algorithm, wanted, got) of the strongest digest that differs, or None when all agree.

    A digest that was expected but not computed counts as different.
    """
    for algorithm in ALGORITHMS:
        if algorithm in wanted and got.get(algorithm) != wanted[algorithm]:
            return algorithm, wanted[algorithm], got.get(algorithm, "not computed")
    return None
