"""What a picture's own bytes say of it, without decoding pixels: Python's standard library only.

The installed default pictures must need neither numpy nor Pillow, so this is what tells a picture that the board reads
as it is meant (8 bits, three colours, not to be turned) from one that it does not, and a whole file from a broken one.
Segments and scans of a JPEG are walked to its end marker; of a PNG every checksum is tested and the stream inflated.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from modelprep.errors import StepError
from modelprep.formats.jpeg.segments import SCAN_END
from modelprep.formats.picture.decode import MAX_PIXELS, kind_of, orientation_of_tiff


@dataclass(frozen=True)
class Headers:
    """What a picture file says of itself.

    `kind`: ``jpeg``, ``png``, ``bmp``, another known kind (``gif``, ``webp``, ``tiff``), or empty. `width`, `height`:
    pixels; 0 if the kind is not looked into. `unfit`: why the board does not see what a person sees in it; empty for a
    picture that goes to the board as it is.
    """

    kind: str
    width: int = 0
    height: int = 0
    unfit: str = ""


#: Kinds that are not looked into.
_UNTOUCHED = ("gif", "pnm", "psd", "pic", "hdr")


def read_headers(data: bytes, *, origin: str) -> Headers:
    """Look into a picture file.

    Raises StepError: it announces a kind that is known here and is damaged or cut short.
    """
    kind = kind_of(data[:16])
    if kind == "webp" and data[8:12] != b"WEBP":
        kind = ""
    reader = {"jpeg": _jpeg, "png": _png, "bmp": _bmp}.get(kind)
    if reader is None:
        unfit = f"the board's decoder does not read {kind}" if kind else "no known kind of picture"
        if kind in _UNTOUCHED:
            unfit = f"only JPEG, PNG and BMP are known to go to the board as they are, and this is {kind}"
        return Headers(kind, unfit=unfit)
    headers = reader(data, origin)
    if not headers.width or not headers.height:
        raise _damaged(kind, "it has no pixels", origin, 0)
    _hold_pixels(headers.width, headers.height, origin)
    return headers


def _hold_pixels(width: int, height: int, origin: str) -> None:
    if width * height > MAX_PIXELS:
        raise StepError(
            "the picture is too large", where=origin, expected=f"at most {MAX_PIXELS} pixels", got=f"{width}x{height}"
        )


def _damaged(kind: str, what: str, origin: str, position: int) -> StepError:
    return StepError(
        f"the {kind.upper()} picture is damaged: {what}", where=f"{origin}, byte {position}",
        hint="use another copy of the picture, or save it again as an RGB JPEG or PNG",
    )  # fmt: skip


def _jpeg(data: bytes, origin: str) -> Headers:
    position, frame, orientation, scans, adobe = 2, None, 0, 0, -1
    while True:
        found = SCAN_END.search(data, position)
        if found is None:
            raise _damaged("jpeg", "it is cut short (no end marker)", origin, len(data))
        marker, position = data[found.end() - 1], found.end()
        if marker == 0xD9:
            break
        if marker in (0xD8, 0x01):
            continue
        length = int.from_bytes(data[position : position + 2], "big")
        body = data[position + 2 : position + length]
        if length < 2 or position + length > len(data):
            raise _damaged("jpeg", "it is cut short, or a segment says a wrong length", origin, position)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if frame is not None:
                raise _damaged("jpeg", "it has two frames", origin, position)
            frame = (marker, body)
        elif marker == 0xE1 and body[:6] == b"Exif\0\0" and not orientation:
            orientation = orientation_of_tiff(body[6:])
        elif marker == 0xEE and body[:6] == b"Adobe\0" and len(body) >= 12:
            adobe = body[11]
        scans += marker == 0xDA
        position += length
    if frame is None or not scans:
        raise _damaged("jpeg", "it holds no picture", origin, position)
    marker, body = frame
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise _damaged("jpeg", "its frame header", origin, 0)
    bits, height, width, colours = struct.unpack(">BHHB", body[:6])
    unfit = ""
    if marker not in (0xC0, 0xC1, 0xC2):
        unfit = "its coding (arithmetic, lossless or hierarchical) is not read by the board's decoder"
    elif bits != 8:
        unfit = f"it has {bits} bits a sample; the board's decoder reads 8"
    elif colours == 1:
        unfit = "it is grey: the board would put its values into red and leave green and blue black"
    elif colours != 3:
        unfit = f"it has {colours} colour components (CMYK{', Adobe' if adobe >= 0 else ''}), not red, green and blue"
    elif orientation > 1:
        unfit = f"its EXIF data say that it is to be turned (orientation {orientation}); the board does not turn it"
    return Headers("jpeg", width, height, unfit)


def _png(data: bytes, origin: str) -> Headers:
    position, header, orientation, transparent, left = 8, b"", 0, False, 0
    stream = zlib.decompressobj()
    while True:
        length, name = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        body = data[position + 8 : position + 8 + length]
        end = position + 12 + length
        if end > len(data):
            raise _damaged("png", "it is cut short", origin, len(data))
        if zlib.crc32(name + body) != int.from_bytes(data[end - 4 : end], "big"):
            raise _damaged("png", f"the checksum of its {name.decode('latin-1')!r} chunk is wrong", origin, position)
        if name == b"IHDR":
            header = body
            if len(header) != 13:
                raise _damaged("png", "its header", origin, position)
            left = _inflated_size(header, origin)
        elif not header:
            raise _damaged("png", "its header does not come first", origin, position)
        elif name == b"IDAT":
            left = _inflate(stream, body, left, origin, position)
        elif name == b"eXIf":
            orientation = orientation_of_tiff(body)
        elif name == b"tRNS":
            transparent = True
        position = end
        if name == b"IEND":
            break
    if left or not stream.eof:
        raise _damaged("png", "its data end too early", origin, position)
    width, height, bits, colour = struct.unpack(">IIBB", header[:10])
    unfit = ""
    if colour in (0, 4):
        unfit = "it is grey: the board would put its values into red and leave green and blue black"
    elif colour == 6 or transparent:
        unfit = "it has transparent parts: the board drops the alpha channel and shows what is beneath"
    elif orientation > 1:
        unfit = f"its EXIF data say that it is to be turned (orientation {orientation}); the board does not turn it"
    elif bits == 16:
        unfit = "it has 16 bits a sample"
    return Headers("png", width, height, unfit)


def _inflated_size(header: bytes, origin: str) -> int:
    """Return how many bytes the compressed data of a PNG must unpack to."""
    width, height, bits, colour, packing, filtering, interlaced = struct.unpack(">IIBBBBB", header)
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 0)
    if not samples or bits not in (1, 2, 4, 8, 16) or packing or filtering or interlaced > 1:
        raise _damaged("png", "its header asks for something that does not exist", origin, 16)
    _hold_pixels(width, height, origin)
    # Adam7: first column, first row, column step, row step of each pass (PNG specification, 8.2).
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    size = 0
    for x, y, across, down in passes if interlaced else [(0, 0, 1, 1)]:
        columns, rows = max(0, -(-(width - x) // across)), max(0, -(-(height - y) // down))
        if columns:
            size += rows * (1 + (columns * samples * bits + 7) // 8)
    return size


def _inflate(stream: zlib._Decompress, data: bytes, most: int, origin: str, position: int) -> int:
    """Unpack further compressed data of a PNG; return how many of `most` bytes are missing then."""
    try:
        # Pieces of 64 kB unpack to 64 MB at most.
        for start in range(0, len(data), 1 << 16):
            most -= len(stream.decompress(data[start : start + (1 << 16)]))
            if most < 0:
                raise _damaged("png", "it unpacks to more than its header says", origin, position)
            if stream.eof:
                break
    except zlib.error as error:
        raise _damaged("png", f"its data do not unpack ({error})", origin, position) from None
    return most


def _bmp(data: bytes, origin: str) -> Headers:
    if len(data) < 26:
        raise _damaged("bmp", "it is cut short", origin, len(data))
    start, size = struct.unpack_from("<II", data, 10)
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        packing = 0
    elif size >= 40 and len(data) >= 54:
        width, height, _, bits, packing = struct.unpack_from("<iiHHI", data, 18)
        height = abs(height)
    else:
        raise _damaged("bmp", f"its header says {size} bytes", origin, 14)
    if width < 0:
        raise _damaged("bmp", "its width is negative", origin, 18)
    if bits != 24 or packing:
        return Headers("bmp", width, height, f"it is a BMP of {bits} bits a pixel, packed as {packing}")
    need = start + (width * 3 + 3) // 4 * 4 * height
    # Some writers leave out the padding of the last row.
    if len(data) < need - 3:
        raise _damaged("bmp", "it is cut short", origin, len(data))
    return Headers("bmp", width, height)
