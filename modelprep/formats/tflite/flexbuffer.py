"""The options of a custom operator: a FlexBuffers map of numbers, read without believing an offset in it.

The layout read here is the one of the FlexBuffers internals documentation: the last byte is the width of the root
value, the one before it its type; a map is a vector of values with one type byte each behind them, and before them its
length, the width of its keys and the distance back to these. Only what options hold is read: numbers and truth values.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from modelprep.errors import StepError

Value = int | float | bool | None

#: More keys than any operator's options have.
MAX_KEYS = 1024
_INTEGER, _UNSIGNED, _FLOAT, _KEY = 1, 2, 3, 4
_INDIRECT = {6: _INTEGER, 7: _UNSIGNED, 8: _FLOAT}
_MAP, _BOOLEAN = 9, 26
_FORMATS = {
    (_INTEGER, 1): "<b", (_INTEGER, 2): "<h", (_INTEGER, 4): "<i", (_INTEGER, 8): "<q",
    (_UNSIGNED, 1): "<B", (_UNSIGNED, 2): "<H", (_UNSIGNED, 4): "<I", (_UNSIGNED, 8): "<Q",
    (_FLOAT, 2): "<e", (_FLOAT, 4): "<f", (_FLOAT, 8): "<d",
}  # fmt: skip


def read_map(data: bytes, where: str = "") -> Mapping[str, Value]:
    """Read a FlexBuffers map.

    Parameters
    ----------
    data
        The bytes, as an operator's ``custom_options`` hold them.
    where
        What to call them in errors.

    Returns
    -------
    Mapping
        Key to number or truth value; None for what is neither (null, text, vectors).

    Raises
    ------
    StepError
        It is no map, or an offset leads out of it.
    """
    if len(data) < 3:
        raise _broken("they are too short", where)
    width, packed = data[-1], data[-2]
    if packed >> 2 != _MAP:
        raise _broken(f"the root has type {packed >> 2}, a map is {_MAP}", where)
    root = len(data) - 2 - width
    values = _back(data, root, width, where)
    width = 1 << (packed & 3)
    count = _unsigned(data, values - width, width, where)
    key_width = _unsigned(data, values - 2 * width, width, where)
    keys = _back(data, values - 3 * width, width, where)
    if count > MAX_KEYS:
        raise _broken(f"they claim {count} keys", where)
    found: dict[str, Value] = {}
    for number in range(count):
        start = _back(data, keys + number * key_width, key_width, where)
        end = data.find(b"\0", start)
        if end < 0:
            raise _broken("a key has no end", where)
        kind = _unsigned(data, values + count * width + number, 1, where)
        found[data[start:end].decode("utf-8", "backslashreplace")] = _value(
            data, values + number * width, width, kind, where
        )
    return found


def _value(data: bytes, at: int, width: int, packed: int, where: str) -> Value:
    kind = packed >> 2
    if kind == _BOOLEAN:
        return _unsigned(data, at, width, where) != 0
    if kind in _INDIRECT:
        at, width, kind = _back(data, at, width, where), 1 << (packed & 3), _INDIRECT[kind]
    if kind not in (_INTEGER, _UNSIGNED, _FLOAT):
        return None
    return _number(data, at, width, kind, where)


def _number(data: bytes, at: int, width: int, kind: int, where: str) -> int | float:
    form = _FORMATS.get((kind, width))
    if form is None:
        raise _broken(f"a number is {width} bytes wide", where)
    if at < 0 or at + width > len(data):
        raise _broken("an offset leads out of them", where)
    number: int | float = struct.unpack_from(form, data, at)[0]
    return number


def _unsigned(data: bytes, at: int, width: int, where: str) -> int:
    return int(_number(data, at, width, _UNSIGNED, where))


def _back(data: bytes, at: int, width: int, where: str) -> int:
    """Follow the distance at a position back to what it points at."""
    target = at - _unsigned(data, at, width, where)
    if not 0 <= target < at:
        raise _broken("an offset leads out of them", where)
    return target


def _broken(what: str, where: str) -> StepError:
    return StepError(f"the options of a custom operator cannot be read: {what}", where=where or None)
