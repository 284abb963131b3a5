"""The entropy-coded scans of a JPEG: Huffman codes, baseline and progressive, into DCT coefficients."""

from __future__ import annotations

import re
import struct
from array import array
from collections.abc import Iterator
from itertools import islice, product

from modelprep.formats.jpeg.segments import SCAN_END, Component, Frame, State, bad, short

#: Scans of a picture: every block may be visited so often on average. A progressive picture has about ten scans; each
#: takes time for all of its blocks, however few bytes it has.
MAX_VISITS = 16
_EMPTY = array("h", bytes(2 * 64))
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")

#: A component of a scan with the numbers of its DC and AC tables.
_Chosen = tuple[Component, int, int]


class _Bits:
    """The entropy-coded bits of one restart interval; zeros follow its end, as in stb_image."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.buffer = 0
        self.count = 0
        self.spare = 0

    def fill(self) -> None:
        chunk = self.data[self.at : self.at + 6]
        self.at += 6
        if len(chunk) < 6:
            self.spare += 6 - len(chunk)
            chunk = chunk + bytes(6 - len(chunk))
        self.buffer = (self.buffer & ((1 << self.count) - 1)) << 48 | int.from_bytes(chunk, "big")
        self.count += 48

    def symbol(self, table: list[int]) -> int:
        if self.count < 16:
            self.fill()
        entry = table[self.buffer >> (self.count - 16) & 0xFFFF]
        if not entry:
            raise ValueError("a bit pattern that is no Huffman code")
        self.count -= entry >> 8
        return entry & 255

    def bits(self, count: int) -> int:
        if self.count < count:
            self.fill()
        self.count -= count
        return self.buffer >> self.count & ((1 << count) - 1)

    def signed(self, count: int) -> int:
        value = self.bits(count)
        return value if value >> (count - 1) else value - (1 << count) + 1

    @property
    def overrun(self) -> bool:
        """Whether more than the filling zeros of one byte were used up."""
        return self.spare * 8 - self.count > 64


def _intervals(data: bytes, position: int) -> tuple[list[bytes], int]:
    """Split entropy-coded data at its restart markers, stuffing removed; also return the place of the next marker."""
    found = SCAN_END.search(data, position)
    end = found.start() if found else len(data)
    return [piece.replace(b"\xff\x00", b"\xff") for piece in _RESTART.split(data[position:end])], end


def scan(data: bytes, position: int, state: State) -> int:
    """Decode one scan into the components' coefficients; return the place of the next marker."""
    frame = state.frame
    if position + 2 > len(data):
        raise short(data, state, position)
    length = int.from_bytes(data[position : position + 2], "big")
    body = data[position + 2 : position + length]
    if frame is None or len(body) < 4 or len(body) != 2 * body[0] + 4:
        raise bad("its scan header", state, position)
    chosen: list[_Chosen] = []
    for number, tables in struct.iter_unpack("BB", body[1:-3]):
        component = next((c for c in frame.components if c.id == number), None)
        if component is None:
            raise bad(f"a scan of component {number}, which does not exist", state, position)
        chosen.append((component, tables >> 4, tables & 15))
    start, end, high, low = body[-3], body[-2], body[-1] >> 4, body[-1] & 15
    if not frame.progressive:
        start, end, high, low = 0, 63, 0, 0
    elif start > end or end > 63 or low > 13 or (start and len(chosen) > 1) or (not start and end):
        raise bad("its progressive scan", state, position)
    pieces, after = _intervals(data, position + length)
    try:
        _decode_scan(frame, state, chosen, (start, end, high, low), pieces)
    except (KeyError, ValueError) as error:
        what = "a table that was never given" if isinstance(error, KeyError) else str(error)
        raise bad(what, state, position) from error
    except EOFError as error:
        if after >= len(data) - 1:
            raise short(data, state, len(data)) from error
        raise bad("less data than the picture needs", state, after) from error
    state.scans += 1
    return after


def _decode_scan(
    frame: Frame, state: State, chosen: list[_Chosen], spectral: tuple[int, int, int, int], pieces: list[bytes]
) -> None:
    if len(chosen) == 1:
        component = chosen[0][0]
        count, per_unit = component.own_x * component.own_y, 1
    else:
        first = frame.components[0]
        per_unit = sum(c.h * c.v for c, _, _ in chosen)
        count = (first.blocks_x // first.h) * (first.blocks_y // first.v) * per_unit
    state.visits += count
    if state.visits > MAX_VISITS * sum(c.blocks_x * c.blocks_y for c in frame.components):
        raise ValueError("more scans than a picture has a use for")
    units = _units(frame, chosen)
    step = max(state.restart * per_unit if state.restart else count, 1)
    for number in range(-(-count // step)):
        if number >= len(pieces):
            raise EOFError
        bits = _Bits(pieces[number])
        for component, _, _ in chosen:
            component.predictor = 0
        run = islice(units, step)
        if frame.progressive:
            _progressive(bits, state, run, spectral)
        else:
            _baseline(bits, state, run)
        if bits.overrun:
            raise EOFError


def _units(frame: Frame, chosen: list[_Chosen]) -> Iterator[tuple[_Chosen, int]]:
    """Yield the blocks of a scan in its order, each as the place of its first coefficient."""
    if len(chosen) == 1:
        c = chosen[0][0]
        for y, x in product(range(c.own_y), range(c.own_x)):
            yield chosen[0], 64 * (y * c.blocks_x + x)
        return
    first = frame.components[0]
    for my, mx in product(range(first.blocks_y // first.v), range(first.blocks_x // first.h)):
        for entry in chosen:
            c = entry[0]
            for y, x in product(range(c.v), range(c.h)):
                yield entry, 64 * ((my * c.v + y) * c.blocks_x + mx * c.h + x)


def _short(value: int) -> int:
    """Cut to 16 bits with a sign, as stb_image's coefficients are."""
    return (value + 0x8000 & 0xFFFF) - 0x8000


def _predict(bits: _Bits, component: Component, table: list[int]) -> int:
    """Read a DC difference; return the component's new DC value."""
    if (size := bits.symbol(table)) > 15:
        raise ValueError("a DC difference of more than 15 bits")
    if size:
        component.predictor += bits.signed(size)
    return component.predictor


def _baseline(bits: _Bits, state: State, run: Iterator[tuple[_Chosen, int]]) -> None:
    symbol, signed = bits.symbol, bits.signed
    huffman = state.huffman
    for (component, dc, ac), block in run:
        data = component.coefficients
        data[block : block + 64] = _EMPTY
        data[block] = _short(_predict(bits, component, huffman[0, dc]))
        table = huffman[1, ac]
        k = 1
        while k < 64:
            entry = symbol(table)
            size = entry & 15
            if size:
                k += entry >> 4
                if k > 63:
                    raise ValueError("more than 64 coefficients in a block")
                data[block + k] = signed(size)
                k += 1
            elif entry == 0xF0:
                k += 16
            else:
                break
        if bits.overrun:
            raise EOFError


def _progressive(
    bits: _Bits, state: State, run: Iterator[tuple[_Chosen, int]], spectral: tuple[int, int, int, int]
) -> None:
    start, end, high, low = spectral
    huffman = state.huffman
    skip = 0  # blocks still to come of an end-of-band run
    bit = 1 << low
    nothing = _EMPTY[start : end + 1]
    for (component, dc, ac), block in run:
        data = component.coefficients
        if bits.overrun:
            raise EOFError
        if start == 0:
            if high:
                if bits.bits(1):
                    data[block] = _short(data[block] + bit)
            else:
                data[block] = _short(_predict(bits, component, huffman[0, dc]) * bit)
            continue
        table = huffman[1, ac]
        if not high:
            if skip:
                skip -= 1
                continue
            k = start
            while k <= end:
                entry = bits.symbol(table)
                length, size = entry >> 4, entry & 15
                if size:
                    k += length
                    if k > 63:
                        raise ValueError("more than 64 coefficients in a block")
                    data[block + k] = _short(bits.signed(size) * bit)
                    k += 1
                elif length < 15:
                    skip = (1 << length) - 1 + bits.bits(length)
                    break
                else:
                    k += 16
        elif skip and data[block + start : block + end + 1] == nothing:
            skip -= 1
        else:
            skip = _refine(bits, data, block, table, (start, end, bit, skip))


def _refine(bits: _Bits, data: array[int], block: int, table: list[int], band: tuple[int, int, int, int]) -> int:
    """Add one more bit of precision to a block's AC coefficients; return the rest of the end-of-band run."""
    start, end, bit, skip = band

    def sharpen(place: int) -> None:
        value = data[place]
        if bits.bits(1) and not abs(value) & bit:
            data[place] = _short(value + (bit if value > 0 else -bit))

    k = start
    if not skip:
        while k <= end:
            entry = bits.symbol(table)
            length, size = entry >> 4, entry & 15
            if size > 1:
                raise ValueError("a refinement of more than one bit")
            if not size and length < 15:
                skip = (1 << length) + bits.bits(length)
                break
            value = (bit if bits.bits(1) else -bit) if size else 0
            while k <= end:
                place = block + k
                k += 1
                if data[place]:
                    sharpen(place)
                elif length:
                    length -= 1
                else:
                    data[place] = value
                    break
    if skip:
        for place in range(block + k, block + end + 1):
            if data[place]:
                sharpen(place)
        skip -= 1
    return skip
