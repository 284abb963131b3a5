"""``modelprep.lock``: first-use checksums of assets without a published one.

A file to commit: sorted YAML, one block per asset, so that a new pin is a small change in a review. Downloaded recipes
are pinned in it too, under ``recipes:`` and their URL; ``first_seen_from`` is the URL of their current version.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.errors import RecipeError
from modelprep.quoting import line, yaml
from modelprep.structs import dataclass

if TYPE_CHECKING:
    from modelprep.recipe.shapes import MapOf

#: Value of `pinned_by` for a first-use checksum.
FIRST_USE = "first use, from "
LOCK_NAME = "modelprep.lock"
_HEADER = "# First-use pins of modelprep; commit this file. A later fetch of another file fails.\n"


def lock_path(lockfile: Path | None, out: Path) -> Path:
    """Return the lock file: the named one, else the one in the output folder."""
    return lockfile or out / LOCK_NAME


@dataclass(frozen=True)
class Pin:
    """The first-use checksum of an asset, its size in bytes, and its URL."""

    sha256: str
    size: int
    first_seen_from: str


def read_lock(path: Path) -> dict[str, Pin]:
    """Read a lock file by :attr:`~modelprep.recipe.schema.Asset.lock_key`; empty if it does not exist.

    Raises `RecipeError` if it is not a valid lock file (a merge conflict, a truncated digest, ...).
    """
    if not path.exists():
        return {}
    from modelprep.recipe import yaml_tree
    from modelprep.recipe.problems import BAD, Problems

    text = yaml_tree.read_text(path)
    if not any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()):
        return {}
    if any(line.startswith(("<<<<<<<", ">>>>>>>")) for line in text.splitlines()):
        raise RecipeError("the lock file has a merge conflict", where=str(path), hint="keep one side of each")
    problems = Problems(path)
    table = _pins().read(yaml_tree.compose(text, path, problems), "", problems)
    problems.raise_any()
    assert table is not BAD
    return {key: Pin(pin["sha256"], pin["size"], pin["first_seen_from"]) for key, pin in table.items()}


def _pins() -> MapOf:
    from modelprep.recipe.scalars import Hex
    from modelprep.recipe.shapes import Field, MapOf, Struct
    from modelprep.recipe.tables import LINE, LOCK_KEY, SIZE

    return MapOf(
        LOCK_KEY,
        Struct(
            "a pin",
            (
                Field("sha256", Hex("sha256", 64), "sha256 of the first download", required=True),
                Field("size", SIZE, "its size in bytes", required=True),
                Field("first_seen_from", LINE, "its URL", required=True),
            ),
        ),
    )


def format_lock(pins: Mapping[str, Pin]) -> str:
    """Write pins as the text of a lock file: sorted by key, the same text for the same pins."""
    blocks = [_HEADER]
    for key in sorted(pins):
        pin = pins[key]
        blocks.append(
            f"{yaml(key) if ':' in key else key}:\n  sha256: {yaml(pin.sha256)}\n  size: {pin.size}\n"
            f"  first_seen_from: {yaml(line(pin.first_seen_from))}\n"
        )
    return "".join(blocks)
