"""``tf.freeze``: a graph and its checkpoint become one graph with the weights as constants."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelprep import quoting
from modelprep.errors import RecipeError, StepError, UsageError
from modelprep.steps import Call, Facts, Param, Params, Proven, Step, _subprocess


def _run(call: Call) -> Facts:
    params = call.params
    outputs, clear = [str(name) for name in params["outputs"]], bool(params.get("clear_devices", True))
    shards: dict[str, Path] = dict(params.get("shards") or {})
    if not outputs:
        raise RecipeError("tf.freeze needs at least one output", hint="outputs: [name of the last node]")
    if params.get("engine") != "tensorflow":
        return _native(call, params["graph"], params["checkpoint"], shards, outputs, clear)
    request = {
        "graph": str(params["graph"]), "checkpoint": str(params["checkpoint"]), "outputs": outputs,
        "shards": {name: str(path) for name, path in shards.items()}, "output": str(call.output),
        "clear_devices": clear,
    }  # fmt: skip
    return _subprocess.call(
        "modelprep.steps._freeze_tensorflow", request, failure="freezing with TensorFlow failed", where=params["graph"]
    )


def _native(
    call: Call, graph_path: Path, checkpoint_path: Path, shards: Mapping[str, Path], outputs: list[str], clear: bool
) -> Facts:
    from modelprep.formats.output import writing
    from modelprep.formats.tensorflow.checkpoint.open import open_checkpoint
    from modelprep.formats.tensorflow.graphdef import Graph, encode_graph
    from modelprep.formats.tensorflow.read import read_any_graph
    from modelprep.steps._freeze_native import frozen_nodes, plan

    graph, size = read_any_graph(graph_path)[0], 0
    with open_checkpoint(checkpoint_path, shards) as checkpoint:
        planned = plan(graph, checkpoint, outputs, clear_devices=clear)
        # TensorFlow writes both, empty as they may be, and leaves the rest behind.
        frozen = Graph([], library=graph.library or b"", versions=graph.versions or b"")
        with writing(call.output) as write:
            for piece in encode_graph(frozen, frozen_nodes(planned, checkpoint)):
                write(piece)
                size += len(piece)
                if len(piece) > 1 << 16:
                    call.progress(size, None)
        call.progress(size, size)
        return {
            "nodes": len(planned.nodes) + len(planned.added), "variables": len(planned.sources), "bytes": size,
            "checkpoint": checkpoint.version,
        }  # fmt: skip


def _complete(params: Params) -> Params:
    """Find the graph in a SavedModel's folder, and a checkpoint's files; if none is named, of the graph's own."""
    from modelprep.formats.tensorflow.checkpoint.find import files_of
    from modelprep.formats.tensorflow.read import file_of
    from modelprep.formats.tensorflow.wrapped import SAVED_MODEL_FILE, VARIABLES

    graph, checkpoint = params.get("graph"), params.get("checkpoint")
    if "shards" in params or not isinstance(graph, Path):
        return params
    if not isinstance(checkpoint, Path):
        if graph.is_dir() or graph.name == SAVED_MODEL_FILE:
            graph = file_of(graph)
            checkpoint = graph.parent / VARIABLES
            if not checkpoint.with_suffix(".index").is_file():
                _require_variables(graph)
        elif graph.suffix == ".meta":
            checkpoint = graph
        else:
            raise UsageError(
                "freeze needs a checkpoint and a graph",
                where=str(graph),
                expected="GRAPH CHECKPOINT; a .meta file and a SavedModel refer to their own",
                hint=f"modelprep tf freeze {quoting.sh(quoting.operand(str(graph)))} model.ckpt -n NODE -o FILE",
            )
    index, shards = files_of(checkpoint)
    return {**params, "graph": file_of(graph), "checkpoint": index, "shards": shards}


def _require_variables(path: Path) -> None:
    """Raise StepError if a SavedModel has no variables: its graph is frozen as it is."""
    from modelprep.formats.tensorflow.graphdef import VARIABLE_OPS
    from modelprep.formats.tensorflow.read import read_any_graph, way_on

    graph, wrapper = read_any_graph(path)
    if wrapper is not None and not any(node.op in VARIABLE_OPS for node in graph.nodes):
        raise StepError(
            "this SavedModel has no variables: there is nothing to freeze", where=str(path),
            hint=way_on(str(path), graph, wrapper),
        )  # fmt: skip


STEP = Step(
    name="tf.freeze",
    version=1,
    summary="turn the variables of a TensorFlow graph into constants, with the values of a checkpoint",
    example="graph.pb model.ckpt -n softmax -o frozen.pb",
    params={
        "graph": Param("file", "the graph: .pb, .pbtxt, .meta, or a SavedModel's file or folder", required=True),
        "checkpoint": Param(
            "file",
            "the checkpoint: a V1 file, the index of a V2 one (a command also takes any of its files, the prefix, the "
            "list called checkpoint or a folder, and none for a .meta file and a SavedModel)",
            required=True,
            metavar="[CHECKPOINT]",
        ),
        "shards": Param(
            "files", "the data files of a V2 checkpoint, by name (model.ckpt.data-00000-of-00001)", option=None
        ),
        "outputs": Param(
            "strs", "a node to keep, with its inputs", required=True, option="--output-node -n", metavar="NODE"
        ),
        "clear_devices": Param("bool", "remove the devices of nodes", default=True, option="--keep-devices"),
        "engine": Param(
            "str",
            "native needs no extra; tensorflow uses TensorFlow (extra tf)",
            default="native",
            choices=("native", "tensorflow"),
        ),
    },
    run=_run,
    complete=_complete,
    proof=Proven(
        "checkpoint",
        0.0,
        "exact: TensorFlow runs both unchanged, with the same values in the same kernels",
        otherwise="engine: tensorflow makes it with TensorFlow",
    ),
    cpu_bound=True,
    extras=lambda params: ("tf",) if params.get("engine") == "tensorflow" else (),
)
