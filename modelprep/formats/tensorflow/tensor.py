"""Tensors as bytes: element types, and the TensorProto that holds a tensor in a graph.

Source: TensorFlow ``core/framework/{types,tensor,tensor_shape}.proto``, ``python/framework/tensor_util.py``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from modelprep.formats.protowire import Buffer, bytes_field, bytes_header, number_field, varint


@dataclass(frozen=True)
class DType:
    """An element type.

    `number`: its value in the enum DataType. `name`: as in ``tf.float32``. `size`: bytes an element in memory; 0 where
    elements have no fixed size. `code`: its :mod:`struct` code where elements are whole numbers, else empty. `field`:
    number of the TensorProto field that lists its values. `content`: whether TensorFlow writes more than one element as
    ``tensor_content`` (raw little-endian memory).
    """

    number: int
    name: str
    size: int
    code: str
    field: int
    content: bool = True


STRING = 7
_TYPES = (
    DType(1, "float32", 4, "", 5),
    DType(2, "float64", 8, "", 6),
    DType(3, "int32", 4, "i", 7),
    DType(4, "uint8", 1, "B", 7),
    DType(5, "int16", 2, "h", 7),
    DType(6, "int8", 1, "b", 7),
    DType(7, "string", 0, "", 8, content=False),
    DType(8, "complex64", 8, "", 9, content=False),
    DType(9, "int64", 8, "q", 10),
    DType(10, "bool", 1, "", 11, content=False),
    DType(11, "qint8", 1, "b", 7),
    DType(12, "quint8", 1, "B", 7),
    DType(13, "qint32", 4, "i", 7),
    DType(14, "bfloat16", 2, "H", 13),
    DType(15, "qint16", 2, "h", 7),
    DType(16, "quint16", 2, "H", 7),
    DType(17, "uint16", 2, "H", 7, content=False),
    DType(18, "complex128", 16, "", 12, content=False),
    DType(19, "float16", 2, "H", 13),
    DType(22, "uint32", 4, "I", 16),
    DType(23, "uint64", 8, "Q", 17),
    DType(24, "float8_e5m2", 1, "", 18),
    DType(25, "float8_e4m3fn", 1, "", 18),
    DType(26, "float8_e4m3fnuz", 1, "", 18),
    DType(27, "float8_e4m3b11fnuz", 1, "", 18),
    DType(28, "float8_e5m2fnuz", 1, "", 18),
    DType(29, "int4", 1, "b", 7, content=False),
    DType(30, "uint4", 1, "B", 7, content=False),
)
DTYPES: dict[int, DType] = {dtype.number: dtype for dtype in _TYPES}
#: Types that no constant can hold.
_OTHER_NAMES = {0: "invalid", 20: "resource", 21: "variant"}
#: Reference types are 100 more than the type itself.
REF = 100


def dtype_name(number: int) -> str:
    """Name an element type (``float32``, ``float32_ref``, ``type 77``)."""
    if number > REF:
        return f"{dtype_name(number - REF)}_ref"
    dtype = DTYPES.get(number)
    return dtype.name if dtype else _OTHER_NAMES.get(number, f"type {number}")


@dataclass(frozen=True)
class Tensor:
    """A tensor read from a checkpoint.

    `data`: row-major little-endian elements; a view into the mapped file wherever that is possible. Empty for strings.
    """

    dtype: DType
    shape: tuple[int, ...]
    data: memoryview = field(default_factory=lambda: memoryview(b""))
    strings: tuple[bytes, ...] = ()

    @property
    def count(self) -> int:
        """Number of elements."""
        return element_count(self.shape)


def element_count(shape: Sequence[int]) -> int:
    """Multiply the sizes of a shape."""
    return math.prod(shape)


def shape_proto(shape: Sequence[int]) -> bytes:
    """Encode a TensorShapeProto; -1 is a size that is not known."""
    return b"".join(bytes_field(2, number_field(1, size) if size else b"") for size in shape)


def tensor_proto(tensor: Tensor) -> list[Buffer]:
    """Encode a TensorProto the way ``tf.make_tensor_proto`` does, as pieces to be written one after another.

    The tensor's own bytes among them are not copied.
    """
    head = number_field(1, tensor.dtype.number) + bytes_field(2, shape_proto(tensor.shape))
    dtype = tensor.dtype
    if dtype.number == STRING:
        return [head, *(bytes_field(dtype.field, value) for value in tensor.strings)]
    if not tensor.count:
        return [head]
    if dtype.content and tensor.count > 1:
        return [head, bytes_header(4, len(tensor.data)), tensor.data]
    if dtype.code:
        values = struct.unpack(f"<{tensor.count}{dtype.code}", tensor.data)
        return [head, bytes_field(dtype.field, b"".join(map(varint, values)))]
    # floats and complex numbers are listed as they are in memory; so are bools, each one byte, and the 8-bit floats
    return [head, bytes_header(dtype.field, len(tensor.data)), tensor.data]
