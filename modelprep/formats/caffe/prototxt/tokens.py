r"""Tokens of protobuf's text format, as Caffe's reader (protobuf's C++ TextFormat) splits them.

Source: the text-format specification of protobuf and the behaviour of the C++ tokenizer in the mode that TextFormat
uses it in: ``#`` comments, an ``f`` after a float. Where the releases of protobuf differ, Caffe's own time is meant
(protobuf 2.6 to 3.17): no string crosses a line, a number needs a space after it, ``\X`` is no escape. A byte order
mark is let through, which old protobufs refuse.
"""

from __future__ import annotations

import re

from modelprep.formats.caffe import text_bytes

#: The kind of a token is the number of the group that matched (``match.lastindex``).
IDENTIFIER, NUMBER, PUNCTUATION, STRING, SPACE, BAD = 1, 2, 3, 4, 5, 6

# Every character falls into some group, so finditer leaves nothing out; no part can match in two ways, so that time
# stays linear on hostile input.
TOKEN = re.compile(
    r"""([A-Za-z_][A-Za-z0-9_]*)
    |(0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?)
    |([{}<>\[\]:;,\-/.])
    |("[^"\\\n]*(?:\\[^\n][^"\\\n]*)*"|'[^'\\\n]*(?:\\[^\n][^'\\\n]*)*')
    |([ \t\r\n\v\f]+|\#[^\n]*)
    |(.)""",
    re.VERBOSE | re.DOTALL,
)

_ESCAPE = re.compile(
    rb"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))",
    re.DOTALL,
)
_SIMPLE = {
    b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v",
    b"\\": b"\\", b"'": b"'", b'"': b'"', b"?": b"?",
}  # fmt: skip
_OCTAL = re.compile(r"0[0-7]+")
_DECIMAL = re.compile(r"[0-9]+")
_HEX = re.compile(r"0[xX][0-9a-fA-F]+")
#: No integer of 64 bits has more digits than this in any base, leading zeros aside.
_MAX_DIGITS = 64


def unescape(literal: str) -> bytes:
    """Return the bytes that a quoted literal stands for.

    Raises ValueError: on an escape that the text format does not have; the message says which.
    """
    body = text_bytes.encode(literal[1:-1])
    if b"\\" not in body:
        return body
    return _ESCAPE.sub(_one, body)


def _one(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, pair, short, long, simple = match.groups()
    if octal is not None:
        value = int(octal, 8)
        if value > 0xFF:
            raise ValueError(f"the octal escape {match.group().decode()} is larger than one byte")
        return bytes((value,))
    if hexadecimal is not None:
        return bytes((int(hexadecimal, 16),))
    if pair is not None:
        high, low = int(pair[1:5], 16), int(pair[7:11], 16)
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)).encode()
    if short is not None or long is not None:
        code = int(short or long, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise ValueError(f"{match.group().decode()} is no Unicode character")
        return chr(code).encode()
    if simple is not None and simple in _SIMPLE:
        return _SIMPLE[simple]
    raise ValueError(f"{match.group().decode('utf-8', 'replace')} is no escape of the text format")


def integer(token: str) -> int | None:
    """Return the value of an unsigned integer token (decimal, ``0x`` hexadecimal, ``0`` octal), or None."""
    if len(token) > _MAX_DIGITS:
        return 1 << 80 if _DECIMAL.fullmatch(token) or _HEX.fullmatch(token) else None
    if token[0] == "0" and len(token) > 1:
        if _HEX.fullmatch(token):
            return int(token, 16)
        return int(token, 8) if _OCTAL.fullmatch(token) else None
    return int(token) if _DECIMAL.fullmatch(token) else None


def decimal(token: str) -> float | None:
    """Return the value of a floating-point token; None for hexadecimal and octal numbers, which floats cannot be."""
    if token[0] == "0" and len(token) > 1 and (token[1] in "xX" or _DECIMAL.fullmatch(token)):
        return None
    return float(token.rstrip("fF"))
