"""Maintenance of the store: info, verification, garbage collection."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.store.disk import free_space, storage
from modelprep.store.leases import alone
from modelprep.store.leftovers import leftovers
from modelprep.store.locks import try_lock
from modelprep.store.memo import Progress
from modelprep.store.partial import lock_name
from modelprep.store.results import parse_result
from modelprep.store.session import stale_sessions
from modelprep.structs import dataclass, replace

if TYPE_CHECKING:
    from modelprep.store.store import Store

#: Folder of the compiled catalogues.
CATALOGUES = "catalogues"


@dataclass(frozen=True)
class StoreInfo:
    """What is in a store; all sizes in bytes."""

    root: Path
    exists: bool
    writable: bool
    blobs: int
    blob_bytes: int
    results: int
    partials: int
    partial_bytes: int
    quarantined: int
    quarantine_bytes: int
    free_bytes: int | None


@dataclass(frozen=True)
class VerifyReport:
    """What ``verify`` found.

    Parameters
    ----------
    checked, checked_bytes
        Blobs that were hashed, and their bytes.
    corrupt
        Digests of corrupt blobs.
    quarantined
        Their paths in quarantine (fewer than `corrupt` in a read-only store).
    broken_results
        Keys of step results that were unreadable or whose blobs are missing; they were removed if possible.
    """

    checked: int
    checked_bytes: int
    corrupt: tuple[str, ...]
    quarantined: tuple[Path, ...]
    broken_results: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True when nothing was wrong."""
        return not self.corrupt and not self.broken_results


@dataclass(frozen=True)
class Removed:
    """One thing that ``gc`` removed, or would remove: its digest, key or file name, and its size in bytes.

    `what` is ``blob``, ``result``, ``proof``, ``partial``, ``scratch``, ``quarantine``, ``recipes``, ``catalogue`` or
    ``leftover`` (of a killed process).
    """

    what: str
    name: str
    size: int


@dataclass(frozen=True)
class GcReport:
    """What ``gc`` removed (or would remove), and the blobs it kept.

    Parameters
    ----------
    over_limit
        Bytes by which the needed blobs exceed `max_bytes`; 0 without a limit.
    """

    removed: tuple[Removed, ...]
    kept: int
    kept_bytes: int
    dry_run: bool
    over_limit: int = 0

    @property
    def freed_bytes(self) -> int:
        """Bytes of all that was removed."""
        return sum(item.size for item in self.removed)


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            with contextlib.suppress(OSError):
                if path.is_file() and not path.name.startswith("."):
                    yield path, path.stat()


def writable(root: Path) -> bool:
    """Say whether a folder, or the nearest one above it that exists, can be written."""
    for place in (root, *root.parents):
        if place.exists():
            return place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    return False


def info(store: Store) -> StoreInfo:
    """Count what is in the store."""
    blobs = [path.stat().st_size for path in store.blobs()]
    results = [path for path, _ in _files(store.root / "results")]
    partials = [stat.st_size for path, stat in _files(store.root / "partial") if path.suffix != ".json"]
    bad = [stat.st_size for path, stat in _files(store.root / "quarantine") if path.suffix != ".json"]
    return StoreInfo(
        root=store.root,
        exists=store.root.is_dir(),
        writable=writable(store.root),
        blobs=len(blobs),
        blob_bytes=sum(blobs),
        results=len(results),
        partials=len(partials),
        partial_bytes=sum(partials),
        quarantined=len(bad),
        quarantine_bytes=sum(bad),
        free_bytes=free_space(store.root),
    )


def made_by(store: Store, steps: Collection[str]) -> set[str]:
    """Return the digests of the results of some steps, whatever their parameters."""
    found = (parse_result(path.read_bytes()) for path, _ in _files(store.root / "results"))
    return {sha256 for made in found if made is not None and made.step in steps for sha256 in made.outputs.values()}


def verify(store: Store, progress: Progress | None = None) -> VerifyReport:
    """Hash every blob; quarantine corrupt ones; remove results whose blobs are missing.

    `progress` is called with (bytes hashed, bytes in all).
    """
    paths = list(store.blobs())
    sizes = [path.stat().st_size if path.exists() else 0 for path in paths]
    total, done = sum(sizes), 0
    checked, corrupt, good = 0, [], set()
    before = {path for path, _ in _files(store.root / "quarantine")}
    for path, size in zip(paths, sizes, strict=True):

        def within(read: int, _: int | None, start: int = done) -> None:
            if progress is not None:
                progress(start + read, total)

        found = store.check(path.name, within)
        checked += 1
        done += size
        if found is None:
            corrupt.append(path.name)
        else:
            good.add(path.name)
    after = {path for path, _ in _files(store.root / "quarantine")}
    broken = []
    for path, _ in _files(store.root / "results"):
        try:
            result = parse_result(path.read_bytes())
        except OSError:
            continue
        if result is None or not good.issuperset(result.outputs.values()):
            broken.append(path.stem)
            with contextlib.suppress(OSError):
                path.unlink()
    return VerifyReport(
        checked=checked,
        checked_bytes=total,
        corrupt=tuple(corrupt),
        quarantined=tuple(sorted(p for p in after - before if p.suffix != ".json")),
        broken_results=tuple(broken),
    )


def gc(
    store: Store,
    keep: set[str] | Callable[[], set[str]],
    *,
    older_than: float = 0.0,
    max_bytes: int | None = None,
    needed: Callable[[], set[str]] = set,
    unpacked: Sequence[str] = (),
    dry_run: bool = False,
) -> GcReport:
    """Remove unused files, with exclusive access to the store: a run that starts meanwhile waits.

    Blobs not in `keep`; results without all of their blobs, and their verifications; abandoned partials; scratch
    folders of ended processes; quarantined files; unpacked archives of recipes that are not in `keep`; compiled
    catalogues of recipe folders that are gone.

    Parameters
    ----------
    keep
        SHA-256 digests of the blobs and of the archives of recipes to keep; or a function that returns them, which is
        called once the store has no users: a run that ends just before may have added blobs.
    older_than
        Keep what was made or last read within this many seconds.
    max_bytes
        Then also remove blobs of `keep`, the least recently used first, down to this size.
    needed
        Returns the blobs that `max_bytes` never removes.
    unpacked
        Folders of the store with unpacked archives of recipes, each under its digest.
    dry_run
        Only report.

    Raises
    ------
    StorageError
        A run is using the store (nothing was removed; a dry run ignores it); or something cannot be removed.
    """
    if not store.root.is_dir():
        return GcReport((), 0, 0, dry_run)
    with contextlib.nullcontext() if dry_run else alone(store.root):
        keeping = keep() if callable(keep) else keep
        evicted = set() if max_bytes is None else _least_recent(store, keeping, needed(), max_bytes)
        report = _gc(store, keeping, evicted, unpacked, older_than=older_than, dry_run=dry_run)
        over = 0 if max_bytes is None else max(0, report.kept_bytes - max_bytes)
        return replace(report, over_limit=over)


def _least_recent(store: Store, keep: set[str], needed: set[str], max_bytes: int) -> set[str]:
    """Return the blobs of `keep` to remove for a store of `max_bytes`, the least recently used first.

    A blob was last used when it, or the record of the step that made it, was written or read; with noatime only the
    time of writing counts.
    """
    used: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for path in store.blobs():
        if path.name in keep:
            stat = path.stat()
            sizes[path.name] = stat.st_size
            used[path.name] = max(stat.st_mtime, stat.st_atime)
    for path, stat in _files(store.root / "results"):
        result = parse_result(path.read_bytes())
        made = set(result.outputs.values()) if result is not None else set()
        if made & needed:
            needed = needed | made  # a record without one of its blobs is removed, and the step would run again
        for sha256 in made & used.keys():
            used[sha256] = max(used[sha256], stat.st_mtime, stat.st_atime)
    excess, evicted = sum(sizes.values()) - max_bytes, set()
    for sha256 in sorted(sizes.keys() - needed, key=lambda name: (used[name], name)):
        if excess <= 0:
            break
        evicted.add(sha256)
        excess -= sizes[sha256]
    return evicted


def _gc(
    store: Store, keep: set[str], evicted: set[str], unpacked: Sequence[str], *, older_than: float, dry_run: bool
) -> GcReport:
    limit = time.time() - older_than
    removed: list[Removed] = []

    def old(stat: os.stat_result) -> bool:
        return older_than <= 0 or max(stat.st_mtime, stat.st_atime) < limit

    def remove(what: str, path: Path, size: int, *more: Path) -> None:
        if not dry_run:
            with storage(path, doing="remove"):
                for one in (path, *more):
                    one.unlink(missing_ok=True)
        removed.append(Removed(what, path.stem if what in ("result", "proof") else path.name, size))

    staying, kept_bytes = set(), 0
    going = []
    for path in store.blobs():
        stat = path.stat()
        if path.name not in evicted and (path.name in keep or not old(stat)):
            staying.add(path.name)
            kept_bytes += stat.st_size
        else:
            going.append((path, stat.st_size))
    # Results first: a kill in between leaves blobs without a result, never a result without its blobs.
    known = set()
    for path, stat in _files(store.root / "results"):
        result = parse_result(path.read_bytes())
        if result is None or not staying.issuperset(result.outputs.values()):
            remove("result", path, stat.st_size)
        else:
            known.add(path.name)
    # The verification of a result has its name.
    for path, stat in _files(store.root / "proofs"):
        if path.name not in known and old(stat):
            remove("proof", path, stat.st_size)
    for path, size in going:
        remove("blob", path, size)
    _collect_partials(store, old, remove)
    for path, stat in _files(store.root / "quarantine"):
        if path.suffix != ".json" and old(stat):
            remove("quarantine", path, stat.st_size, path.with_suffix(".json"))
    for path in (path for name in unpacked for path in (store.root / name).glob("[!.]*")):
        if path.name not in keep and old(path.stat()):
            removed.append(Removed("recipes", path.name, sum(file.stat().st_size for file in path.rglob("*"))))
            if not dry_run:
                with storage(path, doing="remove"), store.scratch() as folder:
                    path.rename(folder / path.name)  # never seen in part
    for path, stat in _files(store.root / CATALOGUES):
        if _of_no_folder(path) and old(stat):
            remove("catalogue", path, stat.st_size)
    for stale in stale_sessions(store.root / "scratch"):
        removed.append(Removed("scratch", stale.place.name, stale.size))
        if dry_run:
            stale.release()
        else:
            stale.remove()
    for path in leftovers(store.root):
        with contextlib.suppress(FileNotFoundError):
            remove("leftover", path, path.stat().st_size)
    if not dry_run:
        _remove_locks(store.root / "locks")
        _forget(store, staying)
        with contextlib.suppress(OSError):
            for folder in (store.root / "blobs").iterdir():
                with contextlib.suppress(OSError):
                    folder.rmdir()  # only where it is empty
    return GcReport(tuple(removed), len(staying), kept_bytes, dry_run)


def _of_no_folder(path: Path) -> bool:
    """Return whether a compiled catalogue (:mod:`modelprep.pipeline.compiled`) is of recipe folders that are gone."""
    try:
        head = json.loads(path.read_bytes().split(b"\n", 2)[1])
        return not all(Path(each).is_dir() for each in head["places"])
    except (OSError, ValueError, LookupError, TypeError):
        return True


def _collect_partials(store: Store, old: Callable[[os.stat_result], bool], remove: Callable[..., None]) -> None:
    for path, stat in _files(store.root / "partial"):
        if path.suffix == ".json":
            continue  # with its bytes it is removed together with them, alone it is a leftover
        if not old(stat):
            continue
        notes = path.with_name(f"{path.name}.json")
        # Notes are written before the first byte, so bytes without notes have no writer.
        name = lock_name(notes)
        lock = try_lock(store.root / "locks" / name) if name else None
        if name and lock is None:
            continue  # another process is writing it
        try:
            remove("partial", path, stat.st_size, notes)
        finally:
            if lock is not None:
                lock.release()


def _remove_locks(folder: Path) -> None:
    """Remove the files of free locks; the collector holds the gate's."""
    for path, _ in _files(folder):
        if (lock := try_lock(path)) is not None:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            lock.release()


def _forget(store: Store, staying: set[str]) -> None:
    for (algorithm, value), sha256 in store.aliases().items():
        if sha256 not in staying:
            store.forget_alias(algorithm, value)
