"""What is fuzzed: every reader of bytes that come from strangers, each with a few bytes to begin with."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hostile import bytes_field, graph_node, number_field, onnx_model, png, tflite, value_info


@dataclass(frozen=True)
class Reader:
    """A reader: what is done with the bytes, and what to begin with."""

    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...]


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="modelprep-fuzz-"))


def _file(data: bytes, suffix: str = ".bin") -> Path:
    path = _folder() / f"input{suffix}"
    path.write_bytes(data)
    return path


def _linted(suffix: str, parser: str) -> Callable[[bytes], object]:
    def read(data: bytes) -> object:
        from modelprep.check.lint import lint
        from modelprep.errors import StepError

        try:
            return lint(_file(data, suffix), parser)  # type: ignore[arg-type]
        except StepError as error:
            raise RuntimeError("lint of a damaged model raises") from error

    return read


def _prototxt(data: bytes) -> object:
    from modelprep.formats.caffe import bake

    return bake.structure(_file(data, ".prototxt"))


def _caffemodel(data: bytes) -> object:
    from modelprep.formats.caffe.inspect import inspect

    return inspect(_file(data, ".caffemodel")).to_json()


def _graph(suffix: str) -> Callable[[bytes], object]:
    def read(data: bytes) -> object:
        from modelprep.formats.tensorflow.inspect import inspect

        return inspect(_file(data, suffix))

    return read


def _legalised(data: bytes) -> object:
    from modelprep.formats.tensorflow.read import read_graph
    from modelprep.formats.tensorflow.rewire import outputs_of
    from modelprep.steps._legalise_armnn_19_02 import rewrite

    graph = read_graph(_file(data, ".pb"))
    return rewrite(graph, [node.name for node in outputs_of(graph)])


def _checkpoint(suffix: str) -> Callable[[bytes], object]:
    def read(data: bytes) -> object:
        from modelprep.formats.tensorflow.checkpoint.open import open_checkpoint

        return open_checkpoint(_file(data, suffix))

    return read


def _snappy(data: bytes) -> object:
    from modelprep.formats.tensorflow.snappy import decompress

    try:
        return decompress(data, limit=1 << 24)
    except ValueError:
        return None


def _onnx(data: bytes) -> object:
    from modelprep.formats.onnx import inspect, model

    read = model.read(_file(data, ".onnx"))
    return inspect.summary(read), inspect.nodes(read), inspect.initializers(read)


def _onnx_fixed(data: bytes) -> object:
    from modelprep.formats.onnx import model, simplify
    from modelprep.formats.onnx.initializers import lift_constants, list_as_inputs, type_data
    from modelprep.formats.onnx.order import sort_nodes
    from modelprep.formats.onnx.shapes import set_dimensions

    read = model.read(_file(data, ".onnx"))
    set_dimensions(read, 1, {})
    sort_nodes(read)
    simplify.drop_passing(read)
    simplify.flatten_to_reshape(read)
    return lift_constants(read), list_as_inputs(read), type_data(read)


def _tflite(data: bytes) -> object:
    from modelprep.formats.tflite.model import read

    return read(_file(data, ".tflite"))


def _flexbuffer(data: bytes) -> object:
    from modelprep.formats.tflite.flexbuffer import read_map

    return read_map(data)


def _idx(data: bytes) -> object:
    from modelprep.formats.idx import inspect

    return inspect(_file(data))


def _archive(data: bytes) -> object:
    from modelprep.formats.archive import members

    path = _file(data)
    found = members.members(path)
    return members.extract_member(path, found[0][0], _folder() / "member", max_bytes=1 << 24) if found else None


def _stream(data: bytes) -> object:
    from modelprep.formats.archive.decompress import Reader as Stream

    with Stream(_file(data)) as stream:
        return sum(len(piece) for piece in stream.chunks())


def _encoded(data: bytes) -> object:
    from modelprep.fetch.encoded import BadEncoding, decode_file

    target = _folder() / "decoded"
    target.unlink(missing_ok=True)
    try:
        return decode_file(_file(data), target, ("gzip", "deflate")[len(data) % 2], max_bytes=1 << 24)
    except BadEncoding:
        return None


def _picture(data: bytes) -> object:
    from modelprep.formats.picture import decode, headers

    if len(data) > 1 << 14:
        return None
    headers.read_headers(data, origin="picture")
    return decode.decode(data, origin="picture")


def _converted(data: bytes) -> object:
    from modelprep.steps import Call, find

    output = _folder() / "picture.bmp"
    output.unlink(missing_ok=True)
    call = Call({"file": _file(data)}, output, lambda *_: None, lambda _: None)
    return find("picture").run(call)


def _recipe(data: bytes) -> object:
    from modelprep.recipe.loader import parse_recipe

    return parse_recipe(data.decode("utf-8", "replace"), Path("recipe.yaml"), name="g/r")


def _lock(data: bytes) -> object:
    from modelprep.recipe.lockfile import read_lock

    return read_lock(_file(data, ".lock"))


def _manifest(data: bytes) -> object:
    from modelprep.tree.manifest import parse_manifest

    return parse_manifest(data, "MANIFEST.json")


def _mirror_index(data: bytes) -> object:
    from modelprep.deliver.mirror import read_index

    (_folder() / "index.json").write_bytes(data)
    return read_index(_folder())


def _sniffed(data: bytes) -> object:
    from modelprep.formats import sniff

    return sniff.looks_like(data), sniff.looks_like_model(data), sniff.looks_like_file(_file(data))


def _http(data: bytes) -> object:
    from modelprep.fetch.transport import content_length, retry_after, validator_of

    parts = [*data.decode("latin-1").split("\n"), "", "", "", ""]
    names = ("ETag", "Last-Modified", "Content-Length", "Content-Encoding")
    headers = dict(zip(names, parts, strict=False))
    return content_length(headers), validator_of(headers, 5), retry_after(parts[4])


def _url(data: bytes) -> object:
    from modelprep.url import redact, scrub

    text = data.decode("utf-8", "replace")
    return redact(text), scrub(text)


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as bundle:
        for name, method in (("a", 0), ("b", 8), ("c", 12), ("d", 14)):
            bundle.writestr(name, b"some bytes " * 20, compress_type=method)
    return out.getvalue()


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as bundle:
        member = tarfile.TarInfo("folder/a" + "b" * 120)
        member.size = 11
        bundle.addfile(member, io.BytesIO(b"some bytes "))
    return out.getvalue()


def _jpeg() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.linear_gradient("L").resize((24, 16)).convert("RGB").save(out, "JPEG", progressive=True, quality=40)
    return out.getvalue()


_TEXT = b'name: "n" input: "i" input_shape { dim: 1 dim: 3 }\nlayer { name: "r" type: "ReLU" bottom: "i" top: "r" }\n'
_NET = bytes_field(1, b"net") + bytes_field(100, bytes_field(1, b"r") + bytes_field(2, b"ReLU") + bytes_field(
    7, bytes_field(7, bytes_field(1, b"\2")) + bytes_field(5, struct.pack("<2f", 1, 2))))  # fmt: skip
_PB = graph_node(b"x", b"Placeholder") + graph_node(b"y", b"Relu", b"x")
_PBTXT = b'node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }\n'
_ONNX = onnx_model(
    bytes_field(11, value_info(b"x")) + bytes_field(12, value_info(b"y"))
    + bytes_field(1, bytes_field(1, b"x") + bytes_field(2, b"y") + bytes_field(4, b"Relu"))
    + bytes_field(5, number_field(1, 1) + number_field(2, 1) + bytes_field(8, b"w") + bytes_field(9, bytes(4)))
)  # fmt: skip
_RECIPE = b"schema: 1\ndemo: d\nassets: {a: {urls: ['https://example.org/a.bin'], pin: first-use, licence: MIT}}\n" \
          b"install: {a.bin: $a}\nrun: ./demo a.bin\n"  # fmt: skip

READERS: dict[str, Reader] = {
    "prototxt": Reader(_prototxt, (_TEXT,)),
    "caffemodel": Reader(_caffemodel, (_NET,)),
    "caffemodel-lint": Reader(_linted(".caffemodel", "caffe"), (_NET,)),
    "graphdef": Reader(_graph(".pb"), (_PB,)),
    "graphdef-text": Reader(_graph(".pbtxt"), (_PBTXT,)),
    "graphdef-lint": Reader(_linted(".pb", "tf"), (_PB, _PBTXT)),
    "graphdef-legalise": Reader(_legalised, (_PB,)),
    "checkpoint-v1": Reader(_checkpoint(".ckpt"), (bytes(48),)),
    "checkpoint-v2": Reader(_checkpoint(".index"), (bytes(48),)),
    "snappy": Reader(_snappy, (b"\x0b\x28some bytes ",)),
    "onnx": Reader(_onnx, (_ONNX,)),
    "onnx-lint": Reader(_linted(".onnx", "onnx"), (_ONNX,)),
    "onnx-fix": Reader(_onnx_fixed, (_ONNX,)),
    "tflite": Reader(_tflite, (tflite(),)),
    "tflite-lint": Reader(_linted(".tflite", "tflite"), (tflite(ops=1),)),
    "flexbuffer": Reader(_flexbuffer, (b"\x61\x00\x01\x03\x01\x01\x01\x05\x04\x02\x24\x01",)),
    "idx": Reader(_idx, (b"\0\0\x08\x01\0\0\0\x02\1\2",)),
    "zip": Reader(_archive, (_zip(),)),
    "tar": Reader(_archive, (_tar(), gzip.decompress(_tar()))),
    "compressed": Reader(_stream, (gzip.compress(b"bytes"), bz2.compress(b"bytes"), lzma.compress(b"bytes"))),
    "content-encoding": Reader(_encoded, (gzip.compress(b"bytes"),)),
    "picture": Reader(_picture, (_jpeg(), png(3, 2, 2, 8))),
    "picture-convert": Reader(_converted, (png(3, 2, 6, 8), _jpeg())),
    "recipe": Reader(_recipe, (_RECIPE,)),
    "lock-file": Reader(_lock, (b"g/r#a: {sha256: " + b"0" * 64 + b", size: 1, first_seen_from: x}\n",)),
    "manifest": Reader(_manifest, (json.dumps({"schema": 1, "demos": {}, "files": {}}).encode(),)),
    "mirror-index": Reader(_mirror_index, (b'{"schema": 1, "layout": "tree", "files": {}}',)),
    "sniff": Reader(_sniffed, (b"<!DOCTYPE html><title>t</title>", _PB, _NET)),
    "http-headers": Reader(_http, (b'"tag"\nMon, 01 Jan 2024 00:00:00 GMT\n5\ngzip\n3',)),
    "url": Reader(_url, (b"https://u:p@example.org/a?token=x#f",)),
}
