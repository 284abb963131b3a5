"""What a file that is no caffemodel looks like, told from its first bytes."""

from __future__ import annotations

#: (offset, bytes, what it is). Sources: the formats' own specifications.
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (0, b"\x1f\x8b", "a gzip file (unpack it first)"),
    (0, b"PK\x03\x04", "a zip archive (unpack it first)"),
    (0, b"BZh", "a bzip2 file (unpack it first)"),
    (0, b"\xfd7zXZ\x00", "an xz file (unpack it first)"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive (unpack it first)"),
    (257, b"ustar", "a tar archive (unpack it first)"),
    (0, b"version https://git-lfs", "a Git LFS pointer (the file itself was not fetched)"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"\x93NUMPY", "a NumPy array file"),
    (4, b"TFL3", "a TensorFlow Lite model"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x80\x02", "a Python pickle (an old PyTorch file?)"),
)
_LAYER_WORDS = (b"layer", b"layers", b"input", b"name")


def looks_like(head: bytes) -> str | None:
    """Say what these first bytes are, or None when they are nothing known.

    Parameters
    ----------
    head
        The first bytes of the file; 512 are enough.
    """
    if not head:
        return "an empty file"
    for offset, magic, name in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return name
    if not head.strip(b"\x00"):
        return "nothing but zero bytes (a download that was allocated and never filled)"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<script")):
        return "a web page"
    if all(byte >= 0x20 or byte in b"\t\r\n" for byte in head):
        if any(word in head for word in _LAYER_WORDS) and (b"{" in head or b":" in head):
            return "a prototxt (text), where the binary .caffemodel is wanted"
        return "a text file"
    return None
