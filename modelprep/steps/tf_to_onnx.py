"""``tf.to_onnx``: a frozen TensorFlow graph as an ONNX model, through tf2onnx in a separate process."""

from __future__ import annotations

from pathlib import Path

from modelprep import quoting
from modelprep.errors import StepError
from modelprep.steps import Call, Facts, Param, Proven, Step, _subprocess, needs
from modelprep.steps._completing import graph_file, shapes_of

#: For glibc: what is freed is kept for the next copy of the weights: giving pages back and taking others costs seconds.
_KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 32)}


def _run(call: Call) -> Facts:
    params, graph = call.params, call.params["graph"]
    if not graph.stat().st_size:
        raise StepError("the GraphDef is empty", where=str(graph))
    outputs = list(params["outputs"] or ())
    _require_frozen(graph, outputs)
    request = {
        "graph": str(graph), "output": str(call.output), "inputs": list(params["inputs"] or ()), "outputs": outputs,
        "opset": params["opset"], "shapes": shapes_of(params),
        "nchw": list(params["inputs_as_nchw"] or ()), "nchw_outputs": list(params["outputs_as_nchw"] or ()),
    }  # fmt: skip
    facts = _subprocess.call(
        "modelprep.formats.onnx.tf2onnx_worker", request, failure="tf2onnx cannot convert this graph", where=graph,
        environment=_KEEP_MEMORY,
    )  # fmt: skip
    size = call.output.stat().st_size
    call.progress(size, size)
    return {**facts, "opset": params["opset"], "size": size}


def _require_frozen(path: Path, outputs: list[str]) -> None:
    """Raise StepError if the outputs depend on variables: the graph must be frozen first."""
    from modelprep.formats.tensorflow.graphdef import VARIABLE_OPS
    from modelprep.formats.tensorflow.read import read_graph
    from modelprep.formats.tensorflow.rewire import subgraph

    graph = read_graph(path)
    wanted = [name.partition(":")[0] for name in outputs]
    needed = (
        subgraph(graph, wanted, colocations=False) if wanted and set(wanted) <= set(graph.by_name()) else graph.nodes
    )
    found = [node.name for node in needed if node.op in VARIABLE_OPS]
    if found:
        named = [word for name in wanted or ["NODE"] for word in ("--output-node", name)]
        freeze = quoting.command("modelprep", "tf", "freeze", quoting.operand(str(path)), "CHECKPOINT", *named)
        raise StepError(
            f"the graph is not frozen: it has {len(found)} variables, whose values are in a checkpoint",
            where=str(path), got=", ".join(found[:6]) + (", ..." if len(found) > 6 else ""), expected="a frozen graph",
            hint=f"{freeze} -o frozen.pb",
        )  # fmt: skip


def _shape(text: str) -> list[int]:
    sizes = [int(part) for part in text.split(",") if part.isdecimal()]
    if len(sizes) != text.count(",") + 1 or 0 in sizes:
        raise ValueError(text)
    return sizes


STEP = Step(
    name="tf.to_onnx",
    version=1,
    summary="convert a frozen TensorFlow graph to ONNX (tf2onnx)",
    example="frozen.pb -o model.onnx",
    params={
        "graph": Param("file", "the frozen GraphDef, binary or text", required=True),
        "inputs": Param("strs", "an input (default: the placeholders)", option="--input", metavar="NODE"),
        "outputs": Param("strs", "an output (default: unused values)", option="--output-node", metavar="NODE"),
        "opset": Param("int", "the ONNX opset to write", default=13, least=7),
        "shapes": Param(
            "map",
            "shape of an input, if it is open in the graph",
            option="--shape",
            metavar="NODE=N,N,...",
            read=_shape,
        ),
        "inputs_as_nchw": Param("strs", "an input to read as NCHW", option="--input-as-nchw", metavar="NODE"),
        "outputs_as_nchw": Param("strs", "an output to return as NCHW", option="--output-as-nchw", metavar="NODE"),
    },
    run=_run,
    proof=Proven(
        "graph-onnx",
        5e-5,
        "measured 2.4e-6 on Inception v3 with random weights; two runtimes, which sum in other orders",
    ),
    cpu_bound=True,
    complete=graph_file,
    extras=needs("tf", "onnx"),
)
