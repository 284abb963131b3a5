"""Attributes of ONNX nodes as Arm NN's parser reads them (armnnOnnxParser/OnnxParser.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelprep.targets.armnn.network import Stop, crash

#: AttributeProto.AttributeType by number.
_KINDS = {
    0: "UNDEFINED", 1: "FLOAT", 2: "INT", 3: "STRING", 4: "TENSOR", 5: "GRAPH", 6: "FLOATS", 7: "INTS", 8: "STRINGS",
    9: "TENSORS", 10: "GRAPHS",
}  # fmt: skip


def unsigned(outer: str, inner: str, value: int) -> int:
    """Return a number that has to fit 32 bits and not be negative; `outer` and `inner` are the parser's expressions."""
    if not -(1 << 31) <= value < 1 << 31:
        raise Stop(
            f"'{inner}' must should fit into a int32 (ArmNN don't support int64), received: {value}", rule="ON19"
        )
    if value < 0:
        raise Stop(f"'{outer}' must be non-negative, received: {value}", rule="ON19")
    return int(value)


def sizes(node: Any, inputs: Sequence[int], outputs: Sequence[int], rule: str, called: str = "node") -> None:
    """Refuse a node with another number of inputs or outputs; `called` is the parser's own word for the node."""
    for found, allowed, what in ((len(node.input), inputs, "input"), (len(node.output), outputs, "output")):
        if found not in allowed:
            dot = "" if called.endswith("->") else "."
            raise Stop(
                f"static_cast<size_t>({called}{dot}{what}_size()) = {found} is not valid, not in "
                f"{{{', '.join(map(str, allowed))}}}.", rule=rule,
            )  # fmt: skip


def pair(values: Sequence[int], what: str) -> tuple[int, int]:
    """Return the first two numbers of a list; what lies behind a shorter one is read all the same."""
    if len(values) < 2:
        raise crash(f"{what} has {len(values)} numbers, not 2", rule="ON19")
    return values[0], values[1]


def find(node: Any, name: str, wanted: int) -> Any:
    """Return the last attribute of a name, all of which must be of one type."""
    found = None
    for attribute in node.attribute:
        if attribute.name == name:
            if attribute.type != wanted:
                raise Stop(
                    f"Attribute {name} of node {node.name} expected to have {_KINDS[wanted]} as "
                    f"onnx::AttributeProto::AttributeType, but found {_KINDS.get(attribute.type, '')} instead",
                    rule="ON19",
                )
            found = attribute
    return found


def wholes(node: Any, name: str) -> list[int]:
    """Return a list of whole numbers, empty if it is not there."""
    attribute = find(node, name, 7)
    inner = "attrValue.ints().Get(attriNum)"
    values = [] if attribute is None else attribute.ints
    return [unsigned(f"CHECKED_INT32({inner})", inner, value) for value in values]


def whole(node: Any, name: str, default: int) -> int:
    """Return a whole number."""
    attribute = find(node, name, 2)
    if attribute is None:
        return default
    return unsigned("CHECKED_INT32((attrValue.i()))", "(attrValue.i())", attribute.i)


def real(node: Any, name: str, default: float) -> float:
    """Return a real number."""
    attribute = find(node, name, 1)
    return default if attribute is None else float(attribute.f)


def text(node: Any, name: str) -> str:
    """Return a text, empty if it is not there."""
    attribute = find(node, name, 3)
    return "" if attribute is None else attribute.s.decode("utf-8", "replace")
