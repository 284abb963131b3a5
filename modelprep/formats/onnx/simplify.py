"""Put ONNX operators that a small parser lacks into ones it has, where the values stay the same by definition."""

from __future__ import annotations

from typing import Any

from modelprep.errors import StepError
from modelprep.formats.onnx.graphs import DEFAULT, claim, drop, names, names_in, nests, replace, used_in
from modelprep.formats.onnx.initializers import raw_bytes
from modelprep.formats.onnx.model import FLOAT, RAW, Model, Payload, elements

#: Bytes that turned constants may take beyond twice the model's own.
_ROOM = 16 << 20


def drop_passing(model: Model) -> list[str]:
    """Take out Identity, and Dropout as it is at inference; what used their result uses their input.

    Returns the names of the nodes taken out. Raises StepError: a Dropout whose mask is used, or that is set to train.
    """
    graph = model.graph
    if nests(graph):
        return []  # nested graphs use names from around them; leave such a model to the parser's own verdict
    outputs, given = names(graph.output), names(graph.initializer) | names(graph.input)
    made = {name for node in graph.node for name in node.output}
    used = used_in(graph)
    renamed: dict[str, str] = {}
    dropped: list[str] = []
    kept = []

    def final(name: str) -> str:
        while name in renamed:
            name = renamed[name]
        return name

    for node in graph.node:
        if node.op_type not in ("Identity", "Dropout") or node.domain not in DEFAULT or not node.input:
            kept.append(node)
            continue
        if node.op_type == "Dropout" and any(name in used for name in node.output[1:] if name):
            raise StepError("the mask of a Dropout is used, which no inference needs", where=model.where, got=node.name)
        if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
            raise StepError("a Dropout has a training_mode input", where=model.where, got=node.name or node.output[0])
        source, result = final(node.input[0]), node.output[0]
        # An output's name must stay: the node before takes it, where that node's result is used by name only here.
        stuck = result in outputs and (source not in made or source in outputs or source in given)
        if result in given or result == source or stuck:
            kept.append(node)
            continue
        renamed.update({source: result} if result in outputs else {result: source})
        dropped.append(node.name or result)
    if dropped:
        replace(graph.node, kept)
        for node in graph.node:
            for held in (node.input, node.output):
                held[:] = map(final, held)
        drop(graph.value_info, renamed)
    return dropped


def flatten_to_reshape(model: Model) -> int:
    """Make Flatten nodes with axis 1 Reshapes to [0, -1] (0 keeps the first dimension); return how many.

    Raises StepError: the model is older than opset 5, whose Reshape has no second input.
    """
    nodes = [node for node in model.graph.node if node.op_type == "Flatten" and node.domain in DEFAULT]
    nodes = [node for node in nodes if all(item.i == 1 for item in node.attribute if item.name == "axis")]
    if not nodes:
        return 0
    if model.opset() < 5:
        raise StepError("Flatten can become Reshape from opset 5 on", where=model.where, got=f"opset {model.opset()}")
    name = claim("flatten_shape", names_in(model.graph))
    model.graph.initializer.add(name=name, data_type=7, dims=[2], int64_data=[0, -1])
    for node in nodes:
        node.op_type = "Reshape"
        del node.attribute[:]
        node.input.append(name)
    return len(nodes)


def fold_transposes(model: Model) -> int:
    """Take out Transpose nodes of constant FLOAT matrices; the matrix is transposed in the file. Return how many."""
    graph = model.graph
    initializers, taken = model.initializers(), names_in(graph)
    outputs = names(graph.output)
    turned: dict[str, str] = {}
    constants = _Turned(model, taken)
    for node in graph.node:
        tensor = initializers.get(node.input[0]) if node.op_type == "Transpose" and node.domain in DEFAULT else None
        # A matrix has one way to be transposed, whether perm says so or not; nested graphs know it by its old name.
        if tensor is None or node.output[0] in outputs or any(list(item.ints) != [1, 0] for item in node.attribute):
            continue
        if name := constants.constant(tensor, transpose=True):
            turned[node.output[0]] = name
    if not turned or nests(graph):
        return 0
    replace(graph.node, [node for node in graph.node if node.output[0] not in turned])
    for node in graph.node:
        node.input[:] = [turned.get(name, name) for name in node.input]
    _drop_unused(model)
    return len(turned)


def gemm_to_matmul(model: Model) -> int:
    """Make Gemm nodes with constant weights a MatMul and an Add; return how many.

    Weights that Gemm would transpose are transposed in the file, and what it scales (alpha, beta) is scaled there. The
    sum is rounded once more than in a fused Gemm, so results may differ in the last bits.
    """
    graph = model.graph
    if nests(graph):
        return 0  # nested graphs use weights from around them
    initializers, taken = model.initializers(), names_in(graph)
    constants = _Turned(model, taken)
    nodes = []
    count = 0
    for node in graph.node:
        weights = initializers.get(node.input[1]) if node.op_type == "Gemm" and len(node.input) > 1 else None
        bias = initializers.get(node.input[2]) if len(node.input) > 2 else None
        # The parser fuses only a bias of one value an output, [X] or [1, X].
        fits = bias is None or (all(dim == 1 for dim in bias.dims[:-1]) and len(bias.dims) > 0)
        given = {item.name: item.f if item.name in ("alpha", "beta") else item.i for item in node.attribute}
        plain = node.domain in DEFAULT and not given.get("transA", 0)
        name = offset = ""
        if weights is not None and plain and fits and not (len(node.input) > 2 and node.input[2] and not bias):
            name = constants.constant(weights, float(given.get("alpha", 1.0)), transpose=bool(given.get("transB", 0)))
            offset = constants.constant(bias, float(given.get("beta", 1.0))) if bias is not None else ""
        if not name or (bias is not None and not offset):
            nodes.append(node)
            continue
        product = type(node)(op_type="MatMul", name=node.name, input=[node.input[0], name], output=[node.output[0]])
        nodes.append(product)
        if bias is not None:
            product.output[0] = claim(f"{node.output[0]}__product", taken)
            summed, ends = f"{node.name}__bias" if node.name else "", [product.output[0], offset]
            nodes.append(type(node)(op_type="Add", name=summed, input=ends, output=[node.output[0]]))
        count += 1
    if count:
        replace(graph.node, nodes)
        _drop_unused(model)
    return count


class _Turned:
    """Makes constants scaled and transposed, each once, as long as they do not outgrow the model by far."""

    def __init__(self, model: Model, taken: set[str]) -> None:
        self._model, self._taken = model, taken
        self._made: dict[tuple[str, float, bool], str] = {}
        self._left = 2 * model.size + _ROOM

    def constant(self, tensor: Any, factor: float = 1.0, *, transpose: bool = False) -> str:
        """Return the name of a FLOAT constant that is scaled and transposed so; empty if there is no such constant."""
        if not transpose and factor == 1.0:
            return str(tensor.name)
        key = (str(tensor.name), factor, transpose)
        if key not in self._made:
            self._made[key] = self._make(tensor, factor, transpose=transpose)
        return self._made[key]

    def _make(self, tensor: Any, factor: float, *, transpose: bool) -> str:
        from array import array

        dims = [int(dim) for dim in tensor.dims]
        data = raw_bytes(self._model, tensor) if tensor.data_type == FLOAT and self._left > 0 else None
        if data is None or (transpose and len(dims) != 2) or any(dim < 1 for dim in dims):
            return ""
        self._left -= len(data)
        if len(data) != 4 * elements(tensor):
            raise StepError(f"the data of '{tensor.name}' do not fit its dimensions", where=self._model.where)
        numbers = array("I", data)
        if transpose:  # elements are moved as four bytes each, whatever they mean
            rows, columns = dims
            source, numbers, dims = numbers, array("I", bytes(4)) * len(numbers), [columns, rows]
            for row in range(rows):
                numbers[row::rows] = source[columns * row : columns * (row + 1)]
        if factor != 1.0:
            numbers = array("I", array("f", [value * factor for value in array("f", numbers.tobytes())]).tobytes())
        name = claim(f"{tensor.name}__{'transposed' if transpose else 'scaled'}", self._taken)
        self._model.graph.initializer.add(name=name, data_type=FLOAT, dims=dims)
        self._model.payloads[name] = Payload(RAW, [memoryview(numbers).cast("B")])
        return name


def _drop_unused(model: Model) -> None:
    """Take out initializers that nothing uses any more, and their entries among the inputs."""
    graph = model.graph
    gone = names(graph.initializer) - used_in(graph)
    for held in (graph.initializer, graph.input, graph.value_info):
        drop(held, gone)
    for name in gone:
        model.payloads.pop(name, None)
