"""``tf.legalise``: rewrite a frozen graph for a board's parser, with unchanged values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelprep.errors import StepError
from modelprep.steps import Call, Facts, Param, Proven, Step
from modelprep.steps._completing import graph_file

if TYPE_CHECKING:
    from modelprep.formats.tensorflow.graphdef import Graph

TARGETS = ("armnn-19.02",)


def _run(call: Call) -> Facts:
    from modelprep.formats.tensorflow.graphdef import encode_graph, write_pieces
    from modelprep.formats.tensorflow.read import read_any_graph
    from modelprep.formats.tensorflow.rewire import outputs_of
    from modelprep.steps._legalise_armnn_19_02 import rewrite
    from modelprep.steps._legalise_fold import fold
    from modelprep.steps._legalise_refusal import refusal
    from modelprep.targets.armnn_tf import judge

    target = str(call.params["target"])
    if target not in TARGETS:
        raise StepError("unknown target", got=target, expected=", ".join(TARGETS))
    graph = read_any_graph(call.params["graph"])[0]
    asked = call.params.get("outputs") or ()
    outputs = [str(name) for name in asked] or [node.name for node in outputs_of(graph)]
    folded = fold(graph, outputs, call.params.get("constants") or {})
    changes = rewrite(graph, outputs)
    changes.removed_nodes.update(folded.removed)
    findings = judge(graph)
    if findings:
        raise refusal(target, graph, findings)
    # Functions are no part of what the parser reads, and nothing in the table calls one.
    graph.library = None
    _verify(call, graph, outputs, target)
    size = write_pieces(encode_graph(graph), call.output)
    for text in (*folded.warnings, *changes.warnings):
        call.warn(text)
    if not (changes or folded.constants):
        call.warn(f"nothing to do: {target} accepts the graph as it is; nothing was changed")
    return {
        "changed": bool(changes or folded.constants),
        "constants": folded.constants,
        "outputs": outputs,
        "nodes": len(graph.nodes),
        "bytes": size,
        "renamed_ops": dict(changes.renamed_ops),
        "dropped_attributes": dict(changes.dropped_attrs),
        "added_attributes": dict(changes.added_attrs),
        "removed_nodes": dict(changes.removed_nodes),
        "removed_control_inputs": changes.control_inputs,
        "positive_axes": changes.axes,
        "means_that_keep_dims": changes.means,
    }


def _verify(call: Call, graph: Graph, outputs: list[str], target: str) -> None:
    """Check the result as on the board: a graph at which it would stop must not be a success."""
    from modelprep.formats.tensorflow.graphdef import encode_graph
    from modelprep.targets.armnn.network import Stop
    from modelprep.targets.armnn.program import tensorflow_shapes
    from modelprep.targets.armnn.tf_graph import encoded

    try:
        tensorflow_shapes(encoded(encode_graph(graph)), outputs)
    except LookupError as error:
        call.warn(f"not checked layer by layer: the shape of placeholder '{error.args[0]}' is not written in the graph")
    except Stop as stop:
        raise StepError(
            f"{target} stops at the rewritten graph",
            where=stop.where,
            got=stop.message or f"a crash (exit status {stop.status})",
            hint=f"look at that node in {call.params['graph']}: its rules are in docs/check.md",
        ) from None


def _value(text: str) -> object:
    """Read the value of a constant: a number, true or false, or a list of these between brackets."""
    import json

    value = json.loads(text.lower())
    if not isinstance(value, (bool, int, float, list)):
        raise ValueError(text)
    return value


STEP = Step(
    name="tf.legalise",
    version=2,
    summary="rewrite a frozen graph for a board's parser, with unchanged values; refuse what it does not accept",
    example="frozen.pb -o legal.pb --constant keep_prob=1",
    params={
        "graph": Param("file", "the frozen GraphDef, binary or text", required=True),
        "target": Param(
            "str", "the target parser", default=TARGETS[0], choices=TARGETS, option="--for", metavar="TARGET"
        ),
        "outputs": Param(
            "strs", "a node to keep (default: those whose value is not used)", option="--output-node -n", metavar="NODE"
        ),
        "constants": Param(
            "map",
            "a placeholder that becomes a constant: name -> value (keep_prob: 1)",
            option="--constant",
            metavar="NODE=VALUE",
            read=_value,
        ),
    },
    run=_run,
    proof=Proven(
        "graph", 1e-6, "measured 0 on Inception v3 with random weights; other operators may use other kernels"
    ),
    cpu_bound=True,
    complete=graph_file,
)
