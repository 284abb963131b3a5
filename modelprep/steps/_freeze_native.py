"""Freezing without TensorFlow: variables become constants that are copied from the checkpoint to the graph as bytes.

The rules are those of TensorFlow's ``freeze_graph`` (``python/framework/convert_to_constants.py``), so that the result
is the same file: a variable becomes a Const without inputs, device or colocation; ReadVariableOp becomes Identity;
ResourceGather becomes GatherV2 with a Const axis appended to the graph; pass-through nodes take the variable's type. If
TensorFlow's result would not load (a loop or an assignment that needs the variable itself) an error names the node.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from modelprep.errors import StepError, nearest
from modelprep.formats.tensorflow.attrs import attr_type, constant_attrs
from modelprep.formats.tensorflow.checkpoint.base import Checkpoint
from modelprep.formats.tensorflow.graphdef import VARIABLE_OPS, Graph, Node, input_name
from modelprep.formats.tensorflow.read import TENSORFLOW_2
from modelprep.formats.tensorflow.rewire import consumers, string_values, subgraph
from modelprep.formats.tensorflow.slices import Slice
from modelprep.formats.tensorflow.tensor import DTYPES, REF, Tensor, dtype_name, element_count

#: These pass on input 0; TensorFlow sets their type to that of the value.
_PASS = frozenset({"Enter", "Exit", "Identity", "NextIteration", "Switch", "_SwitchN"})
#: These need the variable itself (a reference), not its value, so a constant cannot replace it.
_WANT_REFERENCE = re.compile(
    r"(Assign(Add|Sub)?|Scatter(Add|Sub|Mul|Div|Min|Max|Update|NdAdd|NdSub|NdUpdate|NdMax|NdMin)"
    r"|Ref(Switch|Merge|Enter|Exit|Identity|NextIteration|Select)|CountUpTo|IsVariableInitialized"
    r"|(Sparse)?Apply\w+|StridedSliceAssign)"
)
#: Operations that change a variable, as only training does.
_TRAINS = re.compile(r"Assign(Add|Sub)?(VariableOp)?|(Resource)?Scatter\w+|(Resource)?(Sparse)?Apply\w+|CountUpTo")
#: Protobuf cannot parse a message of 2 GiB or more.
MAX_BYTES = (1 << 31) - 1


@dataclass(frozen=True)
class Source:
    """Source of a variable's value: a tensor of the checkpoint, or one part of it."""

    key: str
    part: Slice | None = None


@dataclass
class FreezePlan:
    """The plan of freezing.

    `nodes`: those that the outputs need, in file order; all but the variables are as they will be written. `added`:
    nodes to append. `sources`: for each variable's node name the tensor that becomes its constant.
    """

    nodes: list[Node]
    added: list[Node] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)


def plan(graph: Graph, checkpoint: Checkpoint, outputs: Sequence[str], *, clear_devices: bool = True) -> FreezePlan:
    """Decide which nodes to keep, how to change them, and which tensors are needed.

    `graph`: its nodes are changed in place. Raises StepError: an output or a variable is missing, does not fit its
    tensor, or is used in a way in which a constant cannot be.
    """
    nodes = subgraph(graph, outputs)
    result = FreezePlan(nodes)
    variables = [node for node in nodes if node.op in VARIABLE_OPS]
    saved = _saved_as(graph)
    missing = []
    for variable in variables:
        if (source := _source(variable, graph, checkpoint, saved)) is None:
            missing.append(variable.name)
            continue
        _check(variable, source, checkpoint, graph)
        result.sources[variable.name] = source
    if missing:
        names = sorted(checkpoint.stored)
        told = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        hint = nearest(missing[0], names) or "check that the checkpoint belongs to this graph"
        raise StepError(
            f"the checkpoint does not hold {len(missing)} of the graph's {len(variables)} variables: {told}",
            where=checkpoint.name, got=f"{len(names)} tensors, such as {', '.join(names[:5])}",
            hint=TENSORFLOW_2 if "_CHECKPOINTABLE_OBJECT_GRAPH" in checkpoint.stored else hint,
        )  # fmt: skip
    users = consumers(nodes)
    for variable in variables:
        _convert_users(variable, users, result)
    total = sum(_size(checkpoint, source) for source in result.sources.values())
    if total > MAX_BYTES:
        raise StepError("the frozen graph would be larger than a protobuf message can be", where=graph.name,
                        expected=f"at most {MAX_BYTES} bytes", got=f"{total} bytes of weights")  # fmt: skip
    if clear_devices:
        for node in nodes:
            node.device = ""
    return result


def _size(checkpoint: Checkpoint, source: Source) -> int:
    stored = checkpoint.stored[source.key]
    shape = source.part.within(stored.shape)[1] if source.part else stored.shape
    dtype = DTYPES.get(stored.dtype)
    return element_count(shape) * (dtype.size if dtype else 0)


def frozen_nodes(plan: FreezePlan, checkpoint: Checkpoint) -> Iterator[Node]:
    """Yield the frozen graph's nodes; constants are views into the checkpoint's file.

    Raises StepError: a tensor is damaged.
    """
    seen = 0
    for node in plan.nodes:
        source = plan.sources.get(node.name)
        if source is None:
            yield node
            continue
        tensor = checkpoint.read(source.key, source.part)
        yield constant(node.name, tensor)
        seen += len(tensor.data)
        if seen > 1 << 23:  # keep no more than a few tensors of the mapped file in memory
            checkpoint.forget()
            seen = 0
    yield from plan.added


def constant(name: str, tensor: Tensor) -> Node:
    """Return a tensor as a Const node, as TensorFlow writes it."""
    return Node(name, "Const", attrs=constant_attrs(tensor))


# -- which tensor a variable is -----------------------------------------------------------------------------------


def _saved_as(graph: Graph) -> dict[str, Source]:
    """Return under which name each variable is stored, according to the graph's own saver.

    A saver is an Assign for each variable with a RestoreV2, RestoreSlice or Restore node as input, whose constants name
    the tensors and the slices.
    """
    nodes = {node.name: node for node in graph.nodes}
    found: dict[str, Source] = {}
    for node in graph.nodes:
        if node.op not in ("Assign", "AssignVariableOp") or len(node.inputs) < 2:
            continue
        value = node.inputs[1]
        while (source := nodes.get(input_name(value))) is not None and source.op == "Identity" and source.inputs:
            value = source.inputs[0]
        if source is None or source.op not in ("RestoreV2", "RestoreSlice", "Restore"):
            continue
        index = int(value.partition(":")[2] or 0) if source.op == "RestoreV2" else 0
        names = _strings(nodes, source, 1)
        slices = _strings(nodes, source, 2) if source.op != "Restore" else []
        if index >= len(names):
            continue
        part = None
        if index < len(slices) and slices[index]:
            try:
                part = Slice.parse(slices[index].rsplit(" ", 1)[-1])  # the sizes of the whole come before it
            except ValueError as error:
                raise StepError(f"the saver's slice '{slices[index]}' of '{names[index]}' cannot be read: {error}",
                                where=graph.name) from None  # fmt: skip
        found[input_name(node.inputs[0])] = Source(names[index], part)
    return found


def _strings(nodes: dict[str, Node], node: Node, index: int) -> list[str]:
    source = nodes.get(input_name(node.inputs[index])) if len(node.inputs) > index else None
    return [str(value, "utf-8", "replace") for value in string_values(source)] if source is not None else []


def _source(variable: Node, graph: Graph, checkpoint: Checkpoint, saved: dict[str, Source]) -> Source | None:
    if variable.name in saved and saved[variable.name].key in checkpoint.stored:
        return saved[variable.name]
    shared = str(variable.string("shared_name"), "utf-8", "replace")
    # A saver names a resource variable by its shared name, a reference variable by its node.
    for name in (shared, variable.name) if variable.op == "VarHandleOp" else (variable.name, shared):
        if name and name in checkpoint.stored:
            return Source(name)
        key = getattr(checkpoint, "full_names", {}).get(name)
        if key:
            return Source(key)
    return _partition(variable, graph, checkpoint)


def _partition(variable: Node, graph: Graph, checkpoint: Checkpoint) -> Source | None:
    """Return the slice of ``base/part_k``, by the shapes of all parts and of the whole tensor."""
    base, slash, number = variable.name.rpartition("/part_")
    stored = checkpoint.stored.get(base)
    if not slash or not number.isdecimal() or stored is None:
        return None
    parts: dict[int, tuple[int, ...]] = {}
    for node in graph.nodes:
        head, slash, tail = node.name.rpartition("/part_")
        if node.op in VARIABLE_OPS and slash and head == base and tail.isdecimal():
            shape = node.shape("shape")
            if shape is None or len(shape) != len(stored.shape) or min(shape, default=0) < 0:
                return None
            parts[int(tail)] = shape
    axes = [axis for axis, size in enumerate(stored.shape) if parts[int(number)][axis] != size]
    if len(axes) > 1:
        return None
    axis = axes[0] if axes else 0
    start = sum(shape[axis] for index, shape in parts.items() if index < int(number))
    extents = list(Slice.whole(len(stored.shape)).extents)
    extents[axis] = (start, parts[int(number)][axis])
    return Source(base, Slice(tuple(extents)))


def _check(variable: Node, source: Source, checkpoint: Checkpoint, graph: Graph) -> None:
    stored = checkpoint.stored[source.key]
    dtype = variable.dtype("dtype") % REF
    if dtype != stored.dtype:
        raise StepError(f"variable '{variable.name}' and its tensor '{source.key}' have different types",
                        where=graph.name, expected=dtype_name(dtype), got=dtype_name(stored.dtype))  # fmt: skip
    try:
        shape = source.part.within(stored.shape)[1] if source.part else stored.shape
    except ValueError as error:
        raise StepError(f"variable '{variable.name}' is no part of tensor '{source.key}': {error}",
                        where=graph.name) from None  # fmt: skip
    declared = variable.shape("shape")
    # A VariableV2 without a static shape has rank 0 in old graphs, so only known sizes are compared.
    if declared and (
        len(declared) != len(shape) or any(a not in (-1, b) for a, b in zip(declared, shape, strict=True))
    ):
        raise StepError(
            f"variable '{variable.name}' and its tensor '{source.key}' have different shapes", where=graph.name,
            expected=str(list(declared)), got=str(list(shape)),
            hint="the checkpoint belongs to another network (number of classes?)",
        )  # fmt: skip


# -- the users of a variable --------------------------------------------------------------------------------------


def _convert_users(variable: Node, users: dict[str, list[tuple[Node, int]]], result: FreezePlan) -> None:
    dtype = variable.dtype("dtype") % REF
    resource = variable.op == "VarHandleOp"
    waiting = list(users.get(variable.name, ()))
    seen: set[tuple[str, int]] = set()
    while waiting:
        node, index = waiting.pop()
        if (node.name, index) in seen:
            continue
        seen.add((node.name, index))
        if node.op in _PASS:
            if index == 0:
                node.attrs["T"] = attr_type(dtype)
                node.attrs.pop("_output_shapes", None)
                waiting.extend(users.get(node.name, ()))
        elif resource:
            _convert_resource_user(variable, node, index, result)
        elif index == 0 and _WANT_REFERENCE.fullmatch(node.op):
            raise _refused(variable, node, f"{node.op} needs the variable itself, a constant cannot replace it")


def _convert_resource_user(variable: Node, node: Node, index: int, result: FreezePlan) -> None:
    if node.op == "ReadVariableOp":
        _become(node, "Identity", node.inputs[:1], {"T": "dtype"})
    elif node.op == "ResourceGather" and index == 0:
        if node.number("batch_dims"):
            raise _refused(variable, node, "ResourceGather with batch dimensions has no counterpart among constants")
        axis = f"{node.name}/axis"
        indices = node.dtype("Tindices")
        zero = Tensor(DTYPES[indices], (), memoryview(bytes(DTYPES[indices].size)))
        result.added.append(constant(axis, zero))
        _become(node, "GatherV2", [*node.inputs[:2], axis], {"Tparams": "dtype", "Tindices": "Tindices"})
        node.attrs["Taxis"] = attr_type(indices)
    elif node.op == "ResourceGatherNd" and index == 0:
        _become(node, "GatherNd", node.inputs[:2], {"Tparams": "dtype", "Tindices": "Tindices"})
    elif node.op == "Merge":
        raise _refused(variable, node, "the variable is part of a loop or branch, its value is not fixed")
    elif node.op not in ("GatherV2", "GatherNd", "Identity"):  # these were converted on another path
        raise _refused(variable, node, f"{node.op} needs the variable itself, a constant cannot replace it")


def _become(node: Node, op: str, inputs: list[str], attrs: dict[str, str]) -> None:
    kept = {new: node.attrs[old] for new, old in attrs.items() if old in node.attrs}
    if "_class" in node.attrs:
        kept["_class"] = node.attrs["_class"]
    node.op, node.inputs, node.attrs, node.device, node.rest = op, inputs, kept, "", b""


def _refused(variable: Node, node: Node, why: str) -> StepError:
    hint = "keep only outputs that do not need this node"
    if node.op == "RefSwitch":
        predicate = node.inputs[1] if len(node.inputs) > 1 else "?"
        why = f"it depends on the condition '{predicate}' (tf.cond), as in a training graph"
        hint = (
            "export the graph again for inference: build it with is_training=False (learning_phase 0) and restore the "
            "same checkpoint; or keep only outputs that do not need this node"
        )
    elif _TRAINS.fullmatch(node.op):
        why = f"{node.op} changes it: this is a training graph"
        hint = "keep only outputs for inference, or export the graph again with is_training=False"
    elif node.op.endswith("PartitionedCall"):
        hint += "; engine 'tensorflow' converts variables inside functions"
    what = f"variable '{variable.name}' cannot become a constant: {why}"
    return StepError(what, where=f"node '{node.name}' ({node.op})", hint=hint)
