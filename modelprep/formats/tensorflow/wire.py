"""The protobuf wire format, as far as graphs and checkpoints are read and written without building messages.

Weights are most of every file here; parsing them into messages copies them two or three times. This module walks over
the fields of a buffer and leaves every payload where it lies.
Format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator

Buffer = bytes | memoryview

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class WireError(ValueError):
    """The bytes are no protobuf message.

    Parameters
    ----------
    reason
        What is wrong.
    offset
        Where, in bytes from the start of the buffer that was read.
    """

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(f"{reason} at offset {offset}")
        self.reason = reason
        self.offset = offset


def read_varint(buffer: Buffer, position: int, end: int) -> tuple[int, int]:
    """Read one base-128 number below `end`; give its value (64 bits, unsigned) and the position after it."""
    value = shift = 0
    start = position
    while position < end:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
        if shift > 63:
            raise WireError("a number of more than ten bytes", start)
    raise WireError("the data end inside a number", start)


def fields(buffer: Buffer, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int, int, int]]:
    """Walk over the fields of the message in ``buffer[start:end]``.

    Yields
    ------
    number, wire type, value, begin, stop
        `value` is the number itself for VARINT, FIXED32 and FIXED64 (unsigned) and the payload's start for BYTES;
        ``buffer[begin:stop]`` is the whole field with its tag, and for BYTES ``buffer[value:stop]`` is the payload.

    Raises
    ------
    WireError
        The bytes are no message; groups, which proto3 does not know, count as damage.
    """
    stop = len(buffer) if end is None else end
    position = start
    while position < stop:
        begin = position
        tag = buffer[position]
        if tag < 0x80:
            position += 1
        else:
            tag, position = read_varint(buffer, position, stop)
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise WireError("a field numbered 0", begin)
        if wire_type == BYTES:
            size, payload = read_varint(buffer, position, stop)
            position = payload + size
            if position > stop:
                raise WireError(f"field {number} wants {size} bytes, {stop - payload} are left", begin)
            yield number, wire_type, payload, begin, position
        elif wire_type == VARINT:
            value, position = read_varint(buffer, position, stop)
            yield number, wire_type, value, begin, position
        elif wire_type in (FIXED32, FIXED64):
            width = 4 if wire_type == FIXED32 else 8
            if position + width > stop:
                raise WireError("the data end inside a fixed-size number", begin)
            value = int.from_bytes(buffer[position : position + width], "little")
            position += width
            yield number, wire_type, value, begin, position
        else:
            raise WireError(f"field {number} of wire type {wire_type}", begin)


def varint(value: int) -> bytes:
    """Encode a number; negative ones as 64-bit two's complement."""
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def tag(number: int, wire_type: int) -> bytes:
    """Encode a field's tag."""
    return varint(number << 3 | wire_type)


def number_field(number: int, value: int) -> bytes:
    """Encode a VARINT field."""
    return tag(number, VARINT) + varint(value)


def bytes_field(number: int, payload: Buffer) -> bytes:
    """Encode a length-delimited field."""
    return b"".join((tag(number, BYTES), varint(len(payload)), payload))


def bytes_header(number: int, size: int) -> bytes:
    """Encode the tag and length of a length-delimited field whose `size` bytes of payload follow by other means."""
    return tag(number, BYTES) + varint(size)


def signed(value: int) -> int:
    """Read an unsigned 64-bit number as two's complement."""
    return value - (1 << 64) if value >> 63 else value
