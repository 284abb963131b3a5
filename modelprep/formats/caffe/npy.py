"""Weights as NumPy files, written without NumPy and without holding them in memory.

The file format is that of ``numpy.lib.format``, version 1.0: magic, header length, a Python literal padded with blanks
to a multiple of 64 bytes, then the numbers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelprep.errors import StepError, nearest
from modelprep.formats.caffe import phase, prototxt, upgrades
from modelprep.formats.caffe.shapes.infer import NetShapes, infer
from modelprep.formats.caffe.weights import BlobPlan, resolve
from modelprep.formats.caffe.wire.index import ModelIndex
from modelprep.formats.caffe.write import Mover, Progress

#: What a layer's first and second blob are called in a file name, of whatever type the layer is: that is how the Arm
#: Compute Library's own extractor names them (scripts/caffe_data_extractor.py), and how its examples read them. A third
#: blob (of a BatchNorm) has no name there; here it gets its number.
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

    `prototxt_path`: the net, which says what shape the blobs of an old file really have (such a file stores a
    fully-connected NxM as 1x1xNxM). Without it the net in the caffemodel itself is taken. `layers`: only these; empty
    for all that have weights. Raises StepError: a layer that is not there, weights that do not fit, two layers with one
    file name.
    """
    if prototxt_path is not None:
        net = prototxt.read_file(prototxt_path)
        upgrades.upgrade(net)
        net = phase.filter_net(net)
        shapes: NetShapes | None = infer(net)
    else:
        net = own_net(model)
        shapes = _infer_if_possible(net)
    around = {layer.name: layer for layer in shapes.layers} if shapes is not None else {}
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
        known = around.get(layer.name)
        expected = known.weights if known is not None else None
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


def _infer_if_possible(net: Any) -> NetShapes | None:
    """Infer, or give None: a training net's shapes may hang on a database that is elsewhere."""
    try:
        return infer(net)
    except StepError:
        return None


def _file_stem(layer: str) -> str:
    stem = layer.replace("/", "_")
    if not stem or stem.startswith(".") or "\0" in stem or "\\" in stem or len(stem.encode()) > 200:
        raise StepError("a layer's name cannot be a file name", got=repr(layer))
    return stem


def write(files: Sequence[NpyFile], weights: Path, folder: Path, progress: Progress) -> int:
    """Write the files into a folder; give the number of bytes in all.

    Raises StepError: the weights became shorter meanwhile.
    """
    total = sum(len(header(file.blob.shape)) + file.blob.size for file in files)
    done = 0
    source = os.open(weights, os.O_RDONLY)
    try:
        for file in files:
            target = os.open(folder / file.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                mover = Mover(source, target, weights)
                head = header(file.blob.shape)
                mover.put(head)
                done += len(head)
                for size in mover.floats(file.blob):
                    done += size
                    progress(done, total)
                mover.flush()
            finally:
                os.close(target)
    finally:
        os.close(source)
    return total
