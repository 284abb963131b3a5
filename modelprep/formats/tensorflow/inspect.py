"""What a graph is: its nodes, types, shapes and sizes, as data."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from modelprep.formats.mapped import MappedFile
from modelprep.formats.tensorflow.attrs import varint_in
from modelprep.formats.tensorflow.graphdef import VARIABLE_OPS, Node
from modelprep.formats.tensorflow.read import file_of, read_any_graph
from modelprep.formats.tensorflow.rewire import inputs_of, outputs_of
from modelprep.formats.tensorflow.tensor import dtype_name
from modelprep.formats.tensorflow.text import looks_like_text


@dataclass(frozen=True)
class NodeFacts:
    """One node.

    `dtype`: of its value (attribute dtype or T); empty if the node does not say. `shape`: of a constant, or as declared
    by a placeholder or variable; -1 is unknown, None says nothing. `bytes`: encoded size of a constant's value.
    """

    name: str
    op: str
    dtype: str
    shape: tuple[int, ...] | None
    bytes: int
    inputs: tuple[str, ...]

    @property
    def shape_text(self) -> str:
        """The shape for people: ``1x299x299x3``, ``?`` for an unknown size."""
        if self.shape is None:
            return ""
        return "x".join("?" if size < 0 else str(size) for size in self.shape) or "scalar"


@dataclass(frozen=True)
class GraphFacts:
    """A graph.

    `form`: ``binary``, ``text``, or what the graph is in. `producer`: the GraphDef version that made it (0: not
    said).
    """

    form: str
    producer: int
    nodes: tuple[NodeFacts, ...]
    inputs: tuple[NodeFacts, ...]
    outputs: tuple[NodeFacts, ...]

    @property
    def operations(self) -> list[tuple[str, int]]:
        """Each op with how often it occurs."""
        return sorted(Counter(node.op for node in self.nodes).items())

    @property
    def variables(self) -> int:
        """How many variables there are (none in a frozen graph)."""
        return sum(node.op in VARIABLE_OPS for node in self.nodes)

    @property
    def constant_bytes(self) -> int:
        """Encoded size of all constants."""
        return sum(node.bytes for node in self.nodes)

    def to_json(self) -> dict[str, object]:
        """Return what ``inspect --json`` prints."""
        return {
            "form": self.form, "producer": self.producer, "inputs": [node.name for node in self.inputs],
            "outputs": [node.name for node in self.outputs], "operations": dict(self.operations),
            "variables": self.variables, "constant_bytes": self.constant_bytes,
            "nodes": [asdict(node) for node in self.nodes],
        }  # fmt: skip


def inspect(path: Path) -> GraphFacts:
    """Look at a GraphDef, binary or text.

    Raises StepError: it is no GraphDef; StorageError: it cannot be read.
    """
    path = file_of(path)
    with MappedFile(path) as file:
        text = looks_like_text(bytes(file.view[:4096]))
    graph, wrapper = read_any_graph(path)
    nodes = {node.name: _facts(node) for node in graph.nodes}
    return GraphFacts(
        wrapper.kind if wrapper is not None else "text" if text else "binary", varint_in(graph.versions, 1),
        tuple(nodes.values()), tuple(nodes[node.name] for node in inputs_of(graph)),
        tuple(nodes[node.name] for node in outputs_of(graph)),
    )  # fmt: skip


def _facts(node: Node) -> NodeFacts:
    number = node.dtype("dtype") or node.dtype("T")
    shape, size = node.shape("shape"), 0
    if node.op == "Const" and (head := node.tensor()) is not None:
        shape, size = head.shape, len(head.proto)
    return NodeFacts(node.name, node.op, dtype_name(number) if number else "", shape, size, tuple(node.inputs))
