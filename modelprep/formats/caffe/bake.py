"""The bake: a prototxt and a caffemodel become one binary caffemodel, as ``caffe.Net(...).save()`` would write it.

:func:`plan` decides everything (structure, edits, which blob goes where) and reads no weights; :func:`write_plan` does
what was decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from modelprep.errors import StepError, StorageError
from modelprep.formats.caffe import edits, forks, phase, prepare, prototxt, upgrades, weights, write
from modelprep.formats.caffe.messages import generation
from modelprep.formats.caffe.shapes.infer import NetShapes, infer
from modelprep.formats.caffe.wire.index import ModelIndex, index

Engine = Literal["native", "pycaffe"]
TARGETS = ("armnn-19.02",)


@dataclass(frozen=True)
class Options:
    """What to change on the way.

    Parameters
    ----------
    batch
        First dimension of every input shape; None leaves it.
    input
        Name of the Input layer (its top keeps its own name); None leaves it.
    outputs
        Tops to keep; layers that they do not need are dropped. Empty: all layers stay.
    target
        ``armnn-19.02``, or None for exactly what Caffe would save.
    set
        Single fields by path, see :func:`modelprep.formats.caffe.edits.set_fields`.
    """

    batch: int | None = None
    input: str | None = None
    outputs: tuple[str, ...] = ()
    target: str | None = None
    set: Mapping[str, object] = field(default_factory=dict)

    @property
    def edit(self) -> bool:
        """Whether anything is to be changed at all."""
        given = self.batch is not None or self.input is not None or self.target is not None
        return given or bool(self.outputs or self.set)


@dataclass(frozen=True)
class Structure:
    """A net made ready, without weights.

    Parameters
    ----------
    net
        As it will be written, without blobs.
    text
        The prototxt to give to a real Caffe for the same result: the original text where nothing was changed.
    generation
        Of the prototxt: ``V0``, ``V1`` or ``V2``.
    changes, warnings
        What was upgraded and edited; what the user should know.
    zeros
        Blobs of zeros that the target wants added.
    """

    net: Any
    shapes: NetShapes
    text: str
    generation: str
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    zeros: weights.Zeros = frozenset()


@dataclass(frozen=True)
class Plan:
    """Everything decided: structure, weights, where which blob goes."""

    structure: Structure
    model: ModelIndex
    weights: weights.WeightPlan


def structure(path: Path, options: Options | None = None) -> Structure:
    """Read a prototxt and make its net ready.

    Raises StepError: not a prototxt, not a net, an edit that cannot be made, a net that the target would get wrong.
    """
    options = options or Options()
    if options.target not in (None, *TARGETS):
        raise StepError(f"there is no target '{options.target}'", expected=", ".join(TARGETS))
    net = prototxt.read_file(path)
    form = generation(net)
    translated = ("PoolingParameter", "ceil_mode") in forks.fields_in(net)
    changes = list(upgrades.upgrade(net))
    if not net.layer:
        raise StepError("the prototxt holds no layers", where=str(path), expected="layer { ... }")
    warnings: list[str] = []
    zeros: weights.Zeros = frozenset()
    text = prototxt.write(net) if translated else _original(path)
    if options.edit:
        net = phase.filter_net(net)
        changes += _edit(net, options)
        if options.target is not None:
            from modelprep.formats.caffe import armnn

            legal = armnn.legalise(net, infer(net))
            changes += legal.changes
            warnings += legal.warnings
            zeros = frozenset(legal.zeros)
        text = prototxt.write(net)
    ready = prepare.prepare(net, phase="TEST")
    shapes = infer(ready)
    return Structure(ready, shapes, text, form, tuple(changes), (*shapes.warnings, *warnings), zeros)


def _edit(net: Any, options: Options) -> list[str]:
    changes: list[str] = []
    if options.outputs:
        changes += edits.keep_outputs(net, options.outputs)
    if options.set:
        changes += edits.set_fields(net, options.set)
    if options.batch is not None:
        changes += edits.set_batch(net, options.batch)
    if options.input is not None:
        changes += edits.rename_input(net, options.input)
    return changes


def _original(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="surrogateescape")
    except OSError as error:
        raise StorageError(f"the prototxt cannot be read: {error.strerror}", where=str(path)) from error


def plan(prototxt_path: Path, weights_path: Path, options: Options | None = None) -> Plan:
    """Decide everything about a bake; reads no weights.

    Raises StepError: either file is no such file or is cut short; the weights do not fit the net.
    """
    ready = structure(prototxt_path, options)
    model = index(weights_path)
    return Plan(ready, model, weights.match(ready.net, ready.shapes, model, zeros=ready.zeros))


def _silent(done: int, total: int | None) -> None:
    """Tell nobody."""


def write_plan(decided: Plan, output: Path, *, progress: write.Progress = _silent, engine: Engine = "native") -> int:
    """Do what was decided; give the size of the result in bytes.

    `engine`: ``native``, or ``pycaffe`` for a real Caffe (see :mod:`modelprep.formats.caffe.pycaffe`). Raises
    StepError, StorageError, MissingTool: as :func:`modelprep.formats.caffe.write.write` and
    :func:`modelprep.formats.caffe.pycaffe.save`.
    """
    if engine == "native":
        pieces, total = write.assemble(decided.structure.net, decided.weights)
        write.write(pieces, total, decided.model.path, output, progress)
        return total
    if decided.structure.zeros:
        names = ", ".join(sorted(name for name, _ in decided.structure.zeros))
        raise StepError(
            "Caffe cannot add the blobs of zeros that the target wants",
            where=f"layer {names}",
            hint="use engine: native",
        )
    from modelprep.formats.caffe import pycaffe

    pycaffe.save(decided.structure.text, decided.model.path, output)
    return output.stat().st_size


@dataclass(frozen=True)
class Difference:
    """Where two files part; `layer` is the one the byte is in, in the first file."""

    offset: int
    layer: str
    sizes: tuple[int, int]


def compare(first: Path, second: Path) -> Difference | None:
    """Compare two caffemodels byte by byte; None when they are the same.

    Raises StepError: they differ, and the first is no caffemodel.
    """
    sizes = (first.stat().st_size, second.stat().st_size)
    offset = 0
    with first.open("rb") as a, second.open("rb") as b:
        while True:
            left, right = a.read(1 << 20), b.read(1 << 20)
            if left != right:
                shared = min(len(left), len(right))
                offset += next((i for i in range(shared) if left[i] != right[i]), shared)
                break
            if not left:
                return None
            offset += len(left)
    name = ""
    for layer in index(first).layers:
        if layer.offset <= offset < layer.offset + layer.length:
            name = layer.name
    return Difference(offset, name, sizes)
