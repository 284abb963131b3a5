"""Rules of Arm NN's parser for Caffe models (rules CF01 to CF44, C1)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelprep.check.lint.findings import Finding
from modelprep.check.lint.request import Asked
from modelprep.errors import StepError
from modelprep.targets.armnn_rules import Effect

if TYPE_CHECKING:
    from modelprep.formats.caffe.shapes.infer import NetShapes
    from modelprep.formats.caffe.wire.index import LayerIndex, ModelIndex

#: Rule for a missing second or third blob.
_SECOND = {"InnerProduct": "CF32", "BatchNorm": "CF41", "Scale": "CF43"}
#: Rules that state a fact; a violation is refused or computed differently.
_REFUSED = frozenset({"CF24", "CF30", "CF41", "CF44"})
_MISREAD = frozenset({"CF22", "CF28", "CF29"})


def examine(path: Path, asked: Asked) -> list[Finding]:
    """Return the findings about a file; see :func:`modelprep.check.lint.lint`."""
    from google.protobuf.message import DecodeError

    from modelprep.formats.caffe import messages
    from modelprep.formats.caffe.wire import index as wire_index

    if path.stat().st_size == 0:
        return [_no_output("CF03", asked, "the file is empty")]
    try:
        index = wire_index.index(path)
        net = messages.new("NetParameter")
        net.ParseFromString(index.structure())
    except StepError as error:
        # In any case the parser reads its bytes as lengths of fields.
        prototxt = "prototxt" in (error.looks_like or "")
        detail = "a prototxt has no weights" if prototxt else error.looks_like or error.what
        return [Finding("CF01" if prototxt else "CF08", path.name, detail, "ReadBase128 exceeded the maximum")]
    except DecodeError:
        return [Finding("CF08", path.name, "a damaged file", "Failed to parse layer")]
    if index.form != "V2":
        return [_no_output("CF02", asked, f"its layers are in the old form ({index.form})")]
    return list(_net(net, index, asked))


def _no_output(rule: str, asked: Asked, detail: str) -> Finding:
    output = asked.outputs[0] if asked.outputs else "prob"
    return Finding(rule, "file", detail, f"Couldn't find requested output layer '{output}' in graph")


def _net(net: Any, index: ModelIndex, asked: Asked) -> Iterator[Finding]:
    from modelprep.formats.caffe.shapes import infer

    layers = list(net.layer)
    tops = {top for layer in layers for top in layer.top} | set(net.input)
    missing = [name for name in asked.outputs if name not in tops]
    if missing:
        last = layers[-1].top[0] if layers and layers[-1].top else "nothing"
        yield Finding("CF02", f"output '{missing[0]}'", f"no layer makes it; the last one makes '{last}'",
                      f"Couldn't find requested output layer '{missing[0]}' in graph")  # fmt: skip
        return
    reached = _reached(layers, asked.outputs)
    yield from _inputs(net, reached, asked)
    yield from _bottoms(net, reached)
    part = _part(net, reached)
    try:
        inferred = infer.infer(part)
    except StepError as error:
        yield Finding("C3", error.where or "net", error.what)
        return
    yield from _rules(part, inferred)
    yield from _weights(part, inferred, {layer.name: layer for layer in index.layers})


def _reached(layers: list[Any], outputs: tuple[str, ...]) -> list[Any]:
    """Return the layers that the outputs depend on, in file order; all of them without outputs."""
    if not outputs:
        return layers
    wanted = set(outputs)
    found = []
    # Backwards through the file: the last maker of a blob comes first, and what works in place passes it on.
    for layer in reversed(layers):
        if wanted & set(layer.top):
            found.append(layer)
            wanted |= set(layer.bottom)
    return found[::-1]


def _inputs(net: Any, reached: list[Any], asked: Asked) -> Iterator[Finding]:
    inputs = [layer for layer in reached if layer.type == "Input"]
    names = [layer.name for layer in inputs] + list(net.input[:1])
    if asked.input_name and asked.input_name not in names:
        there = ", ".join(f"'{name}'" for name in names) or "no input"
        yield Finding("CF06", f"input '{asked.input_name}'", f"the input layer is called {there}",
                      f"Unknown binding input for layer '{asked.input_name}'.", "reject")  # fmt: skip
    if net.input and not asked.shape_passed:
        yield Finding("CF13", f"input '{net.input[0]}'", "a net-level input has no shape for this parser")
    for layer in inputs:
        shape = [int(dim) for dim in layer.input_param.shape[0].dim] if layer.input_param.shape else []
        if not shape and not asked.shape_passed:
            yield Finding("CF13", f"layer '{layer.name}'")
        elif shape and asked.input_shape and layer.name == asked.input_name:
            yield from _shape(layer.name, shape, asked)


def _shape(name: str, shape: list[int], asked: Asked) -> Iterator[Finding]:
    wanted = list(asked.input_shape)
    detail = f"{shape} in the file, expected {wanted}"
    if asked.shape_passed:
        if shape[1:] != wanted[1:]:
            yield Finding("CF12", f"layer '{name}'", detail, effect_here="reject")
    elif shape != wanted:
        yield Finding("CF15", f"layer '{name}'", detail)


def _bottoms(net: Any, reached: list[Any]) -> Iterator[Finding]:
    made = set(net.input)
    for layer in reached:
        for bottom in layer.bottom:
            if bottom not in made:
                yield Finding("CF07", f"layer '{layer.name}'", f"'{bottom}'")
        made |= set(layer.top)


def _part(net: Any, reached: list[Any]) -> Any:
    """Return a net of the checked layers."""
    from modelprep.formats.caffe import messages

    part = messages.new("NetParameter")
    if net.input:
        # As the parser does: the first net-level input becomes a layer, whose shape the test passes.
        layer = part.layer.add(name=net.input[0], type="Input", top=[net.input[0]])
        layer.input_param.SetInParent()
    for layer in reached:
        part.layer.add().CopyFrom(layer)
    return part


def _rules(part: Any, inferred: NetShapes) -> Iterator[Finding]:
    """Check the layers against the rules of the bake's target: what that would change, the file lacks."""
    from modelprep.formats.caffe import armnn, messages

    # The rules fix the layers that they check; the weights are judged by the original file.
    for broken in armnn.examine(messages.copy_of(part), inferred).found:
        if broken.rule == "CF13":
            continue  # said above, knowing whether the test passes a shape
        # What the bake would add is reported as missing in the file.
        why = broken.why.replace(" written out", " is not written")
        effect: Effect | None = "reject" if broken.rule in _REFUSED else "wrong" if broken.rule in _MISREAD else None
        yield Finding(broken.rule, f"layer '{broken.layer}'", why, effect_here=effect)


def _weights(part: Any, inferred: NetShapes, indexed: dict[str, LayerIndex]) -> Iterator[Finding]:
    for layer, around in zip(part.layer, inferred.layers, strict=True):
        where = f"layer '{layer.name}'"
        if len(set(layer.top)) < len(layer.top):
            yield Finding("CF19", where, f"tops {', '.join(layer.top)}")
        need = _blobs(layer)
        if not need:
            continue
        blobs = indexed[layer.name].blobs if layer.name in indexed else ()
        if len(blobs) < need:
            rule = "CF01" if not blobs else _SECOND.get(layer.type, "CF23")
            said = f"Expected data blob at index {len(blobs)} in layer {layer.name} not found"
            yield Finding(rule, where, f"{len(blobs)} blobs, expected {need}", said, "reject")
        if any(blob.dtype == "float64" for blob in blobs):
            yield Finding("CF10", where, "weights of 64 bits")
            continue
        for number, (blob, shape) in enumerate(zip(blobs, around.weights or (), strict=False)):
            wanted = math.prod(size for size in shape if size is not None) if shape and None not in shape else None
            if wanted is not None and blob.count != wanted:
                rule = "CF33" if layer.type == "InnerProduct" else "CF43" if layer.type == "Scale" else "CF23"
                said = f"Data blob at index {number} in layer {layer.name} has an unexpected size"
                yield Finding(rule, where, f"blob {number} has {blob.count} numbers, expected {wanted}",
                              said if rule != "CF33" else "")  # fmt: skip


def _blobs(layer: Any) -> int:
    """Return the number of blobs that the parser needs from a layer."""
    if layer.type == "Convolution":
        return 1 + int(layer.convolution_param.bias_term)
    if layer.type == "Scale":
        # It checks whether the field exists, not its value.
        return 1 + int(layer.scale_param.HasField("bias_term"))
    return {"InnerProduct": 2, "BatchNorm": 3}.get(layer.type, 0)
