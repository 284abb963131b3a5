"""Files that nothing pins: they must be whole, and look like what the recipe names."""

from __future__ import annotations

import gzip
import io
import random
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from fetching import Bench, asset
from hypothesis import given
from hypothesis import strategies as st
from servers.http import FaultServer

from modelprep.errors import FetchError
from modelprep.fetch.plausible import ends_itself, implausible
from modelprep.recipe.schema import Source

NOISE = random.Random(3).randbytes(5000)
TFLITE = struct.pack("<I", 16) + b"TFL3" + NOISE
PAGE = b"<html><head><title>Sign in</title></head></html>"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)) + chunk(b"IEND", b"")


def zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a", NOISE)
    return made.getvalue()


WRONG = [
    ("m.tflite", b"", "an empty file"),
    ("m.tflite", b" " * 3000, "white space"),
    ("m.tflite", b'{"error": "login required"}', "login required"),
    ("m.tflite", b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "AccessDenied"),
    ("m.tflite", b"\n" * 1500 + PAGE, "a web page"),
    ("m.tflite", b"\n" * 200_000 + PAGE, "a web page"),
    ("m.tflite", PAGE.decode().encode("utf-16"), "a web page"),
    ("m.tflite", NOISE, "instead of a TF Lite model"),
    ("m.tflite", PNG, "a PNG picture"),
    ("m.onnx", b"not a model\n", "instead of an ONNX model"),
    ("m.caffemodel", zipped(), "a zip archive"),
    ("m.pb", b"\0" * 4000, "zero bytes"),
    ("deploy.prototxt", NOISE, "instead of a model as text"),
    ("p.jpg", TFLITE, "a TF Lite model"),
    ("p.png", b"GIF", "instead of a picture"),
    ("a.zip", gzip.compress(NOISE), "gzip-compressed data"),
    ("a.tar.gz", zipped(), "a zip archive"),
    ("labels.txt", NOISE, "instead of text"),
    ("labels.txt", b"Please wait <script>1</script>\n<!DOCTYPE html><html>", "a web page"),
    ("labels.txt", b'{"message": "Not Found"}', "JSON"),
    ("labels.json", b'{"errors": ["no"]}', "JSON"),
    ("t10k-images-idx3-ubyte", PAGE, "a web page"),
    ("noname", b"", "an empty file"),
    ("noname", b"<html>", "a web page"),
    ("noname", b"<Error><Code>NoSuchKey</Code></Error>", "NoSuchKey"),
]
RIGHT = [
    ("m.tflite", TFLITE),
    ("m.onnx", b"\x08\x07\x12\x07pytorch" + NOISE),
    ("m.pb", b"\x0a\x05\x0a\x01x\x12\x01y" + NOISE),
    ("m.caffemodel", b"\x0a\x03net\x12\x05" + NOISE),
    ("deploy.prototxt", b'name: "x"\nlayer { }\n'),
    ("p.jpg", PNG),
    ("a.zip", zipped()),
    ("a.tgz", gzip.compress(NOISE)),
    ("labels.txt", b"{0: 'tench',\n 1: 'goldfish'}\n"),
    ("labels.txt", "\ufeffchat\nchien\n".encode()),
    ("labels.txt", "chat\r\nchien\r\n".encode("utf-16")),
    ("labels.json", b'{"0": "cat"}'),
    ("t10k-labels-idx1-ubyte", b"\0\0\x08\x01\0\0\0\x01\x07"),
    ("weights.bin", NOISE),
    ("weights.bin", b"hello\n"),
    ("page.html", PAGE),
]


@pytest.mark.parametrize(("name", "data", "says"), WRONG)
def test_what_does_not_look_like_its_name_is_refused_and_not_pinned(
    server: FaultServer, bench: Bench, name: str, data: bytes, says: str
) -> None:
    url = server.put(f"/{name}", data)
    for _ in range(2):  # nothing of the first time is believed the second time
        with pytest.raises(FetchError) as caught:
            bench.fetch(asset(url, pin="first-use", filename=name), attempts=1)
        assert caught.value.exit_code == 3
        assert says in caught.value.tried[0]


@pytest.mark.parametrize(("name", "data"), RIGHT)
def test_what_looks_like_its_name_is_taken(server: FaultServer, bench: Bench, name: str, data: bytes) -> None:
    url = server.put(f"/{name}", data)
    assert bench.fetch(asset(url, pin="first-use", filename=name)).blob.path.read_bytes() == data


def test_the_place_that_a_file_is_installed_at_tells_too(server: FaultServer, bench: Bench) -> None:
    url = server.put("/download?id=5", b"not a model")
    fetcher = bench.fetcher()
    with pytest.raises(FetchError) as caught:
        fetcher.fetch(fetcher.plan(asset(url, pin="first-use", filename=""), names=("models/m.tflite",)))
    assert "instead of a TF Lite model" in caught.value.tried[0]


def test_members_of_archives_and_local_files_are_judged_too(server: FaultServer, bench: Bench, tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("m.tflite", b"")
    (tmp_path / "m.tflite").write_bytes(b"oops")
    for source in (Source(server.put("/a.zip", made.getvalue()), member="m.tflite"), (tmp_path / "m.tflite").as_uri()):
        with pytest.raises(FetchError) as caught:
            bench.fetch(asset(source, pin="first-use", filename="m.tflite"))
        assert "instead of a TF Lite model" in caught.value.tried[0]


def test_a_pinned_file_may_look_as_it_likes(server: FaultServer, bench: Bench) -> None:
    url = server.put("/m.tflite", b"odd, and so published")
    assert bench.fetch(asset(url, data=b"odd, and so published", filename="m.tflite")).blob.size == 21


@pytest.mark.parametrize("cut", [False, True])
def test_an_answer_without_a_length_is_taken_only_when_its_own_end_shows_that_it_is_whole(
    server: FaultServer, bench: Bench, cut: bool
) -> None:
    for name, data in {"m.tflite": TFLITE, "a.gz": gzip.compress(NOISE), "a.zip": zipped(), "p.png": PNG}.items():
        url = server.put(f"/{name}", data[:-5] if cut else data, length=-1)
        wanted = asset(url, pin="first-use", filename=name)
        if cut or name == "m.tflite":
            with pytest.raises(FetchError) as caught:
                bench.fetch(wanted, attempts=1)
            assert "sent no length" in caught.value.tried[0]
        else:
            assert bench.fetch(wanted).blob.path.read_bytes() == data
    assert bench.fetch(asset(server.put("/c", TFLITE, length=-2), pin="first-use", filename="m.tflite")).blob.size


def test_an_encoded_answer_of_unknown_size_cannot_unpack_to_anything(server: FaultServer, bench: Bench) -> None:
    url = server.put("/m.bin", gzip.compress(bytes(90 << 20)), headers={"Content-Encoding": "gzip"})
    with pytest.raises(FetchError) as caught:
        bench.fetch(asset(url, pin="first-use"))
    assert "unpacks to more than" in caught.value.tried[0]


@given(st.binary(max_size=3000), st.sampled_from(["m.tflite", "m.bin", "a.txt", "a.json", "x.zip", "p.png", ""]))
def test_judging_never_fails(tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(data)
    implausible(path, [name])
    ends_itself(path)
