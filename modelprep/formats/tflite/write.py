"""Writing the one table of a TF Lite file that renaming rewrites: a tensor that has no place for a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelprep.errors import StepError
from modelprep.formats.tflite.flatbuffer import Scalar, Table


def tensor_with_name(tensor: Table, name: str) -> tuple[bytes, int]:
    """Copy a tensor's table, with a name.

    Returns what to append at a place that is a multiple of 16, and where in it the table is. Raises StepError: the
    tensor has parts that are not copied: sparsity, variants, a custom quantization.
    """
    from flatbuffers import Builder

    quantized = tensor.table(4, "the quantization of a tensor")
    if tensor.position(6) or tensor.position(9) or (quantized is not None and quantized.position(5)):
        raise StepError(
            f"{tensor.what} has no name, and cannot be given one", where=tensor.buffer.where,
            got="it is sparse, or quantized by a custom rule",
        )  # fmt: skip
    builder = Builder(256)
    text = builder.CreateString(name)
    shape, signature = (_vector(builder, tensor, slot, "Int32") for slot in (0, 7))
    quantization = 0
    if quantized is not None:
        vectors = {slot: _vector(builder, quantized, slot, "Int64" if slot == 3 else "Float32") for slot in range(4)}
        builder.StartObject(7)
        for slot, vector in vectors.items():
            builder.PrependUOffsetTRelativeSlot(slot, vector, 0)
        builder.PrependInt32Slot(6, quantized.integer(6, "Int32"), 0)
        quantization = builder.EndObject()
    builder.StartObject(10)
    for slot, offset in ((0, shape), (3, text), (4, quantization), (7, signature)):
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    builder.PrependInt8Slot(1, tensor.integer(1, "Int8"), 0)
    builder.PrependUint32Slot(2, tensor.integer(2, "Uint32"), 0)
    builder.PrependBoolSlot(5, bool(tensor.number(5, "Bool")), False)
    builder.PrependBoolSlot(8, bool(tensor.number(8, "Bool")), False)
    builder.Finish(builder.EndObject())
    data = bytes(builder.Output())
    return data, int.from_bytes(data[:4], "little")


def _vector(builder: Any, table: Table, slot: int, kind: Scalar) -> int:
    """Copy a vector of numbers; 0 if there is none."""
    if table.position(slot) is None:
        return 0
    numbers: Sequence[float] = table.numbers(slot, kind, f"a vector of {table.what}")
    width = 8 if kind == "Int64" else 4
    put = {"Int32": builder.PrependInt32, "Int64": builder.PrependInt64, "Float32": builder.PrependFloat32}[kind]
    builder.StartVector(width, len(numbers), width)
    for number in reversed(numbers):
        put(number)
    return int(builder.EndVector())
