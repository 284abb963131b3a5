"""Checkpoints: which tensors they hold, and their values, whichever form they have.

`open_checkpoint` tells the two forms apart. Tensors are read when asked for, verified, and stay where they are in the
mapped file wherever their bytes are stored as memory holds them (all of V2, the floating types of V1).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelprep.errors import StepError
from modelprep.formats.mapped import MappedFile
from modelprep.formats.protowire import BYTES, VARINT, WireError, fields
from modelprep.formats.tensorflow.checkpoint.base import Checkpoint
from modelprep.formats.tensorflow.checkpoint.find import files_of, latest_in
from modelprep.formats.tensorflow.sstable import Table


def open_checkpoint(path: Path, shards: Mapping[str, Path] | None = None) -> Checkpoint:
    """Open a checkpoint of either form.

    `shards`: the data files of a V2 checkpoint (further files of a V1 one) by file name, for a path that is the V1 file
    or the index itself. Where it is empty they are looked for. Raises StepError: it is no checkpoint, or a damaged one;
    StorageError: a file cannot be read.
    """
    from modelprep.formats.tensorflow.checkpoint.v1 import CheckpointV1
    from modelprep.formats.tensorflow.checkpoint.v2 import CheckpointV2

    index, found = (path, {}) if shards else files_of(path)
    if (latest := latest_in(index)) is not None:
        raise StepError(
            "this is TensorFlow's list of checkpoints, not a checkpoint", where=str(index),
            got=f"a list whose latest is '{latest}'", hint=f"name that checkpoint: {latest}.index, with its data files",
        )  # fmt: skip
    file = MappedFile(index)
    table = Table(file.view, file.name)
    if _is_bundle(table, file.name):
        return CheckpointV2(file, table, shards or found)
    tables = [(file, table)]
    for name, shard in (shards or {}).items():
        other = MappedFile(shard, name)
        tables.append((other, Table(other.view, name)))
    return CheckpointV1(tables)


def _is_bundle(table: Table, name: str) -> bool:
    # Both forms describe themselves under the empty key: V1 by a message of metadata in field 1, V2 by a number of
    # shards there.
    entry = table.get(b"", "the table of contents")
    if entry is not None:
        try:
            for number, kind, *_ in fields(entry.value):
                if number == 1 and kind in (VARINT, BYTES):
                    return kind == VARINT
        except WireError:
            pass
    raise StepError("the table is no checkpoint", where=name, expected="a description under the empty key")
