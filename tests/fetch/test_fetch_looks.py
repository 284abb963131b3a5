"""What bytes look like, and several digests in one pass."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelprep.fetch.digests import MultiHash, hash_path
from modelprep.fetch.sniff import describe, describe_bytes, is_web_page
from modelprep.fetch.transport import retry_after
from modelprep.store.copying import BackgroundHash


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        (b"", "empty", "an empty file"),
        (b"\xef\xbb\xbf \n<!doctype HTML><title> Log\n in &amp; go </title>", "web page", "titled 'Log in & go'"),
        (b"<html lang=en>", "web page", "a web page"),
        (b"<Error><Code>AccessDenied</Code><Message>No</Message></Error>", "xml", "says 'AccessDenied; No'"),
        (b'{"error": {"message": "quota exceeded"}}', "json", "says 'quota exceeded'"),
        (b'{"detail": "gone"}', "json", "says 'gone'"),
        (b"name: 'VGG'\nlayer {}\n", "prototxt", "a Caffe prototxt beginning 'name: 'VGG''"),
        (b"\xef\xbb\xbf# Labels\ncat\n", "text", "text beginning '# Labels'"),
        (b'node {\n  name: "x"\n', "text graph", "a TensorFlow graph as text beginning 'node {'"),
        (b"[net]\nbatch=1\n", "text", "text beginning '[net]'"),
        (gzip.compress(b"x", mtime=0), "gzip", "gzip-compressed data"),
        (b"PK\x03\x04....", "zip", "a zip archive"),
        (b"\x1c\0\0\0TFL3....", "tflite", "a TF Lite model"),
        (b"\x89HDF\r\n\x1a\n", "hdf5", "an HDF5 file"),
        (b"\xff\xd8\xff\xe0", "picture", "a JPEG picture"),
        (b"\x0a\x07AlexNet\x12\x04data\x12\x02xx", "caffemodel", "(net 'AlexNet')"),
        (b"\x08\x03\x12\x07pytorch", "onnx", "an ONNX model"),
        (b"\xde\xad\xbe\xef\0\0\0\0\0", "binary", "binary data beginning de ad be ef"),
        (b"\0" * 257 + b"ustar\0" + b"\0" * 100, "tar", "a tar archive"),
    ],
)
def test_bytes_are_told_for_what_they_are(tmp_path: Path, data: bytes, kind: str, said: str) -> None:
    (tmp_path / "f").write_bytes(data)
    looks = describe(tmp_path / "f")
    assert looks.kind == kind
    assert said in looks.text


def test_a_pointer_names_its_object() -> None:
    oid = "0123456789abcdef" * 4
    data = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 26454\n".encode()
    looks = describe_bytes(data, size=len(data))
    assert looks.lfs_oid == oid
    assert "26,454 bytes" in looks.text


def test_missing_bytes_are_counted() -> None:
    assert "truncated, 60 bytes are missing" in describe_bytes(b"\xff\xd8\xff", size=40, expected_size=100).text
    assert "60 bytes too many" in describe_bytes(b"\xff\xd8\xff", size=160, expected_size=100).text


def test_nothing_from_outside_reaches_a_terminal_unescaped() -> None:
    text = describe_bytes(b"<html><title>\x1b[2J\x1b]0;x\x07\x9b</title>", size=9).text
    assert text.isprintable()


@pytest.mark.parametrize("data", [b"<?xml version='1.0'?><opencv_storage/>", b"<net>", b"htmlish", b"< html>"])
def test_other_markup_is_no_web_page(data: bytes) -> None:
    assert not is_web_page(data)


@given(st.binary(max_size=300), st.integers(0, 1000), st.none() | st.integers(0, 1000))
def test_any_bytes_can_be_described(data: bytes, size: int, expected: int | None) -> None:
    assert describe_bytes(data, size=max(size, len(data)), expected_size=expected).text.isprintable()


@given(st.lists(st.binary(max_size=50), max_size=8))
def test_digests_of_pieces_are_those_of_the_whole(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    hashes = MultiHash(["git", "md5", "sha1", "sha384", "sha512"], size=len(data))
    with BackgroundHash(hashes, depth=2) as background:
        for piece in pieces:
            background.update(piece)
    assert hashes.digests() == {
        **{name: hashlib.new(name, data).hexdigest() for name in ("md5", "sha1", "sha256", "sha384", "sha512")},
        "git": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(),
    }


def test_gits_blob_id_is_left_out_where_the_size_was_not_as_announced(tmp_path: Path) -> None:
    hashes = MultiHash(["git"], size=3)
    hashes.update(b"four")
    assert set(hashes.digests()) == {"sha256"}
    (tmp_path / "hello").write_bytes(b"hello\n")
    digests, size = hash_path(tmp_path / "hello", ["git"])
    assert size == 6
    assert digests["git"] == "ce013625030ba8dba906f756967f9e9ca394464a"  # `echo hello | git hash-object --stdin`


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(ValueError, match="crc32"):
        MultiHash(["crc32"])


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5", "Wed, 99 Foo", "²"])
def test_an_unreadable_retry_after_says_nothing(text: str) -> None:
    assert retry_after(text) is None


@given(st.text(max_size=40))
def test_any_retry_after_is_survived(text: str) -> None:
    found = retry_after(text)
    assert found is None or found >= 0
