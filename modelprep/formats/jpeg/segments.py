"""The headers of a JPEG: components, tables, restart interval, read from its marker segments."""

from __future__ import annotations

import re
import struct
from array import array
from dataclasses import dataclass, field
from itertools import islice

from modelprep.errors import StepError

#: Each takes a millisecond to set up; a scan uses eight at most.
MAX_TABLES = 256
#: Blocks at the right and lower edge reach over the picture.
_PADDING = 1 << 20
#: Natural place of the k-th coefficient in the stream.
ZIGZAG = (
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
)  # fmt: skip
#: In the entropy-coded data of a scan FF is followed by 00 or is a restart marker; anything else ends the scan.
SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


@dataclass
class Component:
    """One colour component: sampling factors, quantization table, coefficients (64 a block, in zigzag order)."""

    id: int
    h: int
    v: int
    table: int
    blocks_x: int = 0  # blocks in a row as stored (a multiple of h)
    blocks_y: int = 0
    own_x: int = 0  # blocks that this component alone needs (scans of one component)
    own_y: int = 0
    coefficients: array[int] = field(default_factory=lambda: array("h"))
    predictor: int = 0


@dataclass
class Frame:
    """The picture's size and components."""

    progressive: bool
    width: int
    height: int
    components: list[Component]
    h_max: int
    v_max: int


@dataclass
class State:
    """What the segments read so far have said."""

    origin: str
    max_pixels: int
    quant: dict[int, tuple[int, ...]] = field(default_factory=dict)
    huffman: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    restart: int = 0
    frame: Frame | None = None
    adobe: int = -1
    jfif: bool = False
    scans: int = 0
    visits: int = 0  # blocks that scans have visited
    tables: int = 0  # Huffman tables read


def ceil(value: int, divisor: int) -> int:
    """Divide, rounding up."""
    return -(-value // divisor)


def short(data: bytes, state: State, position: int) -> StepError:
    """Return the error for a file that ends too early."""
    return StepError(
        "the JPEG is cut short", where=f"{state.origin}, byte {position}", got=f"{len(data)} bytes",
        hint="download the picture again; a board test would print 'Could not load the image' for this one",
    )  # fmt: skip


def bad(what: str, state: State, position: int) -> StepError:
    """Return the error for a file whose contents contradict the format."""
    return StepError(f"the JPEG is damaged: {what}", where=f"{state.origin}, byte {position}")


def next_marker(data: bytes, position: int, state: State) -> tuple[int, int]:
    """Return the next marker byte from `position` on, and the place behind it."""
    # stb_image skips bytes until a marker comes; so a few stray bytes between segments do no harm here either.
    position = data.find(b"\xff", position)
    while 0 <= position < len(data) - 1 and data[position + 1] in (0xFF, 0x00):
        position = position + 1 if data[position + 1] == 0xFF else data.find(b"\xff", position + 2)
    if position < 0 or position >= len(data) - 1:
        raise short(data, state, len(data))
    return data[position + 1], position + 2


def segment(data: bytes, position: int, marker: int, state: State) -> int:
    """Read one marker segment; return the place behind it."""
    if 0xD0 <= marker <= 0xD8 or marker == 0x01:
        return position
    if position + 2 > len(data):
        raise short(data, state, position)
    length = int.from_bytes(data[position : position + 2], "big")
    if length < 2:
        raise bad(f"a segment of {length} bytes", state, position)
    if (end := position + length) > len(data):
        raise short(data, state, position)
    body = data[position + 2 : end]
    if marker == 0xDB:
        _read_quant(body, state, position)
    elif marker == 0xC4:
        _read_huffman(body, state, position)
    elif marker in (0xC0, 0xC1, 0xC2):
        _read_frame(body, marker == 0xC2, state, position)
    elif 0xC3 <= marker <= 0xCF:
        raise StepError(
            "this kind of JPEG is not read by the board's decoder", where=state.origin,
            got=f"start-of-frame marker FF{marker:02X} (lossless, hierarchical or arithmetic coding)",
            hint="save the picture again as an ordinary JPEG or PNG",
        )  # fmt: skip
    elif marker == 0xDD and len(body) == 2:
        state.restart = int.from_bytes(body, "big")
    elif marker == 0xEE and len(body) >= 12 and body[:6] == b"Adobe\0":
        state.adobe = body[11]
    elif marker == 0xE0 and body[:5] == b"JFIF\0":
        state.jfif = True
    return end


def _read_quant(body: bytes, state: State, position: int) -> None:
    while body:
        wide, index = body[0] >> 4, body[0] & 15
        need = 1 + (128 if wide else 64)
        if wide > 1 or index > 3 or len(body) < need:
            raise bad("its quantization table", state, position)
        state.quant[index] = struct.unpack(">64H" if wide else ">64B", body[1:need])
        body = body[need:]


def _read_huffman(body: bytes, state: State, position: int) -> None:
    while body:
        kind, index = body[0] >> 4, body[0] & 15
        counts = body[1:17]
        total = sum(counts)
        if kind > 1 or index > 3 or len(counts) < 16 or total > 256 or len(body) < 17 + total:
            raise bad("its Huffman table", state, position)
        state.tables += 1
        if state.tables > MAX_TABLES:
            raise bad(f"more than {MAX_TABLES} Huffman tables", state, position)
        # One look-up of the next 16 bits gives length << 8 | symbol; 0 stands for a code that does not exist.
        table: list[int] = []
        code = 0
        symbols = iter(body[17:])
        for bits, count in enumerate(counts, start=1):
            for symbol in islice(symbols, count):
                table.extend([bits << 8 | symbol] * (1 << (16 - bits)))
            code += count
            if code > 1 << bits:
                raise bad("its Huffman code lengths", state, position)
            code <<= 1
        table.extend([0] * (65536 - len(table)))
        state.huffman[kind, index] = table[:65536]
        body = body[17 + total :]


def _read_frame(body: bytes, progressive: bool, state: State, position: int) -> None:
    if state.frame is not None:
        raise bad("a second frame", state, position)
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise bad("its frame header", state, position)
    bits, height, width, count = struct.unpack(">BHHB", body[:6])
    if bits != 8:
        raise StepError("only 8 bits a sample are read by the board's decoder", where=state.origin, got=f"{bits} bits")
    if count not in (1, 3, 4) or not width or not height:
        raise bad(f"{count} components, {width}x{height}", state, position)
    components = [Component(body[i], body[i + 1] >> 4, body[i + 1] & 15, body[i + 2]) for i in range(6, len(body), 3)]
    if any(not 1 <= c.h <= 4 or not 1 <= c.v <= 4 or c.table > 3 for c in components):
        raise bad("its sampling factors", state, position)
    h_max, v_max = max(c.h for c in components), max(c.v for c in components)
    if any(h_max % c.h or v_max % c.v for c in components):
        raise bad("sampling factors that do not divide one another", state, position)
    mcus_x, mcus_y = ceil(width, 8 * h_max), ceil(height, 8 * v_max)
    # Blocks rather than pixels: narrow pictures and odd sampling factors have more of them.
    if 64 * mcus_x * mcus_y * sum(c.h * c.v for c in components) > max(3, count) * (state.max_pixels + _PADDING):
        raise StepError(
            "the picture is too large for its file", where=state.origin,
            expected=f"at most {state.max_pixels} pixels", got=f"{width}x{height}",
        )  # fmt: skip
    for c in components:
        c.blocks_x, c.blocks_y = mcus_x * c.h, mcus_y * c.v
        c.own_x = ceil(ceil(width * c.h, h_max), 8)
        c.own_y = ceil(ceil(height * c.v, v_max), 8)
        c.coefficients = array("h", bytes(2 * 64 * c.blocks_x * c.blocks_y))
    state.frame = Frame(progressive, width, height, components, h_max, v_max)
