"""The bake: a prototxt and a caffemodel become one binary caffemodel, as ``caffe.Net(...).save()`` would write it.

:func:`plan` decides everything (structure, edits, which blob goes where) and reads no weights; :func:`write_plan` does
what was decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from modelprep.errors import StepError
from modelprep.formats.caffe import edits, forks, phase, prepare, prototxt, upgrades, weights, write
from modelprep.formats.caffe.messages import generation
from modelprep.formats.caffe.shapes.infer import NetShapes, infer
from modelprep.formats.caffe.wire.index import ModelIndex, index
from modelprep.structs import dataclass, field

Engine = Literal["native", "pycaffe"]
TARGETS = ("armnn-19.02",)


@dataclass(frozen=True)
class Options:
    """What to change.

    `batch`: first dimension of every input shape. `input`: name of the Input layer (its top keeps its name). `outputs`:
    tops to keep; layers that they do not need are dropped. `target`: ``armnn-19.02``, or None for exactly what Caffe
    would save. `set`: single fields by path, see :func:`modelprep.formats.caffe.edits.set_fields`. What is None or
    empty changes nothing.
    """

    batch: int | None = None
    input: str | None = None
    outputs: tuple[str, ...] = ()
    target: str | None = None
    set: Mapping[str, object] = field(default_factory=dict)

    @property
    def edit(self) -> bool:
        """Whether anything is to be changed."""
        return self != Options()


@dataclass(frozen=True)
class Structure:
    """A net made ready, without weights.

    `net`: as it will be written, without blobs. `text`: the prototxt from which a real Caffe makes the same result; the
    original text if nothing was changed. `generation`: of the prototxt: ``V0``, ``V1`` or ``V2``. `changes`,
    `warnings`: what was upgraded and edited; what the user should know. `zeros`: blobs of zeros that the target needs.
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

    Raises StepError: not a prototxt, not a net, an impossible edit, a net that the target would compute wrongly.
    """
    options = options or Options()
    if options.target not in (None, *TARGETS):
        raise StepError(f"there is no target '{options.target}'", expected=", ".join(TARGETS))
    net = prototxt.read_file(path)
    form, translated = generation(net), ("PoolingParameter", "ceil_mode") in forks.fields_in(net)
    changes = upgrades.upgrade(net)
    if not net.layer:
        raise StepError("the prototxt holds no layers", where=str(path), expected="layer { ... }")
    warnings: list[str] = []
    zeros: weights.Zeros = frozenset()
    if options.edit:
        net = phase.filter_net(net)
        if options.outputs:
            changes += edits.keep_outputs(net, options.outputs)
        changes += edits.set_fields(net, options.set)
        if options.batch is not None:
            changes += edits.set_batch(net, options.batch)
        if options.input is not None:
            changes += edits.rename_input(net, options.input)
        if options.target is not None:
            from modelprep.formats.caffe import armnn

            legal = armnn.legalise(net, infer(net))
            changes += legal.changes
            warnings += legal.warnings
            zeros = frozenset(legal.zeros)
    changed = translated or options.edit
    text = prototxt.write(net) if changed else path.read_text("utf-8", errors="surrogateescape")
    ready = prepare.prepare(net, phase="TEST")
    shapes = infer(ready)
    return Structure(ready, shapes, text, form, tuple(changes), (*shapes.warnings, *warnings), zeros)


def plan(prototxt_path: Path, weights_path: Path, options: Options | None = None) -> Plan:
    """Decide everything about a bake; reads no weights.

    Raises StepError: either file is no such file or is cut short; the weights do not fit the net.
    """
    ready = structure(prototxt_path, options)
    model = index(weights_path)
    return Plan(ready, model, weights.match(ready.net, ready.shapes, model, zeros=ready.zeros))


def _silent(done: int, total: int | None) -> None:
    """Report nothing."""


def write_plan(decided: Plan, output: Path, *, progress: write.Progress = _silent, engine: Engine = "native") -> int:
    """Write what was decided; return the size of the result in bytes.

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
        what = "Caffe cannot add the blobs of zeros that the target needs"
        raise StepError(what, where=f"layer {names}", hint="use engine: native")
    from modelprep.formats.caffe import pycaffe

    pycaffe.save(decided.structure.text, decided.model.path, output)
    return output.stat().st_size


@dataclass(frozen=True)
class Difference:
    """Where two files differ first; `layer` is the one with that byte in the first file."""

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
    names = [one.name for one in index(first).layers if one.offset <= offset < one.offset + one.length]
    return Difference(offset, "".join(names), sizes)
