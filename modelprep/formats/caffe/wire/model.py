"""What is known of a caffemodel once it has been indexed: layers, blobs, byte ranges.

:mod:`modelprep.formats.caffe.wire.index` fills these structs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modelprep.errors import StepError
from modelprep.formats.protowire import varint

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

    Parameters
    ----------
    offset, length
        Of the message in the file, in bytes.
    legacy
        (num, channels, height, width) where any of these is written, else None. Caffe prefers these to `shape`.
    dtype
        ``float32`` for ``data``, ``float64`` for ``double_data`` (which wins where both are there, as in Caffe).
    segments, count
        Where the numbers lie, and how many there are in all.
    has_diff
        Gradients are stored too; nobody needs them for inference, so they are left behind.
    """

    offset: int
    length: int
    shape: tuple[int, ...] | None
    legacy: tuple[int, int, int, int] | None
    dtype: Literal["float32", "float64"]
    segments: tuple[Segment, ...]
    count: int
    has_diff: bool = False

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape as Caffe sees it: the legacy four where written, else ``shape``."""
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

        Strings that are not UTF-8 are as Python's protobuf can hold them (:mod:`modelprep.formats.caffe.text_bytes`).

        Raises StepError: the structure alone is larger than `MAX_STRUCTURE`: no net is.
        """
        spans = [*self.rest, *(r for layer in self.layers for r in (*layer.rest, *layer.inner))]
        if sum(end - start for start, end in spans) > MAX_STRUCTURE:
            raise StepError("the net's structure alone is beyond 64 MiB", where=str(self.path))
        fd = os.open(self.path, os.O_RDONLY)
        try:

            def read(ranges: tuple[Range, ...]) -> bytes:
                return b"".join(os.pread(fd, end - start, start) for start, end in ranges)

            parts = [read(self.rest)]
            for layer in self.layers:
                body = read(layer.rest)
                if layer.form == "V0":
                    inner = read(layer.inner)
                    body = b"\x0a" + varint(len(inner)) + inner + body
                parts += [b"\xa2\x06" if layer.form == "V2" else b"\x12", varint(len(body)), body]
        finally:
            os.close(fd)
        return _readable(b"".join(parts))


def _readable(data: bytes) -> bytes:
    from modelprep.formats.caffe.messages import message_class
    from modelprep.formats.caffe.text_bytes import readable
    from modelprep.formats.protowire import WireError

    try:
        return readable(data, message_class("NetParameter").DESCRIPTOR)
    except WireError:  # damaged inside a layer's fields: whoever parses it says so
        return data
