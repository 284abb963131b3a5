"""Protocol-buffer bytes of a big file, read field by field through one small buffer.

A caffemodel is one message of up to 2 GiB, most of it float arrays. Parsing it needs four times its size in memory;
walking it needs the few bytes of each field's head. :mod:`modelprep.formats.caffe.wire.index` knows the fields.

This is :mod:`modelprep.formats.protowire` for files that are never in a buffer, and separate from it for three reasons.
Reading is by ``pread`` through a window, not by a memory map: memory stays bounded, and a file that another process
truncates ends in an error, not in a SIGBUS. The number of fields is bounded. Errors name the file, layer and byte.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from modelprep.errors import StepError
from modelprep.formats.caffe import text_bytes
from modelprep.formats.protowire import BYTES, FIXED32, FIXED64, MAX_MESSAGE, NUMBERS, VARINT, signed
from modelprep.formats.sniff import Kind, recognise, recognise_model

WIRE_NAMES = {0: "varint", 1: "64-bit", 2: "length-delimited", 3: "group start", 4: "group end", 5: "32-bit"}

_WINDOW = 1 << 16
#: Tags with which a NetParameter can begin: name, layers, input, input_dim, force_backward, ..., layer.
_FIRST_TAGS = frozenset({0x0A, 0x12, 0x1A, 0x20, 0x28, 0x32, 0x38, 0x42, 0xA2})
#: Kinds that may begin with a line feed, which is the first of those tags.
_TEXTS = ("web page", "xml", "json", "text", "prototxt", "text graph")


class Field(NamedTuple):
    """One field as it is in the file.

    `offset`: where its tag starts (bytes from the file's start). `start`, `end`: where its value is; of a varint its
    bytes. `value`: the number of a varint, else 0.
    """

    number: int
    wire: int
    offset: int
    start: int
    end: int
    value: int = 0


def is_foreign(head: bytes) -> str:
    """Say what these first bytes are if they cannot begin a caffemodel; an empty string when they can."""
    found = _recognize(head)
    if found is None or not (found.name in _TEXTS or head[:1] == b"" or head[0] not in _FIRST_TAGS):
        return ""
    return found.text


def _recognize(head: bytes) -> Kind | None:
    found = recognise(head)
    # Kinds of models are told apart among texts only: the first fields of a damaged caffemodel mean nothing.
    text = recognise_model(head) if found is not None and found.name == "text" else None
    if text is not None and text.name == "prototxt":
        return Kind(text.name, "a prototxt (text), where the binary .caffemodel is expected")
    return text or found


class WireReader:
    """A file's fields, every length checked against the enclosing message's end.

    `fd`: open for reading; the caller closes it. `max_fields`: how many fields may be read in all, which bounds the
    time for a hostile file.
    """

    def __init__(self, path: Path, fd: int, size: int, *, max_fields: int = 1_000_000) -> None:
        self.path, self.size = path, size
        self.context, self._fd = "", fd
        self._base, self._buffer = 0, b""
        self._left = self._max_fields = max_fields

    def fail(
        self, what: str, offset: int, *, expected: str | None = None, got: str | None = None, looks: str | None = None,
        hint: str | None = None,
    ) -> StepError:  # fmt: skip
        """Make the error for this place; the caller raises it."""
        place = f"{self.path}: {self.context + ', ' if self.context else ''}byte {offset}"
        if not looks:
            found = _recognize(self.slice(0, min(512, self.size)))
            looks = found.text if found else ""
        return StepError(what, where=place, expected=expected, got=got, looks_like=looks, hint=hint)

    def slice(self, start: int, end: int) -> bytes:
        """Return the bytes of a range that is known to be in the file."""
        if end - start > _WINDOW:
            return self._pread(end - start, start)
        low = start - self._base
        if low < 0 or end - self._base > len(self._buffer):
            self._base, low = start, 0
            self._buffer = self._pread(min(_WINDOW, self.size - start), start)
        return self._buffer[low : low + end - start]

    def _pread(self, count: int, offset: int) -> bytes:
        parts: list[bytes] = []
        while count > 0:
            part = os.pread(self._fd, count, offset)
            if not part:
                raise StepError("the file became shorter while it was read", where=f"{self.path}: byte {offset}")
            parts.append(part)
            count, offset = count - len(part), offset + len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def varint(self, offset: int, end: int, *, limit: int = 10, what: str = "number") -> tuple[int, int]:
        """Read a varint of at most `limit` bytes; return it and the offset of the next byte.

        Raises StepError: it runs past `end`, is longer than `limit` bytes, or does not fit 64 bits.
        """
        raw = self.slice(offset, min(end, offset + limit))
        value = 0
        for index, byte in enumerate(raw):
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                if value >= 1 << 64:
                    break
                return value, offset + index + 1
        if len(raw) < limit:
            raise self.truncated(offset, end, f"inside a {what}")
        raise self.fail(f"a {what} is longer than {limit} bytes, or too big", offset, got=raw.hex(" "))

    def truncated(self, offset: int, end: int, inside: str) -> StepError:
        """Make the error for a message that ends too early."""
        if end == self.size:
            return self.fail(
                f"the file ends {inside}",
                offset,
                expected="more bytes",
                got=f"the end of the file at {self.size} bytes",
                looks="a file that was cut short (an interrupted download)",
                hint="fetch the file again and compare its size with the source's",
            )
        return self.fail(f"a message ends {inside}", offset, got=f"its end at byte {end}", looks="damaged bytes")

    def fields(self, start: int, end: int) -> Iterator[Field]:
        """Walk the fields of the message that is in ``[start, end)``.

        Raises StepError: a length leads out of the message, a group or an unknown wire type, field number 0, too many
        fields.
        """
        while start < end:
            field = self.field_at(start, end)
            yield field
            start = field.end

    def field_at(self, offset: int, end: int) -> Field:
        """Read the head of the field at `offset`, inside a message that ends at `end`; errors as of :meth:`fields`."""
        self._left -= 1
        if self._left < 0:
            what = f"more than {self._max_fields:,} fields: no Caffe writes such a file"
            raise self.fail(what, offset, looks="damaged bytes")
        tag, start = self.varint(offset, end, limit=5, what="field tag")
        number, wire = tag >> 3, tag & 7
        if number == 0 or number >= NUMBERS:
            raise self.fail("a field number that does not exist", offset, got=str(number))
        if wire == VARINT:
            value, stop = self.varint(start, end)
            return Field(number, wire, offset, start, stop, value)
        if wire == BYTES:
            length, start = self.varint(start, end, what="length")
            if length > MAX_MESSAGE:
                what, expected = "a length that no protobuf message can have", f"at most {MAX_MESSAGE} bytes (2 GiB)"
                raise self.fail(what, offset, expected=expected, got=f"{signed(length)} bytes for field {number}")
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
        else:
            kind = WIRE_NAMES.get(wire, f"wire type {wire}")
            raise self.fail(f"a {kind}, which Caffe never writes", offset, got=f"field {number}")
        if start + length > end:
            missing = start + length - end
            raise self.truncated(offset, end, f"inside field {number}: {missing} of its {length} bytes are missing")
        return Field(number, wire, offset, start, start + length)

    def run(self, offset: int, end: int, tag: int, width: int) -> int:
        """Count the equal one-byte tags that follow each other every ``1 + width`` bytes from `offset` on.

        Repeated numbers that are not packed are so written: tag, value, tag, value. There can be a hundred million.
        """
        step, count, mark = 1 + width, 0, bytes([tag])
        most = (_WINDOW // step) * step
        while offset < end:
            whole = min(most, (end - offset) // step * step)
            if not whole:
                break
            tags = self.slice(offset, offset + whole)[::step]
            same = len(tags) - len(tags.lstrip(mark))
            count += same
            if same < len(tags):
                break
            offset += whole
        return count

    def expect(self, field: Field, wire: int, name: str) -> None:
        """Check a known field's wire type.

        Raises StepError: it has another one: damaged bytes, or another kind of message.
        """
        if field.wire != wire:
            what = f"the field '{name}' has the wrong wire type"
            raise self.fail(what, field.offset, expected=WIRE_NAMES[wire], got=WIRE_NAMES[field.wire])

    def text(self, field: Field, name: str, *, limit: int = 1 << 16) -> str:
        """Read a string field.

        Raises StepError: not length-delimited, longer than `limit` bytes, or no text. What is not UTF-8 is kept as
        :func:`modelprep.formats.caffe.text_bytes.decode` keeps it.
        """
        self.expect(field, BYTES, name)
        if (size := field.end - field.start) > limit:
            raise self.fail(f"the field '{name}' is {size} bytes long", field.offset, expected=f"up to {limit}")
        raw = self.slice(field.start, field.end)
        text = text_bytes.decode(raw)
        if not text_bytes.is_plain(text) and any(byte < 0x20 for byte in raw):
            raise self.fail(f"the field '{name}' is no text", field.offset, got=repr(raw[:40])[1:])
        return text
