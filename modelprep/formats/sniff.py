"""What the first bytes of a file say it is: the kind of content that arrives instead of the expected file.

:mod:`modelprep.fetch.sniff` adds sizes, and what a server said. Only :func:`is_web_page` and :func:`is_lfs_pointer` are
certain enough to decide by; everything else is for messages.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from modelprep.structs import dataclass

#: How many bytes :func:`recognise` needs at least. A tar header is 512 bytes long.
HEAD = 512
_BLANK = b"\xef\xbb\xbf \t\r\n\f"
_HTML = re.compile(rb"<(?:!doctype\s+html|html[\s>]|head[\s>]|body[\s>]|meta\s)", re.IGNORECASE)
_TITLE = re.compile(rb"<title[^>]*>(.{0,400}?)</title", re.IGNORECASE | re.DOTALL)
_JSON = re.compile(rb"""\{|\[\s*(?:["{\[\]0-9-]|true\b|false\b|null\b)""")
_LFS_FIRST_LINE = b"version https://git-lfs.github.com/spec/"
#: A line that a Caffe net has and other texts have not; likewise a TensorFlow graph.
_NET_LINE = re.compile(
    rb"""^[ \t]*(?:layers?\s*\{|input_dim\s*:\s*\d|input_shape\s*\{|(?:name|input)\s*:\s*")""", re.MULTILINE
)
_NODE_LINE = re.compile(rb"^[ \t]*node\s*\{", re.MULTILINE)

#: Position, bytes, name of the kind, its words.
_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x1f\x8b", "gzip", "gzip-compressed data"),
    (0, b"BZh", "bzip2", "bzip2-compressed data"),
    (0, b"\xfd7zXZ\0", "xz", "xz-compressed data"),
    (0, b"\x28\xb5\x2f\xfd", "zstd", "zstd-compressed data"),
    (0, b"PK\x03\x04", "zip", "a zip archive"),
    (0, b"PK\x05\x06", "zip", "an empty zip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z", "a 7z archive"),
    (0, b"Rar!\x1a\x07", "rar", "a rar archive"),
    (257, b"ustar", "tar", "a tar archive"),
    (16, b"\xde\xc0\xef\xbe\x01", "lmdb", "an LMDB database (a training set)"),
    (0, b"\xff\xfe", "utf-16", "text in UTF-16"),
    (0, b"\xfe\xff", "utf-16", "text in UTF-16"),
    (4, b"TFL3", "tflite", "a TF Lite model"),
    (0, b"\x89HDF\r\n\x1a\n", "hdf5", "an HDF5 file"),
    (0, b"\x89PNG\r\n\x1a\n", "picture", "a PNG picture"),
    (0, b"\xff\xd8\xff", "picture", "a JPEG picture"),
    (0, b"GIF8", "picture", "a GIF picture"),
    (8, b"WEBP", "picture", "a WebP picture"),
    (0, b"%PDF-", "pdf", "a PDF document"),
    (0, b"\x7fELF", "program", "an ELF program"),
    (0, b"\x93NUMPY", "npy", "a NumPy array"),
    (0, b"\x80\x02", "pickle", "a Python pickle (an old PyTorch file?)"),
)
#: Tags that follow a net's name in a caffemodel: layers, input, input_dim, force_backward, state, debug_info,
#: input_shape, layer (``caffe.proto``, NetParameter).
_AFTER_A_NETS_NAME = frozenset({0x12, 0x1A, 0x20, 0x28, 0x32, 0x38, 0x42, 0xA2})


@dataclass(frozen=True)
class Kind:
    """What bytes look like.

    `name`: for code: ``gzip``, ``web page``, ``text``, ``caffemodel``, ... `text`: for messages: ``gzip-compressed
    data``. `title`: what they call themselves, on one line: a page's title, a net's name. Empty where they do not.
    """

    name: str
    text: str
    title: str = ""


def recognise(head: bytes) -> Kind | None:
    """Return what a file that begins with `head` is; None if it has no known mark.

    `head`: at least the first :data:`HEAD` bytes, or the whole file.
    """
    if not head:
        return Kind("empty", "an empty file")
    if is_lfs_pointer(head):
        return Kind("lfs pointer", "a Git LFS pointer, not the file it points to")
    if is_web_page(head):
        return _page(head)
    for offset, magic, name, text in _MAGIC:
        if head.startswith(magic, offset):
            return Kind(name, text)
    # Two letters are no mark for a picture; the four bytes that BMP reserves are zero.
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return Kind("picture", "a BMP picture")
    # IDX magic: two zero bytes, an element type, a number of dimensions (yann.lecun.com/exdb/mnist).
    if len(head) >= 8 and head[:2] == b"\0\0" and 0x08 <= head[2] <= 0x0E and 1 <= head[3] <= 8:
        holds = {b"\x08\x01": " of labels", b"\x08\x03": " of pictures"}.get(head[2:4], "")
        return Kind("idx", f"an idx file{holds} (type 0x{head[2]:02x}, {head[3]} dimension{'s' * (head[3] > 1)})")
    if not head.strip(b"\0"):
        return Kind("zeros", "nothing but zero bytes" + " at its beginning" * (len(head) >= HEAD))
    if is_text(head):
        return _text(head)
    if 0 < head.count(0) < len(head) // 8 and is_text(head.replace(b"\0", b"")):
        return Kind("text with zeros", f"text with a zero byte in it, at byte {head.index(0)}")
    return None


def recognise_model(head: bytes) -> Kind | None:
    """As :func:`recognise`, and tell models without a mark apart: Caffe, TensorFlow, ONNX, as text or binary.

    The binary ones are protobuf messages; what is looked at are the first fields of each (``caffe.proto``: name, then
    layers; ``graph.proto``: nodes with name and op; ``onnx.proto``: ir_version, then producer, opset or graph).
    """
    found = recognise(head)
    if found is None:
        return _protobuf_model(head)
    if found.name == "text" and _NODE_LINE.search(head):
        return Kind("text graph", "a TensorFlow graph as text")
    if found.name == "text" and _NET_LINE.search(head):
        return Kind("prototxt", "a Caffe prototxt")
    return found


def looks_like(head: bytes) -> str:
    """Return what :func:`recognise` finds, in words; an empty string if it finds nothing."""
    found = recognise(head)
    return found.text if found else ""


def looks_like_model(head: bytes, wanted: str = "") -> str:
    """Return what :func:`recognise_model` finds, in words; an empty string if it finds nothing.

    Empty too if the words hold `wanted`: that a damaged graph looks like a graph helps nobody.
    """
    found = recognise_model(head)
    return found.text if found and not (wanted and wanted in found.text) else ""


def looks_like_file(path: Path) -> str:
    """As :func:`looks_like`, of a file; an empty string when it cannot be read."""
    try:
        with path.open("rb") as file:
            return looks_like(file.read(HEAD))
    except OSError:
        return ""


def is_web_page(head: bytes) -> bool:
    """Return whether the bytes begin like an HTML page."""
    start = head[:1024].lstrip(_BLANK)
    if start.startswith((b"<?xml", b"<!--")):
        return _HTML.search(start) is not None and b"<html" in head[:4096].lower()
    return _HTML.match(start) is not None


def is_lfs_pointer(head: bytes) -> bool:
    """Return whether bytes are a Git LFS pointer."""
    return head.removeprefix(codecs.BOM_UTF8).startswith(_LFS_FIRST_LINE)


def is_text(head: bytes) -> bool:
    """Return whether bytes begin as text does: no control characters, and UTF-8 or mostly ASCII (Latin-1)."""
    sample = head[:4096]
    if any(byte < 32 and byte not in b"\t\n\v\r\f\x1b" for byte in sample):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)  # which may end inside a character
    except UnicodeDecodeError:
        return sum(byte < 128 for byte in sample) > 0.9 * len(sample)
    return True


def one_line(text: str | bytes, limit: int = 90) -> str:
    """Return a text from outside on one line, without control characters, `limit` characters at most."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _page(head: bytes) -> Kind:
    title = _TITLE.search(head)
    if title is None:
        return Kind("web page", "a web page")
    from html import unescape  # with its table of names; few files are pages

    return Kind("web page", "a web page", one_line(unescape(title[1].decode("utf-8", "replace"))))


def _text(head: bytes) -> Kind:
    start = head.lstrip(_BLANK)
    if start.startswith(b"<"):
        return _page(head) if b"<html" in head.lower() else Kind("xml", "an XML document")
    return Kind("json", "a JSON document") if _JSON.match(start) else Kind("text", "text")


def _protobuf_model(head: bytes) -> Kind | None:
    onnx = Kind("onnx", "an ONNX model")
    if len(head) < 4:
        return None
    if (caffe := _beside_a_caffemodel(head)) is not None:
        return caffe
    if head[0] == 0x08 and 1 <= head[1] < 0x20 and head[2] in (0x12, 0x1A, 0x22, 0x3A, 0x42):
        # A SavedModel: its version, which is 1, then a MetaGraphDef where an ONNX file has its producer's name.
        _, inside = _payload(head, 3)
        saved = head[1] == 1 and head[2] == 0x12 and inside[:1] == b"\x0a"
        return Kind("saved model", "a TensorFlow SavedModel") if saved else onnx
    if head[0] == 0x12 or head[:2] == b"\xa2\x06":  # a net without a name: layers (V1) or layer, each with a string
        _, inside = _payload(head, 1 if head[0] == 0x12 else 2)
        return Kind("caffemodel", "a Caffe model") if inside[:1] in (b"\x0a", b"\x12", b"\x1a", b"\x22") else None
    if head[0] != 0x0A:
        return None
    end, inside = _payload(head, 1)
    node = inside[2 : 2 + inside[1]] if len(inside) > 2 and inside[0] == 0x0A else b""
    if node and node.isascii() and inside[2 + len(node) : 3 + len(node)] in (b"\x12", b""):
        return Kind("graphdef", "a TensorFlow graph")
    after = head[end : end + 2]
    if len(after) == 2 and after[0] in _AFTER_A_NETS_NAME and is_text(inside):
        return Kind("caffemodel", "a Caffe model", one_line(inside))
    return None


def _beside_a_caffemodel(head: bytes) -> Kind | None:
    """Recognize a mean file (BlobProto: four sizes, data) and a solver's state (iteration, its caffemodel)."""
    from modelprep.formats.protowire import WireError, read_varint

    numbers: list[int] = []
    at = 0
    try:
        while at < len(head) and len(numbers) < 5 and not head[at] & 7:
            numbers.append(head[at] >> 3)
            _, at = read_varint(head, at + 1, len(head))
    except WireError:
        return None
    if numbers == [1, 2, 3, 4] and head[at : at + 1] == b"\x2a":
        return Kind("blob", "a Caffe blob, such as a mean file (.binaryproto)")
    if numbers == [1] and head[at : at + 1] == b"\x12" and b".caffemodel" in _payload(head, at + 1)[1]:
        return Kind("solver state", "a Caffe solver's state (.solverstate), which holds no net")
    return None


def _payload(head: bytes, at: int) -> tuple[int, bytes]:
    """Return the end of a length-delimited field whose length is at `at`, and the part of it that `head` has."""
    from modelprep.formats.protowire import WireError, read_varint

    try:
        size, start = read_varint(head, at, len(head))
    except WireError:
        return len(head), b""
    return start + size, head[start : start + size]
