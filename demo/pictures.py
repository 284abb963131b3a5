"""Pictures drawn by code, and the simplest writers of JPEG, PNG and BMP that make valid files out of them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from demo import containers

#: (column, row) of a block -> (red, green, blue), 0..255.
Painter = Callable[[int, int], tuple[int, int, int]]

# Huffman codes of DC categories 0..11, the typical ones of the JPEG standard (ITU T.81, table K.3).
_DC_BITS = bytes([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
_DC_CODES = ((0b00, 2), (0b010, 3), (0b011, 3), (0b100, 3), (0b101, 3), (0b110, 3), (0b1110, 4), (0b11110, 5),
             (0b111110, 6), (0b1111110, 7), (0b11111110, 8), (0b111111110, 9))  # fmt: skip


def jpeg(columns: int, rows: int, paint: Painter) -> bytes:
    """Write a baseline JPEG of `columns` x `rows` blocks of 8x8 pixels, one colour each.

    A block of one colour has a DC coefficient and nothing else, so there is no cosine in it and no rounding that could
    differ: with a quantiser of 8, DC is the sample minus 128.
    """
    out = bytearray(b"\xff\xd8")

    def segment(marker: int, body: bytes) -> None:
        out.extend(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body)

    segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0")
    segment(0xDB, b"\0" + bytes([8]) + bytes([16] * 63))
    components = b"".join(bytes([i, 0x11, 0]) for i in (1, 2, 3))
    segment(0xC0, struct.pack(">BHHB", 8, rows * 8, columns * 8, 3) + components)
    segment(0xC4, b"\x00" + _DC_BITS + bytes(range(12)))
    segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\0")  # AC: the only code is 0, end of block
    segment(0xDA, b"\x03" + b"".join(bytes([i, 0]) for i in (1, 2, 3)) + b"\0\x3f\0")
    bits = _Bits()
    previous = [0, 0, 0]
    for row in range(rows):
        for column in range(columns):
            for index, value in enumerate(_ycc(*paint(column, row))):
                difference, previous[index] = value - 128 - previous[index], value - 128
                category = abs(difference).bit_length()
                bits.put(*_DC_CODES[category])
                if category:
                    bits.put(difference if difference > 0 else difference + (1 << category) - 1, category)
                bits.put(0, 1)
    out += bits.finish()
    return bytes(out + b"\xff\xd9")


def bmp(width: int, height: int, paint: Painter) -> bytes:
    """Write a 24-bit BMP, rows from the bottom up, each padded to four bytes."""
    padding = b"\0" * (-3 * width % 4)
    size = (3 * width + len(padding)) * height
    header = struct.pack("<2sIHHI", b"BM", 54 + size, 0, 0, 54)
    header += struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, size, 2835, 2835, 0, 0)
    rows = ((paint(x, y) for x in range(width)) for y in range(height - 1, -1, -1))
    return header + b"".join(b"".join(bytes((b, g, r)) for r, g, b in row) + padding for row in rows)


def png(width: int, height: int, paint: Painter, *, cell: int = 8) -> bytes:
    """Write an RGB PNG, painted in squares of `cell` pixels, its data stored and not compressed."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = []
    for top in range(0, height, cell):
        colours = b"".join(bytes(paint(left // cell, top // cell)) * cell for left in range(0, width, cell))
        rows += [b"\0" + colours[: 3 * width]] * min(cell, height - top)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", containers.zlib_stored(b"".join(rows))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def scene(seed: int) -> Painter:
    """Return a painter of hills under a sky, other ones for each seed, on a grid of about 32x32."""

    def paint(x: int, y: int) -> tuple[int, int, int]:
        ridge = 16 + ((x * (5 + seed)) % 11 + (x * x + 7 * seed) % 13) // 3
        if (x - 6 - seed) ** 2 + (y - 6) ** 2 < 12:
            return 250, 220 - 10 * seed, 90
        if y < ridge:
            return 90 + 2 * y, 150 + 2 * y, 230 - seed
        return (60 + 13 * seed + 3 * (x % 5)) % 256, (140 - 2 * (y - ridge)) % 256, (50 + 29 * seed) % 256

    return paint


def _ycc(red: int, green: int, blue: int) -> tuple[int, int, int]:
    """Convert to luma and chroma (JFIF), in integers."""
    y = (299 * red + 587 * green + 114 * blue + 500) // 1000
    return y, _byte(128 + (blue - y) * 564 // 1000), _byte(128 + (red - y) * 713 // 1000)


def _byte(value: int) -> int:
    return max(0, min(255, value))


class _Bits:
    def __init__(self) -> None:
        self._out = bytearray()
        self._value = self._count = 0

    def put(self, value: int, count: int) -> None:
        self._value = (self._value << count) | value
        self._count += count
        while self._count >= 8:
            self._count -= 8
            byte = (self._value >> self._count) & 0xFF
            self._out.append(byte)
            if byte == 0xFF:
                self._out.append(0)  # a zero is stuffed after every ff
        self._value &= (1 << self._count) - 1

    def finish(self) -> bytes:
        if self._count:
            self.put((1 << (8 - self._count)) - 1, 8 - self._count)
        return bytes(self._out)
