"""Print a message in protobuf's text format, so that Caffe reads back the same message."""

from __future__ import annotations

import math
import struct
from typing import Any

from modelprep.formats.caffe import text_bytes

_FLOAT, _DOUBLE, _BOOL, _STRING, _MESSAGE, _BYTES, _ENUM = 2, 1, 8, 9, 11, 12, 14
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
#: A list of plain numbers longer than this is written in one bracket instead of a line each.
_LONG = 16


def write(message: Any) -> str:
    """Print a message: one field a line, in the order of field numbers, two spaces a level.

    Floats are the shortest decimals that round to the same float32. Fields that the schema does not know are named in
    a comment, since the text format has no way to write them.
    """
    lines: list[str] = []
    _fields(message, "", lines)
    return "\n".join(lines) + "\n" if lines else ""


def _fields(message: Any, indent: str, lines: list[str]) -> None:
    from google.protobuf.unknown_fields import UnknownFieldSet

    for descriptor, value in message.ListFields():
        name, kind = descriptor.name, int(descriptor.type)
        values = value if hasattr(value, "extend") else (value,)
        if kind == _MESSAGE:
            for inner in values:
                lines.append(f"{indent}{name} {{")
                _fields(inner, indent + "  ", lines)
                lines.append(f"{indent}}}")
        elif len(values) > _LONG and kind not in (_STRING, _BYTES):
            lines.append(f"{indent}{name}: [{', '.join(_scalar(descriptor, kind, one) for one in values)}]")
        else:
            lines.extend(f"{indent}{name}: {_scalar(descriptor, kind, one)}" for one in values)
    unknown: Any = UnknownFieldSet(message)
    lines.extend(
        f"{indent}# field {one.field_number} (wire type {one.wire_type}) is not in the schema and is left out"
        for one in unknown
    )


def _scalar(descriptor: Any, kind: int, value: Any) -> str:
    if kind == _STRING:
        return '"' + "".join(_character(one) for one in value) + '"'
    if kind == _BYTES:
        return '"' + "".join(_byte(one) for one in value) + '"'
    if kind == _BOOL:
        return "true" if value else "false"
    if kind == _ENUM:
        known = descriptor.enum_type.values_by_number.get(value)
        return known.name if known is not None else str(value)
    if kind == _FLOAT:
        return shortest_float(value)
    if kind == _DOUBLE:
        return _special(value) or repr(float(value))
    return str(value)


def shortest_float(value: float) -> str:
    """Return the shortest decimal that reads back as the same float32."""
    special = _special(value)
    if special:
        return special
    wanted = struct.pack("<f", value)
    for digits in range(6, 9):
        text = f"{value:.{digits}g}"
        # A rounded-up text may be beyond the largest float32.
        if abs(float(text)) <= 3.4028235677973366e38 and struct.pack("<f", float(text)) == wanted:
            return text
    return f"{value:.9g}"


def _special(value: float) -> str:
    if math.isnan(value):
        # The text format has only the sign of a NaN.
        return "nan" if math.copysign(1.0, value) > 0 else "-nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return ""


def _character(one: str) -> str:
    if one in _NAMED:
        return _NAMED[one]
    if one.isprintable():
        return one
    return "".join(f"\\{byte:03o}" for byte in text_bytes.encode(one))


def _byte(one: int) -> str:
    character = chr(one)
    if character in _NAMED:
        return _NAMED[character]
    return character if 0x20 <= one < 0x7F else f"\\{one:03o}"
