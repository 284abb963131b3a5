"""Text GraphDefs to binary and back, one node at a time.

protobuf's own text parser reads 4 to 8 MB/s of weights, takes a hundred times a long string in memory, and builds
one message of the whole file. Here the file is cut at its top-level fields, long strings (``tensor_content``) are
taken out and unescaped in one go, and each piece is parsed by protobuf, encoded and let go: memory is bounded by the
largest node, not by the file.
Format: https://protobuf.dev/reference/protobuf/textformat-spec/
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelprep.errors import StepError
from modelprep.formats.mapped import MappedFile
from modelprep.formats.protowire import bytes_field
from modelprep.formats.tensorflow.graphdef import Graph, encode_node
from modelprep.formats.tensorflow.messages import message

#: Deeper nesting than any attribute has; protobuf's parsers stop at 100, too.
MAX_DEPTH = 100
#: Strings from this length are unescaped here and not by the text parser.
LONG = 1 << 12
_STRUCTURE = re.compile(rb"""["'#{}<>]""")
_SEPARATOR = re.compile(rb"\s*[;,]")
_NEWLINE, _BACKSLASH = b"\n", ord("\\")
#: So that no text can contain a stand-in.
_NONCE = secrets.token_hex(16)
_STAND_IN = re.compile(rb"modelprep %b \d{8}" % _NONCE.encode())
#: What a text GraphDef begins with, after blanks and comments.
_BEGINNING = re.compile(rb"\s*(#[^\n]*\n\s*)*(node|library|versions?|debug_info)\s*[:{<]")


def looks_like_text(head: bytes) -> bool:
    """Say whether a file that begins so is a text GraphDef (a binary one begins with the byte 0x0a and a length)."""
    return _BEGINNING.match(head) is not None


def encoded_fields(path: Path, name: str = "", *, strictly: Any = None) -> Iterator[bytes]:
    """Parse a text GraphDef and yield each of its top-level fields in binary form.

    `strictly`: a GraphDef class: parse by it and as protobuf's C++ parser does, which refuses a value that is given
    twice in one message, and takes text in any encoding. Raises StepError: the text is no GraphDef; line and column are
    named; StorageError: the file cannot be read.
    """
    from google.protobuf import text_format

    graph = strictly or message("GraphDef")
    parse = text_format.Parse if strictly else text_format.Merge
    with MappedFile(path, name) as file:
        for piece in _Cutter(file, errors="replace" if strictly else "strict").pieces():
            parsed = graph()
            try:
                parse(piece.text, parsed)
                if piece.long:
                    _fill(parsed, piece.long)
            except UnicodeDecodeError:
                raise StepError("a name is not UTF-8", where=f"{file.name}:{piece.line}") from None
            except text_format.ParseError as error:
                raise _error(file.name, error, piece) from None
            except RecursionError:
                raise StepError("the text is nested too deeply", where=f"{file.name}:{piece.line}") from None
            encoded: bytes = parsed.SerializeToString(deterministic=True)
            yield encoded


def text_to_binary(path: Path, name: str = "") -> bytes:
    """Parse a text GraphDef into its binary form (errors as in :func:`encoded_fields`)."""
    return b"".join(encoded_fields(path, name))


def graph_to_text(graph: Graph) -> Iterator[bytes]:
    """Write a graph as text, in protobuf's own layout, piece by piece."""
    from google.protobuf import text_format
    from google.protobuf.message import DecodeError

    def text(encoded: bytes, what: str) -> bytes:
        try:
            parsed = message("GraphDef").FromString(encoded)
        except DecodeError as error:
            raise StepError(f"{what} is damaged", where=graph.name, got=str(error)) from None
        return text_format.MessageToString(parsed).encode()

    for node in graph.nodes:
        yield text(b"".join(encode_node(node)), f"node '{node.name}'")
    for number, part, what in ((2, graph.library, "the function library"), (4, graph.versions, "the version")):
        if part is not None:
            yield text(bytes_field(number, part), what)
    if graph.rest:
        yield text(graph.rest, "the rest of the graph")


@dataclass(frozen=True)
class _Piece:
    """Some of a text, and where in the file it begins (line and column count from 1).

    In place of each string in `long` the text holds a short one that stands for it.
    """

    text: str
    line: int
    column: int
    long: Mapping[bytes, bytes]


class _Cutter:
    """Cuts a text after each top-level field that is a message."""

    def __init__(self, file: MappedFile, errors: str = "strict") -> None:
        self._name, self._errors = file.name, errors
        self._data = file.mapping
        self._size = file.size
        self._start, self._line = 0, 1
        self._strings: list[tuple[int, int]] = []
        #: Left out of the pieces: they may be in any encoding.
        self._comments: list[tuple[int, int]] = []

    def pieces(self) -> Iterator[_Piece]:
        data, depth, position = self._data, 0, 0
        while (found := _STRUCTURE.search(data, position)) is not None:
            sign, position = found[0], found.end()
            if sign == b"#":
                end = data.find(_NEWLINE, position)
                position = self._size if end < 0 else end
                self._comments.append((found.start(), position))
            elif sign in b"\"'":
                position = self._string(found.start(), sign)
            elif sign in b"{<":
                depth += 1
                if depth > MAX_DEPTH:
                    raise StepError("the text is nested too deeply", where=self._place(found.start()))
            else:
                depth -= 1
                if depth < 0:
                    raise StepError("a brace closes nothing", where=self._place(found.start()))
                if depth == 0:
                    separator = _SEPARATOR.match(data, position)
                    position = separator.end() if separator else position
                    yield self._cut(position)
        if depth:
            raise StepError(
                "the text ends inside a node", where=self._place(self._size), expected=f"{depth} closing braces more",
                hint="the file is truncated: fetch it again",
            )  # fmt: skip
        yield self._cut(self._size)

    def _string(self, start: int, quote: bytes) -> int:
        """Find the end of the string that begins at `start`; a quote after an odd number of backslashes is inside."""
        data = self._data
        end = start
        while (end := data.find(quote, end + 1)) >= 0:
            first = end
            while data[first - 1] == _BACKSLASH and first - 1 > start:
                first -= 1
            if (end - first) % 2 == 0:
                break
        if end < 0 or data.find(_NEWLINE, start, end) >= 0:
            raise StepError("a string has no end", where=self._place(start))
        if end - start > LONG:
            self._strings.append((start, end + 1))
        return end + 1

    def _place(self, position: int) -> str:
        line = self._line + self._data[self._start : position].count(_NEWLINE)
        return f"{self._name}:{line}:{position - self._data.rfind(_NEWLINE, 0, position)}"

    def _cut(self, end: int) -> _Piece:
        from google.protobuf import text_encoding

        data, start, line = self._data, self._start, self._line
        parts, long, at = [], {}, start
        comments = set(self._comments)
        for index, (first, last) in enumerate(sorted(self._strings + self._comments)):
            if (first, last) in comments:
                parts.append(data[at:first])
                at = last
                continue
            stand_in = f"modelprep {_NONCE} {index:08}"
            try:
                long[stand_in.encode()] = text_encoding.CUnescape(
                    _decode(self._name, data[first + 1 : last - 1], first + 1, self._errors)
                )
            except UnicodeError as error:
                raise StepError("a string cannot be unescaped", where=self._place(first), got=str(error)) from None
            parts += [data[at:first], b'"' + stand_in.encode() + b'"']
            at = last
        parts.append(data[at:end])
        self._line += data[start:end].count(_NEWLINE)
        self._start, self._strings, self._comments = end, [], []
        column = start - data.rfind(_NEWLINE, 0, start)
        return _Piece(_decode(self._name, b"".join(parts), start, self._errors), line, column, long)


def _fill(parsed: Any, long: Mapping[bytes, bytes]) -> None:
    """Put long strings in the places of those that stand for them (adjacent strings have been joined by then)."""

    def filled(value: bytes) -> bytes:
        return _STAND_IN.sub(lambda found: long[found[0]], value)

    for descriptor, value in parsed.ListFields():
        repeated = not isinstance(value, bytes | str | int | float) and not hasattr(value, "ListFields")
        if descriptor.type == descriptor.TYPE_MESSAGE:
            if not repeated:
                _fill(value, long)
            elif descriptor.message_type.GetOptions().map_entry:
                _fill_map(value, long)
            else:
                for item in value:
                    _fill(item, long)
        elif descriptor.type in (descriptor.TYPE_BYTES, descriptor.TYPE_STRING):
            as_bytes = descriptor.type == descriptor.TYPE_BYTES
            items = [filled(item if as_bytes else item.encode()) for item in (value if repeated else [value])]
            known = items if as_bytes else [item.decode() for item in items]
            if repeated:
                value[:] = known
            else:
                setattr(parsed, descriptor.name, known[0])


def _fill_map(entries: Any, long: Mapping[bytes, bytes]) -> None:
    for key in list(entries):
        if hasattr(entries[key], "ListFields"):
            _fill(entries[key], long)
        if isinstance(key, str) and (name := _STAND_IN.sub(lambda found: long[found[0]], key.encode())) != key.encode():
            raise StepError(f"a name of {len(name)} characters is no attribute's")


def _decode(name: str, text: bytes, offset: int, errors: str) -> str:
    try:
        return text.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise StepError("the text is not UTF-8", where=f"{name}, offset {offset + error.start}") from None


def _error(name: str, error: Exception, piece: _Piece) -> StepError:
    line, column = getattr(error, "GetLine", int)(), getattr(error, "GetColumn", int)()
    place = f"{name}:{piece.line}"
    if line:
        place = f"{name}:{piece.line + line - 1}:{column + (piece.column - 1 if line == 1 else 0)}"
    return StepError(
        "the text is no GraphDef", where=place, got=re.sub(r"^\d+:\d+ : ", "", str(error)),
        hint="look at that line: a field that TensorFlow does not know, or a value of the wrong kind",
    )  # fmt: skip
