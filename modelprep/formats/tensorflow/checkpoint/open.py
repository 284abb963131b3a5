"""Checkpoints: which tensors they hold, and their values, whichever form they have.

`open_checkpoint` tells the two forms apart. Tensors are read when asked for, verified, and stay where they lie in the
mapped file wherever their bytes are stored as memory holds them (all of V2, the floating types of V1).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelprep.errors import StepError, StorageError, nearest
from modelprep.formats.mapped import MappedFile
from modelprep.formats.protowire import BYTES, VARINT, WireError, fields
from modelprep.formats.tensorflow.checkpoint.base import Checkpoint
from modelprep.formats.tensorflow.sstable import Table


def open_checkpoint(path: Path, shards: Mapping[str, Path] | None = None) -> Checkpoint:
    """Open a checkpoint of either form.

    Parameters
    ----------
    path
        The V1 file; or the V2 index; or a prefix as TensorFlow's own tools take it (``model.ckpt`` for
        ``model.ckpt.index`` and ``model.ckpt.data-00000-of-00001``).
    shards
        The data files of a V2 checkpoint (further files of a V1 one) by file name. Where it is empty they are looked
        for beside the index.

    Raises
    ------
    StepError
        It is no checkpoint, or a damaged one.
    StorageError
        A file cannot be read.
    """
    from modelprep.formats.tensorflow.checkpoint.v1 import CheckpointV1
    from modelprep.formats.tensorflow.checkpoint.v2 import CheckpointV2

    index = _index_of(path)
    file = MappedFile(index)
    table = Table(file.view, file.name)
    if _is_bundle(table, file.name):
        return CheckpointV2(file, table, shards or _beside(index))
    tables = [(file, table)]
    for name, shard in (shards or {}).items():
        other = MappedFile(shard, name)
        tables.append((other, Table(other.view, name)))
    return CheckpointV1(tables)


def _index_of(path: Path) -> Path:
    if path.is_file():
        return path
    index = path.with_name(f"{path.name}.index")
    if index.is_file():
        return index
    known = sorted(entry.name for entry in path.parent.glob("*")) if path.parent.is_dir() else []
    raise StorageError(
        "there is no such checkpoint",
        where=str(path),
        expected=f"{path.name} (one file) or {path.name}.index with its data files",
        hint=nearest(path.name, known) or None,
    )


def _beside(index: Path) -> dict[str, Path]:
    prefix = index.name.removesuffix(".index")
    return {entry.name: entry for entry in sorted(index.parent.glob(f"{_escape(prefix)}.data-*-of-*"))}


def _escape(text: str) -> str:
    import glob

    return glob.escape(text)


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
