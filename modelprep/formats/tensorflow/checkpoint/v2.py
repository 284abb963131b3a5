"""V2 checkpoints: a table of BundleEntryProto (the index) and data files that hold the tensors as memory does.

Source: TensorFlow ``core/protobuf/tensor_bundle.proto``, ``core/util/tensor_bundle/tensor_bundle.cc``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from modelprep.errors import StepError
from modelprep.formats.mapped import MappedFile
from modelprep.formats.protowire import WireError, read_varint
from modelprep.formats.tensorflow.checkpoint.base import Checkpoint, Stored, parsed
from modelprep.formats.tensorflow.crc32c import crc32c, unmask
from modelprep.formats.tensorflow.slices import Slice, slice_key
from modelprep.formats.tensorflow.sstable import Entry, Table
from modelprep.formats.tensorflow.tensor import DTYPES, STRING, Tensor, element_count

_SHARD = re.compile(r"data-(\d{5,})-of-(\d{5,})$")
_LITTLE = 0
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


class CheckpointV2(Checkpoint):
    """A checkpoint in the form that TensorFlow writes since 1.0.

    `shards`: data files by name; the numbers in the names say which is which. A single file may be called anything.
    """

    version = "V2"

    def __init__(self, file: MappedFile, table: Table, shards: Mapping[str, Path]) -> None:
        super().__init__(file.name, [file])
        self._table = table
        self._entries: dict[str, Any] = {}
        header = self._header()
        self._shard_count = int(header.num_shards)
        self._shards = self._number(shards)
        self._mapped: dict[int, MappedFile] = {}
        for entry in table:
            self._add(entry)
        #: TF2's ``tf.train.Checkpoint`` keys its tensors by object; this maps the variables' own names to those keys.
        self.full_names: dict[str, str] = {}
        if _OBJECT_GRAPH in self.stored:
            self._name_objects()

    def _header(self) -> Any:
        entry = self._table.get(b"", "the header")
        header = parsed("BundleHeaderProto", entry.value if entry else b"", "the header", self.name)
        if header.endianness != _LITTLE:
            raise StepError(
                "the checkpoint was written on a big-endian machine", where=self.name, expected="little-endian values",
                hint="save it again on a little-endian machine",
            )  # fmt: skip
        return header

    def _number(self, shards: Mapping[str, Path]) -> dict[int, tuple[str, Path]]:
        numbered: dict[int, tuple[str, Path]] = {}
        for name, path in shards.items():
            found = _SHARD.search(name)
            if found is not None:
                numbered[int(found[1])] = (name, path)
            elif len(shards) == 1 == self._shard_count:
                numbered[0] = (name, path)
        return numbered

    def _add(self, entry: Entry) -> None:
        if not entry.key or entry.key.startswith(b"\x00"):
            return  # the header; the slices of partitioned tensors, which are found by the tensor's own entry
        name = entry.key.decode("utf-8", "replace")
        bundle = parsed("BundleEntryProto", entry.value, f"the entry of tensor '{name}'", self.name)
        self._entries[name] = bundle
        slices = tuple(Slice.of_proto(part.extent) for part in bundle.slices)
        self.stored[name] = Stored(bundle.dtype, tuple(dim.size for dim in bundle.shape.dim), slices)

    def _name_objects(self) -> None:
        blob = self.read(_OBJECT_GRAPH).strings
        graph = parsed("TrackableObjectGraph", blob[0] if blob else b"", "the object graph", self.name)
        for node in graph.nodes:
            for attribute in node.attributes:
                if attribute.full_name and attribute.checkpoint_key in self.stored:
                    self.full_names.setdefault(attribute.full_name, attribute.checkpoint_key)

    def _read(self, name: str, stored: Stored, part: Slice) -> Tensor:
        bundle = self._entries[name]
        shape = part.within(stored.shape)[1]
        if bundle.slices:
            entry = self._table.get(slice_key(name, part), f"tensor '{name}'")
            if entry is None:
                raise StepError(f"tensor '{name}' is listed but part {part} is missing", where=self.name)
            bundle = parsed("BundleEntryProto", entry.value, f"the entry of tensor '{name}', part {part}", self.name)
        dtype = DTYPES[stored.dtype]
        data, place = self._bytes(name, bundle)
        if dtype.number == STRING:
            return Tensor(dtype, shape, strings=_strings(data, element_count(shape), bundle.crc32c, name, place))
        if len(data) != element_count(shape) * dtype.size:
            raise StepError(
                f"tensor '{name}' does not fill its shape", where=place,
                expected=f"{element_count(shape) * dtype.size} bytes", got=f"{len(data)} bytes",
            )  # fmt: skip
        _verify(data, bundle.crc32c, name, place)
        return Tensor(dtype, shape, data)

    def _bytes(self, name: str, bundle: Any) -> tuple[memoryview, str]:
        shard = self._shard(name, bundle.shard_id)
        place = f"{shard.name}, offset {bundle.offset}"
        if bundle.offset < 0 or bundle.size < 0 or bundle.offset + bundle.size > shard.size:
            raise StepError(
                f"tensor '{name}' cannot be read: it lies beyond the end of the file", where=place,
                expected=f"a file of at least {bundle.offset + bundle.size} bytes", got=f"{shard.size} bytes",
                hint="the data file is truncated, or belongs to another index: fetch both again",
            )  # fmt: skip
        return shard.view[bundle.offset : bundle.offset + bundle.size], place

    def _shard(self, name: str, number: int) -> MappedFile:
        if number not in self._mapped:
            if number not in self._shards:
                here = ", ".join(shard for shard, _ in self._shards.values())
                raise StepError(
                    f"tensor '{name}' cannot be read: its data file is missing", where=self.name,
                    expected=f"data-{number:05}-of-{self._shard_count:05} beside the index", got=here or "no data file",
                    hint="a V2 checkpoint is an index and all of its data files",
                )  # fmt: skip
            shard, path = self._shards[number]
            self._mapped[number] = MappedFile(path, shard if path.name != shard else "")
            self._files.append(self._mapped[number])
        return self._mapped[number]


def _verify(data: memoryview, masked: int, name: str, place: str) -> None:
    found, stored = crc32c(data), unmask(masked)
    if found != stored:
        raise StepError(
            f"tensor '{name}' cannot be read: its {len(data)} bytes are damaged", where=place,
            expected=f"CRC-32C {stored:#010x}", got=f"CRC-32C {found:#010x}",
            hint="the file is damaged: fetch it again, or compare its digest with the original's",
        )  # fmt: skip


def _strings(data: memoryview, count: int, masked: int, name: str, place: str) -> tuple[bytes, ...]:
    """Read a string tensor: varint lengths, a checksum of the lengths, the strings.

    The checksum covers the lengths as 32-bit numbers (64-bit from 4 GiB), its own bytes, and the strings.
    """
    if count > len(data):
        raise StepError(f"string tensor '{name}' is too short for its shape", where=place, expected=f"{count} strings")
    lengths, position = [], 0
    try:
        for _ in range(count):
            length, position = read_varint(data, position, len(data))
            lengths.append(length)
    except WireError as error:
        raise StepError(f"string tensor '{name}' is damaged: {error}", where=place) from None
    plain = b"".join(length.to_bytes(4 if length < 1 << 32 else 8, "little") for length in lengths)
    checksum = bytes(data[position : position + 4])
    if unmask(int.from_bytes(checksum, "little")) != crc32c(plain) or position + 4 + sum(lengths) != len(data):
        raise StepError(f"string tensor '{name}' is damaged: its lengths fail their checksum", where=place)
    found = crc32c(data[position + 4 :], crc32c(checksum, crc32c(plain)))
    if found != unmask(masked):
        raise StepError(f"string tensor '{name}' is damaged: it fails its checksum", where=place,
                        expected=f"CRC-32C {unmask(masked):#010x}", got=f"CRC-32C {found:#010x}")  # fmt: skip
    ends = list(accumulate(lengths, initial=position + 4))
    return tuple(bytes(data[start:end]) for start, end in pairwise(ends))
