"""Slices of tensors: what part of a variable a checkpoint entry holds, and under which key.

A partitioned variable is stored as several slices of one tensor. A slice has a start and a length in every dimension;
length -1 means all of it. Keys of slices are made with an encoding that sorts like the values it encodes.
Source: TensorFlow ``core/framework/tensor_slice.h``, ``core/util/saved_tensor_slice_util.cc``,
``core/lib/strings/ordered_code.cc``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

FULL = -1


@dataclass(frozen=True)
class Slice:
    """A box in a tensor.

    `extents`: a (start, length) pair in each dimension, in elements; ``(0, -1)`` where the dimension is whole.
    """

    extents: tuple[tuple[int, int], ...]

    @classmethod
    def whole(cls, rank: int) -> Slice:
        """Return the slice that is the whole of a tensor of this rank."""
        return cls(((0, FULL),) * rank)

    @classmethod
    def parse(cls, text: str) -> Slice:
        """Read TensorFlow's notation, ``0,10:-``: ``start,length`` a dimension, ``-`` for a whole one.

        Raises ValueError: `text` is no such notation.
        """
        extents = []
        for part in text.split(":") if text else []:
            if part == "-":
                extents.append((0, FULL))
                continue
            start, comma, length = part.partition(",")
            if not comma or not start.isdecimal() or not length.isdecimal():
                raise ValueError(f"'{part}' is no start,length")
            extents.append((int(start), int(length)))
        return cls(tuple(extents))

    @classmethod
    def of_proto(cls, extents: Iterable[Any]) -> Slice:
        """Take the extents of a TensorSliceProto; one that is whole has no length in it, which is not the length 0."""
        return cls(tuple((one.start, one.length if one.HasField("length") else FULL) for one in extents))

    def within(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return (starts, lengths) in a tensor of this `shape`.

        Raises ValueError: the slice has another rank or reaches outside.
        """
        if len(self.extents) != len(shape):
            raise ValueError(f"slice {self} has {len(self.extents)} dimensions, the tensor {len(shape)}")
        starts, lengths = [], []
        for (start, length), size in zip(self.extents, shape, strict=True):
            count = size - start if length == FULL else length
            if start < 0 or count < 0 or start + count > size:
                raise ValueError(f"slice {self} reaches outside of shape {list(shape)}")
            starts.append(start)
            lengths.append(count)
        return tuple(starts), tuple(lengths)

    def normal(self, shape: tuple[int, ...]) -> Slice:
        """Write dimensions that are whole as whole, so that equal slices of one tensor compare equal."""
        starts, lengths = self.within(shape)
        boxes = zip(starts, lengths, shape, strict=True)
        return Slice(
            tuple((0, FULL) if (start, count) == (0, size) else (start, count) for start, count, size in boxes)
        )

    def __str__(self) -> str:
        return ":".join("-" if length == FULL else f"{start},{length}" for start, length in self.extents)


def slice_key(name: str, part: Slice) -> bytes:
    """Make the key under which a checkpoint holds slice `part` of tensor `name`."""
    # 00 01 ends the string, so a zero byte inside is followed by ff; ff itself does not occur in UTF-8
    text = name.encode().replace(b"\x00", b"\x00\xff") + b"\x00\x01"
    numbers = (_ordered_signed(number) for extent in part.extents for number in extent)
    return b"".join((_ordered_number(0), text, _ordered_number(len(part.extents)), *numbers))


def _ordered_number(value: int) -> bytes:
    digits = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([len(digits)]) + digits


def _ordered_signed(value: int) -> bytes:
    # n bytes hold 7n - 1 bits of magnitude (64 in ten); the first bits count the bytes, inverted for negative numbers
    magnitude = ~value if value < 0 else value
    count = 1 if magnitude < 64 else min(10, magnitude.bit_length() // 7 + 1)
    digits = bytearray(value.to_bytes(10, "big", signed=True)[10 - count :])
    header = ((1 << count) - 1) << (16 - count) & 0xFFFF
    digits[0] ^= header >> 8
    if count > 1:
        digits[1] ^= header & 0xFF
    return bytes(digits)


_Box = tuple[tuple[int, ...], tuple[int, ...]]


def copy_box(target: bytearray, target_box: _Box, source: memoryview, source_box: _Box, itemsize: int) -> int:
    """Copy what two boxes of one tensor have in common.

    `target`, `source`: row-major elements of each box. `target_box`, `source_box`: (starts, lengths) of each within the
    tensor, in elements. `itemsize`: bytes an element. Returns how many elements were copied.
    """
    lows = tuple(map(max, target_box[0], source_box[0]))
    highs = (min(a + m, b + n) for a, m, b, n in zip(*target_box, *source_box, strict=True))
    counts = tuple(high - low for low, high in zip(lows, highs, strict=True))
    if any(count <= 0 for count in counts):
        return 0
    rank = len(counts)
    # the last dimensions that both boxes hold whole are one run of bytes
    split = rank
    while split and counts[split - 1] == target_box[1][split - 1] == source_box[1][split - 1]:
        split -= 1
    split = max(split - 1, 0)
    run = itemsize * math.prod(counts[split:])
    to_strides, from_strides = _strides(target_box[1], itemsize), _strides(source_box[1], itemsize)

    def row(dimension: int, to: int, source_at: int) -> None:
        to_stride, from_stride = to_strides[dimension], from_strides[dimension]
        to += (lows[dimension] - target_box[0][dimension]) * to_stride
        source_at += (lows[dimension] - source_box[0][dimension]) * from_stride
        if dimension == split:
            target[to : to + run] = source[source_at : source_at + run]
            return
        for step in range(counts[dimension]):
            row(dimension + 1, to + step * to_stride, source_at + step * from_stride)

    if rank:
        row(0, 0, 0)
    else:
        target[:itemsize] = source[:itemsize]
    return math.prod(counts)


def _strides(lengths: tuple[int, ...], itemsize: int) -> list[int]:
    return [itemsize * math.prod(lengths[place + 1 :]) for place in range(len(lengths))]
