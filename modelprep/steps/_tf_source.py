"""A TensorFlow model (frozen graph, SavedModel, Keras file) as one function with fixed shapes; needs TensorFlow."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelprep import quoting
from modelprep.errors import StepError

_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"


def opened(request: Mapping[str, Any], folder: Path) -> tuple[Any, Any]:
    """Load a model as a concrete function whose input shapes are known.

    `request`: ``model`` (path), ``variables`` (name -> path, of a SavedModel), ``inputs``, ``outputs`` (names),
    ``shapes`` (input name -> sizes). Returns the function, and an object that lives as long as the function. Raises
    StepError: TensorFlow cannot load it, or an input has no fixed shape.
    """
    path = Path(request["model"])
    with path.open("rb") as file:
        head = file.read(8)
    if head == _HDF5 or head[:4] == _ZIP:
        return _of_keras(path, "h5" if head == _HDF5 else "keras", request, folder)
    from modelprep.formats.tensorflow.read import read_any_graph, way_on
    from modelprep.formats.tensorflow.wrapped import SAVED_MODEL

    graph, wrapper = read_any_graph(path)
    if wrapper is not None and wrapper.kind == SAVED_MODEL:
        if any(node.op in ("Variable", "VariableV2") for node in graph.nodes):
            raise StepError(
                "TensorFlow 2 does not restore variables of this kind (VariableV2) in a SavedModel", where=str(path),
                expected="a frozen graph", hint=way_on(str(path), graph, wrapper),
            )  # fmt: skip
        return _of_saved_model(path, request, folder)
    return _of_graph(graph, request)


def _of_graph(graph: Any, request: Mapping[str, Any]) -> tuple[Any, Any]:
    import tensorflow as tf

    from modelprep.formats.tensorflow.graphdef import encode_graph

    definition = tf.compat.v1.GraphDef.FromString(b"".join(encode_graph(graph)))
    nodes = {node.name: node for node in definition.node}
    variables = [node.name for node in definition.node if node.op in ("VariableV2", "VarHandleOp", "Variable")]
    if variables:
        raise StepError("the graph is not frozen", where=request["model"], got=f"the variable {variables[0]}",
                        hint="modelprep tf freeze GRAPH CHECKPOINT -n OUTPUT -o FILE")  # fmt: skip
    used = {name.lstrip("^").partition(":")[0] for node in definition.node for name in node.input}
    inputs = request["inputs"] or [node.name for node in definition.node if node.op == "Placeholder"]
    ends = (node for node in definition.node if node.name not in used)
    outputs = request["outputs"] or [node.name for node in ends if node.op not in ("NoOp", "Assert", "Placeholder")]
    for name in (*inputs, *outputs):
        if name.partition(":")[0] not in nodes:
            raise StepError(f"the graph has no node '{name}'", where=request["model"])
    for name in inputs:
        node = nodes[name.partition(":")[0]]
        shape = node.attr["shape"].shape
        # Graphs of TensorFlow's first versions have an empty shape for an unknown one.
        own = None if shape.unknown_rank else [size.size for size in shape.dim] or None
        shape.CopyFrom(tf.TensorShape(_fixed(name, own, request)).as_proto())

    def imported() -> None:
        tf.graph_util.import_graph_def(definition, name="")

    wrapped = tf.compat.v1.wrap_function(imported, [])
    pruned = wrapped.prune([_tensor(name) for name in inputs], [_tensor(name) for name in outputs])
    return pruned, wrapped


def _of_saved_model(path: Path, request: Mapping[str, Any], folder: Path) -> tuple[Any, Any]:
    import tensorflow as tf

    model = folder / "model"
    (model / "variables").mkdir(parents=True)
    shutil.copyfile(path, model / "saved_model.pb")
    for name, file in request["variables"].items():
        (model / "variables" / Path(name).name).symlink_to(Path(file).resolve())
    loaded = tf.saved_model.load(str(model))
    signature = loaded.signatures.get("serving_default") or next(iter(loaded.signatures.values()), None)
    if signature is None:
        raise StepError("the SavedModel has no signature to call", where=request["model"])
    specs = dict(sorted(signature.structured_input_signature[1].items()))
    given = {name: _spec(name, spec, request) for name, spec in specs.items()}
    wanted = request["outputs"] or sorted(signature.structured_outputs)
    missing = [name for name in wanted if name not in signature.structured_outputs]
    if missing:
        raise StepError(f"the SavedModel has no output '{missing[0]}'", where=request["model"],
                        expected=", ".join(signature.structured_outputs))  # fmt: skip

    @tf.function(input_signature=list(given.values()), autograph=False)  # type: ignore[untyped-decorator, unused-ignore]
    def call(*values: Any) -> list[Any]:
        found = signature(**dict(zip(given, values, strict=True)))
        return [found[name] for name in wanted]

    return call.get_concrete_function(), loaded


def _of_keras(path: Path, suffix: str, request: Mapping[str, Any], folder: Path) -> tuple[Any, Any]:
    import tensorflow as tf

    named = folder / f"model.{suffix}"  # Keras tells the format by the name
    shutil.copyfile(path, named)
    model = _keras_model(named, suffix)
    given = [_spec(each.name.partition(":")[0], each, request) for each in model.inputs]

    @tf.function(input_signature=given, autograph=False)  # type: ignore[untyped-decorator, unused-ignore]
    def call(*values: Any) -> list[Any]:
        found = model(values[0] if len(values) == 1 else list(values), training=False)
        return list(tf.nest.flatten(found))

    return call.get_concrete_function(), model


def _keras_model(path: Path, suffix: str) -> Any:
    """Load a Keras file without running its code (Lambda layers)."""
    import tensorflow as tf

    try:
        return tf.keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception:
        if suffix != "h5" or b'"Lambda"' in path.read_bytes():
            raise
        import tf_keras  # files of Keras 2 that Keras 3 refuses

        return tf_keras.models.load_model(path, compile=False)


def _spec(name: str, spec: Any, request: Mapping[str, Any]) -> Any:
    import tensorflow as tf

    own = None if spec.shape is None or getattr(spec.shape, "rank", 0) is None else list(spec.shape)
    return tf.TensorSpec(_fixed(name, own, request), spec.dtype, name=name)


def _tensor(name: str) -> str:
    return name if ":" in name else f"{name}:0"


def _fixed(name: str, own: Sequence[int | None] | None, request: Mapping[str, Any]) -> list[int]:
    """Return an input's shape without open sizes: the requested one, else its own with a batch of one.

    Raises StepError: a size other than the batch is open and not requested, or another shape is requested.
    """
    asked = request["shapes"].get(name) or request["shapes"].get(name.partition(":")[0])
    if asked is None:
        if own is None or any(size in (None, -1) for size in own[1:]):
            raise StepError(f"the shape of input '{name}' is not fixed", where=request["model"],
                            expected=f"shapes: {{{name}: [1, 224, 224, 3]}}", got=str(own),
                            hint=f"as a command: --shape {quoting.sh(f'{name}=[1,224,224,3]')}")  # fmt: skip
        return [1 if size in (None, -1) else int(size) for size in own]
    if own is not None and (
        len(own) != len(asked) or any(a not in (None, -1, b) for a, b in zip(own, asked, strict=True))
    ):
        raise StepError(f"input '{name}' has another shape than asked for", where=request["model"],
                        expected=str(asked), got=str(list(own)))  # fmt: skip
    return [int(size) for size in asked]
