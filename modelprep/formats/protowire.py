"""The protobuf wire format over a buffer: fields walked and written without building messages.

Weights are most of every graph, checkpoint and ONNX file; parsing them into messages copies them two or three times.
Here every payload stays in the buffer, and what is not to change can be copied byte for byte.
Caffe's files are walked by :mod:`modelprep.formats.caffe.wire`, which holds no buffer of the whole file.
Format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

Buffer = bytes | memoryview

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
#: What protobuf can hold in one message (and Caffe's reader, ``INT_MAX``, in one file).
MAX_MESSAGE = 2**31 - 1
#: One more than the largest field number.
NUMBERS = 1 << 29


class WireError(ValueError):
    """The bytes are no protobuf message.

    `offset`: Where, in bytes from the start of the buffer that was read.
    """

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(f"{reason} at offset {offset}")
        self.reason = reason
        self.offset = offset


class Field(NamedTuple):
    """One field of a message, as it is in the buffer.

    `value`: the number itself for VARINT, FIXED32 and FIXED64 (unsigned), the payload's start for BYTES. `begin`,
    `stop`: ``buffer[begin:stop]`` is the whole field with its tag; for BYTES ``buffer[value:stop]`` is the payload.
    """

    number: int
    kind: int
    value: int
    begin: int
    stop: int


def read_varint(buffer: Buffer, position: int, end: int) -> tuple[int, int]:
    """Read one base-128 number below `end`; return its value (64 bits, unsigned) and the position after it.

    Raises WireError: it runs past `end`, or is longer than ten bytes.
    """
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
    """Walk over the fields of the message in ``buffer[start:end]``, each as the parts of a :class:`Field` (quicker).

    Raises WireError: the bytes are no message; groups, which proto3 does not know, count as damage.
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
        number, kind = tag >> 3, tag & 7
        if not 0 < number < NUMBERS:
            raise WireError(f"a field numbered {number}", begin)
        if kind == BYTES:
            # Most lengths are of one byte; a call for each takes a sixth of the time that a graph is read in.
            if position < stop and (size := buffer[position]) < 0x80:
                value = position + 1
            else:
                size, value = read_varint(buffer, position, stop)
            position = value + size
            if position > stop:
                left = stop - value
                raise WireError(f"field {number} is longer than what holds it: {size} bytes, {left} are left", begin)
        elif kind == VARINT:
            value, position = read_varint(buffer, position, stop)
        elif kind in (FIXED32, FIXED64):
            width = 4 if kind == FIXED32 else 8
            if position + width > stop:
                raise WireError("the data end inside a fixed-size number", begin)
            value = int.from_bytes(buffer[position : position + width], "little")
            position += width
        else:
            raise WireError(f"field {number} of wire type {kind}", begin)
        yield number, kind, value, begin, position


def named_fields(buffer: Buffer, start: int = 0, end: int | None = None) -> Iterator[Field]:
    """Walk as :func:`fields` does, and name the parts."""
    return map(Field._make, fields(buffer, start, end))


def varint(value: int) -> bytes:
    """Encode a number; negative ones as 64-bit two's complement."""
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def tag(number: int, kind: int) -> bytes:
    """Encode a field's tag."""
    return varint(number << 3 | kind)


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
