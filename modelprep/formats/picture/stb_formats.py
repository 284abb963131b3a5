"""GIF, PNM and TGA as stb_image reads them, and PNG files whose checksums it does not look at.

Source: stb_image.h 2.27; the tests compare with stb itself. Where stb reads behind the end of a file, that is zeros.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import TYPE_CHECKING, Any

from modelprep.errors import StepError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Three numbers, spaces and comments before each.
_PNM_HEADER = re.compile(rb"(?:[ \t\n\v\f\r]|#[^\r\n]*)*([0-9]*)" * 3)
#: stb_image's own limit for a side.
MAX_SIDE = 1 << 24
#: What a decoded picture may take here.
MAX_PIXELS = 1 << 26


def _damaged(kind: str, why: str, origin: str) -> StepError:
    return StepError(f"the {kind} picture is damaged: {why}", where=origin, hint="save it as an RGB JPEG or PNG")


def _sized(kind: str, width: int, height: int, origin: str) -> None:
    if not 0 < width <= MAX_SIDE or not 0 < height <= MAX_SIDE or width * height > MAX_PIXELS:
        raise _damaged(kind, f"it says {width}x{height} pixels", origin)


# -- PNM -----------------------------------------------------------------------------------------------------------


def decode_pnm(data: bytes, origin: str) -> NDArray[np.uint8]:
    """Decode a binary PGM or PPM (``P5``, ``P6``).

    Returns uint8 (height, width, 1 or 3); values are not scaled by the highest one that the file names.
    """
    import numpy as np

    found = _PNM_HEADER.match(data, 2)
    assert found is not None, "every part of it may be empty"
    width, height, highest = (int(number[:20] or b"0") for number in found.groups())
    position = found.end()
    _sized("PNM", width, height, origin)
    if highest > 0xFFFF:
        raise _damaged("PNM", f"its highest value is {highest}", origin)
    channels, wide = 3 if data[1:2] == b"6" else 1, 2 if highest > 0xFF else 1
    count = width * height * channels * wide
    # stb reads all of it or nothing; of two bytes it keeps what a little-endian machine takes for the higher one.
    pixels = data[position + 1 : position + 1 + count]
    if len(pixels) < count:
        pixels = bytes(count)
    return np.frombuffer(pixels, np.uint8)[wide - 1 :: wide].reshape(height, width, channels).copy()


# -- TGA -----------------------------------------------------------------------------------------------------------


def is_tga(data: bytes) -> bool:
    """Whether stb_image takes a file for a TGA, which has no mark; it asks so only when nothing else fits."""
    if len(data) < 17:
        return False
    mapped, kind, map_bits = data[1], data[2], data[7]
    width, height = struct.unpack_from("<HH", data, 12)
    bits = data[16]
    if mapped > 1 or kind not in ((1, 9) if mapped else (2, 3, 10, 11)) or not width or not height:
        return False
    depths = (8, 15, 16, 24, 32)
    return bits in ((8, 16) if mapped else depths) and (not mapped or map_bits in depths)


def decode_tga(data: bytes, origin: str) -> NDArray[np.uint8]:
    """Decode a TGA: true colour, grey or with a colour map, packed or not.

    Returns uint8 (height, width, 1 to 4).
    """
    import numpy as np

    skip, mapped, kind, first, entries, map_bits = struct.unpack_from("<BBBHHB", data)
    width, height, bits = struct.unpack_from("<HHB", data, 12)
    upside_down = not (data[17] if len(data) > 17 else 0) >> 5 & 1
    packed, grey = kind >= 8, kind & 7 == 3
    _sized("TGA", width, height, origin)
    depth = map_bits if mapped else bits
    fives = depth == 15 or (depth == 16 and bool(mapped or not grey))
    channels = 3 if fives else depth // 8
    position = 18 + skip
    palette = None
    if mapped:
        if not entries:
            raise _damaged("TGA", "its colour map is empty", origin)
        position += first
        size = entries * (2 if fives else channels)
        if not fives and position + size > len(data):
            raise _damaged("TGA", "its colour map is cut short", origin)
        palette = _samples(data[position : position + size].ljust(size, b"\0"), channels, fives)
        position += size
    item = bits // 8 if mapped else (2 if fives else channels)
    count = width * height
    if packed:
        raw = _unpacked(data, position, item, count)
    else:
        raw = data[position : position + count * item]
        if not mapped and not fives:  # a row that is not all there is not read
            raw = raw[: len(raw) // (width * item) * width * item]
        raw = raw.ljust(count * item, b"\0")
    if palette is not None:
        places = np.frombuffer(raw, "<u2" if item == 2 else "u1").astype(int)
        pixels = palette[np.where(places < entries, places, 0)]
    else:
        pixels = _samples(raw, channels, fives)
    pixels = pixels.reshape(height, width, channels)
    if channels >= 3 and not fives:
        pixels = pixels[:, :, [2, 1, 0, *range(3, channels)]]
    return np.ascontiguousarray(pixels[::-1] if upside_down else pixels)


def _samples(raw: bytes, channels: int, fives: bool) -> Any:
    import numpy as np

    if not fives:
        return np.frombuffer(raw, np.uint8).reshape(-1, channels)
    values = np.frombuffer(raw, "<u2").astype(int)
    return np.stack([(values >> shift & 31) * 255 // 31 for shift in (10, 5, 0)], axis=-1).astype(np.uint8)


def _unpacked(data: bytes, position: int, item: int, count: int) -> bytes:
    found = bytearray()
    while len(found) < count * item:
        command = data[position] if position < len(data) else 0
        length = 1 + (command & 127)
        size, times = (item, length) if command >> 7 else (item * length, 1)
        found += data[position + 1 : position + 1 + size].ljust(size, b"\0") * times
        position += 1 + size
    return bytes(found[: count * item])


# -- GIF -----------------------------------------------------------------------------------------------------------


def decode_gif(data: bytes, origin: str) -> NDArray[np.uint8]:
    """Decode the first picture of a GIF.

    Returns uint8 (height, width, 4); what the picture leaves out has the background colour, what is transparent is
    zero.
    """
    import numpy as np

    if len(data) < 13 or data[4:6] not in (b"7a", b"9a"):
        raise _damaged("GIF", "its version", origin)
    width, height, flags, background = struct.unpack_from("<HHBB", data, 6)
    _sized("GIF", width, height, origin)
    shared = _palette(data, 13, flags) if flags & 0x80 else None
    at, transparent = _first_picture(data, 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0), origin)
    left, top, across, down, own = struct.unpack_from("<HHHHB", data, at)
    if left + across > width or top + down > height:
        raise _damaged("GIF", "a picture reaches beyond it", origin)
    position = at + 9
    palette = shared
    if own & 0x80:
        palette = _palette(data, position, own)
        position += 3 << (own & 7) + 1
    if palette is None:
        raise _damaged("GIF", "it has no colours", origin)
    places = np.frombuffer(_uncoded(data, position, across * down, origin), np.uint8)
    drawn = np.arange(across * down) < len(places)
    passes = ((0, 8), (4, 8), (2, 4), (1, 2)) if own & 0x40 else ((0, 1),)  # interlaced or not: first row, step
    order = [row for start, step in passes for row in range(start, down, step)]
    values = np.zeros((across * down, 4), np.uint8)
    values[: len(places), :3] = palette[places]
    values[: len(places), 3] = 255
    if transparent >= 0:
        values[: len(places)][places == transparent] = 0
    out, seen = np.zeros((height, width, 4), np.uint8), np.zeros((height, width), bool)
    rows = top + np.array(order, int)
    out[rows, left : left + across] = values.reshape(down, across, 4)
    seen[rows, left : left + across] = drawn.reshape(down, across)
    if background > 0 and shared is not None:
        # stb copies an entry of its table, where blue comes first.
        out[~seen] = [*shared[background][::-1], 255]
    return out


def _palette(data: bytes, position: int, flags: int) -> Any:
    import numpy as np

    found: NDArray[np.uint8] = np.zeros((256, 3), np.uint8)
    colours = np.frombuffer(data[position : position + (3 << (flags & 7) + 1)], np.uint8)
    found[: len(colours) // 3] = colours[: len(colours) // 3 * 3].reshape(-1, 3)
    return found


def _first_picture(data: bytes, position: int, origin: str) -> tuple[int, int]:
    """Return where the first picture's descriptor is, and the transparent colour stated before it, or -1."""
    transparent = -1
    while position < len(data):
        mark = data[position]
        if mark == 0x2C and position + 10 <= len(data):
            return position + 1, transparent
        if mark != 0x21:
            break
        if data[position + 1 : position + 3] == b"\xf9\x04" and position + 7 <= len(data):
            transparent = data[position + 6] if data[position + 3] & 1 else -1
        position += 2
        while position < len(data) and data[position]:
            position += 1 + data[position]
        position += 1
    raise _damaged("GIF", "it holds no picture", origin)


def _uncoded(data: bytes, position: int, most: int, origin: str) -> bytes:
    """Undo the compression of a picture, as far as it goes."""
    smallest = data[position] if position < len(data) else 0
    position += 1
    if smallest > 12:
        raise _damaged("GIF", "its compression", origin)
    clear, end = 1 << smallest, (1 << smallest) + 1
    stream = bytearray()
    while position < len(data) and data[position]:
        stream += data[position + 1 : position + 1 + data[position]].ljust(data[position], b"\0")
        position += 1 + data[position]
    table: list[bytes] = []
    found = bytearray()
    width, held, bits, last, cleared = smallest + 1, 0, 0, b"", False
    for byte in stream:
        held |= byte << bits
        bits += 8
        while bits >= width:
            code, held, bits = held & (1 << width) - 1, held >> width, bits - width
            if code == clear:
                table = [bytes([value & 0xFF]) for value in range(clear)] + [b"", b""]
                width, last, cleared = smallest + 1, b"", True
                continue
            if code == end:
                return bytes(found[:most])
            if not cleared:
                raise _damaged("GIF", "it has no clear code", origin)
            if code > len(table) or (not last and code >= clear):
                raise _damaged("GIF", "its data", origin)
            word = table[code] if code < len(table) else last + last[:1]
            if last and len(table) < 4096:
                table.append(last + word[:1])
            if len(table) == 1 << width and width < 12:
                width += 1
            found += word
            last = word
            if len(found) >= most:
                return bytes(found[:most])
    return bytes(found[:most])


# -- PNG -----------------------------------------------------------------------------------------------------------


#: Compressed bytes that are unpacked at a time.
_PIECE = 1 << 14


def repaired_png(data: bytes) -> bytes:
    """Return a PNG with the checksums that its contents should have: stb_image looks at none of them."""
    out = io.BytesIO()
    out.write(data[:8])
    position, packed = 8, bytearray()

    def write(name: bytes, body: bytes) -> None:
        out.write(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)))

    while position + 8 <= len(data):
        length, name = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        body = data[position + 8 : position + 8 + length]
        position += 12 + length
        if len(body) < length:
            return data
        if name == b"IDAT":
            packed += body
            continue
        if name == b"IEND":
            # 16-bit RGBA, and a filter byte for each row of an interlaced picture.
            width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
            write(b"IDAT", _checked(bytes(packed), min(8 * width * height, 8 * MAX_PIXELS) + 2 * MAX_SIDE))
            write(name, body)
            return out.getvalue()
        write(name, body)
    return data


def _checked(packed: bytes, most: int) -> bytes:
    """Return compressed data with the checksum that belongs to them; those of more than `most` bytes as they are."""
    # Piece by piece: a file of a megabyte may unpack to a thousand.
    stream, length, checksum = zlib.decompressobj(-15), 0, 1
    for start in range(2, len(packed), _PIECE):
        piece = packed[start : start + _PIECE]
        try:
            plain = stream.decompress(piece)
        except zlib.error:
            return packed
        length += len(plain)
        if length > most:
            return packed
        checksum = zlib.adler32(plain, checksum)
        if stream.eof:
            end = start + len(piece) - len(stream.unused_data)
            return b"\x78\x01" + packed[2:end] + struct.pack(">I", checksum)
    return packed
