"""Facts of an ONNX model: inputs, outputs, operators, weights."""

from __future__ import annotations

from collections import Counter
from typing import Any

from modelprep.formats.onnx.graphs import DEFAULT
from modelprep.formats.onnx.model import TYPES, Model


def shape(value: Any) -> list[int | str | None]:
    """Return the dimensions of an input, output or value_info: numbers, symbols, None if nothing is known."""
    return [
        dim.dim_param or (int(dim.dim_value) if dim.HasField("dim_value") else None)
        for dim in value.type.tensor_type.shape.dim
    ]


def described(value: Any) -> dict[str, object]:
    """Return name, type and shape of an input or output."""
    kind = value.type.WhichOneof("value") or "nothing"
    dtype = TYPES.get(value.type.tensor_type.elem_type, "?") if kind == "tensor_type" else kind.removesuffix("_type")
    return {"name": value.name, "dtype": dtype, "shape": shape(value)}


def summary(model: Model) -> dict[str, object]:
    """Return what ``onnx inspect --json`` prints."""
    graph, proto = model.graph, model.proto
    return {
        "size": model.size,
        "ir_version": int(proto.ir_version),
        "opset": {item.domain or "ai.onnx": int(item.version) for item in proto.opset_import},
        "producer": " ".join(part for part in (proto.producer_name, proto.producer_version) if part),
        "graph": graph.name,
        "inputs": [described(value) for value in model.inputs()],
        "outputs": [described(value) for value in graph.output],
        "operators": dict(sorted(Counter(_operator(node) for node in graph.node).items())),
        "initialisers": {
            "count": len(graph.initializer),
            "bytes": sum(model.tensor_bytes(tensor) for tensor in graph.initializer),
            "external": sum(tensor.data_location == 1 for tensor in graph.initializer),
        },
    }


def _operator(node: Any) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain not in DEFAULT else str(node.op_type)


def nodes(model: Model) -> list[dict[str, object]]:
    """Return the nodes: operator, name, inputs, outputs."""
    return [
        {"op": _operator(node), "name": node.name, "inputs": list(node.input), "outputs": list(node.output)}
        for node in model.graph.node
    ]


def initializers(model: Model) -> list[dict[str, object]]:
    """Return the initializers: name, type, dimensions, bytes."""
    return [
        {
            "name": tensor.name,
            "dtype": TYPES.get(tensor.data_type, str(tensor.data_type)),
            "shape": [int(dim) for dim in tensor.dims],
            "bytes": model.tensor_bytes(tensor),
        }
        for tensor in model.graph.initializer
    ]
