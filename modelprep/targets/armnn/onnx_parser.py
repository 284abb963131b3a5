"""Arm NN's ONNX parser: the network that it builds of a model, in its own order, and where it stops.

Source: armnnOnnxParser/OnnxParser.cpp at v19.02; 19.05 reads ``raw_data``, 19.11 knows three more activations.
The binding number of an input or output is its place in the graph's list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelprep.formats.onnx.model import FLOAT, INT32, INT64, RAW, TYPES, Payload
from modelprep.targets.armnn import onnx_attributes, optimizer
from modelprep.targets.armnn.network import Constant, Info, Layer, Network, Shape, Slot, Stop, crash

#: What the C++ library says where a message of the parser asks for more than it is given.
TOO_FEW = "boost::too_few_args: format-string referred to more arguments than were passed"


#: What protobuf says where the parser asks for an input that a node does not have.
NO_ELEMENT = "CHECK failed: (index) < (current_size_): "


#: By operation, called with the parser and the node; that of MatMul also with the Add behind it or None.
Operations = Mapping[str, Callable[..., None]]


@dataclass
class Known:
    """What the parser knows of a tensor: its shape, its values where it is constant, its ONNX type."""

    info: Info | None = None
    tensor: Any = None
    dtype: int = FLOAT


def parse(
    proto: Any, operations: Operations, *, raw_data: bool, payloads: Mapping[str, Payload] | None = None
) -> tuple[Network, list[Stop]]:
    """Read a model as the parser does.

    `payloads`: elements of large initializers that were left out of `proto`. Returns the network, and where the parser
    stops: the first is the board's answer, the others come to light once that is fixed. A node that takes what a
    refused one makes is passed over.
    """
    parser = Parser(proto.graph, operations, raw_data, payloads or {})
    try:
        parser.run()
    except Stop as stop:
        parser.stops.append(stop)
    return parser.network, parser.stops


def tensor_info(value: Any) -> Info:
    """Return what the parser makes of a ValueInfoProto."""
    inner = "onnxShape.dim(i).dim_value()"
    where = f"value {value.name}"
    try:
        dims = [
            onnx_attributes.unsigned(f"CHECKED_INT32({inner})", inner, dim.dim_value)
            for dim in value.type.tensor_type.shape.dim
        ]
        kind = value.type.tensor_type.elem_type
        if kind not in (FLOAT, INT32, INT64):
            raise Stop(
                f"'{TYPES.get(kind, '')}' is not a currently supported datatype for tensor {value.name}. Supported "
                "dataTypes are FLOAT, INT32 and INT64.", rule="ON04",
            )  # fmt: skip
        return Info(Shape(dims), "float32" if kind == FLOAT else "int32")
    except Stop as stop:
        stop.where = where
        raise


def listed(info: Info, name: str, dtype: int) -> str:
    """Print a tensor as the parser does."""
    return f"tensor '{name}' contains {TYPES.get(dtype, '')} and has shape [{', '.join(map(str, info.shape))}]"


def place(node: Any, index: int | str = "") -> str:
    """Name a node for people."""
    return f"{node.op_type} {node.name or (node.output[0] if node.output else index)}"


class Parser:
    """The parser's state while it reads a graph."""

    def __init__(self, source: Any, operations: Operations, raw_data: bool, payloads: Mapping[str, Payload]) -> None:
        self.graph, self.operations, self.raw_data, self.payloads = source, operations, raw_data, payloads
        self.network = Network()
        self.stops: list[Stop] = []
        self.known: dict[str, Known] = {}
        self._makers: dict[str, Slot] = {}
        self._takers: dict[str, list[tuple[Layer, int]]] = {}
        # Of each node: the Adds that a MatMul is one layer with (or the MatMul of an Add), and how often it is used.
        self._fused: list[list[int]] = [[] for _ in source.node]
        self._uses = [0] * len(source.node)
        self._lost: set[str] = set()

    def run(self) -> None:
        """Read the graph; raises Stop for what ends the parser outside of a node."""
        for values in (self.graph.output, self.graph.input, self.graph.value_info):
            for value in values:
                self.known[value.name] = Known(tensor_info(value), None, value.type.tensor_type.elem_type)
        for tensor in self.graph.initializer:
            self.of(tensor.name).tensor = tensor
        for number, value in enumerate(self.graph.input):
            self.network.inputs.setdefault(value.name, (number, tensor_info(value)))
            if self.of(value.name).tensor is None:
                layer = self.network.add("Input", value.name, inputs=0, id=number)
                layer.out.info = tensor_info(value)
                self.makes(layer, value.name)
        if not self.graph.output:
            raise Stop("The given model does not have any outputs", "ON17", "graph")
        for number, value in enumerate(self.graph.output):
            self.network.outputs.setdefault(value.name, (number, tensor_info(value)))
            self.takes(self.network.add("Output", value.name, outputs=0, id=number), value.name)
        self._find_fully_connected()
        for index, node in enumerate(self.graph.node):
            self._node(index, node)
        for name, takers in self._takers.items():
            if name in self._makers:
                for layer, number in takers:
                    self._makers[name].connect(layer, number)

    def _node(self, index: int, node: Any) -> None:
        if self._lost.intersection(node.input):
            self._lost.update(node.output)
            return
        try:
            self._dispatch(index, node)
        except Stop as stop:
            stop.where = stop.where or place(node, index)
            self.stops.append(stop)
            self._lost.update(node.output)

    def _dispatch(self, index: int, node: Any) -> None:
        operation = node.op_type
        if operation == "MatMul":
            if self._uses[index] != len(self._fused[index]):
                self.operations["MatMul"](self, node, None)
        elif self._fused[index] and operation == "Add":
            self.operations["MatMul"](self, self.graph.node[self._fused[index][0]], node)
        elif not self._fused[index]:
            if operation not in self.operations:
                raise Stop(f"Unsupported operation {operation} for node '{node.name}'", "ON01")
            self.operations[operation](self, node)

    def _find_fully_connected(self) -> None:
        makers: dict[str, int] = {}
        for index, node in enumerate(self.graph.node):
            makers.update(dict.fromkeys(node.output, index))
            for name in node.input:
                if name in makers:
                    self._uses[makers[name]] += 1
            if node.op_type != "Add":
                continue
            if len(node.input) < 2:
                raise Stop(NO_ELEMENT, "ON15", place(node, index), speaker="std")
            for constant, product in ((0, 1), (1, 0)):
                at = makers.get(node.input[product])
                if at is not None and self.graph.node[at].op_type == "MatMul" and self.constant(node.input[constant]):
                    self._fused[at].append(index)
                    self._fused[index].append(at)
                    break
        for value in self.graph.output:
            if value.name in makers:
                self._uses[makers[value.name]] += 1

    # -- tensors and slots, for the layers ----------------------------------------------------------------------------

    def of(self, name: str) -> Known:
        """Return what is known of a tensor; asking makes an entry, as in the parser's map."""
        return self.known.setdefault(name, Known())

    def constant(self, name: str) -> bool:
        """Whether a tensor's values are known."""
        return self.of(name).tensor is not None

    def info(self, name: str) -> Info:
        """Return a tensor's shape; the parser reads through a null pointer where none is noted."""
        known = self.of(name)
        if known.info is None:
            if known.tensor is not None:
                rule = "ON03" if any(tensor.name == name for tensor in self.graph.initializer) else "ON10"
                raise crash(f"the shape of '{name}' is looked for among the graph's inputs and value_info", rule)
            made = any(name in node.output for node in self.graph.node)
            raise crash(f"it comes before the node that makes '{name}'" if made else f"nothing makes '{name}'", "ON01")
        return known.info

    def shape(self, name: str) -> Shape:
        """Return a tensor's shape."""
        return self.info(name).shape

    def makes(self, layer: Layer, name: str) -> None:
        """Note that a layer makes a tensor."""
        if name in self._makers:
            raise Stop(TOO_FEW, "ON21", f"tensor {name}", speaker="std")
        self._makers[name] = layer.out

    def takes(self, layer: Layer, *names: str) -> None:
        """Note which tensors a layer takes."""
        for number, name in enumerate(names):
            self._takers.setdefault(name, []).append((layer, number))

    def add(
        self, kind: str, node: Any, inputs: Sequence[str], shape: Shape, name: str | None = None, **params: Any
    ) -> None:  # fmt: skip
        """Add a layer that takes tensors, the first of this shape, and makes a node's first output."""
        layer = self.network.add(kind, node.name if name is None else name, **params)
        self.note(layer, node, shape)
        self.takes(layer, *inputs)
        self.makes(layer, node.output[0])

    def note(self, layer: Layer, node: Any, *shapes: Shape) -> None:
        """Set a layer's output to the noted one, or else to the inferred one."""
        name = node.output[0]
        if self.of(name).info is None:
            stub = Layer("", "")
            layer.inputs = [Slot(stub, 0, Info(shape)) for shape in shapes]
            inferred = optimizer.inferred(layer)
            layer.inputs = [None] * len(shapes)
            assert inferred is not None, "every layer of this parser infers a shape"
            self.known[name] = Known(Info(inferred))
        layer.out.info = self.info(name)

    def weights(self, name: str) -> Constant:
        """Make a constant of a tensor's values; raises Stop if their number is not that of the shape."""
        info, tensor = self.info(name), self.of(name).tensor
        count = info.shape.elements
        payload = self.payloads.get(tensor.name)
        raw = payload.number == RAW if payload is not None else tensor.HasField("raw_data")
        if not (self.raw_data and raw):
            size = len(tensor.float_data) if payload is None else (0 if raw else payload.size // 4)
            if size != count:
                raise Stop(
                    f"The number of data provided ({size}) does not match the tensor '{name}' number of elements "
                    f"({count})", "ON02" if raw else "ON20", f"initialiser {name}",
                )  # fmt: skip
        if count == 0:
            raise Stop(f"No tensor data found for Const tensor '{name}'", "ON20", f"initialiser {name}")

        def read() -> Any:
            import numpy as np

            if payload is not None:
                values = np.frombuffer(b"".join(map(bytes, payload.pieces)), "<f4")
            else:
                values = np.frombuffer(tensor.raw_data, "<f4") if raw else np.array(tensor.float_data, np.float32)
            return values[:count].reshape(info.shape)

        return Constant(info, read)

    def reshaped(self, info: Info, dims: Sequence[int]) -> Info:
        """Return the same with another shape."""
        return replace(info, shape=Shape(dims))


def check_type(parser: Parser, node: Any, name: str, wanted: int, rule: str = "ON06") -> None:
    """Refuse a tensor of another type."""
    dtype = parser.of(name).dtype
    if dtype != wanted:
        raise Stop(
            f"Datatype {TYPES.get(dtype, '')} is not valid for tensor '{name}' of node '{node.name}', not in "
            f"{{onnx::TensorProto::{TYPES[wanted]}}}.", rule,
        )  # fmt: skip
