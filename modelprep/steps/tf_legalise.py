"""``tf.legalise``: rewrite a frozen graph for a board's parser, with unchanged values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelprep.errors import StepError
from modelprep.steps import Call, Facts, Param, Proven, Step
from modelprep.steps._completing import graph_file

if TYPE_CHECKING:
    from modelprep.formats.tensorflow.graphdef import Graph
    from modelprep.targets.armnn_tf import Finding

TARGETS = ("armnn-19.02",)
#: How many groups are listed.
_SHOWN = 12
_RANDOM = ("RandomUniform", "RandomStandardNormal")
_TRAINS = ("Switch", "Merge", "RefSwitch", "RefMerge", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_OF_SHAPES = ("StridedSlice", "Pack", "Slice", "Prod", "Shape", "Reshape")


def _run(call: Call) -> Facts:
    from modelprep.formats.tensorflow.graphdef import encode_graph, write_pieces
    from modelprep.formats.tensorflow.read import read_any_graph
    from modelprep.formats.tensorflow.rewire import outputs_of
    from modelprep.steps._legalise_armnn_19_02 import rewrite
    from modelprep.steps._legalise_fold import fold
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
        raise _refusal(target, graph, findings)
    # The parser does not read functions, and no operation that it accepts calls one.
    graph.library = None
    _verify(call, graph, outputs, target)
    size = write_pieces(encode_graph(graph), call.output)
    for text in (*folded.warnings, *changes.warnings):
        call.warn(text)
    if not (changes or folded.constants):
        call.warn(f"nothing to do: {target} accepts the graph as it is; nothing was changed")
    return {
        "changed": bool(changes or folded.constants), "constants": folded.constants, "outputs": outputs,
        "nodes": len(graph.nodes), "bytes": size, "renamed_ops": dict(changes.renamed_ops),
        "dropped_attributes": dict(changes.dropped_attrs), "added_attributes": dict(changes.added_attrs),
        "removed_nodes": dict(changes.removed_nodes), "removed_control_inputs": changes.control_inputs,
        "positive_axes": changes.axes, "means_that_keep_dims": changes.means,
    }  # fmt: skip


def _verify(call: Call, graph: Graph, outputs: list[str], target: str) -> None:
    """Raise StepError if the board's parser would stop at the result."""
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


def _refusal(target: str, graph: Graph, findings: Sequence[Finding]) -> StepError:
    """Return the error for a graph that breaks rules: by operator, with hints."""
    from modelprep.targets.armnn_rules import rules

    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for one in findings:
        groups.setdefault((one.rule, one.op, one.detail if one.rule != "TF07" else ""), []).append(one)
    lines = []
    for (rule, op, detail), ones in groups.items():
        extra = f" ({detail})" if detail else ""
        many = f"{op} ({len(ones)} nodes, the first is {ones[0].node}): {rules()[rule].sentence}{extra} [{rule}]"
        lines.append(many if len(ones) > 1 else str(ones[0]))
    if (more := len(lines) - _SHOWN) > 0:
        lines[_SHOWN:] = [f"and {more} more"]
    return StepError(
        f"{target} does not accept this graph: {len(findings)} of its rules are broken", where=findings[0].node,
        got="\n".join(lines), hint="\n".join(_hints(graph, findings)) or None,
    )  # fmt: skip


def _hints(graph: Graph, findings: Sequence[Finding]) -> list[str]:
    ops = {one.op for one in findings}
    hints = []
    if any(one.rule == "TF02" for one in findings):
        hints.append("freeze the graph first: modelprep tf freeze")
    placeholders = [node for node in graph.nodes if node.op == "Placeholder"]
    first = _picture_like(graph)
    others = [node for node in placeholders if node.name != first]
    if others:
        values = " ".join(f"--constant {node.name}={'false' if node.dtype('dtype') == 10 else '1'}" for node in others)
        hints.append(f"if only '{first}' is fed, set the others: {values}")
    elif ops.intersection(_RANDOM):
        hints.append("dropout is still in the graph, with a keep probability below 1: it was exported for training")
    if not others and ops.intersection(_TRAINS) & {one.op for one in findings if one.rule in ("TF01", "TF16")}:
        hints.append("a training graph: export it again for inference (is_training=False), then freeze it")
    if not others and ops.intersection(_OF_SHAPES) and any(one.rule in ("TF01", "TF25") for one in findings):
        unknown = [node.name for node in placeholders if not node.shape("shape")]
        if unknown:
            hints.append(f"shapes cannot be inferred: the placeholder '{unknown[0]}' has no shape")
        else:
            hints.append("shapes cannot be inferred: export the graph with a fixed input size (batch 1)")
    return hints


def _picture_like(graph: Graph) -> str:
    """Return the placeholder that is most likely the input: the used one with most dimensions, the first of several."""
    from modelprep.formats.tensorflow.graphdef import input_name

    used = {input_name(reference) for node in graph.nodes for reference in node.inputs}
    found = [node for node in graph.nodes if node.op == "Placeholder" and node.name in used]
    return max(found, key=lambda node: len(node.shape("shape") or ()), default=None).name if found else ""  # type: ignore[union-attr]


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
