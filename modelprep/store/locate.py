"""Where the store lies when nobody says."""

from __future__ import annotations

import os
from pathlib import Path

ENVIRONMENT = "MODELPREP_CACHE"


def default_root() -> Path:
    """Give the store's folder: ``MODELPREP_CACHE``, else ``cache/`` of a checkout, else the user's cache folder."""
    if named := os.environ.get(ENVIRONMENT):
        return Path(named).expanduser().absolute()
    if (checkout := checkout_root()) is not None:
        return checkout / "cache"
    import platformdirs

    return Path(platformdirs.user_cache_dir("modelprep", appauthor=False))


def checkout_root() -> Path | None:
    """Give the folder of the checkout that this package is run from; None for an installed one."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() and (root / "recipes").is_dir() else None
