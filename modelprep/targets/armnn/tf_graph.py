"""A GraphDef as Arm NN's test programs read it: protobuf's own reading, of binary and of text.

Binary reading ends, without a complaint, at a field that ends a group or is numbered 0: an empty file, a web page and
a file of zeros are graphs without nodes. Text is read strictly: a field given twice or one that is newer than
TensorFlow 1.12 (the generation that Arm NN 19.02 was built with) is an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modelprep.errors import StepError
from modelprep.formats.protowire import BYTES, FIXED32, FIXED64, VARINT, Buffer, WireError, fields, read_varint
from modelprep.targets.armnn.network import Stop

_GROUP, _GROUP_END = 3, 4
_DEEPEST = 100  # protobuf's own limit
_NODE = 1  # the only field of GraphDef that may be given more than once


def read(path: Path, *, text: bool) -> Any:
    """Read a file that exists; raises Stop if it is no GraphDef of that form."""
    from modelprep.formats.tensorflow.messages import message

    if text:
        return _text(path)
    graph = parsed(path.read_bytes(), message("GraphDef"))
    if graph is None:
        raise Stop(f"Failed to parse protobuf file {path}", "TF02", path.name)
    return graph


def encoded(pieces: Iterable[Buffer]) -> Any:
    """Read a GraphDef from encoded pieces; raises Stop if it is damaged."""
    from modelprep.formats.tensorflow.messages import message

    graph = parsed(b"".join(pieces), message("GraphDef"))
    if graph is None:
        raise Stop("Failed to parse protobuf file", "TF02", "file")
    return graph


def parsed(content: bytes, kind: Any) -> Any:
    """Parse a message of a class as the C++ library does, which may end early; None if it fails."""
    from google.protobuf.message import DecodeError

    try:
        return kind.FromString(content)
    except DecodeError:
        end = _ends_early(content)
        return None if end is None else parsed(content[:end], kind)


def _ends_early(content: bytes) -> int | None:
    """Find the place where protobuf stops reading; None if the bytes are damaged before."""
    position = 0
    try:
        while position < len(content):
            tag, after = read_varint(content, position, len(content))
            if tag == 0 or tag & 7 == _GROUP_END:
                return position
            position = _skipped(content, tag, after)
    except WireError:
        return None
    return None


def _skipped(content: bytes, tag: int, position: int, depth: int = 0) -> int:
    kind, size = tag & 7, len(content)
    if kind == VARINT:
        return read_varint(content, position, size)[1]
    if kind == BYTES:
        length, position = read_varint(content, position, size)
        position += length
    elif kind in (FIXED64, FIXED32):
        position += 8 if kind == FIXED64 else 4
    elif kind == _GROUP:
        if depth >= _DEEPEST:
            raise WireError("groups are nested too deeply", position)
        while True:
            inner, position = read_varint(content, position, size)
            if inner == tag + 1:
                return position
            if inner == 0 or inner & 7 == _GROUP_END:
                raise WireError("a group ends that did not begin", position)
            position = _skipped(content, inner, position, depth + 1)
    else:
        raise WireError("no such wire type", position)
    if position > size:
        raise WireError("the data end inside a field", position)
    return position


def _text(path: Path) -> Any:
    from modelprep.formats.tensorflow.messages import message, message_of_1_12
    from modelprep.formats.tensorflow.text import encoded_fields

    graph = message("GraphDef")()
    if not path.stat().st_size:
        return graph
    refused = Stop("Failed to parse graph file", "TF02", path.name)
    seen: set[int] = set()
    try:
        for piece in encoded_fields(path, strictly=message_of_1_12("GraphDef")):
            for number, *_ in fields(piece):
                if number != _NODE and number in seen:
                    raise refused
                seen.add(number)
            graph.MergeFromString(piece)
    except StepError:
        raise refused from None
    return graph
