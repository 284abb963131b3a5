"""Open regular files only: never a pipe, which may block for ever, nor a device, which may be endless."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def opened(path: Path) -> BinaryIO:
    """Open a regular file for reading; anything else is an `OSError` (``EINVAL``, for a folder ``EISDIR``)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        code, what = (errno.EISDIR, "folder") if stat.S_ISDIR(mode) else (errno.EINVAL, "device, pipe or socket")
        raise OSError(code, f"expected a file, found a {what}", str(path))
    return os.fdopen(descriptor, "rb")
