"""A file of the store."""

from __future__ import annotations

from pathlib import Path

from modelprep.structs import dataclass


@dataclass(frozen=True)
class Blob:
    """A file of the store: its SHA-256, its size in bytes, and where it lies (read-only; the name tells nothing)."""

    sha256: str
    size: int
    path: Path
