"""Doing what :mod:`modelprep.tree.plan` decided: every file lands by rename, whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modelprep.errors import Interrupted, RecipeError, StorageError
from modelprep.events import Event, Listener, silent
from modelprep.store import Blob, Store
from modelprep.store.disk import CHUNK, storage, storage_error, sync_folder, write_all, write_atomic
from modelprep.tree.manifest import MANIFEST, RUN_TESTS, SUMS, Manifest
from modelprep.tree.places import place, tree_lock
from modelprep.tree.plan import Action, InstallPlan, plan_install
from modelprep.tree.selection import run_tests

#: Names of files under way: ``.<name>.<random>.modelprep``; one that is found while the tree is locked is a dead run's.
_UNDER_WAY = ".modelprep"


@dataclass(frozen=True)
class Installed:
    """What was done to a tree.

    Parameters
    ----------
    written, kept, removed
        Paths inside the tree; adopted files count as kept.
    set_aside
        (path, name it was kept under) of files that were not ours to replace.
    bytes_written
        Bytes copied (0 for hard links).
    """

    written: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    set_aside: tuple[tuple[str, str], ...] = ()
    bytes_written: int = 0


def apply_install(
    plan: InstallPlan,
    store: Store,
    *,
    link: bool = False,
    listen: Listener = silent,
    stop: Callable[[], bool] | None = None,
) -> Installed:
    """Bring a tree to what a plan says.

    The tree is locked and the plan made anew under the lock, so that it holds whatever others did meanwhile. New files
    come first, then what leaves, then ``run-tests.sh``, ``SHA256SUMS`` and ``MANIFEST.json``; a run that is killed at
    any point leaves whole files, and the next run goes on from there.

    Parameters
    ----------
    link
        Hard links to the store's blobs instead of copies, where the file system can.
    stop
        Asked between files and between pieces of one; true ends it.

    Raises
    ------
    StorageError
        Disk full, no permission; the file that was being written is not there, those before it are.
    Interrupted
        `stop` said so.
    """
    if not plan.changes and _written_down(plan):
        return Installed(kept=tuple(action.path for action in plan.actions))
    task = f"install:{plan.demo.recipe}"

    def waiting() -> None:
        listen(Event("note", task=task, text=f"another process is installing into {plan.folder}; waiting for it"))

    with tree_lock(plan.folder, on_wait=waiting, stop=stop):
        fresh = plan_install(plan.folder, plan.demo, plan.files, plan.provenance, store, peers=plan.peers)
        return _Installation(fresh, store, link, listen, stop or (lambda: False), task).run()


def _written_down(plan: InstallPlan) -> bool:
    """Say whether the lists and the board's script stand in the tree as the manifest says."""
    try:
        return all((plan.folder / name).read_text("utf-8") == text for name, text in _own_files(plan.manifest).items())
    except (OSError, UnicodeDecodeError):
        return False


def _own_files(manifest: Manifest, unfit: Callable[[RecipeError], None] = lambda _: None) -> dict[str, str]:
    """Give the files that are made of the manifest, in the order they are to be written: the manifest itself last."""
    return {RUN_TESTS: run_tests(manifest, unfit=unfit), SUMS: manifest.sums(), MANIFEST: manifest.text()}


class _Installation:
    """One application of a plan, the tree's lock being held."""

    def __init__(
        self, plan: InstallPlan, store: Store, link: bool, listen: Listener, stop: Callable[[], bool], task: str
    ) -> None:
        self._plan = plan
        self._store = store
        self._link = link
        self._listen = listen
        self._stop = stop
        self._task = task
        self._aside: list[tuple[str, str]] = []
        self._removed: list[str] = []
        self._bytes = 0
        self._swept: set[Path] = set()
        self._total = sum(action.blob.size for action in plan.writes)

    def run(self) -> Installed:
        for action in self._plan.writes:
            self._put(action)
        for folder in self._swept:
            sync_folder(folder)
        for leaving in self._plan.leaving:
            target = place(self._plan.folder, leaving.path)
            if leaving.verb == "remove":
                self._remove(target)
                self._removed.append(leaving.path)
            elif leaving.verb == "leave":
                self._warn(f"{target} is no longer part of {self._plan.demo.demo}; it stays, as {leaving.reason}")
        if not _written_down(self._plan):
            for name, text in _own_files(self._plan.manifest, self._unfit).items():
                path = self._plan.folder / name
                write_atomic(path, text.encode())
                if name == RUN_TESTS:
                    path.chmod(0o755)
        return Installed(
            written=tuple(action.path for action in self._plan.writes),
            kept=tuple(action.path for action in self._plan.actions if action.verb in ("keep", "adopt")),
            removed=tuple(self._removed),
            set_aside=tuple(self._aside),
            bytes_written=self._bytes,
        )

    def _put(self, action: Action) -> None:
        target = place(self._plan.folder, action.path)
        with storage(target.parent, doing="make the folder"):
            target.parent.mkdir(parents=True, exist_ok=True)
        self._sweep(target.parent)
        temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}{_UNDER_WAY}")
        try:
            linked = self._link and self._hard_link(action.blob, temporary)
            if not linked:
                self._copy(action.blob, temporary, target)
            if action.verb == "set-aside":
                self._set_aside(action, target)
            with storage(target, doing="install"):
                temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        self._store.remember(target, action.blob.sha256)

    def _sweep(self, folder: Path) -> None:
        """Remove what a killed run left under way; nobody else writes here while the tree is locked."""
        if folder in self._swept:
            return
        self._swept.add(folder)
        with storage(folder, doing="look into the folder"):
            for entry in os.scandir(folder):
                if entry.name.startswith(".") and entry.name.endswith(_UNDER_WAY):
                    with contextlib.suppress(OSError):
                        Path(entry.path).unlink()

    def _hard_link(self, blob: Blob, temporary: Path) -> bool:
        try:
            os.link(blob.path, temporary)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES):
                raise storage_error(error, temporary, doing="link") from error
            self._listen(
                Event("note", task=self._task, text=f"{temporary.parent} takes no hard links to the store; copying")
            )
            self._link = False
            return False
        return True

    def _copy(self, blob: Blob, temporary: Path, target: Path) -> None:
        with (
            storage(target, needed=blob.size, doing="install"),
            blob.path.open("rb", buffering=0) as source,
            temporary.open("xb", buffering=0) as copy,
        ):
            done = 0
            while done < blob.size:
                if self._stop():
                    raise Interrupted("stopped while installing")
                count = _copy_piece(source.fileno(), copy.fileno(), min(16 * CHUNK, blob.size - done))
                if not count:
                    break
                done += count
                self._bytes += count
                self._listen(Event("progress", task=self._task, label=target.name, done=self._bytes, total=self._total))
            os.fsync(copy.fileno())
        if done != blob.size:
            raise StorageError("a file of the store became shorter while it was read", where=str(blob.path))

    def _set_aside(self, action: Action, target: Path) -> None:
        kept = _free_name(target)
        with storage(target, doing="set aside"):
            # A second name first, so that at no instant the file has none; a link cannot be linked everywhere.
            try:
                os.link(target, kept, follow_symlinks=False)
            except OSError:
                target.rename(kept)
        self._aside.append((action.path, kept.name))
        self._warn(f"{target} was not replaced silently: {action.reason}; it is kept as {kept.name}")

    def _remove(self, target: Path) -> None:
        with storage(target, doing="remove"):
            target.unlink(missing_ok=True)
        for folder in target.parents:
            if folder == self._plan.folder:
                break
            try:
                folder.rmdir()
            except OSError:
                break

    def _unfit(self, error: RecipeError) -> None:
        self._warn(f"{RUN_TESTS} leaves a demo out: {error.what} ({error.got or self._plan.demo.demo})")

    def _warn(self, text: str) -> None:
        self._listen(Event("warning", task=self._task, text=text))


def _free_name(target: Path) -> Path:
    """Find the first of NAME.orig, NAME.orig.2, ... that is not taken."""
    number = 1
    while True:
        name = target.with_name(f"{target.name}.orig{'' if number == 1 else f'.{number}'}")
        if not os.path.lexists(name):
            return name
        number += 1


def _copy_piece(source: int, target: int, count: int) -> int:
    """Copy up to `count` bytes at the files' positions, inside the kernel (sharing blocks) where that is possible."""
    try:
        return os.copy_file_range(source, target, count)
    except (AttributeError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_RANGE:
            raise
    data = os.read(source, min(count, CHUNK))
    write_all(target, data)
    return len(data)


_NO_RANGE = (errno.ENOSYS, errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF, errno.EPERM, errno.ETXTBSY)
