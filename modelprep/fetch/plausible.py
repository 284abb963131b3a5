"""Check that a file without a pinned checksum looks like what the recipe names.

The name determines the expected type: a model of some format, a picture, an archive, text. Empty files, web pages and
error documents are never accepted. Files with a digest are not checked here: the digest decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from modelprep.errors import ModelprepError
from modelprep.fetch.failures import SourceFailed
from modelprep.fetch.partials import Landed
from modelprep.fetch.sniff import HEAD, Looks, describe_bytes
from modelprep.formats.sniff import Kind, recognise_model
from modelprep.store import Store
from modelprep.store.disk import storage

#: Maximum leading white space in bytes.
_MOST_BLANKS = 4 << 20
_BLANKS = b" \t\r\n\f\v\0\xef\xbb\xbf\xff\xfe"
_PAGE = re.compile(rb"<!doctype\s+html|<html[\s>]|<head[\s>]", re.IGNORECASE)
_XML_ERROR = re.compile(rb"<(?:\w+:)?(?:error|code|exception|fault)\b", re.IGNORECASE)

_TEXT = frozenset({"text", "text graph", "prototxt", "json", "xml"})
#: Binary models without magic bytes; their type can only be guessed.
_PROTOBUF = frozenset({"graphdef", "saved model", "onnx", "caffemodel", "binary"})
_PICTURE = frozenset({"picture"})
_COMPRESSED = frozenset({"gzip", "bzip2", "xz"})
#: Suffix -> (its name, the kinds that its bytes may look like).
_BY_SUFFIX: dict[str, tuple[str, frozenset[str]]] = {
    **dict.fromkeys(("tflite", "lite"), ("a TF Lite model", frozenset({"tflite"}))),
    "onnx": ("an ONNX model", _PROTOBUF),
    "pb": ("a TensorFlow graph", _PROTOBUF),
    "caffemodel": ("a Caffe model", _PROTOBUF),
    **dict.fromkeys(("prototxt", "pbtxt"), ("a model as text", frozenset({"text", "text graph", "prototxt"}))),
    "npy": ("a NumPy array", frozenset({"npy"})),
    "npz": ("a NumPy archive", frozenset({"zip"})),
    **dict.fromkeys(("h5", "hdf5", "keras"), ("a Keras model", frozenset({"hdf5", "zip"}))),
    **dict.fromkeys(("pt", "pth"), ("a PyTorch model", frozenset({"zip", "pickle", "binary"}))),
    **dict.fromkeys(("png", "jpg", "jpeg", "bmp", "gif", "webp"), ("a picture", _PICTURE)),
    **dict.fromkeys(("zip",), ("a zip archive", frozenset({"zip"}))),
    **dict.fromkeys(("gz", "tgz"), ("gzip-compressed data", frozenset({"gzip"}))),
    **dict.fromkeys(("bz2", "tbz2"), ("bzip2-compressed data", frozenset({"bzip2"}))),
    **dict.fromkeys(("xz", "txz"), ("xz-compressed data", frozenset({"xz"}))),
    "zst": ("zstd-compressed data", frozenset({"zstd"})),
    "7z": ("a 7z archive", frozenset({"7z"})),
    "rar": ("a rar archive", frozenset({"rar"})),
    "tar": ("a tar archive", frozenset({"tar", "binary"})),
    **dict.fromkeys(("idx",), ("an idx file", frozenset({"idx"}))),
    **dict.fromkeys(("txt", "csv", "tsv", "names", "labels", "md", "yaml", "yml", "py", "sh"), ("text", _TEXT)),
    "json": ("a JSON document", frozenset({"json"})),
    "xml": ("an XML document", frozenset({"xml"})),
}


def implausible(path: Path, names: Iterable[str]) -> tuple[Looks, str] | None:
    """Return what a file looks like and what its name says; None if they may match. OSError if it cannot be read.

    `names` are the file's own name and the paths where it is installed; the first with a known suffix counts.
    """
    called = [name.lower() for name in names]
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD)
        kind = recognise_model(head) or Kind("binary", "binary data")
        if kind.name in (*_TEXT, "zeros") or head[:2] in (b"\xff\xfe", b"\xfe\xff"):
            told = _without_blanks(head, file.read(_MOST_BLANKS) if not head.strip(_BLANKS) else b"")
            kind = _kind_of_text(told, kind, whole=size <= HEAD + _MOST_BLANKS)
            head = told or head
    suffixes = ("idx" if name.endswith("-ubyte") else name.rpartition(".")[2] for name in called)
    what, fitting = next((_BY_SUFFIX[suffix] for suffix in suffixes if suffix in _BY_SUFFIX), ("the file", None))
    page_wanted = any(name.endswith((".html", ".htm", ".xhtml")) for name in called)
    if kind.name in ("empty", "lfs pointer", "error") or (kind.name == "web page" and not page_wanted):
        fits = False
    else:
        fits = fitting is None or kind.name in fitting
    if fits:
        return _inside(path) if kind.name in _COMPRESSED else None
    looks = describe_bytes(b"" if kind.name == "empty" else head, size=size)
    if kind.name == "empty" and size:
        looks = Looks("empty", f"only white space or zero bytes ({size} bytes)")
    elif kind.name == "web page" and looks.kind != "web page":
        looks = Looks("web page", f"a web page, {size} bytes")
    return looks, what


def _inside(path: Path) -> tuple[Looks, str] | None:
    """Judge compressed data by its content: servers compress error pages too."""
    from modelprep.formats.archive.decompress import Reader

    try:
        with Reader(path) as stream:
            head = stream.read(HEAD)
    except ModelprepError:
        return None  # unpacking reports the damage
    kind = recognise_model(head) or Kind("binary", "binary data")
    if kind.name in ("text", "xml", "json"):
        kind = _kind_of_text(_without_blanks(head, b""), kind, whole=len(head) < HEAD)
    if kind.name not in ("empty", "lfs pointer", "error", "web page"):
        return None
    return Looks(kind.name, f"compressed, and inside is {describe_bytes(head, size=None)}"), "the file"


def check(store: Store, landed: Landed, names: Iterable[str], shown: str) -> None:
    """Quarantine an unpinned download that does not match its names (:func:`implausible`), and raise SourceFailed.

    `shown` is its origin, for the note in quarantine.
    """
    with storage(landed.path, doing="read"):
        found = implausible(landed.path, names)
    if found is None:
        return
    looks, what = found
    text = f"returned {looks} instead of {what} (no checksum is pinned)"
    note = {"what": "an unpinned download that does not look right", "url": shown, "looks_like": str(looks)}
    store.quarantine(landed.path, note)
    raise SourceFailed(text, looks=looks)


def _without_blanks(head: bytes, more: bytes) -> bytes:
    """Decode the beginning as UTF-8, without leading white space."""
    data = head + more
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = data[: len(data) & ~1].decode("utf-16", "replace").encode()
    return data.lstrip(_BLANKS)[:HEAD]


def _kind_of_text(text: bytes, seen: Kind, *, whole: bool) -> Kind:
    if not text:
        return Kind("empty", "an empty file") if whole else seen
    kind = recognise_model(text) or seen
    if kind.name in ("text", "xml", "json") and _PAGE.search(text):
        return Kind("web page", "a web page")
    if kind.name == "xml" and _XML_ERROR.search(text[:4096]):
        return Kind("error", "an error document")
    if kind.name == "json" and _is_error(text):
        return Kind("error", "an error document")
    return kind


def _is_error(text: bytes) -> bool:
    """Say whether a JSON document is a server's error message."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and (
        bool({"error", "errors"} & record.keys()) or (len(record) <= 4 and bool({"message", "detail"} & record.keys()))
    )


def ends_itself(path: Path) -> bool:
    """Say whether a file's own format proves that it is complete: by an end mark or by checksums.

    False for formats without them (most models, text).
    """
    with path.open("rb") as file:
        head = file.read(16)
        file.seek(max(0, path.stat().st_size - 65_557))  # a zip's end record with the longest comment
        tail = file.read()
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return tail.endswith(b"IEND\xaeB`\x82")
    if head.startswith(b"\xff\xd8\xff"):
        return tail.endswith(b"\xff\xd9")
    if head.startswith(b"PK"):
        at = tail.rfind(b"PK\x05\x06")
        return at >= 0 and len(tail) - at == 22 + int.from_bytes(tail[at + 20 : at + 22], "little")
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")):
        from modelprep.formats.archive.decompress import Reader

        try:
            with Reader(path) as stream:
                while stream.read(1 << 20):
                    pass
        except ModelprepError:
            return False
        return True
    return False
