"""What bytes look like, in words: so that an error can say what arrived instead of the file."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from pathlib import Path

from modelprep.store.disk import human

#: How much of a file is looked at, bytes.
HEAD = 64 * 1024

_HTML = re.compile(rb"<(?:!doctype\s+html|html[\s>]|head[\s>]|body[\s>]|meta\s)", re.IGNORECASE)
_TITLE = re.compile(rb"<title[^>]*>(.{0,400}?)</title", re.IGNORECASE | re.DOTALL)
_XML_TEXT = re.compile(rb"<(Code|Message)>([^<]{1,200})</", re.IGNORECASE)
_LFS_FIRST_LINE = b"version https://git-lfs.github.com/spec/"
_LFS_OID = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
_LFS_SIZE = re.compile(rb"^size (\d{1,18})$", re.MULTILINE)

_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x1f\x8b", "gzip", "a gzip file"),
    (0, b"PK\x03\x04", "zip", "a zip archive"),
    (0, b"PK\x05\x06", "zip", "an empty zip archive"),
    (0, b"BZh", "bzip2", "a bzip2 file"),
    (0, b"\xfd7zXZ\0", "xz", "an xz file"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z", "a 7z archive"),
    (0, b"\x28\xb5\x2f\xfd", "zstd", "a zstd file"),
    (257, b"ustar", "tar", "a tar archive"),
    (4, b"TFL3", "tflite", "a TFLite model"),
    (0, b"\x89HDF\r\n\x1a\n", "hdf5", "an HDF5 file"),
    (0, b"\x89PNG\r\n\x1a\n", "picture", "a PNG picture"),
    (0, b"\xff\xd8\xff", "picture", "a JPEG picture"),
    (0, b"GIF8", "picture", "a GIF picture"),
    (8, b"WEBP", "picture", "a WebP picture"),
    (0, b"BM", "picture", "a BMP picture"),
    (0, b"%PDF-", "pdf", "a PDF document"),
    (0, b"\x7fELF", "program", "a program (ELF)"),
    (0, b"\x93NUMPY", "npy", "a NumPy array"),
    (0, b"\x00\x00\x08\x01", "idx", "an idx file of labels"),
    (0, b"\x00\x00\x08\x03", "idx", "an idx file of pictures"),
)


@dataclass(frozen=True)
class Looks:
    """What some bytes look like.

    Parameters
    ----------
    kind
        ``empty``, ``web page``, ``lfs pointer``, ``xml``, ``json``, ``text``, ``gzip``, ..., ``binary``.
    text
        The same for a person, with size, title, or the text of an error.
    lfs_oid
        SHA-256 that a Git LFS pointer names, else an empty string.
    """

    kind: str
    text: str
    lfs_oid: str = ""

    def __str__(self) -> str:
        return self.text

    @property
    def is_page(self) -> bool:
        """True for what servers send in place of a file: a page, an error document, a pointer, nothing."""
        return self.kind in ("web page", "lfs pointer", "xml", "json", "empty")


def describe(path: Path, *, expected_size: int | None = None) -> Looks:
    """Say what a file looks like, from its first 64 KiB and its size.

    Parameters
    ----------
    expected_size
        Bytes it should have; when it has fewer, the words say how many are missing.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
        size = path.stat().st_size
    except OSError as error:
        return Looks("unreadable", f"a file that cannot be read ({error.strerror})")
    return describe_bytes(head, size=size, expected_size=expected_size)


def describe_bytes(head: bytes, *, size: int | None = None, expected_size: int | None = None) -> Looks:
    """Say what bytes look like of which `head` are the first ones.

    Parameters
    ----------
    size
        How many there are in all; None when that is not known (the rest was not read).
    """
    looks = _what(head, size)
    count = "" if size is None or looks.kind == "empty" else f", {human(size)}"
    text = f"{looks.text}{count}"
    if size is not None and expected_size is not None and size != expected_size:
        if 0 < size < expected_size and not looks.is_page:
            text += f": truncated, {human(expected_size - size)} are missing"
        elif size > expected_size:
            text += f": {human(size - expected_size)} too many"
    return Looks(looks.kind, text, looks.lfs_oid)


def is_web_page(head: bytes) -> bool:
    """Tell whether bytes begin as an HTML page does."""
    start = head[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith((b"<?xml", b"<!--")):
        return _HTML.search(start) is not None and b"<html" in head[:4096].lower()
    return _HTML.match(start) is not None


def is_lfs_pointer(head: bytes) -> bool:
    """Tell whether bytes are a Git LFS pointer."""
    return head.startswith(_LFS_FIRST_LINE)


def _what(head: bytes, size: int | None) -> Looks:
    if not head:
        return Looks("empty", "an empty file" if size == 0 else "nothing")
    if is_lfs_pointer(head):
        oid, length = _LFS_OID.search(head), _LFS_SIZE.search(head)
        name = oid.group(1).decode() if oid else ""
        stands = f" for sha256 {name}" if name else ""
        stands += f" of {human(int(length.group(1)))}" if length else ""
        return Looks("lfs pointer", f"a Git LFS pointer{stands}", name)
    if is_web_page(head):
        title = _TITLE.search(head)
        words = _words(html.unescape(title.group(1).decode("utf-8", "replace"))) if title else ""
        return Looks("web page", f"a web page titled '{words}'" if words else "a web page")
    for offset, magic, kind, text in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return Looks(kind, text)
    start = head[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    if _is_text(head):
        return _text(start, head, whole=size is not None and size <= len(head))
    return _protobuf(head) or Looks("binary", f"binary data beginning {head[:8].hex(' ')}")


def _text(start: bytes, head: bytes, *, whole: bool) -> Looks:
    if start.startswith(b"<"):
        said = "; ".join(_words(m.group(2).decode("utf-8", "replace")) for m in _XML_TEXT.finditer(head))
        return Looks("xml", f"an XML document that says '{said}'" if said else "an XML document")
    if start[:1] in (b"{", b"["):
        said = _json_message(head) if whole else ""
        return Looks("json", f"a JSON document that says '{said}'" if said else "a JSON document")
    line = _words(start.split(b"\n", 1)[0].decode("utf-8", "replace"))
    return Looks("text", f"text beginning '{line}'")


def _json_message(data: bytes) -> str:
    try:
        record = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    for _ in range(3):
        if isinstance(record, dict):
            record = next((record[k] for k in ("error", "message", "detail", "reason") if k in record), None)
    return _words(record) if isinstance(record, str) else ""


def _is_text(head: bytes) -> bool:
    sample = head[:4096]
    if b"\0" in sample:
        return False
    odd = sum(1 for byte in sample if byte < 32 and byte not in b"\t\n\r\f\x1b")
    if odd:
        return False
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(sample) - 4  # cut inside a character
    return True


def _words(text: str, limit: int = 90) -> str:
    # Control characters from outside never reach a terminal.
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _protobuf(head: bytes) -> Looks | None:
    """Guess at the protobuf messages of this field by the tag of the first field and what it holds."""
    if len(head) < 8:
        return None
    tag = head[0]
    if tag == 0x08 and 0 < head[1] < 0x20 and head[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x3a", b"\x42"):
        return Looks("onnx", "an ONNX model")
    if tag == 0x0A and len(head) > 4:
        length, at = _varint(head, 1)
        inside = head[at : at + min(length, 200)]
        if 0 < length <= 256 and len(inside) == length and _is_text(inside) and head[at + length : at + length + 1]:
            after = head[at + length]
            if after in (0x12, 0x1A, 0x22, 0x2A, 0x32, 0x3A, 0xA2) and head[at + length + 1 : at + length + 2]:
                return Looks("caffemodel", f"a protobuf that could be a caffemodel (net '{_words(inside.decode())}')")
        if inside[:1] == b"\x0a":
            return Looks("graphdef", "a protobuf that could be a TensorFlow graph")
    return None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return value, at
