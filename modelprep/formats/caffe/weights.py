"""Which blob of a caffemodel goes to which layer of a net: by layer name, as Caffe's ``CopyTrainedLayersFrom`` does it.

Deciding only; :mod:`modelprep.formats.caffe.write` moves the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from modelprep.errors import StepError, nearest
from modelprep.formats.caffe.shapes.base import Shape, count, fits, show
from modelprep.formats.caffe.shapes.infer import NetShapes
from modelprep.formats.caffe.wire.index import BlobIndex, ModelIndex
from modelprep.structs import dataclass


@dataclass(frozen=True)
class BlobPlan:
    """One blob to write: its shape, and where its numbers come from (None: zeros)."""

    shape: tuple[int, ...]
    source: BlobIndex | None

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def size(self) -> int:
        """How many bytes they take as float32."""
        return 4 * self.count


@dataclass(frozen=True)
class WeightPlan:
    """The blobs of every layer of the net, in the net's order; `notes` say which weights are not used."""

    layers: tuple[tuple[BlobPlan, ...], ...]
    notes: tuple[str, ...] = ()


#: Blobs of zeros that a rewrite adds: (layer name, blob number).
Zeros = frozenset[tuple[str, int]]


def match(net: Any, shapes: NetShapes, index: ModelIndex, *, zeros: Zeros = frozenset()) -> WeightPlan:
    """Assign its blobs to every layer.

    `zeros`: blobs of zeros. Raises StepError: a layer's weights are missing,
    there are more or fewer blobs than it takes, or one has another shape.
    """
    return _Matcher(net, shapes, index, zeros).plan()


class _Matcher:
    def __init__(self, net: Any, shapes: NetShapes, index: ModelIndex, zeros: Zeros) -> None:
        self.net, self.shapes, self.index, self.zeros = net, shapes, index, zeros
        self.wanted = [None if layer.weights is None else list(layer.weights) for layer in shapes.layers]
        self.given: dict[int, tuple[BlobIndex, ...]] = {}
        # Blobs that several layers share by ``param { name: }``: (layer, blob) -> that name.
        layers = enumerate(net.layer)
        self.shared = {(i, j): spec.name for i, layer in layers for j, spec in enumerate(layer.param) if spec.name}
        self.group: dict[str, BlobIndex] = {}

    def plan(self) -> WeightPlan:
        targets: dict[str, int] = {}
        for i, layer in enumerate(self.net.layer):
            targets.setdefault(layer.name, i)
        ignored: list[str] = []
        for layer in self.index.layers:
            target = targets.get(layer.name)
            if target is None:
                if layer.blobs:
                    ignored.append(layer.name)
                continue
            self._check(target, layer.blobs)
            # A name written twice: Caffe copies both, so the last one stays.
            self.given[target] = layer.blobs
            for j, blob in enumerate(layer.blobs):
                if (target, j) in self.shared:
                    self.group[self.shared[target, j]] = blob
        layers = range(len(self.net.layer))
        if missing := [i for i in layers if self._lacks(i)]:
            raise self._missing(missing)
        return WeightPlan(tuple(map(self._layer, layers)), self._notes(ignored))

    def _from_group(self, i: int, j: int) -> BlobIndex | None:
        return self.group.get(self.shared.get((i, j), ""))

    def _lacks(self, i: int) -> bool:
        """Return whether there is no source for a blob of the layer."""
        wanted = self.wanted[i]
        if not wanted or i in self.given:
            return False
        name = self.net.layer[i].name
        return any((name, j) not in self.zeros and not self._from_group(i, j) for j in range(len(wanted)))

    def _missing(self, layers: list[int]) -> StepError:
        first = layers[0]
        names = [other.name for other in self.index.layers if other.blobs]
        hint = nearest(self.net.layer[first].name, names) or "are these the weights of this net? is the file complete?"
        if any(layer.name == self.net.layer[first].name for layer in list(self.net.layer)[:first]):
            hint = "two layers of the net have this name, and Caffe gives the weights to the first alone: rename one"
        if len(layers) > 1:
            others = [self.net.layer[i].name for i in layers[1:9]] + (["..."] if len(layers) > 9 else [])
            hint += f"\nweights are missing for {len(layers) - 1} more: {', '.join(others)}"
        return self._error(
            first,
            f"the weights hold nothing for the layer '{self.net.layer[first].name}'",
            expected=", ".join(map(show, self.wanted[first] or ())),
            got=f"weights for {len(names)} layers of other names" if names else "a file without weights",
            hint=hint,
        )

    def _notes(self, ignored: Sequence[str]) -> tuple[str, ...]:
        listed = ", ".join(ignored[:8]) + (", ..." if len(ignored) > 8 else "")
        blobs = [blob for layer in self.index.layers for blob in layer.blobs]
        notes = {
            f"{len(ignored)} layers of the weights are not in the net and are not used: {listed}": bool(ignored),
            "gradients (diff) stored with the weights are not used": any(blob.has_diff for blob in blobs),
            "weights stored in double precision are rounded to single, as Caffe does on loading": any(
                blob.dtype == "float64" for blob in blobs
            ),
        }
        return tuple(text for text, holds in notes.items() if holds)

    def _check(self, i: int, blobs: tuple[BlobIndex, ...]) -> None:
        wanted, name = self.wanted[i], self.net.layer[i].name
        if wanted is None:
            return
        # Blobs of zeros are always the last.
        from_file = wanted[: len(wanted) - sum(layer == name for layer, _ in self.zeros)]
        if len(from_file) != len(blobs):
            raise self._error(
                i,
                f"the layer '{name}' takes {len(from_file)} blobs and the weights hold {len(blobs)} for it",
                expected=", ".join(map(show, from_file)) or "none",
                got=", ".join(show(blob.dims) for blob in blobs) or "none",
                hint=_blob_hint(len(from_file), len(blobs)),
            )
        for j, (shape, blob) in enumerate(zip(from_file, blobs, strict=True)):
            if resolve(shape, blob) is None:
                edited = "(num_output, kernel, group, input size)"
                hint = f"the weights belong to another net, or the prototxt was edited {edited}"
                what = f"blob {j} of the layer '{name}' has another shape in the weights"
                raise self._error(i, what, expected=show(shape), got=show(blob.dims), hint=hint)

    def _layer(self, i: int) -> tuple[BlobPlan, ...]:
        layer, wanted, blobs = self.net.layer[i], self.wanted[i], self.given.get(i)
        if wanted is None:
            return tuple(BlobPlan(blob.dims, blob) for blob in blobs or ())
        plans = []
        for j, shape in enumerate(wanted):
            if (layer.name, j) in self.zeros:
                plans.append(BlobPlan(_known(shape), None))
                continue
            source = self._from_group(i, j) or (blobs[j] if blobs is not None else None)
            assert source is not None  # _lacks found none such
            final = resolve(shape, source)
            # A shared blob may have another shape of the same count (share_mode PERMISSIVE).
            if final is None and blobs is None and count(shape) == source.count:
                final = _known(shape)
            if final is None:
                what = f"the shared blob {j} of the layer '{layer.name}' has another shape in the weights"
                raise self._error(i, what, expected=show(shape), got=show(source.dims))
            plans.append(BlobPlan(final, source))
        return tuple(plans)

    def _error(
        self, i: int, what: str, *, expected: str | None = None, got: str | None = None, hint: str | None = None
    ) -> StepError:
        layer = self.net.layer[i]
        where = f"layer '{layer.name}' ({layer.type}), weights {self.index.path}"
        return StepError(what, where=where, expected=expected, got=got, hint=hint)


def _blob_hint(wanted: int, got: int) -> str:
    if got == wanted + 1:
        return "the weights have a bias that the prototxt switches off (bias_term: false), or belong to another net"
    if got == wanted - 1:
        return "the prototxt has a bias that the weights do not have (bias_term), or they belong to another net"
    return "the weights belong to another net, or to another layer type of the same name"


def _known(shape: Shape) -> tuple[int, ...]:
    assert shape is not None
    return tuple(dim or 0 for dim in shape)


def resolve(shape: Shape, blob: BlobIndex) -> tuple[int, ...] | None:
    """Return the shape that a stored blob has in a net that requires `shape`; None if it does not fit.

    Caffe's own rule: the four legacy numbers, where written, decide, with leading ones for missing axes (a
    fully-connected NxM is stored as 1x1xNxM, a bias as 1x1x1xN); otherwise the shapes must be equal.
    """
    if shape is None:
        return blob.dims
    if blob.legacy is None:
        return blob.dims if fits(shape, blob.dims) else None
    missing = 4 - len(shape)
    return blob.legacy[missing:] if missing >= 0 and fits((1,) * missing + shape, blob.legacy) else None
