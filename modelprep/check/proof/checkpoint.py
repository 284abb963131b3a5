"""A graph and its checkpoint, before they were frozen: TensorFlow restores the variables and runs the graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelprep.check.proof import tensorflow as graphs
from modelprep.check.proof.types import Conversion, Side, Sides
from modelprep.check.runtimes import host as runtimes
from modelprep.check.runtimes.base import refusing
from modelprep.errors import CheckFailed, MissingTool
from modelprep.formats.native import hushed
from modelprep.installed import install_command

_VARIABLES = ("VariableV2", "Variable", "VarHandleOp")


def runtime(_: Conversion) -> str:
    """Return name and version of what restores a checkpoint: TensorFlow. Raises MissingTool: it is not installed."""
    if (name := graphs.tensorflow()) is None:
        raise MissingTool("running a graph with its checkpoint needs TensorFlow", hint=install_command("tf"))
    return name


def sides(conversion: Conversion) -> Sides:
    """Compare a graph whose variables TensorFlow restored with the frozen graph.

    Raises CheckFailed: the frozen graph has no input or output.
    """
    from modelprep.formats.tensorflow.read import read_graph

    frozen = read_graph(conversion.output)
    there = {node.name for node in frozen.nodes}
    ends = [name for name in graphs.results(frozen, conversion.output) if name in there]
    names = list(dict.fromkeys([*map(str, conversion.params["outputs"]), *ends]))
    asked = graphs.Request(graphs.placeholders(frozen, conversion.output, conversion.shape), names)

    @contextmanager
    def before() -> Iterator[Side]:
        with _restored(conversion, names) as (path, graph, running):
            yield graphs.side_of(path, graph, running, asked)

    return Sides(tuple(names), before, lambda: graphs.opened(conversion.output, asked))


@contextmanager
def _restored(conversion: Conversion, outputs: list[str]) -> Iterator[tuple[Path, Any, Any]]:
    import tempfile

    from modelprep.steps._freeze_tensorflow import laid_out

    tf = runtimes.tensorflow()
    path = Path(conversion.params["graph"])
    shards: Mapping[str, Path] = conversion.params.get("shards") or {}
    definition = graphs.definition_of(path)
    nodes = {node.name for node in definition.node}
    saver = next((scope for scope in ("save/", "save_1/") if {f"{scope}restore_all", f"{scope}Const"} <= nodes), None)
    wanted = [*outputs, *([f"{saver}restore_all"] if saver else [])]
    with refusing("TensorFlow", path, AssertionError, ValueError, TypeError), hushed():
        needed = tf.compat.v1.graph_util.extract_sub_graph(definition, wanted)
    with tempfile.TemporaryDirectory(prefix="modelprep-proof-") as folder:
        prefix = laid_out(Path(conversion.params["checkpoint"]), shards, Path(folder))
        with graphs.session(path, needed) as (graph, running):
            with refusing("TensorFlow", path, ValueError, TypeError, KeyError, tf.errors.OpError):
                if saver:
                    running.run(f"{saver}restore_all", {f"{saver}Const:0": prefix})
                else:
                    _assign(tf, graph, running, prefix, path)
            yield path, graph, running


def _assign(tf: Any, graph: Any, running: Any, prefix: str, path: Path) -> None:
    """Restore each variable by its own name, where the graph holds no saver that knows another."""
    variables = [op for op in graph.get_operations() if op.type in _VARIABLES]
    stored = tf.compat.v1.train.NewCheckpointReader(prefix).get_variable_to_dtype_map()
    absent = [op.name for op in variables if op.name not in stored]
    if absent:
        raise CheckFailed("the graph has no saver, and the checkpoint does not know its variables by their names",
                          where=str(path), got=", ".join(absent[:3]))  # fmt: skip
    # In one run: TensorFlow places the whole graph again in each run after a change.
    assigned = []
    with graph.as_default():
        for op in variables:
            dtype = op.get_attr("dtype").base_dtype
            (value,) = tf.raw_ops.RestoreV2(
                prefix=prefix, tensor_names=[op.name], shape_and_slices=[""], dtypes=[stored[op.name].base_dtype]
            )
            value = tf.cast(value, dtype)
            if op.type == "VarHandleOp":
                assigned.append(tf.raw_ops.AssignVariableOp(resource=op.outputs[0], value=value))
            else:
                assigned.append(tf.raw_ops.Assign(ref=op.outputs[0], value=value, validate_shape=False).op)
    running.run(assigned)
