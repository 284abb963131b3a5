"""Sizes that a model computes from sizes become constants, once its inputs have numbers for dimensions.

``x.view(x.size(0), -1)`` of PyTorch is Shape, Gather, Unsqueeze, Concat and Reshape: old parsers have none but the
last. onnxsim folds them (extra ``onnx``), without its optimizer: nothing is fused. Large weights are kept from it,
and the names of what is kept stay as they are, so that the bytes do not depend on how it counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelprep.errors import MissingTool
from modelprep.formats.native import hushed
from modelprep.formats.onnx.graphs import drop, graphs_of, names, replace
from modelprep.formats.onnx.initializers import add_input
from modelprep.formats.onnx.model import Model, guarded, messages, refusal
from modelprep.formats.onnx.opset import infer
from modelprep.installed import install_command

#: Operators that are there to compute a size, a shape or a constant; a graph without them has nothing to fold.
_SIZES = frozenset({"Shape", "Size", "ConstantOfShape", "Range", "EyeLike", "NonZero"})


def foldable(model: Model) -> bool:
    """Whether a model computes sizes, and everything that is fed has numbers for its dimensions."""
    static = all(v.type.HasField("tensor_type") and not open_dimensions(v) for v in model.inputs())
    constants = set(model.initializers())
    for node in model.graph.node:
        if node.op_type == "Constant" or (node.input and constants.issuperset(filter(None, node.input))):
            if node.op_type not in ("Constant", "Reshape"):
                return static
            constants.update(node.output)
    return static and any(node.op_type in _SIZES for node in model.graph.node)


def fold(model: Model) -> int:
    """Fold what can be folded, in place; return how many nodes went (extra ``onnx``).

    Raises StepError: onnxsim does not take the model.
    """
    try:
        import onnx
        import onnxsim
    except ImportError as error:
        raise MissingTool(
            "folding the sizes that this model computes needs onnxsim", where=model.where, hint=install_command("onnx")
        ) from error
    weights = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name in model.payloads}
    shell = type(model.proto)()
    shell.CopyFrom(model.proto)
    replace(shell.graph.initializer, [t for t in shell.graph.initializer if t.name not in weights])
    listed = names(model.graph.input)
    for name, tensor in weights.items():
        if name not in listed:
            add_input(shell.graph, tensor)
    # It prints the traceback of each operator that it cannot run, and continues.
    with hushed(), refusal("onnxsim cannot fold the sizes of this model", model.where):
        made, _ = onnxsim.simplify(
            onnx.load_model_from_string(shell.SerializeToString()), check_n=0, perform_optimization=False
        )
    with guarded(model.where):
        graph = messages("ModelProto").FromString(made.SerializeToString()).graph
    if len(graph.node) >= len(model.graph.node):
        return 0
    _restore_names(model.graph, graph)
    gone = len(model.graph.node) - len(graph.node)
    small = [tensor for tensor in graph.initializer if tensor.name not in weights]
    replace(model.graph.node, graph.node)
    used = {name for one in graphs_of(model.graph) for node in one.node for name in node.input}
    used |= names(model.graph.output)
    kept = [tensor for tensor in model.graph.initializer if tensor.name in weights and tensor.name in used]
    order = {tensor.name: index for index, tensor in enumerate(model.graph.initializer)}
    together = sorted((*kept, *small), key=lambda tensor: order.get(tensor.name, len(order)))
    dropped = names(model.graph.initializer) - names(together)
    replace(model.graph.initializer, together)
    drop(model.graph.input, dropped)
    known = used | {name for node in model.graph.node for name in node.output}
    drop(model.graph.value_info, names(model.graph.value_info) - known)
    for name in dropped:
        model.payloads.pop(name, None)
    return gone


def settle_outputs(model: Model) -> list[str]:
    """Write the numbers that follow for open dimensions of outputs; return the outputs' names (extra ``onnx``)."""
    if not any(map(open_dimensions, model.graph.output)):
        return []
    found = {value.name: value for value in infer(model).graph.output}
    done = []
    for value in model.graph.output:
        own, new = value.type.tensor_type, found[value.name].type.tensor_type
        if not open_dimensions(value) or not new.HasField("shape"):
            continue
        if not own.HasField("shape"):
            own.shape.SetInParent()
        if len(own.shape.dim) != len(new.shape.dim):
            del own.shape.dim[:]
            for _ in new.shape.dim:
                own.shape.dim.add()
        before = own.SerializeToString(deterministic=True)
        for mine, theirs in zip(own.shape.dim, new.shape.dim, strict=True):
            if theirs.HasField("dim_value"):
                mine.dim_value = theirs.dim_value
        own.elem_type = own.elem_type or new.elem_type
        if own.SerializeToString(deterministic=True) != before:
            done.append(value.name)
    return done


def open_dimensions(value: Any) -> bool:
    """Whether an output's shape is left out, or has a dimension without a number."""
    tensor = value.type.tensor_type
    return value.type.WhichOneof("value") in (None, "tensor_type") and (
        not tensor.HasField("shape")
        or any(not dim.HasField("dim_value") or dim.dim_value < 1 for dim in tensor.shape.dim)
    )


def _restore_names(old: Any, new: Any) -> None:
    """Restore the nodes' names; name a folded constant as the value that it stands for."""
    before: Mapping[str, Any] = {name: node for node in old.node for name in node.output}
    known = set(before) | names(old.initializer) | names(old.input)
    taken = {name for node in new.node for name in (*node.input, *node.output)}
    restored: dict[str, str] = {}
    for node in new.node:
        own = before.get(node.output[0]) if node.output else None
        if own is None:
            continue
        node.name = own.name
        for mine, theirs in zip(node.input, own.input, strict=False):
            if mine and mine not in known and theirs not in taken and mine not in restored:
                restored[mine] = theirs
                taken.add(theirs)
    for node in new.node:
        for index, name in enumerate(node.input):
            node.input[index] = restored.get(name, name)
    for tensor in new.initializer:
        tensor.name = restored.get(tensor.name, tensor.name)
