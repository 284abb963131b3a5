"""What is in a prototxt or a caffemodel: layers, shapes, parameters, multiply-accumulates; what a bake would change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelprep.errors import StepError, StorageError
from modelprep.formats.caffe import bake, forks, npy, weights
from modelprep.formats.caffe.prepare import prepare
from modelprep.formats.caffe.shapes.base import count, show
from modelprep.formats.caffe.shapes.infer import LayerShapes, infer
from modelprep.formats.caffe.wire import is_foreign
from modelprep.formats.caffe.wire.index import ModelIndex, index
from modelprep.structs import dataclass

#: Types that a net for the board never holds.
_TRAINING = frozenset({"Data", "ImageData", "HDF5Data", "WindowData", "MemoryData", "Accuracy"})


@dataclass(frozen=True)
class Row:
    """One layer: shapes of its tops and blobs, how many parameters and multiply-accumulates (None: unknown)."""

    name: str
    type: str
    outputs: tuple[str, ...]
    blobs: tuple[str, ...]
    parameters: int | None
    macs: int | None


@dataclass(frozen=True)
class Report:
    """What is in a file.

    `kind`: ``prototxt`` or ``caffemodel``. `form`: ``V0``, ``V1``, ``V2``. `rows`: in the net's order; of a caffemodel
    the layers that it holds itself. `changes`: what Caffe (and so the bake) would change in the structure. `notes`,
    `warnings`: further facts; what could not be determined, and why.
    """

    kind: str
    form: str
    name: str
    size: int
    rows: tuple[Row, ...]
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """In all, as far as known."""
        return sum(row.parameters or 0 for row in self.rows)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one forward pass in all, as far as known."""
        return sum(row.macs or 0 for row in self.rows)

    def to_json(self) -> dict[str, object]:
        """Return it as a JSON-ready mapping."""
        return {
            "kind": self.kind,
            "form": self.form,
            "name": self.name,
            "size": self.size,
            "parameters": self.parameters,
            "macs": self.macs,
            "layers": [vars(row) for row in self.rows],
            "changes": list(self.changes),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }


def inspect(path: Path, weights_path: Path | None = None) -> Report:
    """Look into a prototxt (with or without weights) or a caffemodel.

    Raises StepError: the file is neither, or is damaged; weights were given and do not fit.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
        size = path.stat().st_size
    except OSError as error:
        raise StorageError(f"the file cannot be read: {error.strerror}", where=str(path)) from error
    if "text" in is_foreign(head):
        return _of_prototxt(path, size, weights_path)
    if weights_path is not None:
        raise StepError("weights go with a prototxt", where=str(path), expected="a prototxt", got="a binary file")
    return _of_caffemodel(path, size)


def _of_prototxt(path: Path, size: int, weights_path: Path | None) -> Report:
    ready = bake.structure(path)
    notes: tuple[str, ...] = ()
    if weights_path is not None:
        model = index(weights_path)
        notes = (f"the weights fit ({model.form})", *weights.match(ready.net, ready.shapes, model).notes)
    rows = tuple(_row(layer, None) for layer in ready.shapes.layers)
    changes = (*ready.changes, *_set_up_changes(ready.net))
    return Report("prototxt", ready.generation, ready.net.name, size, rows, changes, notes, ready.warnings)


def _of_caffemodel(path: Path, size: int) -> Report:
    model = index(path)
    net = npy.own_net(model)
    warnings: list[str] = []
    around: dict[str, LayerShapes] = {}
    try:
        shapes = infer(net)
        warnings += shapes.warnings
        around = {layer.name: layer for layer in shapes.layers}
    except StepError as error:
        warnings.append(f"shapes are not known: {error.what} ({error.where})")
    rows = []
    for layer in net.layer:
        known = around.get(layer.name) or LayerShapes(layer.name, layer.type, (), (None,) * len(layer.top), None, None)
        rows.append(_row(known, model))
    kept = {layer.name for layer in net.layer}
    gone = [stored.name for stored in model.layers if stored.name not in kept and stored.blobs]
    warnings += [f"layer '{name}' has weights and was removed by the upgrade" for name in gone]
    changes = _upgrades(model, net)
    return Report("caffemodel", model.form, model.name, size, tuple(rows), changes, _notes(model), tuple(warnings))


def _row(layer: LayerShapes, model: ModelIndex | None) -> Row:
    parameters: int | None
    if model is None:
        counts = [None] if layer.weights is None else [count(shape) for shape in layer.weights]
        known = [value for value in counts if value is not None]
        parameters = sum(known) if len(known) == len(counts) else None
        blobs = tuple(show(shape) for shape in layer.weights or ())
    else:
        stored = next((other.blobs for other in model.layers if other.name == layer.name), ())
        parameters, blobs = sum(blob.count for blob in stored), tuple(show(blob.dims) for blob in stored)
    return Row(layer.name, layer.type, tuple(show(shape) for shape in layer.tops), blobs, parameters, layer.macs)


def _set_up_changes(net: Any) -> tuple[str, ...]:
    splits = sum(layer.type == "Split" for layer in net.layer)
    norms = sum(layer.type == "BatchNorm" and not any(forks.fields_in(layer)) for layer in net.layer)
    changes = [f"{splits} Split layers, one wherever several layers read one blob"] * bool(splits)
    changes += [f"{norms} BatchNorm layers get their three fixed param entries"] * bool(norms)
    return tuple(changes)


def _upgrades(model: ModelIndex, net: Any) -> tuple[str, ...]:
    changes = []
    if model.form != "V2":
        changes.append(f"{len(model.layers)} layers of the {model.form} form become V2 layers")
    raw = model.net()
    if raw.input:
        names = ", ".join(raw.input)
        changes.append(f"the legacy input header ({names}) becomes an Input layer, or is removed if it has no shape")
    if any(blob.legacy is not None for layer in model.layers for blob in layer.blobs):
        changes.append("blobs of the old num/channels/height/width form get a shape")
    training = [layer.name for layer in net.layer if layer.type in _TRAINING or layer.type.endswith("Loss")]
    if training:
        why = f"this is a training net ({', '.join(training[:4])}), bake it with its deploy.prototxt"
        return (*changes, f"nothing, as it is: {why}")
    try:
        ready = prepare(net)
    except StepError as error:
        return (*changes, f"nothing, as it is: {error.what} ({error.where}); bake it with its deploy.prototxt")
    added = sum(layer.type == "Split" for layer in ready.layer) - sum(layer.type == "Split" for layer in net.layer)
    if added:
        changes.append(f"{added} Split layers are added, one wherever several layers read one blob")
    return tuple(changes)


def _notes(model: ModelIndex) -> tuple[str, ...]:
    blobs = [blob for layer in model.layers for blob in layer.blobs]
    notes = {
        "there are no weights in it": not blobs,
        "gradients (diff) are stored too; the bake does not copy them": any(blob.has_diff for blob in blobs),
        "weights in double precision; the bake rounds them to single": any(blob.dtype == "float64" for blob in blobs),
        "weights that are not packed (an old writer); the bake packs them": any(
            segment.stride not in (4, 8) for blob in blobs for segment in blob.segments
        ),
    }
    return tuple(text for text, holds in notes.items() if holds)
