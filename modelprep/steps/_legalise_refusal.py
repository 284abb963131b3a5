"""The error for a graph that a board's parser cannot accept: by operator, with hints."""

from __future__ import annotations

from collections.abc import Sequence

from modelprep.errors import StepError
from modelprep.formats.tensorflow.graphdef import Graph, input_name
from modelprep.targets.armnn_rules import rules
from modelprep.targets.armnn_tf import Finding

#: How many groups are listed.
_SHOWN = 12
_RANDOM = ("RandomUniform", "RandomStandardNormal")
_TRAINS = ("Switch", "Merge", "RefSwitch", "RefMerge", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_OF_SHAPES = ("StridedSlice", "Pack", "Slice", "Prod", "Shape", "Reshape")


def refusal(target: str, graph: Graph, findings: Sequence[Finding]) -> StepError:
    """Make the error for a graph that breaks rules."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for one in findings:
        groups.setdefault((one.rule, one.op, one.detail if one.rule != "TF07" else ""), []).append(one)
    lines = []
    for (rule, op, detail), ones in groups.items():
        extra = f" ({detail})" if detail else ""
        many = f"{op} ({len(ones)} nodes, the first is {ones[0].node}): {rules()[rule].sentence}{extra} [{rule}]"
        lines.append(many if len(ones) > 1 else str(ones[0]))
    more = len(lines) - _SHOWN
    return StepError(
        f"{target} does not accept this graph: {len(findings)} of its rules are broken",
        where=findings[0].node,
        got="\n".join([*lines[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]),
        hint="\n".join(_hints(graph, findings)) or None,
    )


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
    """Name the placeholder that is most likely the input: the one with most dimensions, else the first that is used."""
    used = {input_name(reference) for node in graph.nodes for reference in node.inputs}
    found = [node for node in graph.nodes if node.op == "Placeholder" and node.name in used]
    return max(found, key=lambda node: len(node.shape("shape") or ()), default=None).name if found else ""  # type: ignore[union-attr]
