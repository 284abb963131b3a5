"""Files that recipes name on this machine, and the files of shared assets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from modelprep.url import Url


def file_of(url: str, path: Path) -> Path:
    """Return the path of a ``file:`` URL in the file `path`; ``file:name`` is a file beside it."""
    name = unquote(re.sub(r"^file:(?://(?:localhost)?(?=/))?", "", url), errors="surrogateescape")
    return path.parent.absolute() / name


def lies_in(url: str, path: Path, root: Path | None) -> bool:
    """Return whether a ``file:`` URL of the file `path` is inside `root` (None: its folder), after following links."""
    return file_of(url, path).resolve().is_relative_to((root or path.parent).resolve())


def shared_files(folder: Path) -> list[Path]:
    """List the files of shared assets in a folder, sorted by name."""
    return sorted(path for path in folder.glob("*.yaml") if path.is_file()) if folder.is_dir() else []


def root_of(path: Path, folders: Sequence[Path]) -> Path | None:
    """Return the folder of recipes that contains a file, the last one that matches; None for a separate file."""
    here = path.parent.resolve() / path.name
    return next((folder for folder in reversed(folders) if here.is_relative_to(folder.resolve())), None)


def stays_inside(url: Url, folders: Sequence[Path]) -> bool:
    """Return whether a recipe's ``file:`` URL still stays inside the folder of recipes that contains the recipe."""
    path = Path(url.place.rpartition(":")[0])
    return lies_in(url.reveal(), path, root_of(path, folders))
