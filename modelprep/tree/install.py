"""Execute the plan of :mod:`modelprep.tree.plan`: every file is written by rename, completely or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from modelprep.errors import Interrupted, RecipeError
from modelprep.events import Event, Listener, silent
from modelprep.store import Blob, Store
from modelprep.store.disk import set_mode, storage, storage_error, sync_file, sync_folder
from modelprep.store.syncing import sync_all
from modelprep.structs import dataclass, field
from modelprep.tree.journal import Reserved, interrupted, journal
from modelprep.tree.manifest import RUN_TESTS
from modelprep.tree.places import place, tree_lock
from modelprep.tree.plan import Action, InstallPlan, plan_install
from modelprep.tree.state import damaged_lists, lists_in_place, own_files

#: Maximum bytes of a batch of files.
_BATCH = 64 << 20


@dataclass(frozen=True)
class Installed:
    """What was done to a tree, by paths inside it; adopted files count as kept, hard links as 0 bytes written.

    `set_aside` has (path, new name) of files with local changes, `repaired` the names of the tree's own lists
    (``SHA256SUMS``, ``run-tests.sh``) that were damaged or missing.
    """

    written: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    set_aside: tuple[tuple[str, str], ...] = ()
    bytes_written: int = 0
    repaired: tuple[str, ...] = ()


def apply_install(
    plan: InstallPlan,
    store: Store,
    *,
    link: bool = False,
    listen: Listener = silent,
    stop: Callable[[], bool] | None = None,
) -> Installed:
    """Apply a plan to a tree.

    The tree is locked and the plan made again under the lock, in case another process changed the tree. New files come
    first, then removals, then ``run-tests.sh``, ``SHA256SUMS`` and ``MANIFEST.json``; a killed run, a full disk, a
    corrupt cached file or a true `stop` leaves complete files, and the next run resumes
    (:mod:`modelprep.tree.journal`). Every file is hashed while it is copied from the store; with `link` tree and store
    share one file, where the file system allows it.
    """
    recipe = plan.demo.recipe
    if not (plan.changes or interrupted(plan.folder, recipe)) and lists_in_place(plan.folder, plan.manifest):
        return Installed(kept=tuple(action.path for action in plan.actions))
    task = f"install:{recipe}"

    def waiting() -> None:
        listen(Event("note", task=task, text=f"another process is installing into {plan.folder}; waiting for it"))

    with tree_lock(plan.folder, on_wait=waiting, stop=stop):
        fresh = plan_install(plan.folder, plan.demo, plan.files, plan.provenance, store, peers=plan.peers)
        return _Installation(fresh, store, link, listen, stop or (lambda: False), task).run()


@dataclass(eq=False)
class _Installation:
    """One application of a plan, while the tree's lock is held."""

    plan: InstallPlan
    store: Store
    link: bool
    listen: Listener
    stop: Callable[[], bool]
    task: str
    aside: list[tuple[str, str]] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    folders: set[Path] = field(default_factory=set)
    done: int = 0  # bytes

    def run(self) -> Installed:
        folder = self.plan.folder
        own = damaged_lists(folder, self.plan.manifest)
        if own:
            own_files(self.plan.manifest, self._unfit)
        contents = {action.path: (action.blob.sha256, action.blob.size) for action in self.plan.writes}
        with journal(folder, self.plan.demo.recipe, contents, own) as reserved:
            for batch in _batches(self.plan.writes):
                self._put(batch, reserved)
            with storage(folder, doing="install"):
                sync_all(self.folders)
            for leaving in self.plan.leaving:
                target = place(folder, leaving.path)
                if leaving.verb == "remove":
                    self._remove(target)
                    self.removed.append(leaving.path)
                elif leaving.verb == "leave":
                    self._warn(f"{target} is no longer part of {self.plan.demo.demo}; it is kept: {leaving.reason}")
            for name, text in own.items():
                self._write(folder / name, text.encode(), reserved)
        return Installed(
            written=tuple(action.path for action in self.plan.writes),
            kept=tuple(action.path for action in self.plan.actions if action.verb in ("keep", "adopt")),
            removed=tuple(self.removed),
            repaired=tuple(own) if self.plan.manifest.text() == self.plan.before.text() else (),
            set_aside=tuple(self.aside),
            bytes_written=self.done,
        )

    def _put(self, batch: list[Action], reserved: Reserved) -> None:
        """Write some files under temporary names, synchronize them together, and rename them."""
        targets = {action.path: place(self.plan.folder, action.path) for action in batch}
        written: list[Action] = []
        try:
            for action in batch:
                target, temporary = targets[action.path], reserved.temporary[action.path]
                with storage(target.parent, doing="make the folder"):
                    target.parent.mkdir(parents=True, exist_ok=True)
                self.folders.add(target.parent)
                if not (self.link and self._hard_link(action.blob, temporary)):
                    self._copy(action.blob, temporary, target)
                written.append(action)
        finally:  # also if the disk is full or the user stops it: complete files are installed
            with storage(self.plan.folder, doing="install"):
                sync_all(reserved.temporary[action.path] for action in written)
            with self.store.recording():
                for action in written:
                    self._land(action, targets[action.path], reserved)

    def _land(self, action: Action, target: Path, reserved: Reserved) -> None:
        if action.verb == "set-aside":
            self._set_aside(action, target)
        with storage(target, doing="install"):
            reserved.put(action.path, target)
        self.store.remember(target, action.blob.sha256)

    def _write(self, target: Path, data: bytes, reserved: Reserved) -> None:
        temporary = reserved.temporary[target.name]
        with storage(target, needed=len(data), doing="install"):
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                sync_file(file.fileno())
            if target.name == RUN_TESTS:
                set_mode(temporary, 0o755)
            reserved.put(target.name, target)
            sync_folder(target.parent)

    def _hard_link(self, blob: Blob, temporary: Path) -> bool:
        try:
            self.store.link(blob, temporary)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES):
                raise storage_error(error, temporary, doing="link") from error
            text = f"hard links to the cache are not possible in {temporary.parent}; copying"
            self.listen(Event("note", task=self.task, text=text))
            self.link = False
            return False
        return True

    def _copy(self, blob: Blob, temporary: Path, target: Path) -> None:
        begun, total = self.done, sum(action.blob.size for action in self.plan.writes)

        def progress(done: int, _: int | None) -> None:
            if self.stop():
                raise Interrupted("stopped while installing")
            self.done = begun + done
            self.listen(Event("progress", task=self.task, label=target.name, done=self.done, total=total))

        with storage(target, needed=blob.size, doing="install"):
            self.store.copy(blob, temporary, progress=progress, sync=False)

    def _set_aside(self, action: Action, target: Path) -> None:
        kept = _free_name(target)
        with storage(target, doing="set aside"):
            # A second name first, so that the file always has one; some systems cannot link a symbolic link.
            try:
                if not os.path.lexists(kept):
                    os.link(target, kept, follow_symlinks=False)
            except OSError:
                target.rename(kept)
        self.aside.append((action.path, kept.name))
        self._warn(f"{target} had local changes ({action.reason}); saved as {kept.name}")

    def _remove(self, target: Path) -> None:
        with storage(target, doing="remove"):
            target.unlink(missing_ok=True)
        for folder in target.parents:
            if folder == self.plan.folder:
                break
            try:
                folder.rmdir()
            except OSError:
                break

    def _unfit(self, error: RecipeError) -> None:
        self._warn(f"{RUN_TESTS} leaves a demo out: {error.what} ({error.got or self.plan.demo.demo})")

    def _warn(self, text: str) -> None:
        self.listen(Event("warning", task=self.task, text=text))


def _batches(actions: Sequence[Action]) -> Iterator[list[Action]]:
    """Divide files into batches small enough to be on the disk twice for a moment."""
    batch: list[Action] = []
    size = 0
    for action in actions:
        batch.append(action)
        if (size := size + action.blob.size) >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _free_name(target: Path) -> Path:
    """Return the first of NAME.orig, NAME.orig.2, ... that is free, or is this file (after a killed run)."""
    number = 1
    while True:
        name = target.with_name(f"{target.name}.orig{'' if number == 1 else f'.{number}'}")
        if not os.path.lexists(name) or os.path.samestat(name.lstat(), target.lstat()):
            return name
        number += 1
