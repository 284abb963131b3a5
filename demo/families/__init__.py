"""What the stand-in upstream is made of: one module a family of demos, each with a `make` that returns its files.

A new family is a new module here: its `make` returns a list of :class:`Made`, and nothing else must be told of it.
Which addresses a file is served at, and inside which archives, follows from the sources that the recipes name.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Made:
    """One asset of the stand-in.

    `asset`: id of the shared asset in ``recipes/assets`` that it stands for. `data`: the asset's bytes. Where a source
    of it is an archive with a `member`, they become that member. `beside`: further members of such an archive: path ->
    bytes.
    """

    asset: str
    data: bytes
    beside: Mapping[str, bytes] = field(default_factory=dict)


def make_all() -> dict[str, Made]:
    """Make the assets of all families, by asset id."""
    stems = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))
    made: dict[str, Made] = {}
    for stem in stems:
        for item in importlib.import_module(f"{__name__}.{stem}").make():
            if item.asset in made:
                raise ValueError(f"two families make the asset {item.asset}")
            made[item.asset] = item
    return made
