"""The journal of an installation: which temporary files in a tree are ours, written down before the first is made.

A run that is killed leaves its journal; whoever writes to the tree next removes exactly what that lists. Nothing is
ever removed because of its name alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from modelprep.errors import StorageError
from modelprep.store.disk import storage
from modelprep.tree.places import place

JOURNAL = ".modelprep-install.json"
_NAME = re.compile(r"\.[0-9a-f]{8}-\d+\.modelprep")


@contextlib.contextmanager
def journal(folder: Path, paths: list[str]) -> Iterator[dict[str, Path]]:
    """Reserve a temporary file beside each path, in the journal first; whatever is left of them goes in the end.

    Parameters
    ----------
    folder
        The tree, whose lock is held.
    paths
        Files of the tree that are to be written; their folders exist or will.

    Returns
    -------
    dict
        Each path -> its temporary file, at which nothing exists yet.
    """
    sweep(folder)
    token = os.urandom(4).hex()
    names = {
        path: f"{path.rpartition('/')[0]}/.{token}-{number}.modelprep".lstrip("/") for number, path in enumerate(paths)
    }
    temporary = {path: place(folder, name) for path, name in names.items()}
    note = folder / JOURNAL
    with storage(note, doing="install"):
        note.write_text(json.dumps(list(names.values())), "utf-8")
    try:
        yield temporary
    finally:
        for path in temporary.values():
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            note.unlink(missing_ok=True)


def interrupted(folder: Path) -> bool:
    """Tell whether an installation into a tree is under way or was killed."""
    return (folder / JOURNAL).is_file()


def sweep(folder: Path) -> None:
    """Remove what a killed installation left in a tree whose lock is held: the files that its journal lists."""
    note = folder / JOURNAL
    try:
        listed = json.loads(note.read_bytes())
    except OSError:
        return
    except (ValueError, RecursionError):
        listed = []  # cut off while it was written, which is before the first temporary file
    for name in listed if isinstance(listed, list) else []:
        if isinstance(name, str) and _NAME.fullmatch(name.rpartition("/")[2]):
            with contextlib.suppress(OSError, StorageError):
                place(folder, name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        note.unlink(missing_ok=True)
