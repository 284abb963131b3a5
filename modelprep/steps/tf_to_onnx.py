"""``tf.to_onnx``: a frozen TensorFlow graph as an ONNX model, through tf2onnx in a separate process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from modelprep import quoting
from modelprep.errors import RecipeError, StepError
from modelprep.steps import Call, Param, Proven, Step
from modelprep.steps._completing import graph_file


def _orders(params: Mapping[str, Any], output: Path) -> dict[str, object]:
    shapes = params["shapes"] or {}
    for name, dims in shapes.items():
        if not isinstance(dims, list | tuple) or not all(type(dim) is int and dim > 0 for dim in dims):
            raise RecipeError(f"the shape of '{name}' must be a list of positive numbers", got=repr(dims))
    return {
        "graph": str(params["graph"]),
        "output": str(output),
        "inputs": list(params["inputs"] or ()),
        "outputs": list(params["outputs"] or ()),
        "opset": params["opset"],
        "nchw": list(params["inputs_as_nchw"] or ()),
        "nchw_outputs": list(params["outputs_as_nchw"] or ()),
        "shapes": {name: list(dims) for name, dims in shapes.items()},
    }


def _run(call: Call) -> Mapping[str, object]:
    import json
    import os
    import subprocess
    import sys
    import tempfile

    from modelprep.formats.onnx import tf2onnx_worker as worker

    graph = cast("Path", call.params["graph"])
    if not graph.stat().st_size:
        raise StepError("the GraphDef is empty", where=str(graph))
    _require_frozen(graph, list(cast("list[str]", call.params["outputs"] or ())))
    root = Path(worker.__file__).resolve().parents[3]
    code = f"import sys; sys.path.append({str(root)!r}); from {worker.__name__} import main; sys.exit(main())"
    env = {
        **os.environ,
        # Python's sets of names would have another order every time, and so would the nodes of the model.
        "PYTHONHASHSEED": "0",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "CUDA_VISIBLE_DEVICES": "-1",
        # What is freed is kept for the next copy of the weights: giving pages back and taking others costs seconds.
        "MALLOC_MMAP_THRESHOLD_": str(1 << 32),
        "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
    }
    with tempfile.TemporaryDirectory(prefix="tf-to-onnx-", dir=call.output.parent) as folder:
        orders = Path(folder) / "orders.json"
        made = Path(folder) / "model.onnx"
        orders.write_text(json.dumps(_orders({**call.params, "graph": graph.resolve()}, made.resolve())), "utf-8")
        done = subprocess.run(
            [sys.executable, "-c", code, str(orders.resolve())],
            cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            check=False,
        )  # fmt: skip
        facts = _last_line(done.stdout)
        if done.returncode == worker.TOO_LARGE:
            raise StepError(
                "the graph as ONNX would be larger than an ONNX file can be", where=str(graph),
                expected=f"at most {worker.MAX_MODEL} bytes (2 GiB)", got=str(facts.get("reason")),
            )  # fmt: skip
        if done.returncode or not made.is_file():
            killed = f"it was ended by signal {-done.returncode}; check that there is enough memory"
            reason = str(facts.get("reason") or (done.stderr.strip().splitlines() or ["no reason given"])[-1])
            raise StepError(
                "tf2onnx cannot convert this graph", where=str(graph), got=" ".join(reason.split())[:600],
                hint=killed if done.returncode < 0 else None,
            )  # fmt: skip
        made.replace(call.output)
    size = call.output.stat().st_size
    call.progress(size, size)
    return {**facts, "opset": call.params["opset"], "size": size}


def _require_frozen(path: Path, outputs: list[str]) -> None:
    """Check that the outputs do not depend on variables.

    Raises StepError: it does: the graph must be frozen first.
    """
    from modelprep.formats.tensorflow.read import read_graph
    from modelprep.formats.tensorflow.rewire import subgraph
    from modelprep.steps._freeze_native import VARIABLES

    graph = read_graph(path)
    wanted = [name.partition(":")[0] for name in outputs]
    needed = (
        subgraph(graph, wanted, colocations=False) if wanted and set(wanted) <= set(graph.by_name()) else graph.nodes
    )
    found = [node.name for node in needed if node.op in VARIABLES]
    if found:
        named = [word for name in wanted or ["NODE"] for word in ("--output-node", name)]
        freeze = quoting.command("modelprep", "tf", "freeze", quoting.operand(str(path)), "CHECKPOINT", *named)
        raise StepError(
            f"the graph is not frozen: it has {len(found)} variables, whose values are in a checkpoint",
            where=str(path), got=", ".join(found[:6]) + (", ..." if len(found) > 6 else ""), expected="a frozen graph",
            hint=f"{freeze} -o frozen.pb",
        )  # fmt: skip


def _last_line(text: str) -> dict[str, Any]:
    import json

    lines = text.strip().splitlines()
    try:
        found = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


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
    extras=lambda params: ("tf", "onnx"),  # noqa: ARG005 - the signature is the interface
)
