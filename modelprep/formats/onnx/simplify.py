"""Put ONNX operators that a small parser lacks into ones it has, where the values stay the same by definition."""

from __future__ import annotations

from typing import Any

from modelprep.errors import StepError
from modelprep.formats.onnx.model import Model

_DEFAULT = ("", "ai.onnx")


def drop_passing(model: Model) -> list[str]:
    """Take out Identity, and Dropout as it is at inference; what used their result uses their input.

    Returns
    -------
    list of str
        Names of the nodes taken out.

    Raises
    ------
    StepError
        A Dropout that also gives its mask, or that is told to train.
    """
    graph = model.graph
    outputs = {value.name for value in graph.output}
    initialisers = model.initialisers()
    graph_inputs = {value.name for value in graph.input}
    made: dict[str, Any] = {name: node for node in graph.node for name in node.output}
    used = {name for node in graph.node for name in node.input} | outputs
    renamed: dict[str, str] = {}
    dropped: list[str] = []
    kept = []
    if any(attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute):
        return []  # nested graphs use names from around them; leave such a model to the parser's own verdict
    for node in graph.node:
        if node.op_type not in ("Identity", "Dropout") or node.domain not in _DEFAULT or not node.input:
            kept.append(node)
            continue
        if node.op_type == "Dropout" and any(name in used for name in node.output[1:] if name):
            raise StepError("a Dropout gives its mask, which no inference needs", where=model.where, got=node.name)
        if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
            raise StepError("a Dropout is told whether to train", where=model.where, got=node.name or node.output[0])
        source, result = renamed.get(node.input[0], node.input[0]), node.output[0]
        if result in outputs:
            # The output's name must stay: the node before takes it, where that node's result is used by name only here.
            before = made.get(source)
            if before is None or source in outputs or source in initialisers or source in graph_inputs:
                kept.append(node)
                continue
            renamed[source] = result
            renamed = {old: renamed.get(new, new) for old, new in renamed.items()}
        else:
            renamed[result] = source
        dropped.append(node.name or result)
    if dropped:
        copies = [type(node).FromString(node.SerializeToString()) for node in kept]
        for node in copies:
            for names in (node.input, node.output):
                for index in range(len(names)):
                    while names[index] in renamed:
                        names[index] = renamed[names[index]]
        stale = [index for index, value in enumerate(graph.value_info) if value.name in renamed]
        for index in reversed(stale):
            del graph.value_info[index]
        del graph.node[:]
        graph.node.extend(copies)
    return dropped


def flatten_to_reshape(model: Model) -> int:
    """Make Flatten nodes with axis 1 Reshapes to [0, -1] (0 keeps the first dimension); give how many.

    Raises
    ------
    StepError
        The model is older than opset 5, whose Reshape has no second input.
    """
    nodes = [node for node in model.graph.node if node.op_type == "Flatten" and node.domain in _DEFAULT]
    nodes = [node for node in nodes if all(item.i == 1 for item in node.attribute if item.name == "axis")]
    if not nodes:
        return 0
    if model.opset() < 5:
        raise StepError("Flatten can become Reshape from opset 5 on", where=model.where, got=f"opset {model.opset()}")
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)} | set(model.initialisers())
    name = "flatten_shape"
    while name in taken:
        name += "_"
    model.graph.initializer.add(name=name, data_type=7, dims=[2], int64_data=[0, -1])
    for node in nodes:
        node.op_type = "Reshape"
        del node.attribute[:]
        node.input.append(name)
    return len(nodes)
