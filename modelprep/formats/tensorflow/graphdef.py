"""GraphDefs: read as nodes whose attributes stay as bytes until asked for, written in TensorFlow's canonical order.

Most of a frozen graph is weights. A node here is its name, op, inputs and device, and for every attribute a view of its
encoded AttrValue, so that a graph of any size is read, rewired and written without its constants being copied.
Source: TensorFlow ``core/framework/{graph,node_def,attr_value}.proto``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from modelprep.errors import StepError
from modelprep.formats import protowire
from modelprep.formats.mapped import MappedFile
from modelprep.formats.output import writing
from modelprep.formats.protowire import BYTES, Buffer, WireError, bytes_field, bytes_header
from modelprep.formats.sniff import HEAD, looks_like_model
from modelprep.formats.tensorflow.attrs import (  # fmt: skip
    TensorHead,
    attr_float,
    payload_in,
    read_numbers,
    read_shape,
    read_strings,
    varint_in,
)

_T = TypeVar("_T")

#: An attribute's encoded AttrValue, as pieces where it is made of several buffers.
Attr = Buffer | tuple[Buffer, ...]
#: Operations whose value is in a checkpoint.
VARIABLE_OPS = frozenset({"Variable", "VariableV2", "VarHandleOp"})


@dataclass
class Node:
    """One node.

    `inputs`: ``name``, ``name:k`` or ``^name`` (a control input). `attrs`: encoded AttrValue by attribute name. `rest`:
    further fields (debug info, full type), encoded with their tags.
    """

    name: str
    op: str
    inputs: list[str] = field(default_factory=list)
    device: str = ""
    attrs: dict[str, Attr] = field(default_factory=dict)
    rest: bytes = b""

    def attr(self, name: str) -> Buffer | None:
        """Return an encoded AttrValue in one piece, or None."""
        value = self.attrs.get(name)
        return b"".join(value) if isinstance(value, tuple) else value

    def dtype(self, name: str) -> int:
        """Return the DataType in an attribute; 0 if there is none."""
        return self._decoded(name, lambda value: varint_in(value, 6))

    def number(self, name: str) -> int:
        """Return the whole number in an attribute; 0 if there is none."""
        return protowire.signed(self._decoded(name, lambda value: varint_in(value, 3)))

    def real(self, name: str) -> float | None:
        """Return the number with a fraction in an attribute; None if there is none."""
        return self._decoded(name, attr_float)

    def flag(self, name: str) -> bool:
        """Return the truth value in an attribute; False if there is none."""
        return bool(self._decoded(name, lambda value: varint_in(value, 5)))

    def string(self, name: str) -> bytes:
        """Return the bytes in an attribute; empty if there are none."""
        return bytes(self._decoded(name, lambda value: payload_in(value, 2)) or b"")

    def strings(self, name: str) -> list[bytes]:
        """Return the list of strings in an attribute; empty if there is none."""
        return self._decoded(name, lambda value: read_strings(payload_in(value, 1) or b"", 2))

    def numbers(self, name: str) -> list[int]:
        """Return the list of whole numbers in an attribute; empty if there is none."""
        return self._decoded(name, lambda value: read_numbers(payload_in(value, 1) or b"", 3))

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Return the shape in an attribute (-1: size unknown); None if there is none or the rank is unknown."""
        return self._decoded(name, lambda value: None if (shape := payload_in(value, 7)) is None else read_shape(shape))

    def tensor(self, name: str = "value") -> TensorHead | None:
        """Return what the TensorProto in an attribute says of itself, without its values; None if there is none."""
        return self._decoded(
            name, lambda value: None if (tensor := payload_in(value, 8)) is None else TensorHead.read(tensor)
        )

    def _decoded(self, name: str, read: Callable[[Buffer | None], _T]) -> _T:
        try:
            return read(self.attr(name))
        except WireError as error:
            raise StepError(f"attribute '{name}' of node '{self.name}' is damaged", got=str(error)) from None


def input_name(reference: str) -> str:
    """Return the node that an input refers to: ``a`` of ``a``, ``a:1`` and ``^a``."""
    return reference[1:] if reference.startswith("^") else reference.partition(":")[0]


@dataclass
class Graph:
    """A graph.

    `library`, `versions`: the encoded FunctionDefLibrary and VersionDef; None if absent. `rest`: further fields
    (debug info, the old version number), encoded with their tags.
    """

    nodes: list[Node]
    library: Buffer | None = None
    versions: Buffer | None = None
    rest: bytes = b""
    name: str = ""
    #: Kept so that the mapped file outlives the views into it.
    file: MappedFile | None = None

    def by_name(self) -> dict[str, Node]:
        """Return the nodes by name; raises StepError if two nodes have one name."""
        nodes = {node.name: node for node in self.nodes}
        if len(nodes) != len(self.nodes):
            twice = next(name for name, count in Counter(node.name for node in self.nodes).items() if count > 1)
            raise StepError(f"two nodes are called '{twice}'", where=self.name)
        return nodes


def parse_graph(data: Buffer, name: str = "") -> Graph:
    """Read an encoded GraphDef; its attributes are views into `data`."""
    graph = Graph([], name=name)
    rest = []
    try:
        for number, kind, value, begin, stop in protowire.fields(data):
            if number == 1 and kind == BYTES:
                graph.nodes.append(_node(data, value, stop))
            elif number == 2 and kind == BYTES:
                graph.library = data[value:stop]
            elif number == 4 and kind == BYTES:
                graph.versions = data[value:stop]
                sum(1 for _ in protowire.fields(graph.versions))  # whoever reads it later meets no damage
            else:
                rest.append(bytes(data[begin:stop]))
    except WireError as error:
        raise _not_a_graph(data, name, error) from None
    graph.rest = b"".join(rest)
    if not graph.nodes:
        raise StepError("the graph has no nodes", where=name, looks_like=_looks_like(data))
    return graph


def _looks_like(data: Buffer) -> str | None:
    return looks_like_model(bytes(data[:HEAD]), "TensorFlow graph") or None


def _not_a_graph(data: Buffer, name: str, error: WireError) -> StepError:
    looks = _looks_like(data)
    return StepError(
        "this is no GraphDef, or it is damaged",
        where=f"{name}, offset {error.offset}" if name else f"offset {error.offset}",
        expected="nodes in protobuf's binary form (or text that begins with 'node {')", got=error.reason,
        looks_like=looks, hint=None if looks else "fetch it again, or compare its digest and size with the original's",
    )  # fmt: skip


def _node(data: Buffer, start: int, end: int) -> Node:
    node = Node("", "")
    rest = []
    try:
        for number, kind, value, begin, stop in protowire.fields(data, start, end):
            if kind != BYTES or number > 5:
                rest.append(bytes(data[begin:stop]))
            elif number == 5:
                key, attr = _attr(data, value, stop)
                node.attrs[key] = attr
            elif number == 3:
                node.inputs.append(str(data[value:stop], "utf-8"))
            else:
                setattr(node, {1: "name", 2: "op", 4: "device"}[number], str(data[value:stop], "utf-8"))
    except UnicodeDecodeError:
        raise WireError("a node's text is not UTF-8", start) from None
    if not node.name or not node.op:
        raise WireError(f"a node without {'op' if node.name else 'name'}", start)
    node.rest = b"".join(rest)
    return node


def _attr(data: Buffer, start: int, end: int) -> tuple[str, Buffer]:
    key, attr = "", data[end:end]
    for number, kind, value, _, stop in protowire.fields(data, start, end):
        if kind == BYTES and number == 1:
            key = str(data[value:stop], "utf-8")
        elif kind == BYTES and number == 2:
            attr = data[value:stop]
    return key, attr


def encode_node(node: Node, *, in_order: bool = True) -> list[Buffer]:
    """Encode a NodeDef with its tag, fields by number.

    `in_order`: whether attributes are sorted by name (protobuf's deterministic form) or left as they came.
    """
    body: list[Buffer] = [bytes_field(1, node.name.encode()), bytes_field(2, node.op.encode())]
    body.extend(bytes_field(3, reference.encode()) for reference in node.inputs)
    if node.device:
        body.append(bytes_field(4, node.device.encode()))
    for key in sorted(node.attrs, key=str.encode) if in_order else node.attrs:
        attr = node.attrs[key]
        pieces = attr if isinstance(attr, tuple) else (attr,)
        size = sum(map(len, pieces))
        head = bytes_field(1, key.encode()) + bytes_header(2, size)
        body.append(bytes_header(5, len(head) + size) + head)
        body.extend(pieces)
    if node.rest:
        body.append(node.rest)
    return [bytes_header(1, sum(map(len, body))), *body]


def encode_graph(graph: Graph, nodes: Iterable[Node] | None = None, *, in_order: bool = True) -> Iterator[Buffer]:
    """Encode a GraphDef as pieces to be written one after another.

    `nodes`: instead of the graph's; may be made while it is walked over, so that only one constant is in memory.
    `in_order`: see :func:`encode_node`. A graph that was read and is written as it came has its bytes of before.
    """
    for node in graph.nodes if nodes is None else nodes:
        yield from encode_node(node, in_order=in_order)
    rest = [(number, graph.rest[begin:stop]) for number, _, _, begin, stop in protowire.fields(graph.rest)]
    if graph.library is not None:
        yield bytes_header(2, len(graph.library))
        yield graph.library
    yield from (field for number, field in rest if number < 4)
    if graph.versions is not None:
        yield bytes_header(4, len(graph.versions))
        yield graph.versions
    yield from (field for number, field in rest if number > 4)


def write_pieces(pieces: Iterable[Buffer], output: Path) -> int:
    """Write pieces to a file, complete or not at all: small ones are gathered, big ones go from where they lie.

    Returns the number of bytes written. Raises StorageError: the file cannot be written; nothing is left of it.
    """
    written = 0
    with writing(output) as put:
        for piece in pieces:
            put(piece)
            written += len(piece)
    return written
