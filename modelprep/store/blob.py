"""A file of the store."""

from __future__ import annotations

from pathlib import Path

from modelprep.structs import dataclass


@dataclass(frozen=True)
class Blob:
    """A file of the store: its SHA-256, its size in bytes, and its path (read-only; the name has no meaning)."""

    sha256: str
    size: int
    path: Path
