"""The default folder of the store."""

from __future__ import annotations

import os
from pathlib import Path

from modelprep.installed import checkout

ENVIRONMENT = "MODELPREP_CACHE"


def default_root() -> Path:
    """Return the store's folder: ``MODELPREP_CACHE``, else ``cache/`` of a checkout, else the user's cache folder."""
    if named := os.environ.get(ENVIRONMENT):
        return Path(named).expanduser().absolute()
    if (root := checkout()) is not None:
        return root / "cache"
    import platformdirs

    return Path(platformdirs.user_cache_dir("modelprep", appauthor=False)).expanduser()
