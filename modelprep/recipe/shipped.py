"""The recipes that come with the package, and their URLs."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from modelprep.errors import UsageError


def shipped_folder() -> Path:
    """Find the recipes that came with the package: beside it in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_recipes", package.parent / "recipes"):
        if folder.is_dir():
            return folder
    raise UsageError("the shipped recipes are missing", where=str(package), hint="install modelprep again")


def is_packaged(url: str, path: Path) -> bool:
    """Say whether a URL, as written in `path`, is part of the packaged catalogue, so that its query is public."""
    try:
        folder = shipped_folder()
    except UsageError:
        return False
    if path.resolve().is_relative_to(folder):
        return True
    return re.search(rf"(?<![^\s\"'\[{{,]){re.escape(url)}(?![^\s\"'\]}},])", _texts(folder)) is not None


@lru_cache(maxsize=1)
def _texts(folder: Path) -> str:
    return "\n".join(path.read_text("utf-8") for path in sorted(folder.glob("*/*.yaml")))
