"""What bytes look like is told in one place, for formats and for what was fetched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelprep.fetch.sniff import describe_bytes
from modelprep.formats.caffe.wire import is_foreign
from modelprep.formats.protowire import bytes_field, number_field
from modelprep.formats.sniff import HEAD, is_text, looks_like, recognise_model


def layer(kind: int) -> bytes:
    return bytes_field(kind, bytes_field(1, b"conv1") + bytes_field(2, b"Convolution"))


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (number_field(1, 1) + bytes_field(2, bytes_field(1, bytes_field(4, b"serve"))), "saved model"),
        (number_field(1, 1) + bytes_field(2, b"CNTK") + bytes_field(7, b"..."), "onnx"),
        (layer(100) * 2, "caffemodel"),
        (bytes_field(2, bytes_field(2, b"data") + bytes_field(3, b"conv1")), "caffemodel"),
        (b"\x12\x04\xff\xff\xff\xff", None),
        (b"\x80\x02}q\x00X\x05\x00\x00\x00", "pickle"),
        (b"BM" + (70).to_bytes(4, "little") + bytes(4) + b"\x36\0\0\0", "picture"),
        (b"BMW\nAudi\nFiat\n", "text"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "picture"),
        (b"<p>no<p>\n<HTML>", "web page"),
        (b"<opencv_storage>", "xml"),
        (b"[net]\nbatch=1\n", "text"),
        (b'[{"a": 1}]', "json"),
        (b"['cat']", "text"),
        (b"input: see below\n", "text"),
        (b"# a net\nlayers {\n", "prototxt"),
        (b"\0\0\x08\x03" + bytes(12), "idx"),
        (b"\0\0\x09\x03" + bytes(12), "idx"),
    ],
)
def test_a_kind_is_told_from_its_neighbours(head: bytes, name: str | None) -> None:
    found = recognise_model(head)
    assert (found.name if found else None) == name


@pytest.mark.parametrize(
    ("head", "text"),
    [
        ("größer".encode() * 200, True),
        ("größer".encode()[:3], True),
        (b"na\xefve, but mostly ASCII", True),
        (b"\xde\xad\xbe\xef\xca\xfe\xba\xbe", False),
        (b"a\0b", False),
    ],
)
def test_text_is_utf_8_or_nearly_ascii(head: bytes, text: bool) -> None:
    assert is_text(head) == text
    assert (looks_like(head) == "text") == text


def test_zero_bytes_are_nothing_else_only_where_all_were_seen() -> None:
    assert looks_like(bytes(100)) == "nothing but zero bytes"
    assert looks_like(bytes(HEAD)) == "nothing but zero bytes at its beginning"


@pytest.mark.parametrize("head", [b"\n<html>", b"\n[1]", b"\n<a/>", b"\nhello", b'\nname: "n"\n', b"\nnode {\n"])
def test_a_text_is_no_caffemodel_though_it_begins_with_the_tag_of_a_nets_name(head: bytes) -> None:
    assert is_foreign(head)


@given(st.binary(max_size=600))
def test_what_was_fetched_is_told_as_formats_tell_it(head: bytes) -> None:
    found = recognise_model(head)
    looks = describe_bytes(head, size=len(head))
    assert looks.kind == (found.name if found else "binary")
    assert looks.text.startswith(found.text.partition(",")[0] if found else "binary data beginning")
