"""What the first bytes of a file say it is: the kind of thing that arrives in place of what was wanted.

Only for messages. Nothing is decided by it, so a wrong guess costs a sentence and no more.
"""

from __future__ import annotations

from pathlib import Path

#: How many bytes :func:`looks_like` wants to see. A tar header is 512 bytes long.
HEAD = 512

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"BZh", "bzip2-compressed data"),
    (b"\xfd7zXZ\x00", "xz-compressed data"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed data"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the file it points to"),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x93NUMPY", "a numpy array"),
    (b"%PDF-", "a PDF document"),
    (b"\x7fELF", "an ELF program"),
)


def looks_like(head: bytes) -> str:
    """Say what a file that begins with `head` (up to :data:`HEAD` bytes) looks like; an empty string when unknown."""
    if not head:
        return "an empty file"
    for magic, what in _MAGIC:
        if head.startswith(magic):
            return what
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    if head[257:262] == b"ustar":
        return "a tar archive"
    # IDX magic: two zero bytes, an element type, a number of dimensions (yann.lecun.com/exdb/mnist).
    if len(head) >= 8 and head[:2] == b"\0\0" and 0x08 <= head[2] <= 0x0E and 1 <= head[3] <= 8:
        return f"an idx file (type 0x{head[2]:02x}, {head[3]} dimension{'s' * (head[3] > 1)})"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or b"<html" in start:
        return "a web page"
    if start.startswith(b"<"):
        return "XML text"
    if not head.strip(b"\0"):
        return "nothing but zero bytes"
    if all(byte >= 0x20 or byte in b"\t\n\r\f" for byte in head):
        return "text"
    return ""


def looks_like_model(head: bytes) -> str:
    """As :func:`looks_like`, and tells the models apart that have no magic number: Caffe, TensorFlow, ONNX.

    Their binary forms are protobuf messages without a mark; what is looked at are the first fields of each
    (``caffe.proto``: name, then layers; ``graph.proto``: nodes with name and op; ``onnx.proto``: ir_version, then
    producer, opset or graph).
    """
    found = looks_like(head)
    if found == "text":
        words = head.replace(b" ", b"")
        if b"node{" in words:
            return "a TensorFlow graph as text"
        is_net = any(word in words for word in (b"layer{", b"layers{", b"input:", b"input_dim:", b'name:"'))
        return "a Caffe prototxt" if is_net else found
    return found or _protobuf_model(head)


def _protobuf_model(head: bytes) -> str:
    if len(head) < 4:
        return ""
    if head[0] == 0x08 and 1 <= head[1] < 0x20 and head[2] in (0x12, 0x1A, 0x22, 0x3A, 0x42):
        return "an ONNX model"
    if head[0] in (0x12, 0xA2):  # a NetParameter without a name: layers (V1) or layer (V2)
        return "a Caffe model" if head[0] == 0x12 or head[1] == 0x06 else ""
    if head[0] != 0x0A:
        return ""
    length, start = head[1], 2
    if length & 0x80:
        length, start = (length & 0x7F) | (head[2] & 0x7F) << 7, 3 if head[2] < 0x80 else 4
    inside, after = head[start : start + length], head[start + length : start + length + 2]
    name = inside[2 : 2 + inside[1]] if len(inside) > 2 and inside[0] == 0x0A else b""
    if name and name.isascii() and inside[2 + len(name) : 3 + len(name)] in (b"\x12", b""):
        return "a TensorFlow graph"
    if inside.isascii() and (after[:1] in (b"\x12", b"\x1a") or after == b"\xa2\x06"):
        return "a Caffe model"
    return ""


def looks_like_file(path: Path) -> str:
    """As :func:`looks_like`, of a file; an empty string when it cannot be read."""
    try:
        with path.open("rb") as file:
            return looks_like(file.read(HEAD))
    except OSError:
        return ""
