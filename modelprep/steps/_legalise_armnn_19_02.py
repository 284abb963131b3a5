"""Rewrite a TensorFlow graph for Arm NN 19.02's parser, with unchanged values.

Rewriting and checking are separate: `rewrite` uses older operations of the same meaning,
:func:`modelprep.targets.armnn_tf.judge` lists every rule that the result still breaks. Nothing is written then.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from modelprep.formats.names import free_name
from modelprep.formats.protowire import bytes_field, number_field, tag
from modelprep.formats.tensorflow.attrs import attr_bool, attr_int, attr_string, attr_type, constant_attrs
from modelprep.formats.tensorflow.graphdef import Graph, Node, input_name
from modelprep.formats.tensorflow.rewire import subgraph
from modelprep.formats.tensorflow.tensor import DTYPES, Tensor
from modelprep.targets.armnn_19_02 import TF_NEUTRAL_ATTRS, TF_OPS, TF_RENAMED_OPS
from modelprep.targets.armnn_tf import FLOAT, INT32, ints, neutral

#: These pass on their first input unchanged, in inference.
_PASS = frozenset({"Identity", "StopGradient", "PreventGradient", "CheckNumerics", "Snapshot"})
#: Maximum number of nodes that are simulated to find the rank of the inputs of Means; later Means stay unchanged.
_MOST_ACTED_OUT = 60_000


@dataclass
class Changes:
    """What was rewritten, by kind, and warnings."""

    renamed_ops: Counter[str] = field(default_factory=Counter)
    dropped_attrs: Counter[str] = field(default_factory=Counter)
    added_attrs: Counter[str] = field(default_factory=Counter)
    removed_nodes: Counter[str] = field(default_factory=Counter)
    control_inputs: int = 0
    axes: int = 0
    means: int = 0
    acted_out: int = 0  # nodes simulated for ranks
    warnings: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.renamed_ops or self.dropped_attrs or self.added_attrs or self.removed_nodes
                    or self.control_inputs or self.axes or self.means)  # fmt: skip


def rewrite(graph: Graph, outputs: Sequence[str]) -> Changes:
    """Rewrite a graph in place.

    `outputs`: the nodes to keep, under their names, with all that their values need. Raises StepError: an output or an
    input of a node is missing.
    """
    changes = Changes()
    before = len(graph.nodes)
    graph.nodes = subgraph(graph, outputs, colocations=False)
    for node in graph.nodes:
        data = [reference for reference in node.inputs if not reference.startswith("^")]
        changes.control_inputs += len(node.inputs) - len(data)  # the parser drops them
        node.inputs = data
    graph.nodes = subgraph(graph, outputs, colocations=False)
    _bypass(graph, set(outputs), changes)
    graph.nodes = subgraph(graph, outputs, colocations=False)
    bypassed = sum(changes.removed_nodes.values())
    if before - len(graph.nodes) - bypassed:
        changes.removed_nodes["not needed"] = before - len(graph.nodes) - bypassed
    nodes = {node.name: node for node in graph.nodes}
    ordered: list[Node] = []
    for node in graph.nodes:
        if node.op == "AddV2" or (
            node.op in TF_RENAMED_OPS and not node.flag("is_training") and node.dtype("U") in (0, FLOAT)
        ):
            changes.renamed_ops[f"{node.op} -> {TF_RENAMED_OPS[node.op]}"] += 1
            node.op = TF_RENAMED_OPS[node.op]
        if node.op in TF_OPS:
            _attributes(node, changes)
        if node.op == "ConcatV2":
            ordered += _concat_axis(node, nodes, changes)
        elif node.op == "Mean":
            ordered += _mean(node, nodes, changes)
        ordered.append(node)
    graph.nodes = ordered
    if changes.axes:  # old axes are unused now
        graph.nodes = subgraph(graph, outputs, colocations=False)
    return changes


def _bypass(graph: Graph, keep: set[str], changes: Changes) -> None:
    """Remove nodes that only pass on a value; outputs are kept, as the board binds their names."""
    instead: dict[str, str] = {}
    for node in graph.nodes:
        if node.op in _PASS and node.name not in keep and len(node.inputs) == 1:
            instead[node.name] = node.inputs[0]
            changes.removed_nodes[node.op] += 1
    for node in graph.nodes:
        node.inputs = [_source(reference, instead) for reference in node.inputs]


def _source(reference: str, instead: dict[str, str]) -> str:
    """Return the reference behind nodes that only pass on a value, and shorten the way for later calls."""
    way: dict[str, None] = {}
    while (name := input_name(reference)) in instead and name not in way:  # Identities may form a ring
        way[name] = None
        reference = instead[name]
    instead.update(dict.fromkeys(way, reference))
    return reference


def _attributes(node: Node, changes: Changes) -> None:
    known = TF_OPS[node.op]
    for name in list(node.attrs):
        if name in known.attrs:
            continue
        if name.startswith("_") or neutral(node, name):
            del node.attrs[name]
            changes.dropped_attrs[name] += 1
        elif name not in TF_NEUTRAL_ATTRS:
            del node.attrs[name]
            changes.dropped_attrs[name] += 1
            what = f"{node.name} ({node.op}): attribute '{name}' is unknown to TensorFlow 1.12, removed"
            changes.warnings.append(what)
    for name, default in known.required.items():
        if name not in node.attrs and default is not None:
            node.attrs[name] = _encoded(default)
            changes.added_attrs[name] += 1


def _encoded(value: object) -> bytes:
    if isinstance(value, bool):
        return attr_bool(value)
    if isinstance(value, int):
        return attr_int(value)
    if isinstance(value, float):
        return tag(4, 5) + struct.pack("<f", value)
    if isinstance(value, bytes):
        return attr_string(value)
    assert value == "DT_INT32", value
    return attr_type(INT32)


def _concat_axis(node: Node, nodes: dict[str, Node], changes: Changes) -> list[Node]:
    """Make a negative axis positive for four dimensions, the only ones that the parser joins.

    Returns the node of the new axis, to be inserted before; an empty list if the axis may stay.
    """
    values = ints(nodes.get(input_name(node.inputs[-1]))) if node.inputs else None
    if values not in ([-1], [-3]):
        return []
    axis = 4 + values[0]
    name = free_name(f"{node.name}/axis_{axis}", nodes)
    value = Tensor(DTYPES[INT32], (), memoryview(axis.to_bytes(4, "little")))
    nodes[name] = Node(name, "Const", attrs=constant_attrs(value))
    node.inputs[-1] = name
    changes.axes += 1
    return [nodes[name]]


def _mean(node: Node, nodes: dict[str, Node], changes: Changes) -> list[Node]:
    """Replace a Mean that drops its axes by one that keeps them and a Squeeze: the parser would drop the batch too.

    Returns the Mean, to be inserted before the node, which becomes the Squeeze; an empty list if the node may stay, or
    cannot be rewritten.
    """
    axes = ints(nodes.get(input_name(node.inputs[1]))) if len(node.inputs) == 2 else None
    if not axes or "keep_dims" not in node.attrs or node.flag("keep_dims"):
        return []
    if min(axes) < 0:
        changes.acted_out += len(nodes)
        rank = _rank(nodes, node.inputs[0]) if changes.acted_out <= max(_MOST_ACTED_OUT, len(nodes)) else None
        if rank is None:
            return []
        axes = [axis + rank if axis < 0 else axis for axis in axes]
    name = free_name(f"{node.name}/keep_dims", nodes)
    kept = nodes[name] = Node(name, "Mean", node.inputs, attrs={**node.attrs, "keep_dims": attr_bool(True)})
    squeezed = b"".join(number_field(3, axis) for axis in sorted(set(axes)))
    node.op, node.inputs = "Squeeze", [name]
    node.attrs = {"T": node.attrs.get("T", attr_type(FLOAT)), "squeeze_dims": bytes_field(1, squeezed)}
    changes.means += 1
    return [kept]


def _rank(nodes: dict[str, Node], reference: str) -> int | None:
    """Return the number of dimensions of a node's output in the parser; None if it is unknown."""
    from modelprep.formats.tensorflow.graphdef import encode_graph
    from modelprep.targets.armnn.network import Stop
    from modelprep.targets.armnn.program import tensorflow_shapes
    from modelprep.targets.armnn.tf_graph import encoded

    name = input_name(reference)
    graph = Graph(list(nodes.values()))
    try:
        return len(tensorflow_shapes(encoded(encode_graph(graph)), [name])[name])
    except (Stop, LookupError):
        return None
