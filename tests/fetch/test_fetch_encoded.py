"""Answers that a server compressed though nobody asked, within bounds."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pytest
from fetching import Bench, asset, payload
from hypothesis import given
from hypothesis import strategies as st
from servers.http import FaultServer

from modelprep.errors import FetchError
from modelprep.fetch.encoded import BadEncoding, decode_file, decode_head


def raw_deflate(data: bytes) -> bytes:
    encoder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return encoder.compress(data) + encoder.flush()


def decode(folder: Path, data: bytes, encoding: str = "gzip", *, max_bytes: int = 1 << 24) -> bytes:
    (folder / "in").write_bytes(data)
    (folder / "out").unlink(missing_ok=True)
    size = decode_file(folder / "in", folder / "out", encoding, max_bytes=max_bytes)
    assert (folder / "out").stat().st_size == size
    return (folder / "out").read_bytes()


@pytest.mark.parametrize("data", [b"", b"x", payload(3_000_000), bytes(5_000_000)])
def test_each_encoding_comes_undone(tmp_path: Path, data: bytes) -> None:
    assert decode(tmp_path, gzip.compress(data, 1), "gzip") == data
    assert decode(tmp_path, gzip.compress(data[:10], 1) + gzip.compress(data[10:], 1), "x-gzip") == data
    assert decode(tmp_path, zlib.compress(data), "deflate") == data
    assert decode(tmp_path, raw_deflate(data), "deflate") == data


def test_a_cut_encoding_is_told(tmp_path: Path) -> None:
    packed = gzip.compress(payload(3_000_000))
    for end in (1, 100, len(packed) // 2, len(packed) - 1):
        with pytest.raises(BadEncoding):
            decode(tmp_path, packed[:end])


def test_what_is_not_so_encoded_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadEncoding, match="is not"):
        decode(tmp_path, b"plain text", "gzip")


def test_a_bomb_ends_at_the_cap(tmp_path: Path) -> None:
    with pytest.raises(BadEncoding, match="more than"):
        decode(tmp_path, gzip.compress(bytes(50_000_000)), max_bytes=1_000_000)
    assert (tmp_path / "out").stat().st_size <= 1_000_000


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", ""]))
def test_any_first_bytes_are_survived(data: bytes, encoding: str) -> None:
    assert isinstance(decode_head(data, encoding), bytes)


def test_an_unknown_encoding_is_an_ordinary_failure(server: FaultServer, bench: Bench) -> None:
    url = server.put("/m", b"data", headers={"Content-Encoding": "br"})
    with pytest.raises(FetchError) as caught:
        bench.fetch(asset(url, data=b"data"))
    assert "an encoding that was not requested (br)" in caught.value.tried[0]
    assert len(server.log) == 1


def test_what_only_says_that_it_is_encoded_is_taken_by_its_digest(server: FaultServer, bench: Bench) -> None:
    url = server.put("/m", b"data", headers={"Content-Encoding": "gzip"})
    assert bench.fetch(asset(url, data=b"data")).blob.path.read_bytes() == b"data"
    with pytest.raises(FetchError):
        bench.fetch(asset(url, pin="first-use"))


def test_a_cut_encoded_answer_is_resumed(server: FaultServer, bench: Bench) -> None:
    data = payload()
    url = server.put("/m", data, encoding="gzip", cut_at=1_000_000, times=1)
    assert bench.fetch(asset(url, data=data)).blob.path.read_bytes() == data
    assert [r.status for r in server.log] == [200, 206]
