"""V1 checkpoints: one table (or some) of SavedTensorSlices, tensors as lists of values in TensorProto.

Source: TensorFlow ``core/util/saved_tensor_slice.proto``, ``core/util/tensor_slice_writer.cc``.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from modelprep.errors import StepError
from modelprep.formats.mapped import MappedFile
from modelprep.formats.protowire import BYTES, WireError, fields
from modelprep.formats.tensorflow.checkpoint.base import Checkpoint, Stored
from modelprep.formats.tensorflow.slices import FULL, Slice, slice_key
from modelprep.formats.tensorflow.sstable import Entry, Table
from modelprep.formats.tensorflow.tensor import DTYPES, STRING, Tensor, element_count

_FIELD_NAMES = {7: "int_val", 10: "int64_val", 13: "half_val", 16: "uint32_val", 17: "uint64_val"}


class CheckpointV1(Checkpoint):
    """A checkpoint in the form that TensorFlow wrote until 1.0, and writes still with ``write_version=V1``."""

    version = "V1"

    def __init__(self, tables: Sequence[tuple[MappedFile, Table]]) -> None:
        super().__init__(tables[0][1].name, [file for file, _ in tables])
        self._tables: dict[tuple[str, Slice], Table] = {}
        for _, table in tables:
            self._contents(table)

    def _contents(self, table: Table) -> None:
        from google.protobuf.message import DecodeError

        from modelprep.formats.tensorflow.messages import message

        entry = table.get(b"", "the table of contents")
        try:
            saved = message("SavedTensorSlices").FromString(bytes(entry.value) if entry else b"")
        except DecodeError as error:
            raise StepError("the table of contents is damaged", where=table.name, got=str(error)) from None
        for meta in saved.meta.tensor:
            shape = tuple(dim.size for dim in meta.shape.dim)
            # A dimension that is whole has no length at all in the file, which is not the length 0.
            slices = tuple(
                Slice(
                    tuple(
                        (extent.start, extent.length if extent.HasField("length") else FULL) for extent in part.extent
                    )
                )
                for part in meta.slice
            )
            known = self.stored.get(meta.name)
            if known is not None:  # another file holds further slices
                slices = known.slices + slices
            self.stored[meta.name] = Stored(meta.type, shape, slices)
            for part in slices:
                self._tables.setdefault((meta.name, part), table)

    def _read(self, name: str, stored: Stored, part: Slice) -> Tensor:
        table = self._tables.get((name, part))
        entry = table.get(slice_key(name, part), f"tensor '{name}'") if table else None
        if table is None or entry is None:
            raise StepError(
                f"tensor '{name}' is listed but its values are missing", where=self.name, expected=f"slice {part}"
            )
        try:
            return self._tensor(entry, name, stored, part)
        except WireError as error:
            raise StepError(
                f"tensor '{name}' is damaged: {error.reason}",
                where=f"{table.name}, offset {entry.block.offset} (block), {error.offset} inside the value",
            ) from None

    def _tensor(self, entry: Entry, name: str, stored: Stored, part: Slice) -> Tensor:
        dtype = DTYPES[stored.dtype]
        shape = part.within(stored.shape)[1]
        saved_slice = _only(entry.value, 2)
        proto = _only(saved_slice, 3)
        if dtype.number == STRING:
            strings = tuple(
                bytes(proto[value:stop])
                for number, kind, value, _, stop in fields(proto)
                if (number, kind) == (8, BYTES)
            )
            self._expect(name, element_count(shape), len(strings), "values", entry)
            return Tensor(dtype, shape, strings=strings)
        data = _numbers(proto, dtype.field, dtype.code, name, self.name) if dtype.code else _only(proto, dtype.field)
        self._expect(name, element_count(shape) * dtype.size, len(data), "bytes", entry)
        return Tensor(dtype, shape, data)

    def _expect(self, name: str, expected: int, got: int, what: str, entry: Entry) -> None:
        if expected != got:
            raise StepError(
                f"tensor '{name}' does not fill its shape",
                where=f"{self.name}, offset {entry.block.offset}",
                expected=f"{expected} {what}",
                got=f"{got} {what}",
            )


def _only(buffer: memoryview, wanted: int) -> memoryview:
    # The writer puts each of these fields once; a list of numbers is packed into one run of bytes.
    found = memoryview(b"")
    for number, kind, value, _, stop in fields(buffer):
        if number == wanted and kind == BYTES:
            found = buffer[value:stop]
    return found


def _numbers(proto: memoryview, field: int, code: str, name: str, where: str) -> memoryview:
    # Whole numbers are stored as varints: protobuf unpacks them, and they are laid out as memory holds them.
    from google.protobuf.message import DecodeError

    from modelprep.formats.tensorflow.messages import message

    try:
        values = getattr(message("TensorProto").FromString(bytes(proto)), _FIELD_NAMES[field])
        return memoryview(struct.pack(f"<{len(values)}{code}", *values))
    except (DecodeError, struct.error) as error:
        raise StepError(f"tensor '{name}' is damaged", where=where, got=str(error)) from None
