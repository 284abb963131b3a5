"""Small file systems to fill."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def mounted(size: str) -> Iterator[Path]:
    """Yield the folder of a tmpfs of a size (``600k``).

    Raises
    ------
    AssertionError
        This user may not mount; run as root or in ``unshare -rm``.
    """
    with tempfile.TemporaryDirectory(prefix="modelprep-disk-") as folder:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 0, f"needs the right to mount ({made.stderr.strip()}): run it in `unshare -rm`"
        try:
            yield Path(folder)
        finally:
            # Lazily: a process that was killed may be about for a moment yet.
            subprocess.run(["umount", "-l", folder], check=True)
