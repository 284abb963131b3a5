"""Which files a checkpoint is, by any of the names that TensorFlow's own tools and users know it by."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from modelprep.errors import StepError, UsageError, nearest
from modelprep.formats.sniff import HEAD, is_text
from modelprep.formats.tensorflow.wrapped import VARIABLES

_PART = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})\Z")
#: The list of checkpoints that ``tf.train.Saver`` keeps in a folder: protobuf text of a CheckpointState.
STATE_FILE = "checkpoint"
_LATEST = re.compile(rb'^\s*model_checkpoint_path\s*:\s*"((?:[^"\\\n]|\\.)*)"', re.MULTILINE)
#: A list of checkpoints is at most this long (bytes); keep_checkpoint_every_n_hours makes long ones.
_MOST = 1 << 20


def files_of(path: Path) -> tuple[Path, dict[str, Path]]:
    """Find a checkpoint's files.

    `path`: a V1 file; the index, a data file or the ``.meta`` of a V2 checkpoint; its prefix (``model.ckpt``); the list
    of checkpoints called ``checkpoint``, of which the latest is taken; or a folder with such a list, with one
    checkpoint, or of a SavedModel. Returns the V1 file or the V2 index, and the data files by name (none for V1).

    Raises UsageError: there is no such file; or the data or the graph of a V2 checkpoint exist without the index.
    StepError: a folder holds no checkpoint, or several; a list names one that does not exist.
    """
    if path.is_dir():
        return _in_folder(path)
    if latest := latest_in(path):
        return files_of(_beside_the_list(path, latest))
    part = _PART.search(path.name)
    if not part and path.is_file():
        return path, {}
    if not path.name:
        raise UsageError("there is no such checkpoint", where=str(path))
    prefix = path.with_name(path.name[: part.start()]) if part else path
    index = prefix.with_name(f"{prefix.name}.index")
    data = data_files(index)
    if index.is_file():
        return index, data
    if part and prefix.is_file():
        return prefix, {}
    if data:
        raise UsageError(
            "the checkpoint's index is not there", where=str(path), expected=str(index), got=", ".join(list(data)[:4]),
            hint="a V2 checkpoint is an index and its data files: they are needed both",
        )  # fmt: skip
    known = sorted(entry.name for entry in path.parent.glob("*")) if path.parent.is_dir() else []
    raise UsageError(
        "there is no such checkpoint",
        where=str(path),
        expected=f"{prefix.name} (one file) or {index.name} with its data files",
        hint=nearest(path.name, [name for name in known if name != path.name]) or None,
    )


def is_checkpoint(path: Path) -> bool:
    """Say whether a path names a checkpoint: one of its files, its prefix, or a list of checkpoints."""
    from modelprep.formats.tensorflow.sstable import FOOTER_SIZE, MAGIC

    if _PART.search(path.name) and not path.name.endswith(".meta"):
        return True
    if not path.is_file():
        return not path.exists() and path.with_name(f"{path.name}.index").is_file()
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        table = size >= FOOTER_SIZE and int.from_bytes(file.read(8), "little") == MAGIC
    return table or latest_in(path) is not None


def data_files(index: Path) -> dict[str, Path]:
    """Return the data files that lie beside an index, by name."""
    prefix = glob.escape(index.name.removesuffix(".index"))
    return {entry.name: entry for entry in sorted(index.parent.glob(f"{prefix}.data-*-of-*"))}


def latest_in(path: Path) -> str | None:
    """Return the checkpoint that a list of checkpoints names as the latest; None if the file is no such list."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST)
    except OSError:
        return None
    found = _LATEST.search(text) if is_text(text[:HEAD]) else None
    return re.sub(rb"\\(.)", rb"\1", found[1]).decode("utf-8", "replace") if found else None


def _beside_the_list(path: Path, latest: str) -> Path:
    named = path.parent / latest  # an absolute one stays what it is
    places = (named, path.with_name(Path(latest).name or latest))  # a folder that was moved since
    for place in places:
        if place.is_file() or place.with_name(f"{place.name}.index").is_file():
            return place
    there = sorted(entry.name.removesuffix(".index") for entry in path.parent.glob("*.index"))
    raise StepError(
        f"the list of checkpoints names '{latest}', which is not there",
        where=str(path),
        got=f"checkpoints beside it: {', '.join(there[:8]) or 'none'}",
        hint=f"name the checkpoint itself: {path.parent / there[0]}" if there else None,
    )


def _in_folder(folder: Path) -> tuple[Path, dict[str, Path]]:
    state = folder / STATE_FILE
    if state.is_file():
        return files_of(state)
    if (folder / VARIABLES).with_suffix(".index").is_file():
        return files_of(folder / VARIABLES)
    found = sorted(folder.glob("*.index"))
    if len(found) == 1:
        return files_of(found[0])
    names = ", ".join(str(folder / one.name.removesuffix(".index")) for one in found[:6])
    raise StepError(
        f"this folder holds {'several checkpoints' if found else 'no checkpoint'}",
        where=str(folder),
        expected=f"a file called '{STATE_FILE}', or one checkpoint",
        hint=f"name one of them: {names}" if found else "name the checkpoint itself, as in DIR/model.ckpt",
    )
