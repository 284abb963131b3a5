"""Decide a conversion: read the net, match the weights, build the graph. No weights are moved yet.

Names: a graph's input and a blob's last value bear the blob's own name. An earlier value of a blob that layers work on
in place is called ``<blob>/<layer>``. What a layer of several nodes computes in between is ``<layer>/<part>``, and so
are its weights. A name that is taken gets ``_2``, ``_3``, ... behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from modelprep.errors import StepError, UsageError
from modelprep.formats.caffe import edits, phase, prepare, prototxt, upgrades, weights
from modelprep.formats.caffe.messages import copy_of, generation
from modelprep.formats.caffe.shapes.base import Shape
from modelprep.formats.caffe.shapes.infer import LayerShapes, NetShapes, infer
from modelprep.formats.caffe.to_onnx.arithmetic import batch_norm
from modelprep.formats.caffe.to_onnx.graph import Graph
from modelprep.formats.caffe.to_onnx.layer import Layer, Tensor
from modelprep.formats.caffe.to_onnx.registry import CONVERSIONS, REFUSED
from modelprep.formats.caffe.wire.index import index
from modelprep.formats.caffe.wire.model import ModelIndex
from modelprep.formats.caffe.write import numbers

#: Opsets that can be written.
OPSETS = range(11, 22)
#: Layers that compute nothing: their top is their bottom.
_GONE = ("Dropout", "SpatialDropout", "Split")


@dataclass(frozen=True)
class Options:
    """What to write.

    `opset`: 11 to 21. `batch`: first size of every input; ``dynamic`` leaves it open, None takes the prototxt's.
    `keep`: tops that become the outputs; layers that they do not need are dropped; empty: all tops that no layer reads.
    `raw_detections`: whether SSD's DetectionOutput returns decoded boxes and scores instead of rows.
    """

    opset: int = 13
    batch: int | Literal["dynamic"] | None = None
    keep: tuple[str, ...] = ()
    raw_detections: bool = False


@dataclass(frozen=True)
class Plan:
    """A conversion, decided.

    `blobs`: every value that is a Caffe blob, with the shape that Caffe gives it. `generation`, `changes`, `notes`,
    `warnings`: the prototxt's syntax, what was upgraded or dropped, which weights are not used, what to know.
    """

    net: Any
    model: ModelIndex
    graph: Graph
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    blobs: tuple[Tensor, ...]
    generation: str
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def decide(prototxt_path: Path, weights_path: Path, options: Options) -> Plan:
    """Decide everything about a conversion.

    Raises UsageError: an opset or a batch that cannot be; StepError: either file is no such file; the weights do not
    fit the net; a layer cannot be converted exactly.
    """
    if options.opset not in OPSETS:
        expected = f"{OPSETS[0]} to {OPSETS[-1]}"
        raise UsageError("this opset cannot be written", expected=expected, got=str(options.opset))
    net = prototxt.read_file(prototxt_path)
    form = generation(net)
    changes = upgrades.upgrade(net)
    if not net.layer:
        raise StepError("the prototxt holds no layers", where=str(prototxt_path), expected="layer { ... }")
    net = phase.filter_net(net)
    if options.keep:
        changes += edits.keep_outputs(net, options.keep)
    _refuse_types(net)
    twin = None
    if options.batch == "dynamic":
        # What differs between two batches is what the batch decides.
        twin = copy_of(net)
        edits.set_batch(net, 2)
        edits.set_batch(twin, 3)
    elif options.batch is not None:
        changes += edits.set_batch(net, options.batch)
    prepare.prepare(net)  # refuses what Caffe would refuse
    shapes = infer(net)
    model = index(weights_path)
    matched = weights.match(net, shapes, model)
    layers = shapes.layers if twin is None else _open(shapes, infer(twin))
    builder = _Builder(net, layers, matched, model, options, Graph(options.opset))
    builder.build()
    return Plan(
        net, model, builder.graph, tuple(builder.inputs), tuple(builder.outputs()), tuple(builder.blobs), form,
        tuple(changes), matched.notes, (*shapes.warnings, *builder.warnings),
    )  # fmt: skip


def _refuse_types(net: Any) -> None:
    """Refuse the layers that no rule converts, all in one error."""
    bad = [layer for layer in net.layer if layer.type not in CONVERSIONS]
    if not bad:
        return
    first, more = bad[0], len(bad) - 1
    why = REFUSED.get(first.type, "this layer type is not known here")
    others = ", ".join(f"'{layer.name}' ({layer.type})" for layer in bad[1:9])
    raise StepError(
        f"the layer '{first.name}' cannot be converted: {why}", where=f"layer '{first.name}' ({first.type})",
        hint=f"nor can {more} more: {others}{', ...' if more > 8 else ''}" if more else
        "modelprep caffe to-onnx ... --keep TOP ends the net at a top before it",
    )  # fmt: skip


def _open(one: NetShapes, other: NetShapes) -> tuple[LayerShapes, ...]:
    """Make None of every size that the two batches decide differently."""

    def opened(a: tuple[Shape, ...], b: tuple[Shape, ...]) -> tuple[Shape, ...]:
        return tuple(
            None if x is None or y is None or len(x) != len(y) else tuple(
                m if m == n else None for m, n in zip(x, y, strict=True)
            )
            for x, y in zip(a, b, strict=True)
        )  # fmt: skip

    return tuple(
        LayerShapes(a.name, a.type, opened(a.bottoms, b.bottoms), opened(a.tops, b.tops), a.weights, a.macs)
        for a, b in zip(one.layers, other.layers, strict=True)
    )


@dataclass
class _Builder:
    net: Any
    shapes: Sequence[LayerShapes]
    matched: weights.WeightPlan
    model: ModelIndex
    options: Options
    graph: Graph
    inputs: list[Tensor] = field(default_factory=list)
    blobs: list[Tensor] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    values: dict[str, Tensor] = field(default_factory=dict)
    raw: dict[str, list[Tensor]] = field(default_factory=dict)

    def build(self) -> None:
        folded = _folded(self.net, self.shapes)
        gone = {i for i, layer in enumerate(self.net.layer) if layer.type in _GONE} | set(folded.values())
        names = _names(self.net, gone, self.graph)
        for i, proto in enumerate(self.net.layer):
            if i in gone:
                if i not in folded.values():
                    self.values.update(dict.fromkeys(proto.top, self.values[proto.bottom[0]]))
                continue
            layer = self._layer(i, names)
            if proto.type == "Input":
                self.inputs += layer.tops
            elif i in folded:
                batch_norm(layer, self._layer(folded[i], names, at=i))
            else:
                CONVERSIONS[proto.type].rule(layer)
            self.warnings += layer.warnings
            if layer.extra_outputs:
                self.raw[proto.top[0]] = layer.extra_outputs
            else:
                self.blobs += layer.tops
                self.values.update(zip(proto.top, layer.tops, strict=True))

    def _layer(self, i: int, names: Mapping[tuple[int, int], str], at: int | None = None) -> Layer:
        """Make what the rule of layer `i` gets; `at`: the layer whose place and names it takes."""
        proto, shapes, place = self.net.layer[i], self.shapes[i], i if at is None else at
        for blob, shape in zip((*proto.bottom, *proto.top), (*shapes.bottoms, *shapes.tops), strict=True):
            if shape is None:
                raise StepError(
                    f"the shape of the blob '{blob}' is not known", where=f"layer '{proto.name}' ({proto.type})",
                    hint="an Input layer needs input_param { shape { dim: ... } }",
                )  # fmt: skip
        bottoms = () if at is not None else tuple(self._value(proto, blob) for blob in proto.bottom)
        tops = tuple(Tensor(names[place, j], shape or ()) for j, shape in enumerate(self.shapes[place].tops))
        read = partial(numbers, self.model.path)
        return Layer(proto, bottoms, tops, self.matched.layers[i], self.graph, read, self.options.raw_detections)

    def _value(self, proto: Any, blob: str) -> Tensor:
        if blob not in self.values:
            raise StepError("no layer may read the raw detections", where=f"layer '{proto.name}' ({proto.type})",
                            got=blob, hint="leave --ssd raw out, or end the net before: --keep TOP")  # fmt: skip
        return self.values[blob]

    def outputs(self) -> list[Tensor]:
        """Return the graph's outputs, and give those a name that only have another blob's; refuse a net without any."""
        free: dict[str, None] = dict.fromkeys(self.options.keep)
        if not free:
            for layer in self.net.layer:
                for blob in layer.bottom:
                    free.pop(blob, None)
                if layer.type != "Input":
                    free.update(dict.fromkeys(layer.top))
        inputs = {value.name for value in self.inputs}
        found: list[Tensor] = []
        made = {value.name for value in self.blobs}
        for blob in free:
            if blob in self.raw:
                found += self.raw[blob]
                continue
            value = self.values[blob]
            if value.name in inputs or (value.name != blob and blob not in made):
                name = self.graph.claim(f"{blob}/output") if blob in made else blob
                self.graph.node("Identity", [value.name], [name], name, {})
                value = Tensor(name, value.shape)
                self.blobs.append(value)
            found.append(value)
        if not found:
            raise StepError("the net has no output: some layer reads every top",
                            hint=f"name one, as in --keep {self.blobs[-1].name}" if self.blobs else None)  # fmt: skip
        return list(dict.fromkeys(found))


def _names(net: Any, gone: set[int], graph: Graph) -> dict[tuple[int, int], str]:
    """Decide the name of each top of each layer, by (layer, top)."""
    writers: dict[str, list[tuple[int, int]]] = {}
    for i, layer in enumerate(net.layer):
        for j, blob in enumerate(layer.top):
            if blob not in writers:
                writers[graph.claim(blob)] = []
            if i not in gone:
                writers[blob].append((i, j))
    names: dict[tuple[int, int], str] = {}
    for blob, places in writers.items():
        if places:
            first = places[0] if net.layer[places[0][0]].type == "Input" else places[-1]
            names[first] = blob
    for blob, places in writers.items():
        for place in places:
            if place not in names:
                names[place] = graph.claim(f"{blob}/{net.layer[place[0]].name}")
    return names


def _folded(net: Any, shapes: Sequence[LayerShapes]) -> dict[int, int]:
    """Find the Scale layers that a BatchNorm takes in: those that are the first to touch its top, in place."""
    found: dict[int, int] = {}
    for i, layer in enumerate(net.layer):
        p = layer.batch_norm_param
        if layer.type != "BatchNorm" or (p.HasField("use_global_stats") and not p.use_global_stats):
            continue
        blob, shape = layer.top[0], shapes[i].tops[0]
        for j in range(i + 1, len(net.layer)):
            other = net.layer[j]
            if blob not in (*other.bottom, *other.top):
                continue
            axis = other.scale_param.axis
            channels = shape is not None and len(shape) > 1 and axis in (1, 1 - len(shape))
            if (
                other.type == "Scale" and list(other.bottom) == [blob] == list(other.top)
                and other.scale_param.num_axes == 1 and channels
            ):  # fmt: skip
                found[i] = j
            break
    return found
