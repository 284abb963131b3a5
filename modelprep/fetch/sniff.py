"""Describe received bytes in words: the type from `modelprep.formats.sniff`, the size, the title or message.

Servers answer with pages, error documents and pointers; their text helps the user.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from modelprep.formats.sniff import Kind, is_lfs_pointer, is_web_page, one_line, recognise_model
from modelprep.store.disk import human
from modelprep.structs import dataclass

__all__ = ["HEAD", "Looks", "describe", "describe_bytes", "is_lfs_pointer", "is_web_page"]

#: Bytes of a file that are inspected.
HEAD = 64 * 1024

_XML_TEXT = re.compile(rb"<(Code|Message)>([^<]{1,200})</", re.IGNORECASE)
_LFS_OID = re.compile(rb"^oid sha256:([0-9a-f]{64})\r?$", re.MULTILINE)
_LFS_SIZE = re.compile(rb"^size (\d{1,18})\r?$", re.MULTILINE)


@dataclass(frozen=True)
class Looks:
    """What some bytes look like.

    `kind` is the name of a :class:`~modelprep.formats.sniff.Kind` (``empty``, ``web page``, ``lfs pointer``, ``xml``,
    ``text``, ``gzip``, ...; ``binary`` if nothing is recognized), `text` the same for a person, with size, title, or
    the text of an error; `lfs_oid` the SHA-256 that a Git LFS pointer names, else empty.
    """

    kind: str
    text: str
    lfs_oid: str = ""

    def __str__(self) -> str:
        return self.text

    @property
    def is_page(self) -> bool:
        """True for what servers send instead of a file: a page, an error document, a pointer, nothing."""
        return self.kind in ("web page", "lfs pointer", "xml", "json", "empty")


def describe(path: Path, *, expected_size: int | None = None) -> Looks:
    """Say what a file looks like, from its first 64 KiB and its size.

    If bytes of `expected_size` are missing, how many.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
        size = path.stat().st_size
    except OSError as error:
        return Looks("unreadable", f"a file that cannot be read ({error.strerror})")
    return describe_bytes(head, size=size, expected_size=expected_size)


def describe_bytes(head: bytes, *, size: int | None = None, expected_size: int | None = None) -> Looks:
    """Say what bytes look like; `head` are the first ones, `size` is the total (None if unknown)."""
    kind = recognise_model(head) or Kind("binary", f"binary data beginning {head[:8].hex(' ')}")
    looks = Looks(kind.name, _words(kind, head, size), _lfs_oid(head) if kind.name == "lfs pointer" else "")
    count = "" if size is None or looks.kind == "empty" else f", {human(size)}"
    text = f"{looks.text}{count}"
    if size is not None and expected_size is not None and size != expected_size:
        if 0 < size < expected_size and not looks.is_page:
            text += f": truncated, {human(expected_size - size)} are missing"
        elif size > expected_size:
            text += f": {human(size - expected_size)} too many"
    return Looks(looks.kind, text, looks.lfs_oid)


def _words(kind: Kind, head: bytes, size: int | None) -> str:
    """Return the text of a kind, with title or message."""
    if kind.name == "empty" and size != 0:
        return "nothing"
    if kind.name == "lfs pointer":
        oid, length = _lfs_oid(head), _LFS_SIZE.search(head)
        stands = f" for sha256 {oid}" if oid else ""
        stands += f" of {human(int(length.group(1)))}" if length else ""
        return f"a Git LFS pointer{stands}" if stands else kind.text
    if kind.name == "web page" and kind.title:
        return f"{kind.text} titled '{kind.title}'"
    if kind.name == "caffemodel" and kind.title:
        return f"{kind.text} (net '{kind.title}')"
    if kind.name in ("xml", "json"):
        whole = size is not None and size <= len(head)
        said = _xml_message(head) if kind.name == "xml" else _json_message(head) if whole else ""
        return f"{kind.text} that says '{said}'" if said else kind.text
    if kind.name in ("text", "prototxt", "text graph"):
        line = head[:512].lstrip(b"\xef\xbb\xbf \t\r\n").split(b"\n", 1)[0]
        return f"{kind.text} beginning '{one_line(line)}'"
    return kind.text


def _lfs_oid(head: bytes) -> str:
    found = _LFS_OID.search(head)
    return found.group(1).decode() if found else ""


def _xml_message(data: bytes) -> str:
    return "; ".join(one_line(found.group(2)) for found in _XML_TEXT.finditer(data))


def _json_message(data: bytes) -> str:
    try:
        record = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    for _ in range(3):
        if isinstance(record, dict):
            record = next((record[k] for k in ("error", "message", "detail", "reason") if k in record), None)
    return one_line(record) if isinstance(record, str) else ""
