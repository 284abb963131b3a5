r"""Tokens of the text format of protobuf, split as by Caffe's reader (the C++ TextFormat), and errors with their place.

Source: the text-format specification of protobuf and the behaviour of the C++ tokenizer in the mode that TextFormat
uses it in: ``#`` comments, an ``f`` after a float. Where the releases of protobuf differ, it is as in Caffe's time
(protobuf 2.6 to 3.17): no string crosses a line, a number needs a space after it, ``\X`` is no escape. A byte order
mark is accepted, which old protobufs refuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from modelprep.errors import StepError
from modelprep.formats.caffe import text_bytes

#: The kind of a token: the number of the group that matched (``match.lastindex``); END follows the last one.
END, IDENTIFIER, NUMBER, PUNCTUATION, STRING, SPACE, BAD = range(7)
_RUNS_ON = re.compile(r"[A-Za-z0-9_.]").match

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

    Raises ValueError: an escape that the text format does not have; the message says which.
    """
    return _ESCAPE.sub(_one, text_bytes.encode(literal[1:-1]))


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


class Lexer:
    """One token of a text after another.

    `looks_like`: says what a text is that fails before its first field was read, or an empty string. `kind`, `word`: of
    the next token; :data:`END` and an empty word at the text's end. The reader keeps two more: `inside`, the messages
    that are open, from the outside in, each with the name of its field; `fields_read`, the number of fields read.
    """

    def __init__(self, text: str, origin: str, looks_like: Callable[[str], str]) -> None:
        self.origin, self._text, self._looks_like = origin, text, looks_like
        self.kind, self.word, self.fields_read = END, "", 0
        self.inside: list[tuple[str, Any]] = []
        self._matches: Iterator[re.Match[str]] = TOKEN.finditer(text, 1 if text.startswith("\ufeff") else 0)
        self._match: re.Match[str] | None = None
        self.advance()

    def advance(self) -> None:
        """Move to the next token.

        Raises StepError: what follows is no token.
        """
        for match in self._matches:
            kind = match.lastindex
            if kind == SPACE:
                continue
            self._match = match
            self.word = match.group()
            self.kind = kind or BAD
            if kind == BAD:
                self._refuse_character()
            if kind == NUMBER and _RUNS_ON(self._text, match.end()):
                self.fail("A number runs into what follows it", expected="a space after it", got=self.found())
            return
        self._match, self.kind, self.word = None, END, ""

    def at(self, characters: str) -> bool:
        """Say whether the token is one of these punctuation characters."""
        return self.kind == PUNCTUATION and self.word in characters

    @property
    def offset(self) -> int | None:
        """Where the token starts, in characters; None at the text's end."""
        return self._match.start() if self._match else None

    def line(self, offset: int) -> int:
        """Return the number of the line, from 1, of a character."""
        return self._text.count("\n", 0, offset) + 1

    def take(self, characters: str) -> bool:
        """Move on if the token is one of these punctuation characters; return whether it is."""
        if found := self.at(characters):
            self.advance()
        return found

    def found(self) -> str:
        """Name the token, for errors."""
        if self.kind == END:
            return "the end of the text"
        shown = self.word if len(self.word) <= 60 else self.word[:57] + "..."
        return shown if self.kind == STRING else f"'{shown}'"

    def where(self, offset: int | None = None) -> str:
        """Return ``origin:line:column`` of a character (of the token, where none is named), and the layer around it."""
        if offset is None:
            offset = self._match.start() if self._match else len(self._text.rstrip())
        column = offset - self._text.rfind("\n", 0, offset)
        around = []
        for name, message in self.inside:
            title = getattr(message, "name", "") if name in ("layer", "layers") else ""
            around.append(f"{name} '{title}'" if title else name)
        place = f" (in {', '.join(around)})" if around else ""
        return f"{self.origin}:{self.line(offset)}:{column}{place}"

    def fail(
        self, what: str, *, offset: int | None = None, expected: str | None = None, got: str | None = None,
        hint: str | None = None,
    ) -> NoReturn:  # fmt: skip
        """Raise the error for the character at `offset`, or for the token."""
        looks_like = self._looks_like(self._text) or None if self.fields_read == 0 else None
        where = self.where(offset)
        raise StepError(what, where=where, expected=expected, got=got, hint=hint, looks_like=looks_like)

    def _refuse_character(self) -> NoReturn:
        character = self.word
        if character in "\"'":
            self.fail("A string has no closing quote on its line", expected=character, got="the end of the line")
        shown = repr(character) if character.isprintable() else f"the character U+{ord(character):04X}"
        if not text_bytes.is_plain(character):
            shown = f"the byte 0x{text_bytes.encode(character).hex().upper()}"
        self.fail(f"{shown} is not allowed in a prototxt outside a string")
