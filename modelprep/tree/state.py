"""Whether a demo stands in its tree, whole."""

from __future__ import annotations

import stat
from pathlib import Path

from modelprep.store import Store
from modelprep.tree.manifest import MANIFEST, RUN_TESTS, SUMS, Manifest


def in_place(folder: Path, manifest: Manifest, recipe: str, store: Store) -> bool:
    """Say whether every file that the manifest lists for a recipe is there with its bytes.

    Files that were hashed before and have not changed since are believed (the store's digest memo).
    """
    if not all((folder / name).is_file() for name in (MANIFEST, SUMS, RUN_TESTS)):
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
