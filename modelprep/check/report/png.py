"""A PNG writer for reports: eight bits a channel, grey or RGB (PNG specification, ISO/IEC 15948)."""

from __future__ import annotations

import struct
import zlib

from modelprep.formats.arrays import Array

_UP = 2


def encode(pixels: Array) -> bytes:
    """Return a picture as PNG; `pixels`: uint8, shape (height, width) for grey or (height, width, 3) for RGB."""
    import numpy as np

    height, width = pixels.shape[:2]
    colour = 0 if pixels.ndim == 2 else 2
    rows = np.ascontiguousarray(pixels).reshape(height, -1)
    # Each row as its difference from the one above makes photographs a third smaller.
    above = np.vstack([np.zeros((1, rows.shape[1]), np.uint8), rows[:-1]])
    filtered = np.hstack([np.full((height, 1), _UP, np.uint8), rows - above])
    header = struct.pack(">2I5B", width, height, 8, colour, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
