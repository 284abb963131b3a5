"""A TensorFlow checkpoint of the V1 form, its variables all zero, in little space: Snappy folds 64 zeros into 3 bytes.

Table format: LevelDB's ``doc/table_format.md``; entries: ``tensorflow/core/util/saved_tensor_slice.proto``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

_FLOAT = 1
_MAGIC = 0xDB4775248B80FB57
_COPY = struct.pack("<BH", (64 - 1) << 2 | 2, 64)  # 64 bytes from 64 bytes back


def zeros(shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """Write a checkpoint file. `shapes`: variable -> its shape; all are float32."""
    from modelprep.formats.tensorflow.messages import message
    from modelprep.formats.tensorflow.slices import Slice, slice_key

    contents = message("SavedTensorSlices")()
    entries: list[tuple[bytes, bytes, int]] = []
    for name, shape in sorted(shapes.items()):
        meta = contents.meta.tensor.add(name=name, type=_FLOAT)
        _extents(meta.slice.add(), shape)
        for size in shape:
            meta.shape.dim.add(size=size)
        head, count = _entry_head(name, shape)
        entries.append((slice_key(name, Slice.whole(len(shape))), head, count))
    contents.meta.versions.producer = 0
    entries.append((b"", contents.SerializeToString(), 0))
    out, index = bytearray(), bytearray()
    for key, head, count in sorted(entries):
        entry = b"\0" + _varint(len(key)) + _varint(len(head) + count) + key + head
        handle = _block(out, _snappy(entry, count, struct.pack("<II", 0, 1)), 1)
        index += b"\0" + _varint(len(key)) + _varint(len(handle)) + key + handle
    # Each entry of the index tells its key in full, so each could be a restart; one at the start will do.
    meta_handle = _block(out, struct.pack("<II", 0, 1), 0)
    index_handle = _block(out, bytes(index) + struct.pack("<II", 0, 1), 0)
    footer = (meta_handle + index_handle).ljust(40, b"\0")
    return bytes(out + footer + struct.pack("<Q", _MAGIC))


def _extents(part: Any, shape: tuple[int, ...]) -> None:
    for _ in shape:
        part.extent.add()


def _entry_head(name: str, shape: tuple[int, ...]) -> tuple[bytes, int]:
    """Return a SavedTensorSlices up to its float values, and how many bytes these take."""
    from modelprep.formats.tensorflow.messages import message

    saved = message("SavedSlice")(name=name)
    _extents(saved.slice, shape)
    count = 4
    for size in shape:
        count *= size
    tensor = message("TensorProto")(dtype=_FLOAT).SerializeToString()
    # float_val, field 5, packed: its zeros come last, so that the outer lengths are known before them.
    tensor += b"\x2a" + _varint(count)
    inner = saved.SerializeToString() + b"\x1a" + _varint(len(tensor) + count) + tensor
    return b"\x12" + _varint(len(inner) + count) + inner, count


def _snappy(head: bytes, count: int, tail: bytes) -> bytes:
    """Fold `head`, `count` zeros and `tail`."""
    folded = max(0, count // 64 - 1) * 64
    return (
        _varint(len(head) + count + len(tail)) + _literal(head + bytes(count - folded)) + _COPY * (folded // 64)
        + _literal(tail)
    )  # fmt: skip


def _literal(data: bytes) -> bytes:
    # Tag 61 << 2: two bytes of length follow; 62 << 2: three.
    long = len(data) > 1 << 16
    return (
        struct.pack("<BI", 62 << 2, len(data) - 1)[:4] if long else struct.pack("<BH", 61 << 2, len(data) - 1)
    ) + data


def _block(out: bytearray, data: bytes, kind: int) -> bytes:
    """Append a block with its trailer; return its handle."""
    from modelprep.formats.tensorflow.crc32c import crc32c, mask

    handle = _varint(len(out)) + _varint(len(data))
    body = data + bytes([kind])
    out += body + struct.pack("<I", mask(crc32c(body)))
    return handle


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
