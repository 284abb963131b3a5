"""Attribute values of nodes: read out of their encoded form, and encoded.

Source: TensorFlow ``core/framework/{attr_value,tensor,tensor_shape}.proto``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from modelprep.formats import protowire
from modelprep.formats.protowire import BYTES, FIXED32, VARINT, Buffer, bytes_field, bytes_header
from modelprep.formats.tensorflow.tensor import Tensor, element_count, tensor_proto


@dataclass(frozen=True)
class TensorHead:
    """A TensorProto in a graph: its element type, its shape, its encoded bytes."""

    dtype: int
    shape: tuple[int, ...]
    proto: Buffer

    @classmethod
    def read(cls, proto: Buffer) -> TensorHead:
        """Read the head of an encoded TensorProto."""
        shape_bytes = payload_in(proto, 2)
        shape = read_shape(shape_bytes) if shape_bytes is not None else ()
        return cls(varint_in(proto, 1), shape or (), proto)

    @property
    def count(self) -> int:
        """Number of elements that the shape says."""
        return element_count(self.shape)


def read_shape(shape: Buffer) -> tuple[int, ...] | None:
    """Read a TensorShapeProto; None if the rank is unknown."""
    sizes = []
    for number, kind, value, _, stop in protowire.fields(shape):
        if (number, kind) == (2, BYTES):
            sizes.append(protowire.signed(varint_in(shape[value:stop], 1)))
        elif (number, kind) == (3, VARINT) and value:
            return None
    return tuple(sizes)


def varint_in(buffer: Buffer | None, wanted: int) -> int:
    """Return the number in field `wanted` of a message (the last one counts); 0 if there is none."""
    found = [value for number, kind, value, *_ in protowire.fields(buffer or b"") if (number, kind) == (wanted, VARINT)]
    return found[-1] if found else 0


def payload_in(buffer: Buffer | None, wanted: int) -> Buffer | None:
    """Return the bytes in field `wanted` of a message (the last ones count); None if there are none."""
    given = buffer or b""
    found = [(v, stop) for number, kind, v, _, stop in protowire.fields(given) if (number, kind) == (wanted, BYTES)]
    return given[slice(*found[-1])] if found else None


def attr_float(buffer: Buffer | None) -> float | None:
    """Read an AttrValue that is a number with a fraction; None if it is another kind."""
    for number, kind, value, *_ in protowire.fields(buffer or b""):
        if (number, kind) == (4, FIXED32):
            return float(struct.unpack("<f", value.to_bytes(4, "little"))[0])
    return None


def read_numbers(buffer: Buffer, wanted: int) -> list[int]:
    """Return the list of whole numbers in field `wanted` of a message, packed or not."""
    found: list[int] = []
    for number, kind, value, _, stop in protowire.fields(buffer):
        if number != wanted:
            continue
        if kind == VARINT:
            found.append(protowire.signed(value))
        elif kind == BYTES:
            position = value
            while position < stop:
                one, position = protowire.read_varint(buffer, position, stop)
                found.append(protowire.signed(one))
    return found


def small_numbers(head: TensorHead | None, *dtypes: int) -> list[int] | None:
    """Return the values of a constant of int32 (3) or int64 (9), a thousand at most; None if it is something else."""
    if head is None or head.dtype not in dtypes or head.count > 1 << 10:
        return None
    width, code, field = (4, "i", 7) if head.dtype == 3 else (8, "q", 10)
    content = bytes(payload_in(head.proto, 4) or b"")
    try:
        values = list(struct.unpack(f"<{len(content) // width}{code}", content[: len(content) // width * width]))
        values = values or read_numbers(head.proto, field)
    except protowire.WireError:
        return None
    # a list may be shorter than the shape: its last value is repeated
    return values + [values[-1] if values else 0] * (head.count - len(values))


def read_strings(buffer: Buffer, wanted: int) -> list[bytes]:
    """Return the list of strings in field `wanted` of a message."""
    return [
        bytes(buffer[value:stop])
        for number, kind, value, _, stop in protowire.fields(buffer)
        if (number, kind) == (wanted, BYTES)
    ]


def attr_type(number: int) -> bytes:
    """Encode an AttrValue that is a type."""
    return protowire.number_field(6, number)


def attr_bool(value: bool) -> bytes:
    """Encode an AttrValue that is a truth value (a oneof: False is written, too)."""
    return protowire.number_field(5, int(value))


def attr_int(value: int) -> bytes:
    """Encode an AttrValue that is a whole number."""
    return protowire.number_field(3, value)


def attr_string(value: bytes) -> bytes:
    """Encode an AttrValue that is a string."""
    return bytes_field(2, value)


def constant_attrs(tensor: Tensor) -> dict[str, Buffer | tuple[Buffer, ...]]:
    """Encode the attributes of a Const node that holds a tensor."""
    pieces = tensor_proto(tensor)
    return {"dtype": attr_type(tensor.dtype.number), "value": (bytes_header(8, sum(map(len, pieces))), *pieces)}
