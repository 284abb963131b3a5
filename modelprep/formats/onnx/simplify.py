"""Put ONNX operators that a small parser lacks into ones it has, where the values stay the same by definition."""

from __future__ import annotations

from typing import Any

from modelprep.errors import StepError
from modelprep.formats.onnx.model import FLOAT, RAW, Model, Payload

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


def gemm_to_matmul(model: Model) -> int:
    """Make Gemm nodes with constant weights a MatMul and an Add, as long as nothing is scaled; give how many.

    Weights that Gemm is told to transpose are transposed in the file. The sum is rounded once more than in a fused
    Gemm, so results may differ in the last bits.
    """
    graph = model.graph
    if any(attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute):
        return 0  # nested graphs use weights from around them
    initialisers = model.initialisers()
    taken = {name for node in graph.node for name in (*node.input, *node.output)} | set(initialisers)
    nodes = []
    count = 0
    for node in graph.node:
        weights = initialisers.get(node.input[1]) if node.op_type == "Gemm" and len(node.input) > 1 else None
        bias = initialisers.get(node.input[2]) if len(node.input) > 2 else None
        # The parser fuses only a bias of one value an output, [X] or [1, X].
        fits = bias is None or (all(dim == 1 for dim in bias.dims[:-1]) and len(bias.dims) > 0)
        if weights is None or not _plain_gemm(node) or not fits or (len(node.input) > 2 and node.input[2] and not bias):
            nodes.append(node)
            continue
        name = node.input[1]
        if any(item.name == "transB" and item.i for item in node.attribute):
            name = _transposed(model, weights, taken)
            if not name:
                nodes.append(node)
                continue
        product = type(node)(op_type="MatMul", name=node.name, input=[node.input[0], name], output=[node.output[0]])
        nodes.append(product)
        if bias is not None:
            product.output[0] = _free(f"{node.output[0]}__product", taken)
            nodes.append(
                type(node)(
                    op_type="Add", name=f"{node.name}__bias" if node.name else "",
                    input=[product.output[0], node.input[2]], output=[node.output[0]],
                )
            )  # fmt: skip
        count += 1
    if count:
        copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(copies)
        _drop_unused(model)
    return count


def _plain_gemm(node: Any) -> bool:
    wanted = {"alpha": 1.0, "beta": 1.0, "transA": 0}
    given = {item.name: item.f if item.name in ("alpha", "beta") else item.i for item in node.attribute}
    return node.domain in _DEFAULT and all(given.get(name, value) == value for name, value in wanted.items())


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _transposed(model: Model, tensor: Any, taken: set[str]) -> str:
    """Add a FLOAT matrix's transpose as an initialiser of its own; give its name, empty where it is no such matrix."""
    from array import array

    if tensor.data_type != FLOAT or len(tensor.dims) != 2 or any(dim < 1 for dim in tensor.dims):
        return ""
    rows, columns = (int(dim) for dim in tensor.dims)
    payload = model.payloads.get(tensor.name)
    if payload is not None:
        data: bytes | memoryview = payload.pieces[0] if len(payload.pieces) == 1 else b"".join(payload.pieces)
    elif tensor.HasField("raw_data"):
        data = tensor.raw_data
    else:
        data = array("f", tensor.float_data).tobytes()
    if len(data) != 4 * rows * columns:
        raise StepError(f"the data of '{tensor.name}' do not fit its dimensions", where=model.where)
    # Elements are moved as four bytes each, whatever they mean.
    turned = array("I", bytes(4)) * (rows * columns)
    for row in range(rows):
        turned[row::rows] = array("I", bytes(data[4 * columns * row : 4 * columns * (row + 1)]))
    name = _free(f"{tensor.name}__transposed", taken)
    model.graph.initializer.add(name=name, data_type=FLOAT, dims=[columns, rows])
    model.payloads[name] = Payload(RAW, [memoryview(turned).cast("B")])
    return name


def _drop_unused(model: Model) -> None:
    """Take out initialisers that nothing uses any more, and their entries among the inputs."""
    graph = model.graph
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    gone = {tensor.name for tensor in graph.initializer if tensor.name not in used}
    for held in (graph.initializer, graph.input, graph.value_info):
        for index in reversed([i for i, item in enumerate(held) if item.name in gone]):
            del held[index]
    for name in gone:
        model.payloads.pop(name, None)
