"""Protobuf bytes by hand, for files that no library would write."""

from __future__ import annotations

from collections.abc import Sequence

from modelprep.formats.protowire import varint

__all__ = ["blob", "field", "layer", "v1_layer", "varint"]


def field(number: int, body: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(body)) + body


def blob(numbers: bytes, shape: Sequence[int]) -> bytes:
    """The inside of a BlobProto with packed floats."""
    return field(5, numbers) + field(7, field(1, b"".join(map(varint, shape))))


def layer(name: str, type_: str, *blobs: bytes) -> bytes:
    """A V2 layer."""
    inside = field(1, name.encode()) + field(2, type_.encode()) + b"".join(field(7, one) for one in blobs)
    return field(100, inside)


def v1_layer(name: str, type_: int, *blobs: bytes) -> bytes:
    """A V1 layer."""
    inside = field(4, name.encode()) + varint(5 << 3) + varint(type_) + b"".join(field(6, one) for one in blobs)
    return field(2, inside)
