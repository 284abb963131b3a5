"""Weights as NumPy files, written without NumPy and without holding them in memory.

The file format is that of ``numpy.lib.format``, version 1.0: magic, header length, a Python literal padded with blanks
to a multiple of 64 bytes, then the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelprep.errors import StepError, nearest
from modelprep.formats.caffe import phase, prototxt, upgrades
from modelprep.formats.caffe.shapes.infer import NetShapes, infer
from modelprep.formats.caffe.weights import BlobPlan, resolve
from modelprep.formats.caffe.wire.index import ModelIndex
from modelprep.formats.caffe.write import Piece, Progress, size_of
from modelprep.formats.caffe.write import write as write_pieces
from modelprep.structs import dataclass

#: A layer's first and second blob in a file name, for any type of layer, as the Arm Compute Library's extractor names
#: them (scripts/caffe_data_extractor.py) and its examples read them. A third blob (of a BatchNorm) gets its number.
_SUFFIXES = ("w", "b")


@dataclass(frozen=True)
class NpyFile:
    """One file to write: its name, and the blob in it."""

    name: str
    blob: BlobPlan


def header(shape: Sequence[int]) -> bytes:
    """Return the head of a NumPy file of little-endian float32 in C order.

    >>> header((2, 3))[10:68], len(header((2, 3)))
    (b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), ", 128)
    """
    dims = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
    literal = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({dims}), }}"
    fill = -(10 + len(literal) + 1) % 64
    text = f"{literal}{' ' * fill}\n".encode("ascii")
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def own_net(model: ModelIndex) -> Any:
    """Return the net that a caffemodel itself describes, without blobs, upgraded to V2 layers.

    Caffe writes the layers of one phase only, for a snapshot those of training: none is filtered out here.

    Raises StepError: its structure is damaged.
    """
    net = model.net()
    upgrades.upgrade(net)
    return net


def plan(model: ModelIndex, prototxt_path: Path | None = None, layers: Sequence[str] = ()) -> list[NpyFile]:
    """Decide which files to write.

    `prototxt_path`: the net, for the true shapes of an old file's blobs (which stores a fully-connected NxM as
    1x1xNxM); None for the net in the caffemodel. `layers`: only these; empty for all that have weights. Raises
    StepError: an unknown layer, weights that do not fit, two layers with one file name.
    """
    if prototxt_path is not None:
        net = prototxt.read_file(prototxt_path)
        upgrades.upgrade(net)
        net = phase.filter_net(net)
        shapes: NetShapes | None = infer(net)
    else:
        try:
            shapes = infer(own_net(model))
        except StepError:  # the shapes of a training net may depend on a database that is elsewhere
            shapes = None
    around = {layer.name: layer.weights for layer in shapes.layers} if shapes is not None else {}
    with_weights = [layer for layer in model.layers if layer.blobs]
    names = [layer.name for layer in with_weights]
    for wanted in layers:
        if wanted not in names:
            raise StepError(
                f"the weights hold no layer '{wanted}'", where=str(model.path), hint=nearest(wanted, names) or None
            )
    files: dict[str, NpyFile] = {}
    for layer in with_weights:
        if layers and layer.name not in layers:
            continue
        expected = around.get(layer.name)
        if expected is not None and len(expected) != len(layer.blobs):
            raise StepError(
                f"the layer '{layer.name}' takes {len(expected)} blobs and the weights hold {len(layer.blobs)}",
                where=str(model.path),
            )
        for j, blob in enumerate(layer.blobs):
            shape = resolve(expected[j], blob) if expected is not None else blob.dims
            if shape is None:
                raise StepError(
                    f"blob {j} of the layer '{layer.name}' has another shape in the weights",
                    where=str(model.path),
                    expected=str(expected[j] if expected is not None else None),
                    got=str(blob.dims),
                )
            name = f"{_file_stem(layer.name)}_{_SUFFIXES[j] if j < len(_SUFFIXES) else j}.npy"
            if name in files:
                raise StepError("two layers would have one file name", where=str(model.path), got=name)
            files[name] = NpyFile(name, BlobPlan(shape, blob))
    if not files:
        raise StepError("the file holds no weights", where=str(model.path))
    return list(files.values())


def _file_stem(layer: str) -> str:
    stem = layer.replace("/", "_")
    if not stem or stem.startswith(".") or "\0" in stem or "\\" in stem or len(stem.encode()) > 200:
        raise StepError("a layer's name cannot be a file name", got=repr(layer))
    return stem


def write(files: Sequence[NpyFile], weights: Path, folder: Path, progress: Progress) -> int:
    """Write the files into a folder; return the number of bytes in all.

    Raises StepError: the weights became shorter meanwhile; StorageError: disk full, no permission.
    """
    pieces: list[list[Piece]] = [[header(file.blob.shape), file.blob] for file in files]
    total, done = sum(map(size_of, pieces)), 0

    def report(moved: int, _: int | None) -> None:
        progress(done + moved, total)

    for file, each in zip(files, pieces, strict=True):
        write_pieces(each, size_of(each), weights, folder / file.name, report)
        done += size_of(each)
    return total
