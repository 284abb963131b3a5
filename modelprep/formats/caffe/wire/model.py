"""What the index of a caffemodel holds: layers, blobs, byte ranges.

:mod:`modelprep.formats.caffe.wire.index` fills these structs.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from modelprep.errors import StepError
from modelprep.formats.protowire import WireError, bytes_field
from modelprep.structs import dataclass

Form = Literal["V0", "V1", "V2"]
Range = tuple[int, int]

#: Bytes; the largest public net's structure is below a megabyte.
MAX_STRUCTURE = 64 << 20


@dataclass(frozen=True)
class Segment:
    """A run of numbers: `count` of them from byte `offset` on, one every `stride` bytes (width + 1 if unpacked)."""

    offset: int
    count: int
    stride: int


@dataclass(frozen=True)
class BlobIndex:
    """One BlobProto.

    `offset`, `length`: of the message in the file, in bytes. `legacy`: (num, channels, height, width) if any of these
    is written, else None; Caffe prefers these to `shape`. `dtype`: ``float32`` for ``data``, ``float64`` for
    ``double_data``, which is preferred to ``data``, as in Caffe. `segments`, `count`: where the numbers are, and how
    many. `has_diff`: gradients are stored too; they are not needed for inference and not copied.
    """

    offset: int
    length: int
    shape: tuple[int, ...] | None
    legacy: tuple[int, ...] | None
    dtype: Literal["float32", "float64"]
    segments: tuple[Segment, ...]
    count: int
    has_diff: bool = False

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape for Caffe: the legacy four if written, else ``shape``."""
        return self.legacy if self.legacy is not None else (self.shape or ())


@dataclass(frozen=True)
class LayerIndex:
    """One layer: its name, its blobs, the byte ranges of its other fields (``rest``; inside a V0 layer: ``inner``)."""

    name: str
    type: str
    form: Form
    offset: int
    length: int
    blobs: tuple[BlobIndex, ...]
    rest: tuple[Range, ...]
    inner: tuple[Range, ...] = ()


@dataclass(frozen=True)
class ModelIndex:
    """A caffemodel: its layers in file order and the byte ranges of its other fields."""

    path: Path
    size: int
    name: str
    form: Form
    layers: tuple[LayerIndex, ...]
    rest: tuple[Range, ...]

    def net(self) -> Any:
        """Return the file's NetParameter without its blobs, parsed; see :meth:`structure`.

        Raises StepError: it is damaged.
        """
        from google.protobuf.message import DecodeError

        from modelprep.formats.caffe.messages import new

        net = new("NetParameter")
        try:
            net.ParseFromString(self.structure())
        except DecodeError as error:
            raise StepError(
                "the structure in the caffemodel is damaged", where=str(self.path), got=str(error) or "a DecodeError"
            ) from error
        return net

    def structure(self) -> bytes:
        """Return the file's NetParameter without its blobs, still in its own form (V0, V1 or V2).

        For strings that are not UTF-8 see :mod:`modelprep.formats.caffe.text_bytes`.

        Raises StepError: the structure alone is larger than `MAX_STRUCTURE`.
        """
        from modelprep.formats.caffe.messages import message_class
        from modelprep.formats.caffe.text_bytes import readable

        spans = [*self.rest, *(r for layer in self.layers for r in (*layer.rest, *layer.inner))]
        if sum(end - start for start, end in spans) > MAX_STRUCTURE:
            raise StepError("the net's structure alone is beyond 64 MiB", where=str(self.path))
        with self.path.open("rb", buffering=0) as file:

            def read(ranges: tuple[Range, ...]) -> bytes:
                return b"".join(os.pread(file.fileno(), end - start, start) for start, end in ranges)

            parts = [read(self.rest)]
            for layer in self.layers:
                inner = bytes_field(1, read(layer.inner)) if layer.form == "V0" else b""
                parts.append(bytes_field(100 if layer.form == "V2" else 2, inner + read(layer.rest)))
        data = b"".join(parts)
        try:
            return readable(data, message_class("NetParameter").DESCRIPTOR)
        except WireError:  # damaged inside a layer's fields, which the parser of the message reports
            return data
