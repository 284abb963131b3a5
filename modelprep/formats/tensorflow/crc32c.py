"""CRC-32C (Castagnoli), the checksum of TensorFlow's checkpoints.

Checkpoints of 100 MB are verified byte by byte, which plain Python does at 18 MB/s and google-crc32c, through the
processor's own instruction, at 10 GB/s. Where its wheel is missing the plain table still gives the right answer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

Buffer = bytes | bytearray | memoryview

#: google-crc32c wants ``bytes``; a mapped file is handed over in copies of this many bytes, small enough for the cache.
_CHUNK = 1 << 18
_MASK_DELTA = 0xA282EAD8
_POLYNOMIAL = 0x82F63B78


def crc32c(data: Buffer, value: int = 0) -> int:
    """Continue the CRC-32C `value` over `data`.

    Parameters
    ----------
    value
        CRC of what came before; 0 at the start.
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
        warnings.simplefilter("ignore", RuntimeWarning)  # it says so when its C part is missing; ours is no slower
        try:
            import google_crc32c
        except ImportError:
            return _extend_plainly
    if google_crc32c.implementation != "c":
        return _extend_plainly
    extend: Callable[[int, bytes], int] = google_crc32c.extend
    return extend


def _extend_plainly(value: int, data: bytes) -> int:
    table = _table()
    crc = value ^ 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    table = []
    for index in range(256):
        crc = index
        for _ in range(8):
            crc = (crc >> 1) ^ (_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return tuple(table)
