"""Make the dimensions of an ONNX model numbers: the batch of its inputs, and symbols by name.

A board's parser wants static shapes. What follows from an input's first dimension is changed with it: the same symbol
wherever it stands, outputs that began with the old batch, and constant shapes of Reshape nodes that spell the old batch
out. Shapes of values in between (value_info) are stale then and are dropped; every runtime infers them again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from modelprep.errors import StepError, nearest
from modelprep.formats.onnx.model import Model


def set_dimensions(model: Model, batch: int | None, dims: Mapping[str, int]) -> list[str]:
    """Make dimensions numbers, in place.

    Parameters
    ----------
    model
        The model.
    batch
        First dimension of every input that is fed, or None to leave it.
    dims
        Symbol -> number.

    Returns
    -------
    list of str
        What was changed, one line each; empty when the model was so already.

    Raises
    ------
    StepError
        A symbol is not there, a number is not positive, an input has no shape.
    """
    for name, number in (*dims.items(), *((("batch", batch),) if batch is not None else ())):
        if number < 1:
            raise StepError(f"the dimension '{name}' must be at least 1", got=str(number))
    known = _symbols(model)
    for name in dims:
        if name not in known:
            raise StepError(
                f"the model has no dimension called '{name}'", where=model.where,
                expected=", ".join(sorted(known)) or "no symbolic dimension at all",
                hint=nearest(name, sorted(known)) or None,
            )  # fmt: skip
    symbols = dict(dims)
    changed: list[str] = []
    old = _set_batch(model, batch, symbols, changed) if batch is not None else set()
    for kind, values in (("input", model.graph.input), ("output", model.graph.output)):
        for value in values:
            for index, dim in enumerate(value.type.tensor_type.shape.dim):
                if dim.dim_param and dim.dim_param in symbols:
                    changed.append(f"{kind} {value.name}: {dim.dim_param} is {symbols[dim.dim_param]}")
                    dim.dim_value = symbols[dim.dim_param]
                elif kind == "output" and index == 0 and batch is not None and _number(dim) in old:
                    changed.append(f"output {value.name}: first dimension {_said(dim)} is {batch}")
                    dim.dim_value = batch
    numbers = {number for number in old if number is not None and number != batch}
    if batch is not None and numbers:
        changed += _reshapes(model, numbers, batch)
    if changed:
        # Shapes of what is made of constants alone hold still, and Arm NN 19.02 cannot do without them (rule ON10).
        drop_value_info(model, reachable(model))
    return changed


def drop_value_info(model: Model, names: Collection[str]) -> int:
    """Take the shapes of some values in between out; give how many were there."""
    stale = [index for index, value in enumerate(model.graph.value_info) if value.name in names]
    for index in reversed(stale):
        del model.graph.value_info[index]
    return len(stale)


def unsettled(model: Model) -> set[str]:
    """Give the values in between whose shape is not all numbers."""
    return {
        value.name
        for value in model.graph.value_info
        if any(_number(dim) is None for dim in value.type.tensor_type.shape.dim)
    }


def reachable(model: Model) -> set[str]:
    """Give the values that depend on an input that is fed, the inputs among them."""
    fed = {value.name for value in model.inputs()}
    # Nodes may lie in any order; this settles in as many rounds as the order is off, one when it is right.
    growing = True
    while growing:
        growing = False
        for node in model.graph.node:
            if any(name in fed for name in _uses(node)) and not fed.issuperset(node.output):
                fed.update(node.output)
                growing = True
    return fed


def _symbols(model: Model) -> set[str]:
    values = (*model.graph.input, *model.graph.output)
    return {dim.dim_param for value in values for dim in value.type.tensor_type.shape.dim if dim.dim_param}


def _number(dim: Any) -> int | None:
    """Give a dimension's number, or None where it has none (old exporters write 0 or -1 for that)."""
    return int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value > 0 else None


def _said(dim: Any) -> str:
    return dim.dim_param or str(_number(dim) or "unknown")


def _set_batch(model: Model, batch: int, symbols: dict[str, int], changed: list[str]) -> set[int | None]:
    """Set the inputs' first dimension; give what it was where it was a number (or None, unknown)."""
    old: set[int | None] = set()
    fed = model.inputs()
    if not fed:
        raise StepError("the model has no input whose batch could be set", where=model.where)
    for value in fed:
        tensor = value.type.tensor_type
        if not value.type.HasField("tensor_type") or not tensor.HasField("shape") or not tensor.shape.dim:
            raise StepError(
                f"the input '{value.name}' has no dimensions in the file, so its batch cannot be set", where=model.where
            )
        first = tensor.shape.dim[0]
        if first.dim_param:
            if symbols.setdefault(first.dim_param, batch) != batch:
                raise StepError(
                    f"'{first.dim_param}' is the batch of '{value.name}' and is to be two numbers", where=model.where,
                    got=f"batch {batch}, dims {symbols[first.dim_param]}",
                )  # fmt: skip
        elif _number(first) != batch:
            old.add(_number(first))
            changed.append(f"input {value.name}: first dimension {_said(first)} is {batch}")
            first.dim_value = batch
    return old


def _reshapes(model: Model, old: set[int], batch: int) -> list[str]:
    """Write the new batch into constant shapes of Reshape nodes that work on what comes from the inputs."""
    graph = model.graph
    fed = reachable(model)
    initialisers = model.initialisers()
    constants = {
        node.output[0]: attribute.t
        for node in graph.node if node.op_type == "Constant" and node.output
        for attribute in node.attribute if attribute.name == "value" and attribute.HasField("t")
    }  # fmt: skip
    users: dict[str, list[bool]] = {}
    shapes: dict[str, str] = {}
    changed: list[str] = []
    for node in graph.node:
        works = node.op_type == "Reshape" and len(node.input) > 1 and node.input[0] in fed
        for index, name in enumerate(node.input):
            users.setdefault(name, []).append(works and index == 1)
        if works:
            shapes.setdefault(node.input[1], node.name or node.output[0])
        for attribute in node.attribute if node.op_type == "Reshape" and node.input and node.input[0] in fed else ():
            # Before opset 5 the shape was an attribute.
            if attribute.name == "shape" and attribute.ints and attribute.ints[0] in old:
                attribute.ints[0] = batch
                changed.append(f"Reshape {node.name or node.output[0]}: batch is {batch}")
    for name, node_name in shapes.items():
        tensor = initialisers.get(name, constants.get(name))
        if tensor is None or name in model.payloads:
            continue
        values = model.integers(tensor)
        if not values or values[0] not in old:
            continue
        if not all(users[name]):
            raise StepError(
                f"the shape '{name}' spells out the old batch and is used by other nodes too", where=model.where,
                hint="export the model with a batch of its own, or with a symbolic batch",
            )  # fmt: skip
        values[0] = batch
        del tensor.int64_data[:], tensor.int32_data[:]
        tensor.ClearField("raw_data")
        tensor.int64_data.extend(values)
        changed.append(f"Reshape {node_name}: batch is {batch}")
    return changed


def sort_nodes(model: Model) -> bool:
    """Put nodes into an order in which each comes after what it uses, keeping theirs where it is right already.

    Returns
    -------
    bool
        Whether the order changed.

    Raises
    ------
    StepError
        The nodes go round in a circle, or a node uses a value that nothing makes.
    """
    import heapq

    graph = model.graph
    nodes = list(graph.node)
    made = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    known = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    known |= {tensor.values.name for tensor in graph.sparse_initializer}
    waits: list[set[int]] = []
    users: list[list[int]] = [[] for _ in nodes]
    for index, node in enumerate(nodes):
        needs = set()
        for name in _uses(node):
            if name in made and name not in known:
                needs.add(made[name])
            elif name not in known:
                raise StepError(
                    f"node '{node.name or node.op_type}' uses a value that nothing makes", where=model.where, got=name
                )
        for need in needs:
            users[need].append(index)
        waits.append(needs)
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
    sorted_nodes = [type(node).FromString(node.SerializeToString()) for node in (nodes[index] for index in order)]
    del graph.node[:]
    graph.node.extend(sorted_nodes)
    return True


def _uses(node: Any, depth: int = 0) -> set[str]:
    """Give the values a node uses, those that its nested graphs take from around them too."""
    used = {name for name in node.input if name}
    for attribute in node.attribute:
        for graph in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
            inner: set[str] = {output.name for output in graph.output}
            own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
            for nested in graph.node:
                inner |= _uses(nested, depth + 1)
                own.update(nested.output)
            used |= {name for name in inner if name} - own
    return used
