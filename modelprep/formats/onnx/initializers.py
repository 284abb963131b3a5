"""Where an ONNX model keeps its constants, and in which field of the file: as an old parser expects it.

Arm NN 19.02 reads weights from ``float_data`` and ``int64_data`` alone, never from ``raw_data`` (rules ON02, ON09), and
takes the shape of a constant from the graph's inputs (ON03). None of this changes a value.
"""

from __future__ import annotations

import struct
from typing import Any

from modelprep.errors import StepError
from modelprep.formats.onnx.graphs import DEFAULT, names, replace
from modelprep.formats.onnx.model import CODES, FLOAT, INT64, RAW, TYPED, TYPES, Model, elements, messages, to_typed
from modelprep.formats.onnx.pieces import block

#: Attribute that gives a Constant its value, other than as a tensor -> element type, field of the attribute.
_SHORT = {
    "value_int": (INT64, "i"), "value_float": (FLOAT, "f"), "value_ints": (INT64, "ints"),
    "value_floats": (FLOAT, "floats"),
}  # fmt: skip


def type_data(model: Model) -> int:
    """Move ``raw_data`` of FLOAT, DOUBLE, INT32 and INT64 constants into the field of their type; return how many.

    Initializers and the tensors of Constant nodes. Floating-point data are moved by reference: the bytes are the same.

    Raises StepError: data and dimensions of a tensor disagree.
    """
    count = 0
    constants = [
        attribute.t
        for node in model.graph.node if node.op_type == "Constant"
        for attribute in node.attribute if attribute.name == "value" and attribute.HasField("t")
    ]  # fmt: skip
    for tensor in (*model.graph.initializer, *constants):
        if tensor.data_type not in TYPED:
            continue
        number, name = TYPED[tensor.data_type]
        payload = model.payloads.get(tensor.name) if tensor.name else None
        if payload is not None and payload.number == RAW and not tensor.HasField("raw_data"):
            _check_size(model, tensor, payload.size)
            payload.number = number
            payload.pieces = [part for piece in payload.pieces for part in to_typed(piece, tensor.data_type)]
            count += 1
        elif tensor.HasField("raw_data"):
            raw = bytes(tensor.raw_data)
            _check_size(model, tensor, len(raw))
            tensor.ClearField("raw_data")
            # Parsing the packed bytes as a message of that one field sets it without a list of Python numbers.
            tensor.MergeFromString(b"".join(block(number, to_typed(memoryview(raw), tensor.data_type))))
            if len(getattr(tensor, name)) != elements(tensor):
                raise StepError(f"the data of '{tensor.name}' do not fit its dimensions", where=model.where)
            count += 1
    return count


def list_as_inputs(model: Model) -> int:
    """List every initializer among the graph's inputs, as IR version 3 had it; return how many were not."""
    listed = names(model.graph.input)
    missing = [tensor for tensor in model.graph.initializer if tensor.name not in listed]
    for tensor in missing:
        add_input(model.graph, tensor)
    return len(missing)


def add_input(graph: Any, tensor: Any) -> None:
    """Add an input with a tensor's name, type and dimensions."""
    value = graph.input.add(name=tensor.name).type.tensor_type
    value.elem_type = tensor.data_type
    value.shape.SetInParent()
    for size in tensor.dims:
        value.shape.dim.add(dim_value=size)


def raw_bytes(model: Model, tensor: Any) -> bytes | None:
    """Return the elements of an initializer as little-endian bytes; None for types that are not told apart here."""
    payload = model.payloads.get(tensor.name) if tensor.name else None
    number, name = TYPED.get(tensor.data_type, (0, ""))
    if payload is not None:
        if payload.number == RAW or (CODES.get(tensor.data_type, "") in ("f", "d") and payload.number == number):
            return b"".join(map(bytes, payload.pieces))
        return None
    if tensor.HasField("raw_data"):
        return bytes(tensor.raw_data)
    if not name:
        return None
    values = getattr(tensor, name)
    return struct.pack(f"<{len(values)}{CODES[tensor.data_type]}", *values)


def lift_constants(model: Model) -> int:
    """Turn Constant nodes that do not hold one FLOAT tensor into initializers (ON07); return how many."""
    taken = set(model.initializers())
    kept = []
    for node in model.graph.node:
        tensor = constant_value(node) if node.op_type == "Constant" and node.domain in DEFAULT else None
        if (
            tensor is None or len(node.output) != 1 or node.output[0] in taken
            or (tensor.data_type == FLOAT and node.attribute[0].name == "value")
        ):  # fmt: skip
            kept.append(node)
            continue
        tensor.name = node.output[0]
        model.graph.initializer.append(tensor)
        taken.add(tensor.name)
    count = len(model.graph.node) - len(kept)
    if count:
        replace(model.graph.node, kept)
    return count


def constant_value(node: Any) -> Any:
    """Return a copy of the tensor that a Constant node makes; None if it makes none that could be an initializer."""
    if len(node.attribute) != 1:
        return None
    attribute = node.attribute[0]
    tensor = messages("TensorProto")()
    if attribute.name == "value" and attribute.HasField("t"):
        tensor.CopyFrom(attribute.t)
        return tensor
    if attribute.name not in _SHORT:
        return None
    tensor.data_type, source = _SHORT[attribute.name]
    values = getattr(attribute, source)
    if source.endswith("s"):
        tensor.dims.append(len(values))
    getattr(tensor, TYPED[tensor.data_type][1]).extend(values if source.endswith("s") else [values])
    return tensor


def _check_size(model: Model, tensor: Any, size: int) -> None:
    expected = elements(tensor) * struct.calcsize(CODES[tensor.data_type])
    if size != expected or any(dim < 0 for dim in tensor.dims):
        raise StepError(
            f"the data of '{tensor.name}' do not fit its dimensions", where=model.where,
            expected=f"{expected} bytes for {TYPES[tensor.data_type]} {'x'.join(map(str, tensor.dims)) or 'scalar'}",
            got=f"{size} bytes",
        )  # fmt: skip
