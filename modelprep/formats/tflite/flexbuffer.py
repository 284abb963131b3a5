"""The options of a custom operator: a FlexBuffers map of numbers, read by the ``flatbuffers`` library.

The library has no verifier: damage ends in a dozen kinds of Python's own errors, or in lengths up to 2**64.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from modelprep.errors import StepError

Value = int | float | bool | None

#: More keys than any operator's options have.
MAX_KEYS = 1024
#: What the library raises over bytes that are no FlexBuffers.
_DAMAGE = (
    struct.error, AssertionError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError,
)  # fmt: skip


def read_map(data: bytes, where: str = "") -> Mapping[str, Value]:
    """Read a FlexBuffers map.

    Each key has a number or truth value; None for what is neither (null, text, vectors). Raises StepError: it is no
    map, or it cannot be read to its end.
    """
    from flatbuffers import flexbuffers

    if len(data) < 3:
        raise _broken("they are too short", where)
    try:
        root = flexbuffers.GetRoot(data)
        if not root.IsMap:
            raise _broken("they are no map", where)
        found = root.AsMap
        # Its keys are a separate vector, with its own length.
        count = len(found)
        if count > MAX_KEYS or len(found.Keys) != count:
            raise _broken(f"they claim {count} keys", where)
        names, values = found.Keys, found.Values
        return {names[i].AsKeyBytes.decode("utf-8", "backslashreplace"): _value(values[i]) for i in range(count)}
    except _DAMAGE as error:
        raise _broken("an offset or a length leads out of them", where) from error


def _value(found: Any) -> Value:
    kind = next((kind for kind in ("Bool", "Int", "Float") if getattr(found, f"Is{kind}")), None)
    value: Value = getattr(found, f"As{kind}") if kind else None
    return value


def _broken(what: str, where: str) -> StepError:
    return StepError(f"the options of a custom operator cannot be read: {what}", where=where or None)
