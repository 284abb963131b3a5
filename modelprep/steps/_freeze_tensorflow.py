"""Freezing through TensorFlow's own ``freeze_graph``: the engine ``tensorflow``, the reference of the native one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelprep.errors import StepError


def work(request: Mapping[str, Any]) -> dict[str, object]:
    """Freeze a graph; runs in the process that :mod:`modelprep.steps._subprocess` starts.

    `request`: graph, checkpoint, output (paths), shards (name -> path), outputs, clear_devices. Raises StepError:
    TensorFlow refuses the graph, the checkpoint, or both.
    """
    import tempfile

    import tensorflow as tf
    from tensorflow.core.framework import graph_pb2
    from tensorflow.core.protobuf import saver_pb2
    from tensorflow.python.tools import freeze_graph

    from modelprep.formats.tensorflow.graphdef import encode_graph
    from modelprep.formats.tensorflow.read import read_any_graph

    tf.compat.v1.disable_v2_behavior()
    graph = graph_pb2.GraphDef.FromString(b"".join(encode_graph(read_any_graph(Path(request["graph"]))[0])))
    with tempfile.TemporaryDirectory() as folder:
        prefix = laid_out(Path(request["checkpoint"]), request["shards"], Path(folder))
        try:
            frozen = freeze_graph.freeze_graph_with_def_protos(
                graph, _saver(graph, saver_pb2), prefix, ",".join(request["outputs"]), None, None, None,
                request["clear_devices"], "",
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - TensorFlow raises of every kind, all about the input
            raise StepError("TensorFlow cannot freeze this graph with this checkpoint", where=request["graph"],
                            got=f"{type(error).__name__}: {str(error)[:400]}") from None  # fmt: skip
    Path(request["output"]).write_bytes(frozen.SerializeToString(deterministic=True))
    return {"nodes": len(frozen.node), "engine": f"tensorflow {tf.__version__}"}


def _saver(graph: Any, saver_pb2: Any) -> Any:
    """Return the saver that the graph holds, if it holds one (partitioned variables need it)."""
    names = {node.name for node in graph.node}
    for scope in ("save/", "save_1/"):
        if f"{scope}restore_all" in names and f"{scope}Const" in names:
            return saver_pb2.SaverDef(
                filename_tensor_name=f"{scope}Const:0", restore_op_name=f"{scope}restore_all",
                save_tensor_name=f"{scope}control_dependency:0", version=saver_pb2.SaverDef.V2,
            )  # fmt: skip
    return None


def laid_out(checkpoint: Path, shards: Mapping[str, str | Path], folder: Path) -> str:
    """Return the prefix that TensorFlow expects; files of other names are linked in `folder` under those expected."""
    if not shards:
        return str(checkpoint).removesuffix(".index")
    if not any(".data-" in name for name in shards):
        raise StepError("TensorFlow takes one file, or an index and its data files", got=", ".join(shards))
    base = next(iter(shards)).partition(".data-")[0]
    (folder / f"{base}.index").symlink_to(checkpoint.resolve())
    for name, path in shards.items():
        (folder / name).symlink_to(Path(path).resolve())
    return str(folder / base)
