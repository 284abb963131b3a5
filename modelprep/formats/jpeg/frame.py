"""What a JPEG's headers say: components, tables, restart interval."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field

from modelprep.errors import StepError

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
