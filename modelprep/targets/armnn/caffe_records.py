"""A caffemodel as Arm NN's record-by-record reader walks it: its own reading of protobuf, byte for byte.

It reads two-byte tags, numbers of five bytes at most, skips nothing of fixed-size fields at the top level, and takes
the end of the file inside a number for a number that does not end. So a file that is cut short, or is something else
altogether, ends in one of several ways that depend on single bytes.
Source: ``src/armnnCaffeParser/RecordByRecordCaffeParser.cpp`` at tag v19.02.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from modelprep.formats.protowire import BYTES, FIXED32, FIXED64, VARINT, Buffer
from modelprep.targets.armnn.arithmetic import i32
from modelprep.targets.armnn.network import Stop

_LONGEST_NUMBER = 5
_ENDLESS = "ReadBase128 exceeded the maximum number of bytes expected for an integer representation"


@dataclass(eq=False)
class Record:
    """A layer as the first pass sees it.

    `start`, `size`: where its message lies; both 0 for a net-level input. `tops`, `bottoms`: blob names; the first of
    each is replaced where layers work in place.
    """

    start: int = 0
    size: int = 0
    name: str = ""
    kind: str = ""
    tops: list[str] = field(default_factory=list)
    bottoms: list[str] = field(default_factory=list)


class _Stream:
    """A C++ file stream: a position, and whether reading has failed."""

    def __init__(self, data: Buffer) -> None:
        self.data, self.size = data, len(data)
        self.position, self.failed = 0, False

    def byte(self) -> int | None:
        """Read one byte; None at the end, where the stream fails."""
        if self.failed or self.position >= self.size:
            self.failed = True
            return None
        self.position += 1
        return self.data[self.position - 1]

    def tag(self) -> tuple[int, int] | None:
        """Read a tag: its number, its wire type; None at the end."""
        first = self.byte()
        if first is None:
            return None
        number = first >> 3
        if number & 16:
            second = self.byte()
            if second is None:
                return None
            number = number - 16 + ((second & 127) << 4)
        return number, first & 7

    def number(self) -> int:
        """Read a base-128 number; the end of the file reads as bytes that continue it."""
        value = 0
        for shift in range(0, 7 * _LONGEST_NUMBER, 7):
            byte = self.byte()
            value += (255 if byte is None else byte) % 128 << shift
            if byte is not None and byte < 128:
                return i32(value)
        raise Stop(_ENDLESS, "CF08", "file")

    def seek(self, position: int) -> None:
        """Go to a position, which may lie behind the end; one before the beginning fails."""
        if position < 0:
            self.failed = True
        else:
            self.position = position

    def text(self, start: int, size: int) -> str:
        """Read bytes as a name; a stream that ends inside it has failed afterwards."""
        self.failed = False
        self.position = min(start + size, max(start, self.size))
        self.failed = start + size > self.size
        return str(bytes(self.data[start : start + size]), "utf-8", "surrogateescape")

    @property
    def place(self) -> int:
        """Where the stream says it is; -1 when it has failed."""
        return -1 if self.failed else self.position


def records(data: Buffer) -> tuple[list[Record], list[str]]:
    """Return the layers of a file and the names of its net-level inputs; raises Stop if the reader refuses it."""
    stream = _Stream(data)
    layers: list[Record] = []
    inputs: list[str] = []
    passed = 0
    while (tag := stream.tag()) is not None:
        number, wire = tag
        passed += 1
        if wire == VARINT:
            stream.number()
        elif wire == BYTES:
            size = stream.number()
            start = stream.place
            passed += min(max(size, 0), stream.size)
            if passed > 2 * stream.size:
                raise Stop("the reader goes round in circles", "CF08", "file")  # a negative length leads it back
            stream.seek(start + size)
            if stream.failed:
                raise Stop("failed to seek ahead in binary caffe file", "CF08", "file")
            if size < 0 and number in (1, 3, 8, 100):
                raise Stop(f"error when determining buffer size, negative value [{size}]", "CF08", "file")
            if number in (1, 3):
                name = stream.text(start, size)
                if number == 3:
                    inputs.append(name)
            elif number == 4:
                stream.number()
            elif number == 100:
                record = Record(start, size)
                _layer(stream, record)
                layers.append(record)
            elif number == 8:
                _shape(stream, start, size)
    return layers, inputs


def _shape(stream: _Stream, start: int, size: int) -> None:
    from google.protobuf.message import DecodeError

    from modelprep.formats.caffe import messages

    stream.text(start, size)
    try:
        if stream.failed:
            raise DecodeError
        messages.new("BlobShape").ParseFromString(bytes(stream.data[start : start + size]))
    except DecodeError:
        raise Stop("Failed to parse input shape", "CF08", "file") from None


def _layer(stream: _Stream, record: Record) -> None:
    stream.failed = False
    stream.position = record.start
    end = record.start + record.size
    while stream.place < end:
        tag = stream.tag()
        if tag is None:
            return
        number, wire = tag
        if wire == VARINT:
            stream.number()
        elif wire == BYTES:
            size = stream.number()
            start = stream.place
            if size < 0:
                raise Stop("bad numeric conversion: negative overflow", "CF08", "file", speaker="std")
            if number in (1, 2, 3, 4):
                text = stream.text(start, size)
                if number > 2:
                    (record.bottoms if number == 3 else record.tops).append(text)
                else:
                    setattr(record, "name" if number == 1 else "kind", text)
                continue
            stream.seek(start + size)
        elif wire in (FIXED64, FIXED32):
            stream.seek(stream.position + (8 if wire == FIXED64 else 4))
        else:
            raise Stop("Encounted an unknown field type", "CF08", "file")
        if stream.failed:
            return


def chain_in_place(layers: list[Record]) -> None:
    """Rename tops that in-place layers share, so that they form a chain; raises Stop if they are no plain chain."""
    makers: dict[str, list[Record]] = {}
    for record in layers:
        for top in record.tops:
            makers.setdefault(top, []).append(record)
    for top in sorted(makers, key=lambda name: name.encode("utf-8", "surrogateescape")):
        for first, second in zip(makers[top], makers[top][1:], strict=False):
            if len(first.tops) != 1:
                raise Stop(f"Node '{first.name}' is an in-place layer but doesn't have exactly one top.", "CF17",
                           first.name)  # fmt: skip
            first.tops[0] = f"{first.name}_top"
            if len(second.bottoms) != 1 or second.bottoms[0] != top:
                raise Stop(f"Node '{second.name}' is an in-place layer but  doesn't have exactly one bottom, or it "
                           "doesn't match its top.", "CF17", second.name)  # fmt: skip
            second.bottoms[0] = first.tops[0]
