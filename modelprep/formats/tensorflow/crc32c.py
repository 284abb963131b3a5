"""CRC-32C (Castagnoli), the checksum of TensorFlow's checkpoints.

Checkpoints of 100 MB are verified byte by byte, which google-crc32c does through the processor's own instruction at
10 GB/s. Where its wheel is missing, it falls back to plain Python, which is slow but right.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

Buffer = bytes | bytearray | memoryview

#: google-crc32c requires ``bytes``: a mapped file is passed in copies of this many bytes, which fit the CPU's cache.
_CHUNK = 1 << 18
_MASK_DELTA = 0xA282EAD8


def crc32c(data: Buffer, value: int = 0) -> int:
    """Continue the CRC-32C `value` over `data`.

    `value`: CRC of what came before; 0 at the start.
    """
    extend = _extend()
    if isinstance(data, bytes):
        return extend(value, data)
    view = memoryview(data)
    for start in range(0, len(view), _CHUNK):
        value = extend(value, bytes(view[start : start + _CHUNK]))
    return value


def unmask(masked: int) -> int:
    """Return back the CRC that :func:`mask` hid."""
    rotated = (masked - _MASK_DELTA) & 0xFFFFFFFF
    return ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF


def mask(crc: int) -> int:
    """Hide a CRC the way it is stored: rotated by 15 bits plus a constant, so that CRCs of CRCs stay harmless."""
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


@cache
def _extend() -> Callable[[int, bytes], int]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it says so when its C part is missing
        import google_crc32c
    extend: Callable[[int, bytes], int] = google_crc32c.extend
    return extend
