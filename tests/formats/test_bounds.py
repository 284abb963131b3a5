"""Small files do not take all memory, nor hours: counts, sizes and names have limits that fit the size of a file."""

from __future__ import annotations

import bz2
import io
import lzma
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from cli.workshop import REPOSITORY

from modelprep.errors import StepError
from modelprep.formats.archive.members import extract_member
from modelprep.formats.picture import decode

sys.path.append(str(REPOSITORY / "faults"))

import bounds
import hostile


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["zip_bzip2", "zip_lzma_small", "png_large", "jpeg_tables", "pt_split_names", "pt_empty_layers", "ox_empty_nodes"],
)
def test_a_file_of_a_megabyte_takes_no_more_than_300_mb_and_10_s(name: str) -> None:
    for cost in bounds.costs(name):
        assert cost.within, cost


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units elsewhere")
def test_the_memory_of_who_measures_is_not_counted_and_that_of_the_command_is(tmp_path: Path) -> None:
    ballast = bytearray(b"x" * 400_000_000)
    small = bounds._cost(tmp_path, ["python", "pass"])
    del ballast
    large = bounds._cost(tmp_path, ["python", "bytearray(b'x') * 400_000_000"])
    assert small.within, small
    assert small.memory < 100_000_000
    assert large.memory > 400_000_000
    assert not large.within
    assert bounds._cost(tmp_path, ["python", "import os; os.abort()"]).status < 0


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_members_of_every_method_come_out_as_they_went_in(tmp_path: Path, method: int, size: int) -> None:
    data = (bytes(range(256)) * 20 + bytes(9000)) * (size // 14_000 + 1)
    data = data[:size]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as bundle:
        bundle.writestr("before", b"x")
        bundle.writestr("folder/member.bin", data)
        bundle.writestr("behind", b"y")
    (tmp_path / "a.zip").write_bytes(out.getvalue())
    assert extract_member(tmp_path / "a.zip", "folder/member.bin", tmp_path / "out") == size
    assert (tmp_path / "out").read_bytes() == data


def packed(method: int) -> bytes:
    zeros = bytes(2_000_000)
    if method == 8:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(zeros) + packer.flush()
    if method == 12:
        return bz2.compress(zeros)
    chain = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 20}]
    return b"\x09\x04\x05\0\x5d" + struct.pack("<I", 1 << 20) + lzma.compress(zeros, lzma.FORMAT_RAW, filters=chain)


@pytest.mark.parametrize("method", [8, 12, 14])
def test_a_member_that_is_longer_than_stated_is_refused(tmp_path: Path, method: int) -> None:
    (tmp_path / "a.zip").write_bytes(hostile.zip_of(packed(method), method, 500))
    with pytest.raises(StepError, match="longer than the archive states"):
        extract_member(tmp_path / "a.zip", "m.bin", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_dictionary_larger_than_the_member_takes_no_memory_and_is_no_error(tmp_path: Path) -> None:
    data = packed(14)
    data = data[:5] + struct.pack("<I", 0xFFFFFFFF) + data[9:]
    archive = hostile.zip_of(data, 14, 2_000_000)
    crc = struct.pack("<I", zlib.crc32(bytes(2_000_000)))
    wrong = struct.pack("<I", zlib.crc32(bytes(1 << 20)))
    (tmp_path / "a.zip").write_bytes(archive.replace(wrong, crc))
    assert extract_member(tmp_path / "a.zip", "m.bin", tmp_path / "out") == 2_000_000


def test_a_dictionary_beyond_bounds_is_refused(tmp_path: Path) -> None:
    data = packed(14)
    data = data[:5] + struct.pack("<I", 0xFFFFFFFF) + data[9:]
    (tmp_path / "a.zip").write_bytes(hostile.zip_of(data, 14, 1 << 30))
    with pytest.raises(StepError, match="dictionary"):
        extract_member(tmp_path / "a.zip", "m.bin", tmp_path / "out")


def test_a_picture_has_as_many_pixels_as_fit_its_file() -> None:
    assert decode.max_pixels(1000) == decode.max_pixels(1_000_000) == 12 << 20
    assert decode.max_pixels(4_000_000) == 48_000_000
    assert decode.max_pixels(1 << 30) == decode.MAX_PIXELS
    with pytest.raises(StepError, match="too large for its file"):
        decode.decode(hostile.png(5000, 5000, 0, 1), origin="p.png")


def test_scans_that_a_picture_has_no_use_for_are_refused() -> None:
    small = hostile.jpeg(width=64, height=64, progressive=True)
    scan = small[small.rindex(b"\xff\xda") : -2]
    assert decode.decode(small[:-2] + scan + b"\xff\xd9", origin="p.jpg").pixels.shape == (64, 64, 3)
    with pytest.raises(StepError, match="more scans than a picture has a use for"):
        decode.decode(small[:-2] + scan * 500 + b"\xff\xd9", origin="p.jpg")
    with pytest.raises(StepError, match="Huffman tables"):
        decode.decode(small[:2] + hostile._RUNS * 300 + small[2:], origin="p.jpg")


@pytest.mark.parametrize(
    ("suffix", "parser", "data"),
    [
        (".pb", "tf", hostile.graph_node(b"a", b"X") * 2),
        (".pb", "tf", b"\xff" * 40),
        (".caffemodel", "caffe", b"\x0a\x03net\xa2\x06\xff"),
        (".onnx", "onnx", b"\x08\x04\x3a\xff"),
        (".tflite", "tflite", b"\x10\0\0\0TFL3" + b"\xff" * 40),
    ],
)
def test_lint_of_a_damaged_model_is_a_finding(tmp_path: Path, suffix: str, parser: str, data: bytes) -> None:
    from modelprep.check.lint import lint

    path = tmp_path / f"model{suffix}"
    path.write_bytes(data)
    found = lint(path, parser)  # type: ignore[arg-type]
    assert found
    assert found[0].serious


def test_a_png_of_wrong_checksums_is_read_without_unpacking_more_than_it_holds() -> None:
    from modelprep.formats.picture import stb_formats

    wrong = bytearray(hostile.png(64, 64, 2, 8))
    at = wrong.index(b"IEND") - 12
    wrong[at : at + 8] = bytes(8)  # the Adler-32 of the pixels, and the CRC of the chunk
    assert decode.decode(bytes(wrong), origin="p.png").pixels.shape == (64, 64, 3)
    packed = zlib.compress(bytes(100_000))
    damaged = packed[:-4] + bytes(4)
    assert stb_formats._checked(damaged, 100_000)[2:] == packed[2:]
    assert stb_formats._checked(damaged, 99_999) == damaged
