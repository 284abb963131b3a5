"""Decompression of Snappy blocks, the one compression that TensorFlow's tables know.

TensorFlow writes its checkpoints uncompressed; a table made by another writer may hold Snappy blocks.
Format: https://github.com/google/snappy/blob/main/format_description.txt
"""

from __future__ import annotations

#: A block that unfolds to more than this is hostile: blocks are 256 kB by default, a tensor's at most 2 GiB.
MAX_UNCOMPRESSED = 1 << 31
#: The longest copy is 64 bytes and costs 3 bytes of input (2 for 11), which bounds what an honest block can claim.
_MAX_RATIO = 22


class SnappyError(ValueError):
    """The bytes are not a Snappy block."""


def decompress(data: bytes | memoryview, *, limit: int = MAX_UNCOMPRESSED) -> bytes:
    """Unfold one raw Snappy block.

    Raises SnappyError: the block is damaged, truncated, or would become larger than `limit`.
    """
    source = bytes(data)
    try:
        length, position = _length(source)
        if length > limit or length > len(source) * _MAX_RATIO:
            raise SnappyError(f"the block says that it holds {length} bytes, more than {len(source)} bytes can")
        out = bytearray()
        while position < len(source):
            tag = source[position]
            position = _copy(source, position, out) if tag & 3 else _literal(source, position, out)
            if len(out) > length:
                raise SnappyError(f"the block holds more than the {length} bytes that it says")
    except IndexError:
        raise SnappyError("the block ends in the middle of an element") from None
    if len(out) != length:
        raise SnappyError(f"the block holds {len(out)} bytes, it says {length}")
    return bytes(out)


def _length(source: bytes) -> tuple[int, int]:
    value = shift = position = 0
    while True:
        byte = source[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 28:
            raise SnappyError("the block's length is no 32-bit number")


def _literal(source: bytes, position: int, out: bytearray) -> int:
    count = (source[position] >> 2) + 1
    position += 1
    if count > 60:
        width = count - 60
        if position + width > len(source):
            raise IndexError
        count = int.from_bytes(source[position : position + width], "little") + 1
        position += width
    if position + count > len(source):
        raise IndexError
    out += source[position : position + count]
    return position + count


def _copy(source: bytes, position: int, out: bytearray) -> int:
    tag = source[position]
    kind = tag & 3
    if kind == 1:
        count = ((tag >> 2) & 7) + 4
        offset = ((tag >> 5) << 8) | source[position + 1]
        position += 2
    else:
        width = 2 if kind == 2 else 4
        count = (tag >> 2) + 1
        if position + 1 + width > len(source):
            raise IndexError
        offset = int.from_bytes(source[position + 1 : position + 1 + width], "little")
        position += 1 + width
    if offset == 0 or offset > len(out):
        raise SnappyError(f"a copy reaches {offset} bytes back, only {len(out)} are there")
    start = len(out) - offset
    if offset >= count:
        out += out[start : start + count]
    else:  # the copy overlaps what it makes: a repeated pattern
        pattern = bytes(out[start:])
        out += (pattern * (count // offset + 1))[:count]
    return position
