"""Plan the installation of a demo; nothing is changed here."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Literal

from modelprep import quoting
from modelprep.errors import StorageError, UsageError
from modelprep.recipe.schema import Recipe
from modelprep.store import Blob, Store
from modelprep.store.disk import storage
from modelprep.structs import dataclass, field
from modelprep.tree.journal import Content, Records, read_journal
from modelprep.tree.manifest import InstalledDemo, InstalledFile, Manifest, Provenance, read_manifest
from modelprep.tree.places import place

Verb = Literal["write", "replace", "set-aside", "keep", "adopt"]
Farewell = Literal["remove", "release", "leave"]


@dataclass(frozen=True)
class Action:
    """The action for one file of the recipe, and why, in a few words.

    ``write`` a new file; ``replace`` an unchanged file of ours; ``set-aside`` a foreign or changed file (saved as
    ``NAME.orig``) and write; ``keep`` a correct file; ``adopt`` a correct file that is not in the manifest.
    """

    path: str
    verb: Verb
    blob: Blob
    reason: str


@dataclass(frozen=True)
class Leaving:
    """The action for a file that is no longer in the recipe, or that a killed installation left.

    ``remove`` it (ours, unchanged, not shared), ``release`` it (another demo still uses it, or already removed),
    ``leave`` it (changed by the user).
    """

    path: str
    verb: Farewell
    reason: str


@dataclass(frozen=True)
class InstallPlan:
    """The plan of installing a demo: an action for each file of the recipe, one for each that is no longer in it."""

    folder: Path
    demo: InstalledDemo
    actions: tuple[Action, ...]
    leaving: tuple[Leaving, ...]
    manifest: Manifest
    before: Manifest
    files: Mapping[str, Blob] = field(default_factory=dict)
    provenance: Mapping[str, Provenance] = field(default_factory=dict)
    peers: frozenset[str] = frozenset()

    @property
    def writes(self) -> tuple[Action, ...]:
        """The actions that put bytes on the disk."""
        return tuple(action for action in self.actions if action.verb in ("write", "replace", "set-aside"))

    @property
    def changes(self) -> bool:
        """True if applying it changes anything, even only the manifest."""
        return bool(self.writes or self.leaving) or self.manifest.text() != self.before.text()


def demo_entry(recipe: Recipe, key: str) -> InstalledDemo:
    """Make the manifest's entry for a recipe."""
    same = ("demo", "summary", "manual", "board", "variant", "programs", "interactive", "expect")
    facts = {name: getattr(recipe, name) for name in same}
    return InstalledDemo(recipe=recipe.name, key=key, run=str(recipe.run or ""), **facts)


def plan_install(
    folder: Path,
    demo: InstalledDemo,
    files: Mapping[str, Blob],
    provenance: Mapping[str, Provenance],
    store: Store,
    *,
    peers: Collection[str] = (),
) -> InstallPlan:
    """Decide how to install a demo's files into a tree.

    `files` and `provenance` are by path inside the tree. `peers` are recipes installed by the same request, which are
    known to agree on the files they share; `UsageError` if another demo needs other bytes in a shared file.
    """
    records, before = read_journal(folder), read_manifest(folder)
    actions = tuple(_action(folder, path, files[path], before, records, store) for path in sorted(files))
    _refuse_conflicts(folder, demo, files, before, frozenset(peers) | {demo.recipe})
    leaving = (
        *(
            _leaving(folder, entry, demo.recipe, records, store)
            for entry in before.files.values()
            if demo.recipe in entry.demos and entry.path not in files
        ),
        *_unlisted(folder, records.written.get(demo.recipe, {}), {*files, *before.files}, store),
    )
    after = _after(folder, demo, files, provenance, before)
    return InstallPlan(folder, demo, actions, leaving, after, before, files, provenance, frozenset(peers))


def _action(folder: Path, path: str, blob: Blob, manifest: Manifest, records: Records, store: Store) -> Action:
    target = place(folder, path)
    known = manifest.files.get(path)
    with storage(target, doing="look at the file"):
        try:
            found = target.lstat()
        except FileNotFoundError:
            return Action(path, "write", blob, "missing" if known else "new")
    if stat.S_ISLNK(found.st_mode):
        return Action(path, "set-aside", blob, "a link is there")
    if not stat.S_ISREG(found.st_mode):
        raise StorageError(
            "the path of a file to install is not a file",
            where=str(target),
            got="a folder" if stat.S_ISDIR(found.st_mode) else "a device, pipe or socket",
            hint="move it away, or choose another folder with --out",
        )
    if found.st_size == blob.size and store.digest_of(target)[0] == blob.sha256:
        return Action(path, "keep", blob, "in place") if known else Action(path, "adopt", blob, "found in place")
    ours = records.contents(path) | ({(known.sha256, known.size)} if known else set())
    if _holds(target, found, ours, store):
        return Action(path, "replace", blob, "the recipe has changed")
    if known is None:
        return Action(path, "set-aside", blob, "modelprep did not write this file")
    return Action(path, "set-aside", blob, "changed since modelprep wrote it")


def _holds(path: Path, found: os.stat_result, contents: Collection[Content], store: Store) -> bool:
    """Say whether a regular file has one of some contents; hashed only if one has its size."""
    if not stat.S_ISREG(found.st_mode) or all(found.st_size != size for _, size in contents):
        return False
    return (store.digest_of(path)[0], found.st_size) in contents


def _refuse_conflicts(
    folder: Path, demo: InstalledDemo, files: Mapping[str, Blob], manifest: Manifest, agreed: frozenset[str]
) -> None:
    for path, blob in sorted(files.items()):
        entry = manifest.files.get(path)
        if entry is None or entry.sha256 == blob.sha256:
            continue
        others = sorted(name for name in entry.demos if name not in agreed)
        if others:
            both = quoting.command("modelprep", "fetch", *others, demo.recipe)
            raise UsageError(
                f"'{path}' is shared with {', '.join(others)}, which was installed with other bytes",
                where=str(folder / path),
                expected=f"sha256 {entry.sha256}",
                got=f"sha256 {blob.sha256}",
                hint=f"prepare them together: {both}\nor separately: another folder with --out",
            )


def _leaving(folder: Path, entry: InstalledFile, recipe: str, records: Records, store: Store) -> Leaving:
    if set(entry.demos) - {recipe}:
        return Leaving(entry.path, "release", "another demo uses it")
    target = place(folder, entry.path)
    with storage(target, doing="look at the file"):
        try:
            found = target.lstat()
        except FileNotFoundError:
            return Leaving(entry.path, "release", "already removed")
    ours = records.contents(entry.path) | {(entry.sha256, entry.size)}
    if _holds(target, found, ours, store):
        return Leaving(entry.path, "remove", "no longer in the recipe")
    return Leaving(entry.path, "leave", "changed since modelprep wrote it")


def _unlisted(
    folder: Path, written: Mapping[str, Collection[Content]], listed: Collection[str], store: Store
) -> Iterator[Leaving]:
    """Find the files that a killed installation left."""
    for path, contents in written.items():
        with contextlib.suppress(StorageError, OSError):
            target = place(folder, path)
            if path not in listed and _holds(target, target.lstat(), contents, store):
                yield Leaving(path, "remove", "left by a killed installation")


def _after(
    folder: Path, demo: InstalledDemo, files: Mapping[str, Blob], provenance: Mapping[str, Provenance], before: Manifest
) -> Manifest:
    entries = {}
    for path, entry in before.files.items():
        owners = tuple(name for name in entry.demos if name != demo.recipe)
        if path not in files and (owners or demo.recipe not in entry.demos):
            entries[path] = InstalledFile(path, entry.sha256, entry.size, owners, entry.provenance)
    for path, blob in files.items():
        old = before.files.get(path)
        users = {demo.recipe, *(old.demos if old is not None else ())}
        # A file that two demos share has the provenance of the first by name, whichever was installed last.
        first = old is None or old.sha256 != blob.sha256 or min(users) == demo.recipe
        story = provenance.get(path, Provenance()) if first or old is None else old.provenance
        entries[path] = InstalledFile(path, blob.sha256, blob.size, tuple(sorted(users)), story)
    return Manifest(tree=before.tree or folder.name, demos={**before.demos, demo.recipe: demo}, files=entries)
