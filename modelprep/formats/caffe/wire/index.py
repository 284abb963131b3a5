"""Where everything is in a caffemodel: layers, blobs, shapes, float payloads; no floats are read.

The three generations of the format are told apart by where the layers lie: ``layer`` (field 100, V2), ``layers``
(field 2, V1), and V1 layers that hold a V0 layer in their field 1. Field numbers: ``schema.tsv``.
"""

from __future__ import annotations

import os
from math import prod
from pathlib import Path

from modelprep.errors import StepError, StorageError
from modelprep.formats.caffe.messages import MAX_LAYERS
from modelprep.formats.caffe.wire import Field, WireReader, is_foreign
from modelprep.formats.caffe.wire.model import BlobIndex, Form, LayerIndex, ModelIndex, Range, Segment
from modelprep.formats.protowire import BYTES, FIXED32, FIXED64, MAX_MESSAGE, VARINT, signed
from modelprep.formats.sniff import HEAD, looks_like_model
from modelprep.structs import replace

__all__ = ["BlobIndex", "LayerIndex", "ModelIndex", "Segment", "index"]

#: Bounds on a file's contents, far above any net that Caffe was seen to write.
MAX_BLOBS = 200_000
MAX_SEGMENTS = 500_000
#: ``kMaxBlobAxes`` of Caffe, and its bound on a blob's element count.
MAX_AXES = 32
MAX_COUNT = 2**31 - 1


def index(path: Path) -> ModelIndex:
    """Index a caffemodel without reading its weights.

    Raises StepError: no caffemodel, cut short, damaged, or beyond the bounds above; with layer and byte.
    StorageError: it cannot be read.
    """
    try:
        with path.open("rb", buffering=0) as file:
            _refuse_foreign(path, os.pread(file.fileno(), 512, 0))
            if (size := os.fstat(file.fileno()).st_size) > MAX_MESSAGE:
                raise StepError(
                    "the file is larger than a protobuf message can be",
                    where=str(path),
                    expected=f"at most {MAX_MESSAGE} bytes (2 GiB)",
                    got=f"{size} bytes",
                    hint="Caffe itself cannot read it, nor can Arm NN",
                )
            return _Indexer(WireReader(path, file.fileno(), size)).model()
    except OSError as error:
        raise StorageError(f"the weights cannot be read: {error.strerror}", where=str(path)) from error


def _refuse_foreign(path: Path, head: bytes) -> None:
    if looks := is_foreign(head):
        hint = None
        if "HDF5" in looks:
            hint = "a .caffemodel.h5 must be saved again by Caffe, with snapshot_format: BINARYPROTO"
        elif "prototxt" in looks:
            hint = "give the prototxt as the structure and the .caffemodel as the weights"
        what, expected = "this is not a caffemodel", "a binary NetParameter"
        raise StepError(what, where=str(path), expected=expected, looks_like=looks, hint=hint)


class _Indexer:
    """Walks one file; the counters bound the size of the index."""

    def __init__(self, reader: WireReader) -> None:
        self.reader, self.blobs, self.segments = reader, 0, 0

    def model(self) -> ModelIndex:
        reader = self.reader
        name, names = "", 0
        v1: list[LayerIndex] = []
        v2: list[LayerIndex] = []
        rest: list[Range] = []
        for field in reader.fields(0, reader.size):
            reader.context = ""
            if field.number == 100:
                reader.expect(field, BYTES, "layer")
                v2.append(self._layer(field, len(v2), "V2"))
            elif field.number == 2:
                reader.expect(field, BYTES, "layers")
                v1.append(self._layer(field, len(v1), "V1"))
            else:
                if field.number == 1:
                    name, names = self._net_name(field), names + 1
                    if names > 2:
                        looks = "a TensorFlow GraphDef or another protobuf message"
                        raise reader.fail("the net's name is written more than twice", field.offset, looks=looks)
                _extend(rest, field)
            if len(v1) + len(v2) > MAX_LAYERS:
                raise reader.fail(f"more than {MAX_LAYERS:,} layers", field.offset, looks="damaged bytes")
        if v1 and v2:
            raise StepError(
                "the file holds layers of two generations, which Caffe refuses, too",
                where=str(reader.path),
                expected="'layer' (V2) or 'layers' (V1)",
                got=f"{len(v2)} V2 layers ('{v2[0].name}', ...) and {len(v1)} V1 layers ('{v1[0].name}', ...)",
            )
        layers = v1 or v2
        if not layers:
            raise StepError(
                "the file holds no layers",
                where=str(reader.path),
                expected="a trained NetParameter",
                looks_like="another kind of protobuf message" if rest else "an empty file",
            )
        form: Form = "V2" if not v1 else ("V0" if any(layer.form == "V0" for layer in v1) else "V1")
        return ModelIndex(reader.path, reader.size, name, form, tuple(layers), tuple(rest))

    def _net_name(self, field: Field) -> str:
        if field.wire == VARINT:
            looks = looks_like_model(self.reader.slice(0, min(HEAD, self.reader.size)))
            looks = looks or "a protobuf message of another kind (it starts with a number)"
            what, expected = "this is not a caffemodel", "the net's name in field 1"
            raise self.reader.fail(what, field.offset, expected=expected, got="a number", looks=looks)
        return self.reader.text(field, "name")

    def _layer(self, field: Field, position: int, form: Form) -> LayerIndex:
        reader = self.reader
        name = type_ = ""
        name_field, blob_field = (1, 7) if form == "V2" else (4, 6)
        blobs: list[BlobIndex] = []
        rest: list[Range] = []
        old: LayerIndex | None = None
        reader.context = f"layer {position + 1}"
        for inner in reader.fields(field.start, field.end):
            if inner.number == name_field:
                name = reader.text(inner, "name")
                reader.context = f"layer '{name}'"
                _extend(rest, inner)
            elif inner.number == blob_field:
                reader.expect(inner, BYTES, "blobs")
                blobs.append(self._blob(inner, f"layer '{name}' blob {len(blobs)}"))
                reader.context = f"layer '{name}'"
            elif form == "V1" and inner.number == 1:
                reader.expect(inner, BYTES, "layer")
                old = self._v0_layer(inner, position)
            else:
                if form == "V2" and inner.number == 2:
                    type_ = reader.text(inner, "type")
                _extend(rest, inner)
        if old is not None:
            return replace(old, offset=field.start, length=field.end - field.start, rest=tuple(rest))
        return LayerIndex(name, type_, form, field.start, field.end - field.start, tuple(blobs), tuple(rest))

    def _v0_layer(self, field: Field, position: int) -> LayerIndex:
        reader = self.reader
        name = type_ = ""
        blobs: list[BlobIndex] = []
        inside: list[Range] = []
        for inner in reader.fields(field.start, field.end):
            if inner.number == 50:
                reader.expect(inner, BYTES, "blobs")
                blobs.append(self._blob(inner, f"layer '{name or position + 1}' blob {len(blobs)}"))
                continue
            if inner.number == 1:
                name = reader.text(inner, "name")
                reader.context = f"layer '{name}'"
            elif inner.number == 2:
                type_ = reader.text(inner, "type")
            _extend(inside, inner)
        return LayerIndex(name, type_, "V0", field.start, field.end - field.start, tuple(blobs), (), tuple(inside))

    def _blob(self, field: Field, context: str) -> BlobIndex:
        reader = self.reader
        reader.context = context
        self.blobs += 1
        if self.blobs > MAX_BLOBS:
            raise reader.fail(f"more than {MAX_BLOBS:,} blobs", field.offset, looks="damaged bytes")
        shape: list[int] | None = None
        legacy: dict[int, int] = {}
        has_diff = False
        found: dict[int, list[Segment]] = {4: [], 8: []}
        offset = field.start
        while offset < field.end:
            inner = reader.field_at(offset, field.end)
            offset = inner.end
            if inner.number in (5, 6, 8, 9):
                width = 4 if inner.number in (5, 6) else 8
                segment, offset = self._numbers(inner, field.end, width)
                if inner.number in (6, 9):
                    has_diff = True
                elif segment.count:
                    found[width].append(segment)
                    self.segments += 1
                    if self.segments > MAX_SEGMENTS:
                        what = f"numbers in more than {MAX_SEGMENTS:,} pieces"
                        raise reader.fail(what, segment.offset, got=f"width {width}")
            elif inner.number == 7:
                reader.expect(inner, BYTES, "shape")
                shape = (shape or []) + self._shape(inner)
            elif inner.number <= 4:
                reader.expect(inner, VARINT, ("num", "channels", "height", "width")[inner.number - 1])
                legacy[inner.number] = self._dim(inner.value, inner)
        if shape is not None and len(shape) > MAX_AXES:
            raise reader.fail(f"a blob of {len(shape)} axes", field.offset, expected=f"at most {MAX_AXES}")
        segments = tuple(found[8] or found[4])
        blob = BlobIndex(
            field.start, field.end - field.start, None if shape is None else tuple(shape),
            tuple(legacy.get(i, 0) for i in range(1, 5)) if legacy else None, "float64" if found[8] else "float32",
            segments, sum(segment.count for segment in segments), has_diff,
        )  # fmt: skip
        self._check_count(blob, field)
        return blob

    def _check_count(self, blob: BlobIndex, field: Field) -> None:
        count = prod(blob.dims)
        if count > MAX_COUNT:
            raise self.reader.fail("a blob of more than 2^31 - 1 numbers", field.offset, got=f"shape {blob.dims}")
        if blob.legacy is None and blob.shape is None:
            # Neither is written: a scalar for Caffe, which takes one number or none.
            count = 1 if blob.count == 1 else 0
        if count != blob.count:
            raise self.reader.fail(
                "a blob does not hold as many numbers as its shape says",
                field.offset,
                expected=f"{count} (shape {'x'.join(map(str, blob.dims)) or 'none'})",
                got=f"{blob.count}",
                looks="damaged bytes",
            )

    def _numbers(self, field: Field, end: int, width: int) -> tuple[Segment, int]:
        reader = self.reader
        length = field.end - field.start
        if field.wire == BYTES:
            if length % width:
                what = f"an array of {width}-byte numbers is {length} bytes long"
                raise reader.fail(what, field.offset, looks="damaged bytes")
            return Segment(field.start, length // width, width), field.end
        reader.expect(field, FIXED32 if width == 4 else FIXED64, "data")
        if field.start - field.offset != 1:
            raise reader.fail("a tag is longer than necessary", field.offset)
        tag = field.number << 3 | field.wire
        count = reader.run(field.offset, end, tag, width)
        return Segment(field.start, count, width + 1), field.offset + count * (width + 1)

    def _shape(self, field: Field) -> list[int]:
        dims: list[int] = []
        for inner in self.reader.fields(field.start, field.end):
            if inner.number != 1:
                continue
            if inner.wire == VARINT:
                dims.append(self._dim(inner.value, inner))
            else:
                self.reader.expect(inner, BYTES, "dim")
                offset = inner.start
                while offset < inner.end:
                    value, offset = self.reader.varint(offset, inner.end)
                    dims.append(self._dim(value, inner))
                    if len(dims) > MAX_AXES:
                        break
            if len(dims) > MAX_AXES:
                raise self.reader.fail("a blob of too many axes", field.offset, expected=f"at most {MAX_AXES}")
        return dims

    def _dim(self, value: int, field: Field) -> int:
        if value > MAX_COUNT:
            raise self.reader.fail("a dimension that no blob can have", field.offset, got=str(signed(value)))
        return value


def _extend(ranges: list[Range], field: Field) -> None:
    if ranges and ranges[-1][1] == field.offset:
        ranges[-1] = (ranges[-1][0], field.end)
    else:
        ranges.append((field.offset, field.end))
