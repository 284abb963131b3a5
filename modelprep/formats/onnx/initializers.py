"""Where an ONNX model keeps its constants, and in which field of the file: as an old parser wants it.

Arm NN 19.02 reads weights from ``float_data`` and ``int64_data`` alone, never from ``raw_data`` (rules ON02, ON09), and
takes the shape of a constant from the graph's inputs (ON03). None of this changes a value.
"""

from __future__ import annotations

import sys
from typing import Any

from modelprep.errors import StepError
from modelprep.formats.onnx.graphs import replace
from modelprep.formats.onnx.model import (
    DOUBLE,
    FLOAT,
    INT32,
    INT64,
    RAW,
    TYPED,
    TYPES,
    WIDTH,
    Model,
    Payload,
    elements,
    messages,
    to_typed,
)


def type_data(model: Model) -> int:
    """Move ``raw_data`` of FLOAT, DOUBLE, INT32 and INT64 constants into the field of their type; give how many.

    Initializers and the tensors of Constant nodes. Floating-point data are moved by reference: the bytes are the same.

    Raises StepError: data and dimensions of a tensor disagree.
    """
    count = 0
    for tensor in (*model.graph.initializer, *(t for _, t in _constants(model))):
        if tensor.data_type not in TYPED:
            continue
        number, name = TYPED[tensor.data_type]
        payload = model.payloads.get(tensor.name) if tensor.name else None
        if payload is not None and payload.number == RAW and not tensor.HasField("raw_data"):
            _check_size(model, tensor, payload.size)
            pieces = [part for piece in payload.pieces for part in to_typed(piece, tensor.data_type)]
            model.payloads[tensor.name] = Payload(number, pieces)
            count += 1
        elif tensor.HasField("raw_data"):
            raw = bytes(tensor.raw_data)
            _check_size(model, tensor, len(raw))
            tensor.ClearField("raw_data")
            view = memoryview(raw)
            # Parsing the packed bytes as a message of that one field sets it without a list of Python numbers.
            from modelprep.formats.onnx.pieces import block

            tensor.MergeFromString(b"".join(block(number, to_typed(view, tensor.data_type))))
            if len(getattr(tensor, name)) != elements(tensor):
                raise StepError(f"the data of '{tensor.name}' do not fit its dimensions", where=model.where)
            count += 1
    return count


def list_as_inputs(model: Model) -> int:
    """List every initializer among the graph's inputs, as IR version 3 had it; give how many were not."""
    listed = {value.name for value in model.graph.input}
    count = 0
    for tensor in model.graph.initializer:
        if tensor.name in listed:
            continue
        value = model.graph.input.add(name=tensor.name)
        value.type.tensor_type.elem_type = tensor.data_type
        value.type.tensor_type.shape.SetInParent()
        for dim in tensor.dims:
            value.type.tensor_type.shape.dim.add(dim_value=dim)
        count += 1
    return count


def raw_bytes(model: Model, tensor: Any) -> bytes | None:
    """Return the elements of an initializer as little-endian bytes; None for types that are not told apart here."""
    from array import array

    payload = model.payloads.get(tensor.name) if tensor.name else None
    if payload is not None:
        typed = TYPED.get(tensor.data_type, (0, ""))[0]
        if payload.number == RAW or (tensor.data_type in (FLOAT, DOUBLE) and payload.number == typed):
            return b"".join(bytes(piece) for piece in payload.pieces)
        return None
    if tensor.HasField("raw_data"):
        return bytes(tensor.raw_data)
    codes = {FLOAT: "f", DOUBLE: "d", INT32: "i", INT64: "q"}
    if tensor.data_type not in codes:
        return None
    elements = array(codes[tensor.data_type], getattr(tensor, TYPED[tensor.data_type][1]))
    if sys.byteorder == "big":
        elements.byteswap()
    return elements.tobytes()


def lift_constants(model: Model) -> int:
    """Turn Constant nodes that do not hold one FLOAT tensor into initializers (ON07); return how many."""
    taken = set(model.initializers())
    count = 0
    kept = []
    for node in model.graph.node:
        tensor = constant_value(node) if node.op_type == "Constant" and node.domain in ("", "ai.onnx") else None
        if tensor is None or len(node.output) != 1 or node.output[0] in taken:
            kept.append(node)
            continue
        if tensor.data_type == 1 and len(node.attribute) == 1 and node.attribute[0].name == "value":
            kept.append(node)
            continue
        tensor.name = node.output[0]
        model.graph.initializer.append(tensor)
        taken.add(tensor.name)
        count += 1
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
    elif attribute.name in ("value_int", "value_float"):
        tensor.data_type = INT64 if attribute.name == "value_int" else FLOAT
        getattr(tensor, TYPED[tensor.data_type][1]).append(attribute.i if tensor.data_type == INT64 else attribute.f)
    elif attribute.name in ("value_ints", "value_floats"):
        values = attribute.ints if attribute.name == "value_ints" else attribute.floats
        tensor.data_type = INT64 if attribute.name == "value_ints" else FLOAT
        tensor.dims.append(len(values))
        getattr(tensor, TYPED[tensor.data_type][1]).extend(values)
    else:
        return None
    return tensor


def _constants(model: Model) -> list[tuple[Any, Any]]:
    return [
        (node, attribute.t)
        for node in model.graph.node if node.op_type == "Constant"
        for attribute in node.attribute if attribute.name == "value" and attribute.HasField("t")
    ]  # fmt: skip


def _check_size(model: Model, tensor: Any, size: int) -> None:
    expected = elements(tensor) * WIDTH[tensor.data_type]
    if size != expected or any(dim < 0 for dim in tensor.dims):
        raise StepError(
            f"the data of '{tensor.name}' do not fit its dimensions", where=model.where,
            expected=f"{expected} bytes for {TYPES[tensor.data_type]} {'x'.join(map(str, tensor.dims)) or 'scalar'}",
            got=f"{size} bytes",
        )  # fmt: skip
