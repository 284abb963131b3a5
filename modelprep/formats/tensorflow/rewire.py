"""What graphs are asked and how they are rewired: needed nodes, consumers, new names. No policy, no values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from modelprep.errors import StepError, nearest
from modelprep.formats.protowire import bytes_field
from modelprep.formats.tensorflow.attrs import read_strings
from modelprep.formats.tensorflow.graphdef import Graph, Node, input_name

_COLOCATED = b"loc:@"
_LIST = "list the nodes with: modelprep tf inspect"
_NO_VALUE = frozenset(
    {"Assert", "Assign", "AssignVariableOp", "Const", "NoOp", "SaveSlices", "SaveV2", "ShardedFilename"}
)


def require(graph: Graph, names: Iterable[str], role: str) -> None:
    """Check that nodes exist.

    Raises StepError: one is not; the nearest names and the graph's own `role` nodes are listed.
    """
    known = {node.name: None for node in graph.nodes}
    for name in names:
        if name not in known:
            listed = inputs_of(graph) if role == "input" else outputs_of(graph)
            raise StepError(
                f"there is no {role} node called '{name}'", where=graph.name,
                got=f"{role}s of the graph: {_list(listed)}", hint=nearest(name, list(known)) or _LIST,
            )  # fmt: skip


def inputs_of(graph: Graph) -> list[Node]:
    """Return the placeholders."""
    return [node for node in graph.nodes if node.op in ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault")]


def outputs_of(graph: Graph) -> list[Node]:
    """Return the nodes whose value no other node uses; constants and what only has an effect (saving, say) left out."""
    used = {input_name(reference) for node in graph.nodes for reference in node.inputs}
    return [node for node in graph.nodes if node.name not in used and node.op not in _NO_VALUE]


def colocated(node: Node) -> list[str]:
    """Return the nodes that this one must share a device with (attribute ``_class``)."""
    return [str(value[len(_COLOCATED) :], "utf-8", "replace") for value in node.strings("_class")
            if value.startswith(_COLOCATED)]  # fmt: skip


def subgraph(graph: Graph, outputs: Sequence[str], *, colocations: bool = True) -> list[Node]:
    """Return the nodes that `outputs` need, in file order.

    `colocations`: whether nodes named in ``_class`` count as needed, as TensorFlow's own ``extract_sub_graph`` has it.
    Raises StepError: an output or an input of a needed node is missing.
    """
    require(graph, outputs, "output")
    nodes = graph.by_name()
    keep: set[str] = set()
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        if name in keep:
            continue
        keep.add(name)
        node = nodes[name]
        for reference in node.inputs:
            source = input_name(reference)
            if source not in nodes:
                raise StepError(f"node '{name}' takes '{reference}', which is not in the graph", where=graph.name,
                                hint="the graph is cut off or was pruned by hand")  # fmt: skip
            waiting.append(source)
        if colocations:
            waiting.extend(other for other in colocated(node) if other in nodes)
    return [node for node in graph.nodes if node.name in keep]


def consumers(nodes: Iterable[Node]) -> dict[str, list[tuple[Node, int]]]:
    """Return for every node who takes its values, and as which input (control inputs left out)."""
    found: dict[str, list[tuple[Node, int]]] = {}
    for node in nodes:
        for index, reference in enumerate(node.inputs):
            if not reference.startswith("^"):
                found.setdefault(input_name(reference), []).append((node, index))
    return found


def rename_nodes(graph: Graph, names: Mapping[str, str]) -> int:
    """Rename nodes, with every reference to them (``name``, ``name:k``, ``^name``, colocations), in place.

    Returns how many references were changed. Raises StepError: a node is not there, or a new name is taken.
    """
    have = {node.name for node in graph.nodes}
    for old, new in names.items():
        if old not in have:
            raise StepError(
                f"there is no node called '{old}'", where=graph.name, hint=nearest(old, sorted(have)) or _LIST,
                got=f"inputs {_list(inputs_of(graph))}; outputs {_list(outputs_of(graph))}",
            )  # fmt: skip
        if new in have and new not in names:
            raise StepError(f"the name '{new}' is taken by another node", where=graph.name,
                            hint="choose another name, or rename that node, too")  # fmt: skip
    if len(set(names.values())) != len(names):
        raise StepError("two nodes would get one name", where=graph.name, got=", ".join(sorted(names.values())))
    changed = 0
    for node in graph.nodes:
        node.name = names.get(node.name, node.name)
        for index, reference in enumerate(node.inputs):
            source = input_name(reference)
            if source in names:
                node.inputs[index] = reference.replace(source, names[source], 1)
                changed += 1
        if "_class" in node.attrs and any(other in names for other in colocated(node)):
            node.attrs["_class"] = _rename_colocations(node, names)
            changed += 1
    return changed


def _rename_colocations(node: Node, names: Mapping[str, str]) -> bytes:
    values = []
    for value in node.strings("_class"):
        other = str(value[len(_COLOCATED) :], "utf-8", "replace")
        values.append(_COLOCATED + names[other].encode() if value.startswith(_COLOCATED) and other in names else value)
    return bytes_field(1, b"".join(bytes_field(2, value) for value in values))


def _list(nodes: Sequence[Node]) -> str:
    return ", ".join(node.name for node in nodes[:12]) or "none"


def string_values(node: Node) -> list[bytes]:
    """Return the values of a constant of strings."""
    head = node.tensor()
    return [] if head is None else read_strings(head.proto, 8)
