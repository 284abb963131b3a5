"""Whatever we print is read back as the same message: by us, and by protobuf's own reader."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from caffe_small_nets import NETS, TEXTS
from hypothesis import given, settings
from hypothesis import strategies as st

from modelprep.formats.caffe import prototxt
from modelprep.formats.caffe.messages import message_class, new
from modelprep.formats.caffe.prototxt.writer import shortest_float

_INTS = {
    3: (-(1 << 63), (1 << 63) - 1), 4: (0, (1 << 64) - 1), 5: (-(1 << 31), (1 << 31) - 1), 13: (0, (1 << 32) - 1),
}  # fmt: skip


_LARGEST = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]


def values(descriptor: Any, depth: int) -> st.SearchStrategy[Any]:
    kind = int(descriptor.type)
    if kind in _INTS:
        return st.integers(*_INTS[kind])
    if kind == 2:
        # Without the largest float32, of whose decimal protobuf in pure Python makes infinity.
        return st.floats(width=32, allow_nan=False).filter(lambda value: abs(value) != _LARGEST) | st.just(math.nan)
    if kind == 1:
        return st.floats(allow_nan=False) | st.just(math.nan)
    if kind == 8:
        return st.booleans()
    if kind == 9:
        return st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    if kind == 12:
        return st.binary(max_size=8)
    if kind == 14:
        return st.sampled_from([value.number for value in descriptor.enum_type.values])
    return contents(descriptor.message_type, depth - 1)


def repeated(descriptor: Any) -> bool:
    known = getattr(descriptor, "is_repeated", None)
    return bool(known) if known is not None else descriptor.label == 3


def contents(descriptor: Any, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    """Fields and their values, for a message of this type; required ones always."""
    fields = [one for one in descriptor.fields if depth > 0 or one.message_type is None]

    def chosen(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
        wanted = {
            one.name: st.lists(values(one, depth), max_size=20 if one.message_type is None else 2)
            if repeated(one)
            else values(one, depth)
            for one in fields
            if one.name in names or (descriptor.name == "ClipParameter")
        }
        return st.fixed_dictionaries(wanted)

    return st.lists(st.sampled_from([one.name for one in fields]), max_size=4, unique=True).flatmap(chosen)


def fill(message: Any, content: dict[str, Any]) -> Any:
    for name, value in content.items():
        descriptor = message.DESCRIPTOR.fields_by_name[name]
        if descriptor.message_type is not None:
            for one in value if isinstance(value, list) else [value]:
                inner = getattr(message, name)
                inner = inner.add() if isinstance(value, list) else inner
                inner.SetInParent()
                fill(inner, one)
        elif isinstance(value, list):
            getattr(message, name).extend(value)
        else:
            setattr(message, name, value)
    return message


NET = message_class("NetParameter").DESCRIPTOR


@settings(max_examples=150, deadline=None)
@given(contents(NET, 4))
def test_a_random_net_survives_print_and_read(content):
    from google.protobuf import text_format

    net = fill(new("NetParameter"), content)
    text = prototxt.write(net)
    wire = net.SerializeToString(deterministic=True)
    back = prototxt.read(text) if text else new("NetParameter")
    assert back.SerializeToString(deterministic=True) == wire
    assert prototxt.write(back) == text
    other = text_format.Parse(text, new("NetParameter"))
    assert other.SerializeToString(deterministic=True) == wire


@settings(max_examples=100, deadline=None)
@given(contents(NET, 4))
def test_what_protobuf_prints_is_read_by_us(content):
    from google.protobuf import text_format

    net = fill(new("NetParameter"), content)
    text = text_format.MessageToString(net)
    back = prototxt.read(text) if text else new("NetParameter")
    assert back.SerializeToString(deterministic=True) == net.SerializeToString(deterministic=True)


@settings(max_examples=1000)
@given(st.floats(width=32, allow_nan=False))
def test_a_float_is_printed_shortest_and_exact(value):
    text = shortest_float(value)
    if not math.isinf(value):
        assert struct.pack("<f", float(text)) == struct.pack("<f", value)
        for digits in range(1, 9):
            shorter = f"{value:.{digits}g}"
            if abs(float(shorter)) < 3.4028235e38 and struct.pack("<f", float(shorter)) == struct.pack("<f", value):
                assert len(text) <= max(len(shorter), len(f"{value:.6g}"))
                break


@pytest.mark.parametrize(
    ("value", "text"), [(0.1, "0.1"), (5e-05, "5e-05"), (1.0, "1"), (224.0, "224"), (0.75, "0.75")]
)
def test_plain_floats_look_plain(value, text):
    assert shortest_float(struct.unpack("<f", struct.pack("<f", value))[0]) == text


#: Where protobuf's reader in Python differs from the one in C++, which is Caffe's (and which the oracle tests ask).
_PYTHON_DIFFERS = {
    "escapes",
    "negative integers",
    "bool 0x1",
    "bool 01",
    "float - 2.5",
    "float 2.5F",
    "float 3.4028235e38",
}


@pytest.mark.parametrize("name", [name for name in (*NETS, *TEXTS) if name not in _PYTHON_DIFFERS])
def test_our_reader_agrees_with_protobufs(name):
    from google.protobuf import text_format

    text = {**NETS, **TEXTS}[name]
    theirs = text_format.Parse(text, new("NetParameter"))
    assert prototxt.read(text).SerializeToString() == theirs.SerializeToString()


def test_the_sign_of_a_nan_is_kept():
    net = prototxt.read("layer { loss_weight: -nan loss_weight: nan }")
    assert prototxt.read(prototxt.write(net)).SerializeToString() == net.SerializeToString()
    assert "-nan" in prototxt.write(net)


def test_fields_that_the_schema_lacks_are_named_in_a_comment():
    net = message_class("NetParameter").FromString(b"\x0a\x01n\xc2\x3e\x02hi")
    text = prototxt.write(net)
    assert text == 'name: "n"\n# field 1000 (wire type 2) is not in the schema and is left out\n'
    assert prototxt.read(text).name == "n"


def test_every_public_prototxt_survives_print_and_read(upstream):
    for path in upstream.rglob("*.prototxt"):
        if path.name.endswith("_tf.prototxt"):
            continue
        net = prototxt.read_file(path)
        assert prototxt.read(prototxt.write(net)) == net, path
        from google.protobuf import text_format

        assert text_format.Parse(path.read_text("utf-8"), new("NetParameter")) == net, path
