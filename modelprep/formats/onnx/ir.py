"""Which IR version a model's own parts ask for (onnx's version history)."""

from __future__ import annotations

from modelprep.errors import StepError
from modelprep.formats.onnx.graphs import names
from modelprep.formats.onnx.model import Model


def _younger(model: Model) -> list[tuple[int, str]]:
    """List what a model holds that came with an IR version: that version, and what it is."""
    proto = model.proto
    listed = names(proto.graph.input)
    types = {tensor.data_type for tensor in proto.graph.initializer}
    found = [
        (4, "initializers that are not inputs", any(t.name not in listed for t in proto.graph.initializer)),
        (4, "bfloat16 weights", 16 in types),
        (5, "sparse initializers", bool(proto.graph.sparse_initializer)),
        (7, "training information", bool(proto.training_info)),
        (8, "local functions", bool(proto.functions)),
        (9, "8-bit floating-point weights", bool(types & set(range(17, 21)))),
        (10, "4-bit weights", bool(types & {21, 22})),
        (11, "4-bit floating-point weights", 23 in types),
    ]
    return [(since, what) for since, what, there in found if there]


def needed(model: Model) -> int:
    """Return the oldest IR version that has all that a model holds."""
    return max((since for since, _ in _younger(model)), default=3)


def set_version(model: Model, version: int) -> None:
    """Set the IR version, where the model holds nothing that came later.

    Raises StepError: it does, or the version does not exist.
    """
    if not 3 <= version <= 20:
        raise StepError("the IR version must be 3 or later", where=model.where, got=str(version))
    for since, what in _younger(model):
        if version < since:
            raise StepError(
                f"the model has {what}, which need IR version {since}", where=model.where, got=f"IR version {version}",
                hint="list them: --initialisers inputs" if what == "initializers that are not inputs" else None,
            )  # fmt: skip
    model.proto.ir_version = version
