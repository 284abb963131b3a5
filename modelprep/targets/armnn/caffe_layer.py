"""One layer of a caffemodel: its parameters as a message, its weights left where they lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelprep.formats.protowire import BYTES, FIXED32, Buffer, WireError, fields
from modelprep.targets.armnn.caffe_records import Record
from modelprep.targets.armnn.network import Constant, Info, Shape, Stop, crash

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOBS, _DATA = 7, 5
#: Bytes from which an allocation has its own mapping, and of a page: reading further behind a blob than its memory
#: crashes (measured with the real program; a little less may crash, too).
_MAPPED, _PAGE = 1 << 17, 1 << 12


def text(value: str | bytes) -> str:
    """Return a name that need not be UTF-8."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")


@dataclass
class Blob:
    """The numbers in field ``data`` of a blob: how many, and the pieces that hold them (start, stop)."""

    count: int = 0
    pieces: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class LayerMessage:
    """A layer as the parser's second pass sees it; `message`: its parameters, without its blobs."""

    name: str
    kind: str
    tops: list[str]
    bottoms: list[str]
    blobs: list[Blob] = field(default_factory=list)
    message: Any = None
    data: Buffer = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if self.message is None:
            from modelprep.formats.caffe import messages

            self.message = messages.new("LayerParameter")

    def blob(self, number: int, count: int) -> Callable[[], NDArray[Any]]:
        """Return a blob that has to hold `count` numbers; raises Stop if it does not, or is not there."""
        if number >= len(self.blobs):
            raise Stop(f"Expected data blob at index {number} in layer {self.name} not found.",
                       "CF41" if self.kind == "BatchNorm" else "CF43" if self.kind == "Scale" else "CF01")  # fmt: skip
        blob = self.blobs[number]
        if blob.count != count:
            raise Stop(f"Data blob at index {number} in layer {self.name} has an unexpected size. Expected {count} "
                       f"elements but got {blob.count} elements.", "CF10" if not blob.count else
                       "CF43" if self.kind == "Scale" else "CF23")  # fmt: skip
        return self._values(blob)

    def pointer(self, number: int, shape: Shape) -> Constant:
        """Return a blob whose size is not checked, as a constant of a shape; raises Stop if it is not there."""
        if number >= len(self.blobs):
            raise Stop(f"Expected data blob at index {number} in layer {self.name} not found. nBlobs={self.name}.",
                       "CF32" if number else "CF01")  # fmt: skip
        blob = self.blobs[number]
        short = 4 * (shape.elements - blob.count)
        if blob.count and short > (_PAGE if 4 * blob.count >= _MAPPED else _MAPPED):
            raise crash("", "CF33")
        values = self._values(blob)

        def filled() -> NDArray[Any]:
            import numpy as np

            # What lies behind a blob that is too short is unknown; zeros stand for it.
            return np.resize(np.concatenate([values(), np.zeros(shape.elements, np.float32)]), shape)

        return Constant(Info(shape), filled, missing=not blob.count)

    def _values(self, blob: Blob) -> Callable[[], NDArray[Any]]:
        def read() -> NDArray[Any]:
            import numpy as np

            parts = [np.frombuffer(self.data[start:stop], "<f4") for start, stop in blob.pieces]
            return np.concatenate(parts) if parts else np.zeros(0, np.float32)

        return read


def read_layer(data: Buffer, record: Record) -> LayerMessage:
    """Parse a layer's message; raises Stop if it is none."""
    from google.protobuf.message import DecodeError

    from modelprep.formats.caffe import messages

    broken = Stop(f"Failed to parse layer [{record.name}]", "CF08", record.name)
    end = record.start + record.size
    if end > len(data):
        raise broken  # what was not read is zeros, which no message holds
    rest: list[Buffer] = []
    blobs: list[Blob] = []
    message = messages.new("LayerParameter")
    try:
        for number, kind, value, begin, stop in fields(data, record.start, end):
            if number == _BLOBS and kind == BYTES:
                blobs.append(_blob(data, value, stop))
            else:
                rest.append(data[begin:stop])
        message.ParseFromString(b"".join(rest))
        tops, bottoms = list(map(text, message.top)), list(map(text, message.bottom))
    except (WireError, DecodeError):
        raise broken from None
    for read, renamed in ((tops, record.tops), (bottoms, record.bottoms)):
        if read and renamed:
            read[0] = renamed[0]
    return LayerMessage(text(message.name), text(message.type), tops, bottoms, blobs, message, data)


def _blob(data: Buffer, start: int, end: int) -> Blob:
    blob = Blob()
    for number, kind, value, _, stop in fields(data, start, end):
        if number != _DATA:
            continue
        if kind == BYTES:
            if (stop - value) % 4:
                raise WireError("half a number", value)
            blob.pieces.append((value, stop))
            blob.count += (stop - value) // 4
        elif kind == FIXED32:
            blob.pieces.append((stop - 4, stop))
            blob.count += 1
    return blob
