"""What Arm NN's ONNX parser accepts, version by version, and what it would say of a model.

Source: ARM-software/armnn ``src/armnnOnnxParser/OnnxParser.cpp`` and ``OnnxSupport.md`` at v19.02 (commit
120196d394eb5af4b28f78396d1a225ca47cf274), and the changes of 19.05 and 19.11. Rule names (ON01 ...) are those of
``docs/onnx.md``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from modelprep.structs import dataclass

_OPS_19_02 = frozenset({
    "BatchNormalization", "GlobalAveragePool", "AveragePool", "Constant", "MaxPool", "Reshape", "Relu", "Conv", "Add",
    "MatMul",
})  # fmt: skip
FLOAT, INT32, INT64 = 1, 6, 7
#: Dimensions that are compared, from the last one on: the parser takes no more than four.
_MOST = 8


@dataclass(frozen=True)
class Parser:
    """One version of the parser: the operators it has, and whether it reads ``raw_data``."""

    version: str
    ops: frozenset[str]
    raw_data: bool


#: Version -> parser. Only those whose differences are known.
PARSERS: Mapping[str, Parser] = {
    "19.02": Parser("19.02", _OPS_19_02, raw_data=False),
    "19.05": Parser("19.05", _OPS_19_02, raw_data=True),
    "19.08": Parser("19.08", _OPS_19_02, raw_data=True),
    "19.11": Parser("19.11", _OPS_19_02 | {"Sigmoid", "Tanh", "LeakyRelu"}, raw_data=True),
}
#: Names a recipe's ``target:`` may have.
TARGETS = tuple(f"armnn-{version}" for version in PARSERS)


#: Attributes that the parser reads, with the AttributeProto.type that it asks for.
_ATTRIBUTES = {
    "auto_pad": (3, "a STRING"), "epsilon": (1, "a FLOAT"), "group": (2, "an INT"),
    **dict.fromkeys(("dilations", "kernel_shape", "pads", "strides"), (7, "INTS")),
}  # fmt: skip


#: Operator -> fewest and most inputs, and the rule for another number.
_INPUTS = {
    "Conv": (2, 3, "ON11"), "Reshape": (2, 2, "ON08"), "Add": (2, 2, "ON15"), "MatMul": (2, 2, "ON16"),
    "BatchNormalization": (5, 5, "ON14"),
}  # fmt: skip


def parser_of(version: str) -> Parser:
    """Return the newest parser known that is no newer than a version of Arm NN."""
    fitting = [name for name in PARSERS if name <= version]
    return PARSERS[max(fitting, default="19.02")]


@dataclass(frozen=True)
class Problem:
    """One thing the parser refuses or gets wrong.

    `effect`: ``reject`` (it throws), ``crash``, ``wrong`` (it runs, and the result is not what the model means).
    """

    rule: str
    where: str
    text: str
    effect: str = "reject"

    def __str__(self) -> str:
        return f"{self.rule} {self.where}: {self.text}"


def problems(proto: Any, parser: Parser, raw: frozenset[str] = frozenset()) -> list[Problem]:
    """Say what a parser would refuse or misread.

    `raw`: names of initializers whose data are in ``raw_data`` but were left out of `proto`.
    """
    graph = proto.graph
    found = [*_values(graph), *_constants(graph, parser, raw)]
    constants = {tensor.name for tensor in graph.initializer}
    made = {value.name for value in graph.input} | constants
    dims = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    types = {tensor.name: int(tensor.data_type) for tensor in graph.initializer}
    shaped = {value.name for value in (*graph.output, *graph.value_info)}
    for value in (*graph.input, *graph.output, *graph.value_info):
        types.setdefault(value.name, int(value.type.tensor_type.elem_type))
        sizes = [int(dim.dim_value) for dim in value.type.tensor_type.shape.dim]
        dims.setdefault(value.name, sizes)
    for index, node in enumerate(graph.node):
        name = f"{node.op_type} {node.name or (node.output[0] if node.output else index)}"
        if node.op_type not in parser.ops:
            found.append(Problem("ON01", name, "the parser has no such operator"))
            made.update(node.output)  # what takes them is not at fault
            continue
        found += [
            Problem("ON01", name, f"it comes before the node that makes '{source}'")
            for source in node.input
            if source and source not in made
        ]
        # A Reshape of a constant is one too: the parser does it while it reads.
        if node.op_type == "Constant" or (node.op_type == "Reshape" and constants.issuperset(node.input)):
            constants.update(node.output)
        made.update(node.output)
        found += [
            Problem(rule, name, text, effect) for rule, text, effect in _node(node, constants, dims, types, shaped)
        ]
    return found


def _values(graph: Any) -> Iterator[Problem]:
    if not graph.output:
        yield Problem("ON17", "graph", "it has no outputs")
    for kind, values in (("input", graph.input), ("output", graph.output), ("value_info", graph.value_info)):
        for value in values:
            where = f"{kind} {value.name}"
            tensor = value.type.tensor_type
            if tensor.elem_type not in (FLOAT, INT32, INT64):
                yield Problem("ON04", where, "its elements are not FLOAT, INT32 or INT64")
            dims = tensor.shape.dim
            if kind != "value_info" and not 1 <= len(dims) <= 4:
                yield Problem("C1", where, f"it has {len(dims)} dimensions, not 1 to 4")
            if any(not dim.HasField("dim_value") or dim.dim_value <= 0 for dim in dims):
                said = "x".join(
                    dim.dim_param or (str(dim.dim_value) if dim.HasField("dim_value") else "?") for dim in dims
                )
                yield Problem("ON05", where, f"not all its dimensions are numbers ({said})", "wrong")


def _constants(graph: Any, parser: Parser, raw: frozenset[str]) -> Iterator[Problem]:
    shaped = {value.name for value in (*graph.input, *graph.output, *graph.value_info)}
    for tensor in graph.initializer:
        where = f"initialiser {tensor.name}"
        if tensor.name not in shaped:
            yield Problem("ON03", where, "it is not among the graph's inputs, where its shape is looked for", "crash")
        if tensor.data_type not in (FLOAT, INT32, INT64):
            yield Problem("ON04", where, "its elements are not FLOAT, INT32 or INT64")
        if not parser.raw_data and (tensor.HasField("raw_data") or tensor.name in raw):
            rule = "ON02" if tensor.data_type == FLOAT else "ON09"
            yield Problem(rule, where, "its data are in raw_data, which is not read")


def _node(
    node: Any, constants: set[str], dims: Mapping[str, list[int]], types: Mapping[str, int], shaped: Collection[str]
) -> Iterator[tuple[str, str, str]]:
    op, inputs = node.op_type, list(node.input)
    given = {attribute.name: attribute for attribute in node.attribute}
    if op == "Constant":
        tensor = given["value"].t if "value" in given else None
        if len(node.attribute) != 1 or tensor is None or tensor.data_type != FLOAT:
            yield "ON07", "it is not exactly one FLOAT tensor", "reject"
        elif tensor.HasField("raw_data"):
            yield "ON02", "its data are in raw_data, which is not read", "reject"
        return
    for attribute in node.attribute:
        if attribute.name in _ATTRIBUTES and attribute.type not in (0, _ATTRIBUTES[attribute.name][0]):
            yield "ON19", f"'{attribute.name}' is not {_ATTRIBUTES[attribute.name][1]}", "reject"
    computing = inputs[:1] if op == "Reshape" else inputs
    for name in computing:
        if types.get(name, FLOAT) != FLOAT:
            yield "ON06", f"its input '{name}' is not FLOAT", "reject"
    low, high, rule = _INPUTS.get(op, (1, 1, "ON13"))
    if not low <= len(inputs) <= high:
        yield rule, f"it has {len(inputs)} inputs", "reject"
        return
    if op == "Reshape":
        yield from _reshape(inputs, node.output[0] if node.output else "", constants, types, shaped)
    elif op == "Conv":
        yield from _conv(inputs, given, constants, dims)
    elif op in ("MaxPool", "AveragePool"):
        yield from _pool(node, given)
    elif op == "BatchNormalization":
        if len(node.output) != 1:
            yield "ON14", f"it has {len(node.output)} outputs", "reject"
        if any(name not in constants for name in inputs[1:]):
            yield "ON14", "its scale, bias, mean and variance are not all constant", "reject"
    elif op == "Add" and ("broadcast" in given or "axis" in given):
        yield "ON15", "it broadcasts by the attributes of opset 6, which are ignored", "wrong"
    elif op == "Add" and not _broadcasts(*(dims.get(name, []) for name in inputs)):
        yield "ON15", f"operands of {_said(dims[inputs[0]])} and {_said(dims[inputs[1]])}", "reject"
    elif op == "MatMul" and not any(name in constants for name in inputs):
        yield "ON16", "neither operand is constant", "reject"


def _broadcasts(one: list[int], two: list[int]) -> bool:
    """Whether dimensions agree or are 1, counted from the last; 0 is one that is not known."""
    ends = zip(one[: -_MOST - 1 : -1], two[: -_MOST - 1 : -1], strict=False)
    return all(a == b or 1 in (a, b) or 0 in (a, b) for a, b in ends)


def _said(dims: list[int]) -> str:
    return str(dims) if len(dims) <= _MOST else f"{len(dims)} dimensions"


def _reshape(
    inputs: list[str], output: str, constants: set[str], types: Mapping[str, int], shaped: Collection[str]
) -> Iterator[tuple[str, str, str]]:
    if inputs[1] not in constants:
        yield "ON08", "its shape is not constant", "reject"
    elif types.get(inputs[1], INT64) != INT64:
        yield "ON08", "its shape is not INT64", "reject"
    if inputs[0] in constants and output not in shaped:
        yield "ON10", "it reshapes a constant, and value_info does not say to what shape", "crash"


def _conv(
    inputs: list[str], given: Mapping[str, Any], constants: set[str], dims: Mapping[str, list[int]]
) -> Iterator[tuple[str, str, str]]:
    if any(name not in constants for name in inputs[1:]):
        yield "ON11", "its weights or bias are not constant", "reject"
    weights = dims.get(inputs[1], [0, 0, 0, 0])
    if len(weights) != 4:
        yield "ON11", f"its weights have {len(weights)} dimensions, not 4", "reject"
        return
    if "dilations" in given and any(value != 1 for value in given["dilations"].ints):
        yield "ON11", f"it is dilated ({list(given['dilations'].ints)})", "reject"
    group = int(given["group"].i) if "group" in given else 1
    # Weights are [outputs, inputs / group, height, width]; a depthwise convolution has one input channel a group.
    if group != 1 and weights[1] not in (0, 1):
        yield "ON11", f"it has {group} groups of {weights[1]} channels: neither one group nor depthwise", "reject"
    elif group != 1 and weights[0] not in (0, group):
        yield "ON12", f"its depth multiplier is {weights[0] // group if group else 0}, taken as 1", "wrong"


def _pool(node: Any, given: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    if len(node.output) != 1:
        yield "ON13", "it gives indices too", "reject"
    if "kernel_shape" not in given:
        yield "ON13", "kernel_shape is missing", "reject"
    if "ceil_mode" in given and given["ceil_mode"].i:
        yield "ON13", "ceil_mode is ignored: it rounds down", "wrong"
    if "dilations" in given and any(value != 1 for value in given["dilations"].ints):
        yield "ON13", "dilations are ignored", "wrong"
