"""File systems of a size, or read-only, that a test may fill."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """Make a folder that is a file system of its own for as long as the block runs; skip where that is not allowed.

    Parameters
    ----------
    folder
        Is made.
    options
        Of a tmpfs: ``size=1m``, ``ro``.
    """
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("this user may not mount a file system")
    try:
        yield folder
    finally:
        # Lazily: a process that a test has killed may be about for a moment yet.
        subprocess.run(["umount", "-l", folder], check=True)
