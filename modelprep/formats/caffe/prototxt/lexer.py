"""Where a reading of a prototxt stands: the token that comes next, and errors that say the place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from modelprep.errors import StepError
from modelprep.formats.caffe import text_bytes
from modelprep.formats.caffe.prototxt.tokens import BAD, NUMBER, PUNCTUATION, SPACE, STRING, TOKEN

#: The kind of token that stands after the last one.
END = 0
_RUNS_ON = re.compile(r"[A-Za-z0-9_.]").match


class Lexer:
    """One token of a text after another.

    Parameters
    ----------
    looks_like
        Says what a text is that fails before its first field was read, or an empty string.

    Attributes
    ----------
    kind, word
        Of the token that comes next (see :mod:`~modelprep.formats.caffe.prototxt.tokens`); :data:`END` and nothing at
        the text's end.
    inside
        The messages that are open, from the outside in, each with the name of its field; whoever reads keeps them here.
    fields_read
        How many fields have been read; whoever reads counts them.
    """

    def __init__(self, text: str, origin: str, looks_like: Callable[[str], str]) -> None:
        self.origin = origin
        self.kind = END
        self.word = ""
        self.inside: list[tuple[str, Any]] = []
        self.fields_read = 0
        self._text = text
        self._looks_like = looks_like
        self._matches: Iterator[re.Match[str]] = TOKEN.finditer(text, 1 if text.startswith("\ufeff") else 0)
        self._match: re.Match[str] | None = None
        self.advance()

    def advance(self) -> None:
        """Go on to the next token.

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
        """Return the number of the line, from 1, that a character stands in."""
        return self._text.count("\n", 0, offset) + 1

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
        place = f"{self.origin}:{self.line(offset)}:{column}"
        around = []
        for name, message in self.inside:
            title = getattr(message, "name", "") if name in ("layer", "layers") else ""
            around.append(f"{name} '{title}'" if title else name)
        return f"{place} (in {', '.join(around)})" if around else place

    def fail(
        self,
        what: str,
        *,
        offset: int | None = None,
        expected: str | None = None,
        got: str | None = None,
        hint: str | None = None,
    ) -> NoReturn:
        """Raise the error for the character at `offset`, or for the token."""
        raise StepError(
            what,
            where=self.where(offset),
            expected=expected,
            got=got,
            hint=hint,
            looks_like=self._looks_like(self._text) or None if self.fields_read == 0 else None,
        )

    def _refuse_character(self) -> NoReturn:
        character = self.word
        if character in "\"'":
            self.fail("A string has no closing quote on its line", expected=character, got="the end of the line")
        shown = repr(character) if character.isprintable() else f"the character U+{ord(character):04X}"
        if not text_bytes.is_plain(character):
            shown = f"the byte 0x{text_bytes.encode(character).hex().upper()}"
        self.fail(f"{shown} has no place in a prototxt outside of a string")
