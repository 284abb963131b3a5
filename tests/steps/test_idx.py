"""Idx files: every element type and rank, and what is said of files that are none."""

from __future__ import annotations

import gzip
import json
import math
import struct
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelprep.errors import ModelprepError, StepError, StorageError
from modelprep.formats import idx


def idx_bytes(shape, data, code=0x08):
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape) + data


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(idx.TYPES)), st.lists(st.integers(0, 5), min_size=1, max_size=5), st.booleans())
def test_every_type_and_rank_is_read_and_unpacked(tmp_path, code, shape, compressed):
    name, size = idx.TYPES[code]
    data = bytes(range(256))[: math.prod(shape) * size].ljust(math.prod(shape) * size, b"\7")
    whole = idx_bytes(shape, data, code)
    path, out = tmp_path / "file", tmp_path / "out"
    path.write_bytes(gzip.compress(whole) if compressed else whole)
    header, compression, counts = idx.inspect(path)
    assert (header.dtype, header.shape, header.item_size) == (name, tuple(shape), size)
    assert compression == ("gzip" if compressed else "none")
    assert (counts is not None) == (code == 0x08 and len(shape) == 1)
    if counts is not None:
        assert sum(counts.values()) == shape[0]
    assert idx.unpack(path, out) == header
    assert out.read_bytes() == whole
    assert idx.read_header(out) == header


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(-40, 40).filter(bool), st.booleans())
def test_a_file_that_is_not_as_long_as_its_header_says_is_an_error(tmp_path, shape, change, compressed):
    whole = idx_bytes(shape, bytes(math.prod(shape)))
    broken = whole[:change] if change < 0 else whole + bytes(change)
    path, out = tmp_path / "file", tmp_path / "out"
    path.write_bytes(gzip.compress(broken) if compressed else broken)
    for act in (idx.inspect, lambda p: idx.unpack(p, out)):
        with pytest.raises(StepError):
            act(path)
    assert not out.exists()
    if not compressed:
        with pytest.raises(StepError):
            idx.read_header(path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=1200))
def test_arbitrary_bytes_end_in_our_error_or_are_an_idx_file(tmp_path, data):
    path = tmp_path / "file"
    path.write_bytes(data)
    try:
        header, _, _ = idx.inspect(path)
    except ModelprepError as error:
        message = str(error)
    else:
        message = f"{header.size + header.data_size}"
    assert message


def test_a_header_with_enormous_sizes_costs_no_memory(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(idx_bytes([2**32 - 1] * 255, b"x", 0x0E))
    with pytest.raises(StepError, match="truncated"):
        idx.read_header(path)
    with pytest.raises(StepError, match="truncated"):
        idx.inspect(path)


def test_a_bomb_behind_a_small_header_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(idx_bytes([4], bytes(100 << 20))))
    with pytest.raises(StepError, match="longer than its header says"):
        idx.unpack(path, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["bomb"]


@pytest.mark.parametrize(
    ("content", "looks", "hint"),
    [
        (gzip.compress(b"\0\0\x08\x01\0\0\0\0", mtime=0), "gzip-compressed data", "step `gunzip`"),
        (b"<!DOCTYPE html><title>403</title>", "a web page", "another source"),
        (struct.pack("<II", 0x0801, 4) + b"1234", "an idx file written in little-endian order", "most significant"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture", ""),
        (b"", "an empty file", ""),
        (b"\0\0", "nothing but zero bytes", ""),
        (b"\0\0\x0a\x01\0\0\0\0", "", ""),
    ],
)
def test_what_is_no_idx_file_is_named(content, looks, hint, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(StepError, match="not an idx file") as caught:
        idx.read_header(path)
    assert (caught.value.looks_like or "").startswith(looks)
    assert hint in (caught.value.hint or "")


def test_sizes_in_little_endian_order_are_recognised(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes([0, 0, 8, 1]) + struct.pack("<I", 5) + b"12345")
    with pytest.raises(StepError, match="truncated") as caught:
        idx.read_header(path)
    assert "little-endian (5)" in caught.value.looks_like


def test_a_header_that_ends_early_says_how_long_it_should_be(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes([0, 0, 8, 3]) + b"\0\0\0")
    with pytest.raises(StepError, match="ends within its header") as caught:
        idx.read_header(path)
    assert "16 bytes" in caught.value.expected


def test_a_missing_file_is_a_storage_error(tmp_path):
    for act in (idx.read_header, idx.inspect, lambda p: idx.unpack(p, tmp_path / "out")):
        with pytest.raises(StorageError):
            act(tmp_path / "nothing")


def run(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "modelprep", "idx", *map(str, arguments)], capture_output=True, text=True, cwd=cwd
    )


def test_the_command_tells_and_unpacks(tmp_path, repository):
    path, out = tmp_path / "labels.gz", tmp_path / "labels"
    path.write_bytes(gzip.compress(idx_bytes([4], bytes([7, 2, 1, 7]))))
    told = run("info", path, "--json", cwd=repository)
    assert told.returncode == 0
    facts = json.loads(told.stdout)
    assert (facts["magic"], facts["shape"], facts["labels"]) == (2049, [4], {"1": 1, "2": 1, "7": 2})
    for_people = run("info", path, cwd=repository).stdout
    assert "2049 (labels)" in for_people
    assert "7: 2" in for_people
    assert run("unpack", path, "-o", out, cwd=repository).returncode == 0
    assert out.read_bytes()[8:] == bytes([7, 2, 1, 7])


def test_the_command_ends_with_the_documented_codes(tmp_path, repository):
    page = tmp_path / "page"
    page.write_text("<html>")
    wrong = run("info", page, cwd=repository)
    assert wrong.returncode == 5
    assert "a web page" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    assert run("info", tmp_path / "nothing", cwd=repository).returncode == 2
    good = tmp_path / "good"
    good.write_bytes(idx_bytes([1], b"1"))
    same = run("unpack", good, "-o", good, cwd=repository)
    assert same.returncode == 2
    assert good.read_bytes() == idx_bytes([1], b"1")


def test_the_real_files_hold_ten_thousand_digits(upstream):
    folder = upstream / "yann.lecun.com/exdb/mnist"
    assert idx.inspect(folder / "t10k-images-idx3-ubyte.gz")[0].shape == (10000, 28, 28)
    header, _, counts = idx.inspect(folder / "t10k-labels-idx1-ubyte.gz")
    assert header.shape == (10000,)
    assert sorted(counts) == list(range(10))
