"""Text GraphDefs to binary and back, one node at a time.

protobuf's own text parser reads 4 MB/s of listed floats and 8 to 20 MB/s of ``tensor_content``, and builds one message
of the whole file. Here the file is cut at its top-level fields (a scan at some 100 MB/s that knows strings, comments
and braces) and each piece is parsed, encoded and let go: memory is bounded by the largest node, not by the file.
Format: https://protobuf.dev/reference/protobuf/textformat-spec/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modelprep.errors import StepError
from modelprep.formats.tensorflow.graphdef import Graph, encode_node
from modelprep.formats.tensorflow.mapped import MappedFile
from modelprep.formats.tensorflow.messages import message
from modelprep.formats.tensorflow.wire import bytes_field

#: Deeper nesting than any attribute has; protobuf's parsers stop at 100, too.
MAX_DEPTH = 100
_STRUCTURE = re.compile(
    rb"""(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\#[^\n]*)|(?P<brace>[{}<>])|(?P<quote>["'])""", re.DOTALL
)
_SEPARATOR = re.compile(rb"\s*[;,]")
_NEWLINE = b"\n"
#: What a text GraphDef begins with, after blanks and comments.
_BEGINNING = re.compile(rb"\s*(#[^\n]*\n\s*)*(node|library|versions?|debug_info)\s*[:{<]")


def looks_like_text(head: bytes) -> bool:
    """Say whether a file that begins so is a text GraphDef (a binary one begins with the byte 0x0a and a length)."""
    return _BEGINNING.match(head) is not None


def encoded_fields(path: Path, name: str = "") -> Iterator[bytes]:
    """Parse a text GraphDef and give each of its top-level fields in binary form, one after another.

    Raises
    ------
    StepError
        The text is no GraphDef; line and column are named.
    StorageError
        The file cannot be read.
    """
    from google.protobuf import text_format

    graph = message("GraphDef")
    with MappedFile(path, name) as file:
        for piece in _pieces(file):
            parsed = graph()
            try:
                text_format.Merge(piece.text, parsed)
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
    if graph.library is not None:
        yield text(bytes_field(2, graph.library), "the function library")
    if graph.versions is not None:
        yield text(bytes_field(4, graph.versions), "the version")
    if graph.rest:
        yield text(graph.rest, "the rest of the graph")


@dataclass(frozen=True)
class _Piece:
    """Some of a text, and where in the file it begins (line and column count from 1)."""

    text: str
    line: int
    column: int


def _pieces(file: MappedFile) -> Iterator[_Piece]:
    """Cut the text after each top-level field that is a message."""
    data = file.mapping
    start, depth, line = 0, 0, 1

    def place(position: int) -> str:
        return (
            f"{file.name}:{line + data[start:position].count(_NEWLINE)}:{position - data.rfind(_NEWLINE, 0, position)}"
        )

    def piece(end: int) -> _Piece:
        return _Piece(_decode(file.name, data[start:end], start), line, start - data.rfind(_NEWLINE, 0, start))

    for found in _STRUCTURE.finditer(data):
        brace = found["brace"]
        if brace is None:
            if found["quote"] is not None:
                raise StepError("a string has no end", where=place(found.start()))
            continue
        if brace in b"{<":
            depth += 1
            if depth > MAX_DEPTH:
                raise StepError("the text is nested too deeply", where=place(found.start()))
            continue
        depth -= 1
        if depth < 0:
            raise StepError("a brace closes nothing", where=place(found.start()))
        if depth == 0:
            separator = _SEPARATOR.match(data, found.end())
            end = separator.end() if separator else found.end()
            yield piece(end)
            line += data[start:end].count(_NEWLINE)
            start = end
    if depth:
        raise StepError(
            "the text ends inside a node",
            where=place(file.size),
            expected=f"{depth} closing braces more",
            hint="the file is truncated: fetch it again",
        )
    yield piece(file.size)


def _decode(name: str, text: bytes, offset: int) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise StepError("the text is not UTF-8", where=f"{name}, offset {offset + error.start}") from None


def _error(name: str, error: Exception, piece: _Piece) -> StepError:
    line, column = getattr(error, "GetLine", int)(), getattr(error, "GetColumn", int)()
    place = f"{name}:{piece.line}"
    if line:
        place = f"{name}:{piece.line + line - 1}:{column + (piece.column - 1 if line == 1 else 0)}"
    return StepError(
        "the text is no GraphDef",
        where=place,
        got=re.sub(r"^\d+:\d+ : ", "", str(error)),
        hint="look at that line: a field that TensorFlow does not know, or a value of the wrong kind",
    )
