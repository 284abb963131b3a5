"""V1 checkpoints: one table (or some) of SavedTensorSlices, tensors as lists of values in TensorProto.

Source: TensorFlow ``core/util/saved_tensor_slice.proto``, ``core/util/tensor_slice_writer.cc``.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from modelprep.errors import StepError
from modelprep.formats.mapped import MappedFile
from modelprep.formats.protowire import Buffer, WireError
from modelprep.formats.tensorflow.attrs import payload_in, read_strings
from modelprep.formats.tensorflow.checkpoint.base import Checkpoint, Stored, parsed
from modelprep.formats.tensorflow.slices import Slice, slice_key
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
        entry = table.get(b"", "the table of contents")
        saved = parsed("SavedTensorSlices", entry.value if entry else b"", "the table of contents", table.name)
        for meta in saved.meta.tensor:
            shape = tuple(dim.size for dim in meta.shape.dim)
            slices = tuple(Slice.of_proto(part.extent) for part in meta.slice)
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
        # The writer puts each of these fields once; a list of numbers is packed into one run of bytes.
        proto = payload_in(payload_in(entry.value, 2), 3) or b""
        if dtype.number == STRING:
            strings = tuple(read_strings(proto, 8))
            self._expect(name, element_count(shape), len(strings), "values", entry)
            return Tensor(dtype, shape, strings=strings)
        if dtype.code:
            data = _numbers(proto, dtype.field, dtype.code, name, self.name)
        else:
            data = memoryview(payload_in(proto, dtype.field) or b"")
        self._expect(name, element_count(shape) * dtype.size, len(data), "bytes", entry)
        return Tensor(dtype, shape, data)

    def _expect(self, name: str, expected: int, got: int, what: str, entry: Entry) -> None:
        if expected != got:
            raise StepError(
                f"tensor '{name}' does not fill its shape", where=f"{self.name}, offset {entry.block.offset}",
                expected=f"{expected} {what}", got=f"{got} {what}",
            )  # fmt: skip


def _numbers(proto: Buffer, field: int, code: str, name: str, where: str) -> memoryview:
    # Whole numbers are stored as varints: protobuf unpacks them, and they are laid out as memory holds them.
    values = getattr(parsed("TensorProto", proto, f"tensor '{name}'", where), _FIELD_NAMES[field])
    try:
        return memoryview(struct.pack(f"<{len(values)}{code}", *values))
    except struct.error as error:
        raise StepError(f"tensor '{name}' is damaged", where=where, got=str(error)) from None
