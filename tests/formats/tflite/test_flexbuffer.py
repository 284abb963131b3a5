"""The options of custom operators: against FlexBuffers' own writer, and against bytes that lie."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelprep.errors import StepError
from modelprep.formats.tflite.flexbuffer import read_map

flexbuffers = pytest.importorskip("flatbuffers.flexbuffers", reason="needs NumPy beside flatbuffers")

KEYS = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=12)
NUMBERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(-3e38, 3e38), st.booleans())


@given(st.dictionaries(KEYS, NUMBERS, max_size=30))
def test_every_map_of_numbers_is_read_as_it_was_written(values: dict[str, Any]) -> None:
    found = read_map(bytes(flexbuffers.Dumps(values)))
    assert found.keys() == values.keys()
    for key, value in values.items():
        assert type(found[key]) is type(value)
        assert found[key] == value, key


def test_numbers_of_every_width_and_place() -> None:
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.UInt("unsigned", 2**64 - 1)
        builder.IndirectInt("int apart", -(2**40))
        builder.IndirectFloat("float apart", 0.1)
    assert read_map(bytes(builder.Finish())) == {"unsigned": 2**64 - 1, "int apart": -(2**40), "float apart": 0.1}
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Float("short", 0.6, 4)
    assert read_map(bytes(builder.Finish())) == {"short": struct.unpack("f", struct.pack("f", 0.6))[0]}


def test_what_is_no_number_is_none() -> None:
    found = read_map(bytes(flexbuffers.Dumps({"text": "ten", "list": [1, 2], "map": {"a": 1}, "none": None, "n": 10})))
    assert found == {"text": None, "list": None, "map": None, "none": None, "n": 10}


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0", b"not a map", bytes(flexbuffers.Dumps([1, 2, 3]))])
def test_what_is_no_map_is_told(data: bytes) -> None:
    with pytest.raises(StepError, match="options of a custom operator"):
        read_map(data, "operator 3")


def test_a_map_that_claims_more_keys_than_any_has() -> None:
    data = bytes(flexbuffers.Dumps({str(number): number for number in range(1200)}))
    with pytest.raises(StepError, match="1200 keys"):
        read_map(data)


GOOD = bytes(
    flexbuffers.Dumps({"max_detections": 10, "nms_iou_threshold": 0.6, "use_regular_nms": False, "y_scale": 10.0})
)


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4), st.integers(0, len(GOOD)))
def test_damage_is_an_error_or_another_map_and_nothing_else(changes: list[tuple[int, int]], start: int) -> None:
    data = bytearray(GOOD)
    for place, byte in changes:
        data[place] = byte
    try:
        found = read_map(bytes(data[start:]))
    except StepError:
        return
    assert all(value is None or isinstance(value, (int, float)) for value in found.values())


@given(st.binary(max_size=64))
def test_any_bytes_are_an_error_or_a_map(data: bytes) -> None:
    with contextlib.suppress(StepError):
        read_map(data)
