"""Prototxt files: text to message and back, and what a file is instead."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

from modelprep import quoting
from modelprep.errors import StepError, StorageError
from modelprep.formats import sniff
from modelprep.formats.caffe import text_bytes
from modelprep.formats.caffe.messages import MAX_LAYERS, new
from modelprep.formats.caffe.prototxt.reader import read_into
from modelprep.formats.caffe.prototxt.writer import write

__all__ = ["MAX_SIZE", "read", "read_bytes", "read_file", "write"]

#: Bytes; the largest public deploy file is 50 kB, and text with weights inside belongs into a caffemodel.
MAX_SIZE = 64 << 20
_EXPECTED = "a network in Caffe's text format (name: ..., layer { ... })"


def read(text: str, *, message: str = "NetParameter", origin: str = "<prototxt>") -> Any:
    """Read a prototxt.

    Raises StepError: it is not well formed (with line, column, the layer and the nearest known name), or no prototxt
    (with what it looks like).
    """
    head = text[:4096]
    if "\0" in head or head.lstrip("\ufeff \t\r\n").startswith("<") or head.startswith("version https://git-lfs"):
        raise _foreign(origin, _text_looks_like(text))
    if not text.strip():
        raise _foreign(origin, "an empty file")
    result, is_net = new(message), message == "NetParameter"
    try:
        read_into(result, text, origin, _text_looks_like)
    except StepError:
        if is_net:
            _refuse_other(text, origin)
        raise
    count = len(result.layer) + len(result.layers) if is_net else 1
    if not count:
        _refuse_other(text, origin)
    if count > MAX_LAYERS:
        raise StepError("the net has too many layers", where=origin, expected=f"at most {MAX_LAYERS}", got=str(count))
    if not result.IsInitialized():
        missing = ", ".join(result.FindInitializationErrors())
        raise StepError("Required fields are missing", where=origin, expected=missing)
    return result


def read_bytes(data: bytes, *, message: str = "NetParameter", origin: str = "<prototxt>") -> Any:
    """Read a prototxt from bytes, as :func:`read`; the error for bytes that are no UTF-8 text says what they are."""
    if len(data) > MAX_SIZE:
        raise StepError(
            "the prototxt is too large", where=origin, expected=f"at most {MAX_SIZE} bytes", got=f"{len(data)} bytes"
        )
    # Names and comments in Latin-1, GBK or Shift-JIS are common in old files; Caffe copies their bytes as they are.
    text = text_bytes.decode(data)
    if not text_bytes.is_plain(text):
        if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise StepError(
                "the prototxt is UTF-16 text",
                where=origin,
                expected="UTF-8, the only form that Caffe reads",
                hint=f"convert it: iconv -f UTF-16 -t UTF-8 {quoting.sh(quoting.operand(origin))} > net.prototxt",
            )
        if b"\0" in data or sniff.looks_like(data[: sniff.HEAD]) not in ("", "text"):
            raise _foreign(origin, _binary_looks_like(data))
    return read(text, message=message, origin=origin)


def read_file(path: Path, *, message: str = "NetParameter") -> Any:
    """Read a prototxt file: as :func:`read_bytes`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise StorageError(f"the prototxt cannot be read: {error.strerror}", where=str(path)) from error
    return read_bytes(data, message=message, origin=str(path))


def _refuse_other(text: str, origin: str) -> None:
    from modelprep.formats.caffe.prototxt.others import recognize

    other = recognize(text)
    if other is not None:
        what = f"this is not a net but {other.text}"
        raise StepError(what, where=origin, expected=_EXPECTED, hint=other.hint) from None


def _foreign(origin: str, looks_like: str) -> StepError:
    hint = "fetch the file again from its raw address" if "page" in looks_like or "LFS" in looks_like else None
    return StepError("this is not a prototxt", where=origin, expected=_EXPECTED, looks_like=looks_like, hint=hint)


def _text_looks_like(text: str) -> str:
    head = text[:4096]
    if "\0" in head:
        return _binary_looks_like(text[:4096].encode("utf-8", "replace"))
    found = sniff.looks_like(head.encode("utf-8", "replace")[: sniff.HEAD])
    if found not in ("", "text"):
        return found
    return "a script" if head.lstrip().startswith(("import ", "from ", "def ", "#!")) else ""


def _binary_looks_like(data: bytes) -> str:
    found = sniff.looks_like(data[: sniff.HEAD])
    if found and found != "text":
        return found
    # A NetParameter begins with its name (field 1) or a layer (fields 2 and 100).
    if data[:1] in (b"\x0a", b"\x12") or data[:2] == b"\xa2\x06":
        return "a binary caffemodel, where the text form is expected"
    return "binary data"
