"""The journal of an installation: which files in a tree are ours before they are in the manifest.

It is written before the first file: the temporary files, and digest and size of each destination. A killed run leaves
its journal. The next run removes the temporary files that it lists, and treats a listed destination as ours if it has
the listed bytes. Nothing is removed because of its name alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from modelprep.errors import StorageError
from modelprep.regular import opened
from modelprep.store.disk import storage, sync_file, sync_folder
from modelprep.structs import dataclass, field
from modelprep.tree.places import place

JOURNAL = ".modelprep-install.json"
_NEW = f"{JOURNAL}.new"
_NAME = re.compile(r"\.[0-9a-f]{8}-\d+\.modelprep")
#: SHA-256 and size of a file that was, or was about to be, installed.
Content = tuple[str, int]


@dataclass(frozen=True)
class Records:
    """Contents of a journal: temporary files, and recipe -> path -> contents that its installations intended."""

    temporary: tuple[str, ...] = ()
    written: Mapping[str, Mapping[str, frozenset[Content]]] = field(default_factory=dict)

    def contents(self, path: str) -> frozenset[Content]:
        """Return the contents that installations intended for a path."""
        return frozenset().union(*(paths.get(path, frozenset()) for paths in self.written.values()))


@dataclass
class Reserved:
    """The temporary file of each path, and whether any has been renamed."""

    temporary: Mapping[str, Path]
    landed: bool = False

    def put(self, path: str, target: Path) -> None:
        """Rename the temporary file of a path to its final name."""
        self.landed = True
        self.temporary[path].replace(target)


@contextlib.contextmanager
def journal(folder: Path, recipe: str, files: Mapping[str, Content], lists: Iterable[str]) -> Iterator[Reserved]:
    """Reserve a temporary file beside each path, in the journal first; remove leftovers at the end.

    The tree's lock is held. Entries of earlier journals are kept until their recipe is installed.
    """
    before = sweep(folder)
    token = os.urandom(4).hex()
    names = {
        path: f"{path.rpartition('/')[0]}/.{token}-{number}.modelprep".lstrip("/")
        for number, path in enumerate([*files, *lists])
    }
    reserved = Reserved({path: place(folder, name) for path, name in names.items()})
    mine = before.written.get(recipe, {})
    added = {path: mine.get(path, frozenset()) | {content} for path, content in files.items()}
    written = {**before.written, recipe: {**mine, **added}}
    _write(folder, Records(tuple(names.values()), written))
    try:
        yield reserved
    except BaseException:
        _unlink(reserved.temporary.values())
        if not reserved.landed:
            with contextlib.suppress(StorageError):
                _write(folder, Records((), before.written))
        raise
    _unlink(reserved.temporary.values())
    _write(folder, Records((), {name: paths for name, paths in before.written.items() if name != recipe}))


def interrupted(folder: Path, recipe: str) -> bool:
    """Say whether an installation of a recipe is running or was killed, or temporary files of any are left."""
    if not (folder / JOURNAL).is_file() and not (folder / _NEW).is_file():
        return False
    records = read_journal(folder)
    return bool(records.temporary) or recipe in records.written or (folder / _NEW).is_file()


def read_journal(folder: Path) -> Records:
    """Read a tree's journal; empty if there is none or it is not valid."""
    try:
        with opened(folder / JOURNAL) as file:
            value = json.load(file)
        return Records(
            tuple(name for name in value["temporary"] if isinstance(name, str)),
            {recipe: _contents(paths) for recipe, paths in value["written"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Records()


def _contents(paths: Any) -> dict[str, frozenset[Content]]:
    return {path: frozenset((str(sha256), int(size)) for sha256, size in each) for path, each in paths.items()}


def sweep(folder: Path) -> Records:
    """Remove the temporary files of a killed installation, while the tree's lock is held; return its records."""
    records = read_journal(folder)
    for name in records.temporary:
        if _NAME.fullmatch(name.rpartition("/")[2]):
            with contextlib.suppress(OSError, StorageError):
                place(folder, name).unlink(missing_ok=True)
    return records


def _unlink(paths: Iterable[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _write(folder: Path, records: Records) -> None:
    """Write a journal atomically; without records, remove it."""
    note, new = folder / JOURNAL, folder / _NEW
    if not records.temporary and not records.written:
        _unlink([note, new])
        return
    written = {
        recipe: {path: sorted(map(list, contents)) for path, contents in paths.items()}
        for recipe, paths in records.written.items()
    }
    with storage(note, doing="install"):
        with new.open("w", encoding="utf-8", errors="surrogatepass") as file:
            json.dump({"temporary": records.temporary, "written": written}, file)
            file.flush()
            sync_file(file.fileno())
        new.replace(note)
        sync_folder(folder)
