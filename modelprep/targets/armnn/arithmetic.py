"""What C++ makes of numbers on the board: 32-bit unsigned arithmetic, single precision, casts out of range."""

from __future__ import annotations

import math
import struct


def u32(value: int) -> int:
    """Wrap a whole number to 32 bits, unsigned."""
    return value & 0xFFFFFFFF


def i32(value: int, bits: int = 32) -> int:
    """Wrap a whole number to 32 bits (or `bits`), two's complement."""
    half = 1 << bits - 1
    return (value + half) % (2 * half) - half


def i64(value: int) -> int:
    """Wrap a whole number to 64 bits, two's complement."""
    return i32(value, 64)


def f32(value: float) -> float:
    """Round to single precision."""
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def divided(dividend: float, divisor: float) -> float:
    """Divide in single precision; a division by zero returns infinity, zero by zero not a number."""
    top, bottom = f32(dividend), f32(divisor)
    if bottom == 0.0:
        return math.nan if top == 0.0 or math.isnan(top) else math.copysign(math.inf, top)
    return f32(top / bottom)


def to_u32(value: float) -> int:
    """Cast to unsigned 32 bits as x86-64 does: by way of 64 bits, what does not fit there becomes 0."""
    return u32(int(value)) if math.isfinite(value) and abs(value) < 1 << 63 else 0


def to_i32(value: float) -> int:
    """Cast to signed 32 bits as x86-64 does: what does not fit becomes the lowest number."""
    return int(value) if math.isfinite(value) and -(1 << 31) <= int(value) < 1 << 31 else -(1 << 31)


def ceiling(value: float) -> float:
    """Round up; infinity and no number stay what they are."""
    return float(math.ceil(value)) if math.isfinite(value) else value


def floor(value: float) -> float:
    """Round down; infinity and no number stay what they are."""
    return float(math.floor(value)) if math.isfinite(value) else value
