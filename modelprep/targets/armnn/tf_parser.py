"""A simulation of Arm NN's TensorFlow parser: the nodes that an output needs, in the parser's order.

Constants, MatMul and Mul become layers only when another node uses them, so errors in them appear at that node.
Source: ``src/armnnTfParser/TfParser.cpp`` at tag v19.02.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelprep.targets.armnn.network import Constant, DType, Info, Network, Shape, Slot, Stop, topological

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOAT, INT32 = 1, 3
_MOST_OUTPUTS = 100
#: Number of each kind of attribute value in AttrValue; 0 if none is set.
_KINDS = {"list": 1, "s": 2, "i": 3, "f": 4, "b": 5, "type": 6, "shape": 7, "tensor": 8, "placeholder": 9, "func": 10}


@dataclass(eq=False)
class Operation:
    """A node that was parsed.

    `slots`: its outputs; empty until `make` makes them. `constant`: the value of a constant (or a Shape).
    """

    node: Any
    slots: list[Slot] = field(default_factory=list)
    make: Callable[[], list[Slot]] | None = None
    constant: Constant | None = None

    def held(self, dtype: DType) -> Constant | None:
        """Return its value if it is a constant of a type."""
        return self.constant if self.constant is not None and self.constant.info.dtype == dtype else None

    def slot(self, index: int) -> Slot:
        """Return an output; its layer is made on the first call."""
        if not self.slots and self.make is not None:
            self.slots = self.make()
        if index >= len(self.slots):
            text = f"The requested output slot #{index} for {self.node.name} does not exist"
            raise Stop(text, "TF10", self.node.name)
        return self.slots[index]

    @property
    def numbers(self) -> NDArray[Any]:
        """The numbers of a constant, flat, as 32-bit integers whatever they are."""
        assert self.constant is not None, "asked of constants only"
        return self.constant.values().reshape(-1).view("<i4")


@dataclass(frozen=True)
class Taken:
    """An output of an operation, as an input of another."""

    operation: Operation
    index: int

    @property
    def name(self) -> str:
        """The node that makes it, Identity nodes passed over."""
        return str(self.operation.node.name)

    @property
    def slot(self) -> Slot:
        """The output itself."""
        return self.operation.slot(self.index)


def output_of(reference: str) -> tuple[str, int]:
    """Cut a reference into node and output number.

    Raises Stop: the number is none, or beyond what the parser takes.
    """
    name, colon, digits = reference.rpartition(":")
    if not colon:
        return reference, 0
    text = digits.strip(" \t\n\v\f\r")
    sign = text[:1] in ("+", "-")
    end = next((i for i in range(sign, len(text)) if not text[i].isascii() or not text[i].isdecimal()), len(text))
    if end == sign:
        raise Stop("stoi", "TF09", reference, speaker="std")
    number = int(text[:end])
    if not 0 <= number <= _MOST_OUTPUTS:
        raise Stop(f"Output tensor id is out of range for {reference}", "TF09", reference)
    return name, number


Operator = Callable[["TfParser", Any], Operation]


class TfParser:
    """One graph on its way to a network."""

    def __init__(
        self, shapes: Mapping[str, Sequence[int]], outputs: Sequence[str], operators: Mapping[str, Operator]
    ) -> None:
        self._operators = operators
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}
        self.asked = list(outputs)
        self.network = Network()
        self._nodes: dict[str, Any] = {}
        self._parsed: dict[str, Operation] = {}

    def parse(self, graph: Any) -> Network:
        """Read a GraphDef message; raises Stop if the parser refuses it, or crashes."""
        self._nodes = {node.name: node for node in graph.node}
        targets = []
        for name in self.asked:
            if name not in self._nodes:
                raise Stop(f"Couldn't find requested output node '{name}' in graph", "TF03", f"output '{name}'")
            targets.append(self._nodes[name])
        ordered = topological(targets, lambda node: [source for source, _ in self._sources(node)])
        if ordered is None:
            raise Stop("Cycle detected in graph", "TF34", "graph")
        for node in ordered:
            self._load(node)
        return self.network

    def _sources(self, node: Any) -> list[tuple[Any, int]]:
        if node.op == "Const":
            return []
        found = []
        for reference in node.input:
            name, index = output_of(reference)
            if reference.startswith("^"):
                continue
            if name not in self._nodes:
                raise Stop(f"Can't find node '{reference}', which is listed as an input of '{node.name}'", "TF34",
                           f"{node.name} ({node.op})")  # fmt: skip
            found.append((self._nodes[name], index))
        return found

    def _load(self, node: Any) -> None:
        try:
            self._parse(node)
        except Stop as stop:
            stop.where = stop.where or f"{node.name} ({node.op})"
            raise

    def _parse(self, node: Any) -> None:
        dtype = next((node.attr[name].type for name in ("T", "dtype") if name in node.attr), FLOAT)
        if dtype not in (FLOAT, INT32) and node.op != "Const":
            raise Stop("Currently only FLOAT and INT32 are supported for tensorflow nodes (apart from Const). Got "
                       f"{type_name(dtype)} for Node {node.name}", "TF04")  # fmt: skip
        if node.op == "Assert":
            return
        operator = self._operators.get(node.op)
        if operator is None:
            raise Stop(f"Unsupported operation {node.op} in tensorflow::GraphDef", "TF01")
        operation = operator(self, node)
        self._parsed[node.name] = operation
        if node.name in self.asked:
            _, index = output_of(node.name)
            slot = operation.slot(index)
            number = len(self.network.outputs)
            layer = self.network.add("Output", node.name, outputs=0, id=number)
            slot.connect(layer)
            self.network.outputs[node.name] = (number, slot.noted)

    # -- for the operators ---------------------------------------------------------------------------------------

    def inputs(self, node: Any, count: int | None = None) -> list[Taken]:
        """Return what a node takes, Identity nodes passed over; `count` is how many there must be."""
        sources = self._sources(node)
        if count is not None and len(sources) != count:
            raise Stop(f"Unexpected number of inputs for node {node.name}. Expected {count}, found {len(sources)}",
                       "TF31" if node.op == "ExpandDims" else "TF34")  # fmt: skip
        found = []
        for source, index in sources:
            if source.name not in self._parsed:
                raise Stop(f"Node with name '{source.name}' has not been parsed", "TF34")
            found.append(Taken(self._parsed[source.name], index))
        return found

    def layer(self, kind: str, node: Any, info: Info, *slots: Slot, **params: Any) -> Operation:
        """Add a layer that takes outputs."""
        made = self.network.add(kind, node.name, inputs=len(slots), **params)
        for index, slot in enumerate(slots):
            slot.connect(made, index)
        made.out.info = info
        return Operation(node, made.outputs)

    def reshaped(self, node: Any, target: Shape, slot: Slot) -> Operation:
        """Add a layer that reshapes an output."""
        return self.layer("Reshape", node, Info(target, slot.dtype), slot, target=target)


# -- attributes ------------------------------------------------------------------------------------------------------


def attribute(node: Any, name: str, kind: str, rule: str, *, required: bool = True) -> Any:
    """Return an attribute's value; None if it is not there and need not be.

    `kind`: field of AttrValue that it must be in (``f``, ``list``). Raises Stop: it is missing, or of another kind.
    """
    if name not in node.attr:
        if required:
            raise Stop(f"Could not find required attribute {name} in node {node.name}", rule)
        return None
    value = node.attr[name]
    found = value.WhichOneof("value")
    if found != kind:
        raise Stop(f"Attribute {name} of node {node.name} expected to have {_KINDS[kind]} as "
                   f"tensorflow::AttrValue::ValueCase, but found {_KINDS.get(found, 0)} instead", rule)  # fmt: skip
    return getattr(value, kind)


def whole_numbers(node: Any, name: str, rule: str, *, required: bool = True) -> list[int]:
    """Return a list of whole numbers, each wrapped to 32 bits, unsigned."""
    value = attribute(node, name, "list", rule, required=required)
    return [] if value is None else [number & 0xFFFFFFFF for number in value.i]


def text(node: Any, name: str, rule: str) -> str:
    """Return a string."""
    return bytes(attribute(node, name, "s", rule)).decode("utf-8", "surrogateescape")


def check_format(node: Any, layout: str, called: str) -> str:
    """Return a layout; one that the parser does not know is refused."""
    if layout not in ("NHWC", "NCHW"):
        raise Stop(f"Unsupported data format {layout} passed for {called} node {node.name}. Only NHWC and NCHW "
                   "supported", "TF11")  # fmt: skip
    return layout


def check_padding(node: Any, padding: str) -> None:
    """Refuse a padding that the parser does not know."""
    if padding not in ("SAME", "VALID"):
        raise Stop(f"Only 'SAME' and 'VALID' padding supported. Got {padding} for {node.name}", "TF12")


def type_name(number: int) -> str:
    """Name an element type as protobuf does (``DT_INT64``)."""
    from modelprep.formats.tensorflow.messages import message_of_1_12

    enum = message_of_1_12("TensorProto").DESCRIPTOR.fields_by_name["dtype"].enum_type
    if enum is not None and number in enum.values_by_number:
        return str(enum.values_by_number[number].name)
    return ""
