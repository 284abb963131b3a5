"""The order of an ONNX model's nodes, and what depends on what."""

from __future__ import annotations

from typing import Any

from modelprep.errors import StepError
from modelprep.formats.onnx.graphs import constants_of, graphs_of, names, nested_in, replace
from modelprep.formats.onnx.model import Model

#: Dimensions of one value, and those that Unsqueeze nodes one behind another may add.
_MOST = 256


def reachable(model: Model) -> set[str]:
    """Return the values that depend on an input that is fed, the inputs among them."""
    fed = names(model.inputs())
    # Nodes may be in any order; this settles in as many rounds as the order is off, one when it is right.
    growing = True
    while growing:
        growing = False
        for node in model.graph.node:
            if any(name in fed for name in _uses(node)) and not fed.issuperset(node.output):
                fed.update(node.output)
                growing = True
    return fed


def refuse_growing(model: Model) -> None:
    """Refuse a value of more dimensions than any model has: inferring its shapes would take ages.

    Raises StepError: a value is declared so, or Unsqueeze nodes one behind another make it.
    """
    for graph in graphs_of(model.graph):
        values = (*graph.input, *graph.output, *graph.value_info)
        ranks = [(value.name, len(value.type.tensor_type.shape.dim)) for value in values]
        for name, rank in (*ranks, *((tensor.name, len(tensor.dims)) for tensor in graph.initializer)):
            if rank > _MOST:
                raise StepError(
                    "a value of the model has too many dimensions", where=f"{model.where}: {name}",
                    got=f"{rank} dimensions", expected=f"at most {_MOST}",
                )  # fmt: skip
    grown: dict[str, int] = {}
    for node in model.graph.node:
        if node.op_type in ("Reshape", "Flatten", "Shape"):
            continue
        most = max((grown.get(name, 0) for name in node.input), default=0)
        if node.op_type in ("Unsqueeze", "Squeeze"):
            axes = max(1, *(len(attribute.ints) for attribute in node.attribute), 1)
            most = max(0, most + (axes if node.op_type == "Unsqueeze" else -axes))
        if most > _MOST:
            raise StepError(
                "its Unsqueeze nodes make a value of too many dimensions", where=model.where,
                got=node.name or node.output[0], expected=f"at most {_MOST} of them one behind another",
            )  # fmt: skip
        if most:
            grown.update(dict.fromkeys(node.output, most))


def sort_nodes(model: Model) -> bool:
    """Put nodes into an order in which each comes after what it uses, keeping theirs where it is right already.

    Returns whether the order changed. Raises StepError: the nodes go round in a circle, or a node uses a value that
    nothing makes.
    """
    import heapq

    graph = model.graph
    nodes = list(graph.node)
    made = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    known = names(graph.input) | constants_of(graph)
    waits: list[set[int]] = []
    users: list[list[int]] = [[] for _ in nodes]
    for index, node in enumerate(nodes):
        taken = _uses(node) - known
        if absent := next((name for name in taken if name not in made), None):
            what = f"node '{node.name or node.op_type}' uses a value that nothing makes"
            raise StepError(what, where=model.where, got=absent)
        waits.append({made[name] for name in taken})
        for need in waits[-1]:
            users[need].append(index)
    ready = [index for index, needs in enumerate(waits) if not needs]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for user in users[index]:
            waits[user].discard(index)
            if not waits[user]:
                heapq.heappush(ready, user)
    if len(order) != len(nodes):
        stuck = next(node for index, node in enumerate(nodes) if waits[index])
        raise StepError(
            "the nodes of the graph go round in a circle", where=model.where, got=stuck.name or stuck.op_type
        )
    if order == sorted(order):
        return False
    replace(graph.node, [nodes[index] for index in order])
    return True


def _uses(node: Any) -> set[str]:
    """Return the values that a node and the graphs nested in it use from around."""
    used = set(node.input) - {""}
    for graph in nested_in(node):
        inner, own = names(graph.output), names(graph.input) | names(graph.initializer)
        for nested in graph.node:
            inner |= _uses(nested)
            own.update(nested.output)
        used |= inner - own - {""}
    return used
