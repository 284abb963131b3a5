"""What C++ makes of numbers on the board: 32-bit unsigned arithmetic, single precision, casts out of range."""

from __future__ import annotations

import math
import struct

_WORD = 0xFFFFFFFF


def u32(value: int) -> int:
    """Wrap a whole number to 32 bits, unsigned."""
    return value & _WORD


def i32(value: int) -> int:
    """Wrap a whole number to 32 bits, two's complement."""
    value &= _WORD
    return value - (1 << 32) if value >> 31 else value


def i64(value: int) -> int:
    """Wrap a whole number to 64 bits, two's complement."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def f32(value: float) -> float:
    """Round to single precision."""
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def divided(dividend: float, divisor: float) -> float:
    """Divide in single precision; by zero gives infinity, and zero by zero no number."""
    top, bottom = f32(dividend), f32(divisor)
    if bottom == 0.0:
        return math.nan if top == 0.0 or math.isnan(top) else math.copysign(math.inf, top)
    return f32(top / bottom)


def to_u32(value: float) -> int:
    """Cast to unsigned 32 bits as x86-64 does: by way of 64 bits, what does not fit there becomes 0."""
    if math.isnan(value) or math.isinf(value) or abs(value) >= 1 << 63:
        return 0
    return u32(int(value))


def to_i32(value: float) -> int:
    """Cast to signed 32 bits as x86-64 does: what does not fit becomes the lowest number."""
    if math.isnan(value) or math.isinf(value) or not -(1 << 31) <= int(value) < 1 << 31:
        return -(1 << 31)
    return int(value)


def ceiling(value: float) -> float:
    """Round up; infinity and no number stay what they are."""
    return value if math.isnan(value) or math.isinf(value) else float(math.ceil(value))


def floor(value: float) -> float:
    """Round down; infinity and no number stay what they are."""
    return value if math.isnan(value) or math.isinf(value) else float(math.floor(value))
