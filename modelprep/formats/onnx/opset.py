"""Another opset for an ONNX model, operator by operator: what changed, and what makes a node right on the other side.

``opset_changes.tsv`` names every change from opset 8 to 25 with the rules that carry a node across, each way
(:mod:`~modelprep.formats.onnx.opset_rules`). onnx's own converter is used for opsets before 7 only: it refuses most
ways down, and some that it takes yield other numbers (Softmax along an axis that is not the last) or an invalid file
(AveragePool with dilations, GroupNormalization). What no rule carries is refused with the node's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelprep.errors import MissingTool, StepError
from modelprep.formats.onnx import opset_rules
from modelprep.formats.onnx.graphs import DEFAULT, drop, graphs_of, names, names_in, nested_in, replace, used_in
from modelprep.formats.onnx.initializers import constant_value
from modelprep.formats.onnx.model import Model, guarded, messages, refusal
from modelprep.formats.onnx.opset_site import Facts, Site, Unconvertible, changes
from modelprep.formats.onnx.order import refuse_growing
from modelprep.installed import install_command

#: The opsets that the table reaches.
OLDEST, NEWEST = 7, 25
#: Opset -> the IR version that came with it (onnx's versioning document).
_IR = {7: 3, 8: 3, 9: 4, 10: 5, 11: 6, 12: 7, 15: 8, 19: 9, 21: 10, 23: 11, 24: 12, 25: 13}


def convert(model: Model, opset: int) -> list[str]:
    """Carry a model to another opset, in place.

    Returns what was done; empty if the model has that opset already. Raises StepError: a node of the model cannot be
    carried, or the opset is outside the table.
    """
    source = model.opset()
    if source == opset:
        return []
    for what, number in (("requested opset", opset), ("model's opset", source)):
        if not OLDEST <= number <= NEWEST:
            raise StepError(
                f"opset {number} is out of reach", where=model.where, expected=f"{OLDEST} to {NEWEST}",
                got=f"the {what}", hint="modelprep onnx fix MODEL -o FILE --opset 7" if number < OLDEST else None,
            )  # fmt: skip
    if model.proto.functions:
        raise StepError("a model with local functions keeps its opset", where=model.where, got=f"opset {source}")
    facts, was_wrong = _facts(model), _disagreement(model)
    steps = range(source + 1, opset + 1) if source < opset else range(source, opset, -1)
    touched: dict[str, int] = {}
    for step in steps:
        _carry(model, model.graph, step, opset > source, facts, touched)
    for item in model.proto.opset_import:
        if item.domain in DEFAULT:
            item.version = opset
    _drop_unused(model, facts.constants)
    _settle_ir(model, opset, up=opset > source)
    wrong = _disagreement(model)
    if wrong and not was_wrong:
        raise StepError(
            f"opset {opset} does not take this model", where=model.where, got=wrong,
            expected="operators and types that it has",
        )  # fmt: skip
    rewritten = ", ".join(f"{count} {operator}" for operator, count in sorted(touched.items()))
    return [f"opset {source} made {opset}" + (f" ({rewritten} rewritten)" if rewritten else "")]


def infer(model: Model, refused: str = "the shapes of the model contradict each other", **how: bool) -> Any:
    """Return the model's message with shapes inferred where they can be, large weights left out (extra ``onnx``).

    `refused`: what the error says; `how`: further arguments of onnx's inference. Raises StepError: it finds a
    contradiction, or a value has too many dimensions.
    """
    try:
        import onnx
        from onnx import shape_inference
    except ImportError as error:
        raise MissingTool(
            "inferring the shapes of this model needs onnx", where=model.where, hint=install_command("onnx")
        ) from error
    refuse_growing(model)
    with refusal(refused, model.where):
        loaded = onnx.load_model_from_string(model.proto.SerializeToString())
        return shape_inference.infer_shapes(loaded, **{"data_prop": True, **how})


def _disagreement(model: Model) -> str:
    """Return the objection of strict inference, types included, to a model; empty if it has none."""
    try:
        infer(model, check_type=True, strict_mode=True, data_prop=False)
    except StepError as error:
        return (error.got or "").removeprefix("[ShapeInferenceError] ")
    return ""


def _facts(model: Model) -> Facts:
    facts = Facts()
    for graph in graphs_of(infer(model).graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            tensor = value.type.tensor_type
            if value.type.HasField("tensor_type"):
                facts.types.setdefault(value.name, tensor.elem_type)
                if tensor.HasField("shape"):
                    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
                    facts.shapes.setdefault(value.name, sizes)
    for graph in graphs_of(model.graph):
        facts.taken |= names_in(graph)
        for tensor in graph.initializer:
            facts.add(tensor.name, tensor)
        for node in graph.node:
            if node.domain not in DEFAULT:
                continue
            if node.op_type in ("Flatten", "Gemm"):  # of two dimensions, whatever they are
                facts.shapes.setdefault(node.output[0], [None, None])
            if node.op_type == "Constant" and (tensor := constant_value(node)) is not None:
                facts.add(node.output[0], tensor)
    return facts


def _carry(model: Model, graph: Any, step: int, up: bool, facts: Facts, touched: dict[str, int]) -> None:
    """Carry every node of a graph, and of those nested in it, across one opset."""
    made: list[Any] = []
    moved = False
    for node in graph.node:
        for nested in nested_in(node):
            _carry(model, nested, step, up, facts, touched)
        change = changes().get((node.op_type, step)) if node.domain in DEFAULT else None
        if change is None or not (rules := change.up if up else change.down):
            made.append(node)
            continue
        site = Site(model, node, change, facts)
        before = node.SerializeToString(deterministic=True)
        try:
            nodes = opset_rules.apply(site, rules)
        except Unconvertible as error:
            way = f"from opset {step - 1} to {step}" if up else f"from opset {step} to {step - 1}"
            raise StepError(
                f"{change.operator} '{node.name or node.output[0]}' cannot be carried {way}", where=model.where,
                got=str(error), expected=f"{change.operator} of opset {step}: {change.what}",
                hint=f"--opset {step - 1 if up else step} is the nearest that it can have",
            ) from error  # fmt: skip
        if len(nodes) > 1 or node.SerializeToString(deterministic=True) != before:
            touched[change.operator] = touched.get(change.operator, 0) + 1
        made += nodes
        moved = moved or nodes != [node]
    if moved:
        replace(graph.node, made)


def _drop_unused(model: Model, before: Mapping[str, Any]) -> None:
    """Take out constants that nothing uses any more since their values went into attributes."""
    unused = set(before).difference(names(model.graph.input), *map(used_in, graphs_of(model.graph)))
    for graph in graphs_of(model.graph):
        drop(graph.initializer, unused)
        for index, node in reversed(list(enumerate(graph.node))):
            if node.op_type == "Constant" and node.output[0] in unused:
                del graph.node[index]
    for name in unused:
        model.payloads.pop(name, None)


def _settle_ir(model: Model, opset: int, *, up: bool) -> None:
    """Set the IR version that goes with the model's opset, where it holds nothing younger."""
    own = max(version for since, version in _IR.items() if since <= opset)
    proto = model.proto
    proto.ir_version = max(int(proto.ir_version), own) if up else max(min(int(proto.ir_version), own), needed_ir(model))


def _younger(model: Model) -> list[tuple[int, str]]:
    """List what a model holds that came with an IR version: that version, and what it is."""
    proto = model.proto
    listed = names(proto.graph.input)
    types = {tensor.data_type for tensor in proto.graph.initializer}
    found = [
        (4, "initializers that are not inputs", any(t.name not in listed for t in proto.graph.initializer)),
        (4, "bfloat16 weights", 16 in types),
        (5, "sparse initializers", bool(proto.graph.sparse_initializer)),
        (7, "training information", bool(proto.training_info)),
        (8, "local functions", bool(proto.functions)),
        (9, "8-bit floating-point weights", bool(types & set(range(17, 21)))),
        (10, "4-bit weights", bool(types & {21, 22})),
        (11, "4-bit floating-point weights", 23 in types),
    ]
    return [(since, what) for since, what, there in found if there]


def needed_ir(model: Model) -> int:
    """Return the oldest IR version that has all that a model holds."""
    return max((since for since, _ in _younger(model)), default=3)


def set_ir_version(model: Model, version: int) -> None:
    """Set the IR version, where the model holds nothing that came later.

    Raises StepError: it does, or the version does not exist.
    """
    if not 3 <= version <= 20:
        raise StepError("the IR version must be 3 or later", where=model.where, got=str(version))
    for since, what in _younger(model):
        if version < since:
            raise StepError(
                f"the model has {what}, which need IR version {since}", where=model.where, got=f"IR version {version}",
                hint="list them: --initialisers inputs" if what == "initializers that are not inputs" else None,
            )  # fmt: skip
    model.proto.ir_version = version


def from_before(model: Model, opset: int = OLDEST) -> Model:
    """Return a model of an opset before 7 as one of opset 7, through onnx's own converter (extra ``onnx``).

    Raises StepError: the converter cannot do it.
    """
    import onnx
    from onnx import version_converter

    data = b"".join(bytes(piece) for piece in model.pieces())
    with refusal(f"onnx cannot give the model opset {opset}", model.where):
        made = version_converter.convert_version(onnx.load_model_from_string(data), opset)
    with guarded(model.where):
        proto = messages("ModelProto").FromString(made.SerializeToString(deterministic=True))
    return Model(proto, {}, model.where, model.size)
