"""Check that a demo is complete in its tree, and that the tree's lists match its manifest."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from modelprep.errors import RecipeError
from modelprep.store import Store
from modelprep.tree.journal import interrupted
from modelprep.tree.manifest import MANIFEST, RUN_TESTS, SUMS, Manifest
from modelprep.tree.selection import run_tests


def own_files(manifest: Manifest, unfit: Callable[[RecipeError], None] = lambda _: None) -> dict[str, str]:
    """Return name -> text of the files made from the manifest, in the order of writing: the manifest itself last.

    `unfit` is called with the reason for each demo that ``run-tests.sh`` leaves out.
    """
    return {RUN_TESTS: run_tests(manifest, unfit=unfit), SUMS: manifest.sums(), MANIFEST: manifest.text()}


def damaged_lists(folder: Path, manifest: Manifest) -> dict[str, str]:
    """Return name -> text of :func:`own_files` for those that are missing or differ in the tree."""
    return {name: text for name, text in own_files(manifest).items() if not _holds(folder / name, text.encode())}


def _holds(path: Path, data: bytes) -> bool:
    try:
        found = path.lstat()
        return stat.S_ISREG(found.st_mode) and found.st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False


def lists_in_place(folder: Path, manifest: Manifest) -> bool:
    """Say whether the manifest, ``SHA256SUMS`` and ``run-tests.sh`` of a tree are correct."""
    return not damaged_lists(folder, manifest)


def files_in_place(folder: Path, manifest: Manifest, recipe: str, store: Store) -> bool:
    """Say whether every file that the manifest lists for a recipe is intact.

    A recipe whose installation was interrupted is not in place. Files that have not changed since they were hashed are
    trusted (the store's digest memo).
    """
    if interrupted(folder, recipe):
        return False
    for entry in manifest.files.values():
        if recipe not in entry.demos:
            continue
        path = folder / entry.path
        try:
            found = path.lstat()
        except OSError:
            return False
        if not stat.S_ISREG(found.st_mode) or found.st_size != entry.size:
            return False
        if store.digest_of(path)[0] != entry.sha256:
            return False
    return True


def in_place(folder: Path, manifest: Manifest, recipe: str, store: Store) -> bool:
    """Say whether a demo and the lists of its tree are in place."""
    return lists_in_place(folder, manifest) and files_in_place(folder, manifest, recipe, store)
