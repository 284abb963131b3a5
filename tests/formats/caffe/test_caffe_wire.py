"""The index of a caffemodel: what it finds, and that no damaged file gets past it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from array import array
from pathlib import Path

import pytest
from caffe_bytes import blob, field, layer, v1_layer, varint
from hypothesis import given, settings
from hypothesis import strategies as st

from modelprep.errors import StepError
from modelprep.formats.caffe.wire import index as wire_index
from modelprep.formats.caffe.wire.index import index


def model(tmp_path: Path, *parts: bytes) -> Path:
    path = tmp_path / "m.caffemodel"
    path.write_bytes(b"".join(parts))
    return path


NAME = field(1, b"net")


def test_a_v2_file_is_indexed_with_its_shapes_and_places(tmp_path: Path) -> None:
    numbers = array("f", [1, 2, 3, 4, 5, 6]).tobytes()
    path = model(tmp_path, NAME, layer("fc", "InnerProduct", blob(numbers, (2, 3))))
    found = index(path)
    (only,) = found.layers
    assert (found.form, found.name, only.name, only.type) == ("V2", "net", "fc", "InnerProduct")
    (stored,) = only.blobs
    assert (stored.shape, stored.legacy, stored.count, stored.dtype) == ((2, 3), None, 6, "float32")
    (segment,) = stored.segments
    assert path.read_bytes()[segment.offset : segment.offset + 24] == numbers


def test_v1_and_v0_layers_are_told_apart(tmp_path: Path) -> None:
    numbers = array("f", [7, 8]).tobytes()
    legacy = b"".join(varint(n << 3) + varint(d) for n, d in ((1, 1), (2, 1), (3, 1), (4, 2)))
    inside = field(1, b"old") + field(2, b"innerproduct") + field(50, legacy + field(5, numbers))
    path = model(
        tmp_path, NAME, v1_layer("fc", 14, legacy + field(5, numbers)), field(2, field(1, inside) + field(2, b"data"))
    )
    found = index(path)
    assert found.form == "V0"
    assert [(item.form, item.name) for item in found.layers] == [("V1", "fc"), ("V0", "old")]
    assert [item.blobs[0].legacy for item in found.layers] == [(1, 1, 1, 2)] * 2
    assert found.layers[1].type == "innerproduct"


def test_numbers_that_are_not_packed_are_found_whole(tmp_path: Path) -> None:
    # More than one window of the reader, with a packed piece between two runs.
    count = 40_000
    values = array("f", [i % 97 for i in range(count)])
    raw = values.tobytes()
    loose = b"".join(b"\x2d" + raw[4 * i : 4 * i + 4] for i in range(count))
    body = loose + field(5, raw[:400]) + loose[:50] + field(7, field(1, varint(count + 110)))
    found = index(model(tmp_path, NAME, layer("l", "InnerProduct", body)))
    (stored,) = found.layers[0].blobs
    assert stored.count == count + 110
    assert [(s.count, s.stride) for s in stored.segments] == [(count, 5), (100, 4), (10, 5)]


def test_doubles_win_over_floats_as_in_caffe(tmp_path: Path) -> None:
    body = field(5, bytes(8)) + field(8, array("d", [1, 2]).tobytes()) + field(7, field(1, varint(2)))
    (stored,) = index(model(tmp_path, NAME, layer("l", "X", body))).layers[0].blobs
    assert (stored.dtype, stored.count) == ("float64", 2)


def test_layers_of_two_generations_are_refused_as_in_caffe(tmp_path: Path) -> None:
    with pytest.raises(StepError) as caught:
        index(model(tmp_path, layer("new", "ReLU"), v1_layer("old", 18)))
    assert "'new'" in (caught.value.got or "")


def test_the_structure_comes_out_without_the_blobs(tmp_path: Path) -> None:
    path = model(tmp_path, NAME, layer("fc", "InnerProduct", blob(bytes(24), (2, 3))), layer("r", "ReLU"))
    assert index(path).structure() == NAME + layer("fc", "InnerProduct") + layer("r", "ReLU")


def test_a_file_cut_anywhere_inside_a_layer_is_an_error(tmp_path: Path) -> None:
    parts = [
        NAME,
        layer("a", "X", blob(bytes(24), (2, 3))),
        layer("b", "Y", blob(bytes(8), (2,)), blob(bytes(4), (1,))),
    ]
    whole = b"".join(parts)
    borders = {sum(map(len, parts[:n])) for n in range(4)}
    path = tmp_path / "cut"
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        if size in borders and size > len(NAME):
            assert len(index(path).layers) == 1  # a whole layer less: the net will miss it
            continue
        with pytest.raises(StepError) as caught:
            index(path)
        if size > len(NAME):
            assert "cut short" in (caught.value.looks_like or "") or "shorter" in caught.value.what


HOSTILE = {
    "a length beyond 2 GiB": field(1, b"n") + b"\xa2\x06" + varint(2**31 + 5),
    "a negative length": field(1, b"n") + b"\xa2\x06" + varint(2**64 - 1),
    "a length beyond the file": field(1, b"n") + b"\xa2\x06" + varint(1 << 30),
    "an overlong varint": b"\xa2\x06" + b"\x80" * 11 + b"\x01",
    "a varint of 70 bits": b"\x20" + b"\xff" * 9 + b"\x7f",
    "an overlong tag": b"\x80\x80\x80\x80\x80\x01" + b"\x00",
    "field number 0": b"\x00\x01",
    "a group": NAME + b"\x0b\x0c",
    "a group inside a layer": field(100, field(1, b"n") + b"\x0b\x0c"),
    "wire type 7": NAME + b"\x0f",
    "a layer as a number": NAME + b"\xa0\x06\x05",
    "blobs as a number": field(100, field(1, b"n") + b"\x38\x05"),
    "floats of five bytes": layer("l", "X", field(5, bytes(5)) + field(7, field(1, varint(1)))),
    "floats as a number": layer("l", "X", b"\x28\x05"),
    "a shape of more than the data": layer("l", "X", blob(bytes(8), (3,))),
    "a shape of less than the data": layer("l", "X", blob(bytes(8), (1,))),
    "a negative dimension": layer("l", "X", field(7, field(1, varint(2**64 - 1)))),
    "a dimension beyond 2^31": layer("l", "X", field(7, field(1, varint(2**40)))),
    "dimensions that multiply beyond 2^31": layer("l", "X", field(7, field(1, varint(65536) * 4))),
    "40 axes": layer("l", "X", field(5, bytes(4)) + field(7, field(1, b"\x01" * 40))),
    "a blob without a shape": layer("l", "X", field(5, bytes(8))),
    "a layer name that is no text": field(100, field(1, b"\xff\x00\xfe")),
    "a layer name of 100 kB": field(100, field(1, b"x" * 100_000)),
    "a net name of bytes, again and again": field(1, b"a") * 3,
    "no layers": NAME,
    "an ONNX model": b"\x08\x03\x12\x07pytorch",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused_with_its_place(what: str, tmp_path: Path) -> None:
    path = model(tmp_path, HOSTILE[what])
    with pytest.raises(StepError) as caught:
        index(path)
    assert str(path) in (caught.value.where or "")


def test_deep_nesting_costs_nothing(tmp_path: Path) -> None:
    body = b""
    for _ in range(2000):
        body = field(105, body)
    found = index(model(tmp_path, NAME, layer("l", "X", blob(bytes(4), (1,))) + field(100, field(1, b"m") + body)))
    assert len(found.layers) == 2
    from modelprep.formats.caffe.npy import own_net

    # No schema has messages that deep: they are skipped as unknown, or refused; either way there is no crash.
    with contextlib.suppress(StepError):
        own_net(found)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(600), "HDF5"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b'name: "net"\nlayer { name: "x" }', "prototxt"),
        (b"\n\nlayer { }\n", "prototxt"),
        (b"\x1f\x8b\x08" + bytes(20), "gzip"),
        (bytes(4096), "zero bytes"),
        (b"", "empty"),
    ],
)
def test_what_arrived_instead_is_named(head: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(StepError) as caught:
        index(model(tmp_path, head))
    assert said in (caught.value.looks_like or "")


def test_an_hdf5_model_is_told_how_to_become_a_binary_one(tmp_path: Path) -> None:
    with pytest.raises(StepError) as caught:
        index(model(tmp_path, b"\x89HDF\r\n\x1a\n" + bytes(600)))
    assert "BINARYPROTO" in (caught.value.hint or "")


def test_a_file_beyond_2_gib_is_refused_at_once(tmp_path: Path) -> None:
    path = model(tmp_path, NAME)
    os.truncate(path, 3 << 30)  # sparse: it takes no room
    with pytest.raises(StepError, match="larger than a protobuf message"):
        index(path)


_LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (220 << 20, 220 << 20))
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
from pathlib import Path
from modelprep.errors import StepError
from modelprep.formats.caffe.wire.index import index
try:
    index(Path(sys.argv[1]))
except StepError as error:
    print("refused:", error.what)
else:
    print("read")
# Not ru_maxrss: that one a child inherits from whoever started it.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def in_bounds(path: Path) -> tuple[str, int]:
    if not Path("/proc/self/status").exists():
        pytest.skip("peak memory is read from /proc, which this system does not have")
    done = subprocess.run([sys.executable, "-c", _LIMITED, str(path)], capture_output=True, text=True, check=True)
    said, peak = done.stdout.splitlines()
    return said, int(peak)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "piece"),
    [
        ("fields of one byte", b"\x20\x01"),
        ("layers", layer("l", "X")),
        ("empty blobs", None),
        ("pieces of floats", None),
    ],
)
def test_millions_of_tiny_pieces_end_in_an_error_within_bounds(what: str, piece: bytes | None, tmp_path: Path) -> None:
    if piece is not None:
        body = piece * (6_000_000 // len(piece))
    elif what == "empty blobs":
        body = field(100, field(1, b"l") + field(7, field(7, field(1, b"\x00"))) * 400_000)
    else:
        body = layer("l", "X", field(5, bytes(4)) * 1_200_000)
    said, peak = in_bounds(model(tmp_path, NAME, body))
    assert said.startswith("refused")
    assert peak < 200 << 10  # kB


def test_a_big_file_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    small = model(tmp_path, NAME, layer("l", "X", blob(bytes(400), (100,))))
    _, base = in_bounds(small)
    count = 200_000_000 // 4
    path = tmp_path / "big"
    head = varint(5 << 3 | 2) + varint(4 * count)
    tail = field(7, field(1, varint(count)))
    size = len(head) + 4 * count + len(tail)
    inner = field(1, b"l") + varint(7 << 3 | 2) + varint(size) + head
    with path.open("wb") as file:
        file.write(NAME + varint(100 << 3 | 2) + varint(len(inner) + 4 * count + len(tail)) + inner)
        file.seek(4 * count, os.SEEK_CUR)
        file.write(tail)
    said, peak = in_bounds(path)
    assert said == "read"
    assert peak - base < 4 << 10  # kB


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damage_anywhere_ends_in_an_index_or_an_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = bytearray(
        NAME
        + layer("conv", "Convolution", blob(array("f", range(18)).tobytes(), (2, 1, 3, 3)), blob(bytes(8), (2,)))
        + layer("fc", "InnerProduct", blob(bytes(16), (4,)))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(whole)
    try:
        found = index(path)
    except StepError:
        return
    for item in found.layers:
        for stored in item.blobs:
            for segment in stored.segments:
                width = 4 if stored.dtype == "float32" else 8
                assert segment.offset > 0
                assert segment.offset + (segment.count - 1) * segment.stride + width <= len(whole)


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=400))
def test_any_bytes_end_in_an_index_or_an_error(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    with contextlib.suppress(StepError):
        index(path)


def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = model(tmp_path, NAME, layer("l", "X", blob(bytes(400_000), (100_000,))), layer("m", "Y"))
    real = os.pread
    monkeypatch.setattr(wire_index.os, "pread", lambda fd, n, offset: real(fd, n, offset) if offset < 1000 else b"")
    with pytest.raises(StepError, match="shorter"):
        index(path)
