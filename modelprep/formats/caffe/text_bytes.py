"""Strings of Caffe's messages that are not UTF-8: names in Latin-1, GBK or Shift-JIS, which Caffe copies as bytes.

Python's protobuf holds text in a string field. A byte that is no part of UTF-8 text is therefore kept as one character
of a private range, U+10FF00 and the byte, and turned back into the byte wherever a message is encoded or compared with
a file. Such characters are not printable, so that whatever shows them escapes them.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import Any

from modelprep.formats.protowire import BYTES, bytes_field, fields, tag

_FIRST = 0x10FF00
#: How the characters U+10FF80 to U+10FFFF, one for each byte that can be no UTF-8, look in UTF-8.
_ENCODED = re.compile(rb"\xf4\x8f([\xbe\xbf])([\x80-\xbf])")
_OWN = re.compile(rb"((?:\xf4\x8f[\xbe\xbf][\x80-\xbf])+)")
_STRING, _MESSAGE = 9, 11


def _escape(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)  # the handler is registered for decoding only
    return "".join(chr(_FIRST + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error("modelprep-caffe", _escape)


def decode(data: bytes) -> str:
    """Decode UTF-8; a byte that is none becomes a character of the private range."""
    # Text that contains such characters is treated as bytes, or other bytes would be written for it.
    parts = _OWN.split(data)
    return "".join(
        "".join(chr(_FIRST + byte) for byte in part) if index % 2 else part.decode("utf-8", "modelprep-caffe")
        for index, part in enumerate(parts)
    )


def encode(text: str) -> bytes:
    """Encode a text that :func:`decode` made: the very bytes of before."""
    return restore(text.encode("utf-8", "surrogatepass"))


def restore(data: bytes) -> bytes:
    """Turn the private characters in UTF-8 bytes back into the bytes that they stand for."""
    return _ENCODED.sub(lambda found: bytes(((found[1][0] & 3) << 6 | found[2][0] & 0x3F,)), data)


def is_plain(text: str) -> bool:
    """Say whether a text was UTF-8."""
    return not any(ord(character) >= _FIRST for character in text)


def readable(data: bytes, message: Any) -> bytes:
    """Make an encoded message fit for Python's protobuf: strings that are not UTF-8 get private characters."""
    return rewritten(data, message, string=lambda raw: decode(raw).encode())


def rewritten(
    data: bytes,
    message: Any,
    *,
    string: Callable[[bytes], bytes],
    number: Callable[[Any], int] = lambda field: field.number,
) -> bytes:
    """Rewrite the strings of an encoded message, and the numbers of its fields.

    `number`: the number that a field is written with; fields are put into the order of these. Raises
    modelprep.formats.protowire.WireError: the bytes are no such message.
    """
    known = message.fields_by_number
    found: list[tuple[int, bytes]] = []
    for given, kind, value, begin, stop in fields(data):
        field = known.get(given)
        if field is None:
            found.append((given, data[begin:stop]))
            continue
        wanted = number(field)
        if kind == BYTES and field.type == _STRING:
            found.append((wanted, bytes_field(wanted, string(data[value:stop]))))
        elif kind == BYTES and field.type == _MESSAGE:
            inner = rewritten(data[value:stop], field.message_type, string=string, number=number)
            found.append((wanted, bytes_field(wanted, inner)))
        elif wanted == given:
            found.append((wanted, data[begin:stop]))
        else:
            body = begin
            while data[body] >= 0x80:
                body += 1
            found.append((wanted, tag(wanted, kind) + data[body + 1 : stop]))
    found.sort(key=lambda one: one[0])
    return b"".join(part for _, part in found)
