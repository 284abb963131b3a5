"""JPEG decoded to the same pixels as stb_image gives, since that is the decoder inside the board's test programs.

Decoders differ by a step or two of grey in their inverse DCT, in how they scale chroma up and in their colour
conversion; with a network near a decision that is enough to change its answer. So the arithmetic here is stb_image's:
integer IDCT with 12 fraction bits, its triangle filters for chroma, its reduced-precision YCbCr conversion (stb_image.h
2.x, public domain; its SIMD paths return the same bytes as its plain ones). Baseline and progressive Huffman streams,
8 bits a sample, 1, 3 or 4 components; EXIF orientation is not looked at, because stb_image does not either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelprep.errors import StepError
from modelprep.formats.jpeg.segments import State, next_marker, segment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def decode(data: bytes, *, origin: str = "picture", max_pixels: int = 1 << 26) -> NDArray[np.uint8]:
    """Decode a JPEG to what stb_image returns with its native channel count.

    Returns uint8, shape (height, width, channels); channels is 1 for a grey picture and 3 for all others (CMYK comes
    out as RGB, as in stb_image). Raises StepError: the file is no JPEG, is cut short or damaged, or is of a kind that
    stb_image refuses (arithmetic coding, lossless, 12 bits).
    """
    from modelprep.formats.jpeg.entropy import scan
    from modelprep.formats.jpeg.pixels import assemble

    state = State(origin, max_pixels)
    if data[:2] != b"\xff\xd8":
        raise StepError("this is not a JPEG picture", where=origin, got=f"first bytes {data[:4].hex(' ')}")
    position = 2
    while True:
        marker, position = next_marker(data, position, state)
        if marker == 0xD9:
            break
        position = scan(data, position, state) if marker == 0xDA else segment(data, position, marker, state)
    frame = state.frame
    if frame is None or not state.scans:
        raise StepError("the JPEG holds no picture", where=origin)
    return assemble(frame, state)
