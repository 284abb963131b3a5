"""Follow the batch of an ONNX model through its nodes when it changes from one number to another.

A model that was exported for one batch spells the number out: in the shapes of Reshape and Expand, in constants that
are as long as the batch, in what ConstantOfShape and Tile make. Each value's batch axis is followed from the inputs,
numbers on the way are rewritten, and a node that takes the batch apart or mixes its samples is named: there is no other
number that would mean the same. Sizes that the file does not give are asked of onnx's inference (extra ``onnx``).
"""

from __future__ import annotations

from typing import Any

from modelprep.formats.onnx import batch_rules
from modelprep.formats.onnx.batch_follower import Follower
from modelprep.formats.onnx.initializers import constant_value
from modelprep.formats.onnx.model import Model
from modelprep.formats.onnx.order import reachable


def follow(model: Model, inputs: list[str], old: int, new: int) -> list[str]:
    """Return everything that depends on a batch its new number; the inputs themselves are the caller's.

    `model`: the model, changed in place; its nodes are in order, and its inputs have their old dimensions. Raises
    StepError: a node stops it; it is named; MissingTool: a size must be inferred, and onnx is not installed.
    """
    at = Follower(model, old, new, dict.fromkeys(inputs, 0), dict(model.initializers()), reached=reachable(model))
    _walk(at, model.graph)
    _settle(at, model.graph.output)
    return at.done + [f"output {value.name}: batch is {new}" for value in model.graph.output if value.name in at.axes]


def _walk(at: Follower, graph: Any) -> None:
    for node in graph.node:
        at.makers.update(dict.fromkeys(node.output, node))
        if node.op_type == "Constant" and (tensor := constant_value(node)) is not None:
            tensor.name = node.output[0]
            at.constants[tensor.name] = tensor
    for node in graph.node:
        at.node = node
        if any(attribute.HasField("g") for attribute in node.attribute):
            _nested(at)
        elif tracked := [place for place, name in enumerate(node.input) if name in at.axes]:
            batch_rules.apply(at, tracked)


def _nested(at: Follower) -> None:
    """Follow into the graphs of If and Loop."""
    node = at.node
    bodies = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    carried = [place for place, name in enumerate(node.input) if name in at.axes]
    if node.op_type not in ("If", "Loop") and carried:
        raise at.stop("it runs a graph over what it is given")
    for body in bodies:
        for tensor in body.initializer:
            at.constants.setdefault(tensor.name, tensor)
        for place, value in enumerate(body.input):
            if place in carried and place >= 2:
                at.axes[value.name] = at.axes[node.input[place]]
        _walk(at, body)
        at.node = node
        _settle(at, (*body.input, *body.output, *body.value_info))
        first = 0 if node.op_type == "If" else 1
        states = len(node.input) - 2 if node.op_type == "Loop" else len(body.output)
        for index, value in enumerate(list(body.output)[first:]):
            if value.name in at.axes and index < len(node.output):  # what a Loop collects has a new first axis
                at.axes[node.output[index]] = at.axes[value.name] + (index >= states)


def _settle(at: Follower, values: Any) -> None:
    """Write the new batch into declared shapes."""
    for value in values:
        axis, dims = at.axes.get(value.name), value.type.tensor_type.shape.dim
        if axis is None or axis >= len(dims) or not dims[axis].HasField("dim_value"):
            continue
        size = int(dims[axis].dim_value)
        if size > 0 and size % at.old == 0:
            dims[axis].dim_value = size // at.old * at.new
