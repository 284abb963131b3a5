"""Rules of Arm NN's parser for TensorFlow graphs (rules TF01 to TF35, C1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.check.lint.findings import Finding
from modelprep.check.lint.request import Asked
from modelprep.errors import StepError

if TYPE_CHECKING:
    from modelprep.formats.tensorflow.graphdef import Graph, Node

Ranks = Mapping[str, "int | None"]
_LEGALISE = "modelprep tf legalise"
_ADDING = ("AddN", "Greater", "Equal", "Minimum")
#: More dimensions than Arm NN has.
_TOO_MANY = 5


def examine(path: Path, asked: Asked) -> list[Finding]:
    """Return the findings about a file; see :func:`modelprep.check.lint.lint`."""
    from modelprep.formats.tensorflow.read import read_any_graph, way_on
    from modelprep.formats.tensorflow.text import looks_like_text

    with path.open("rb") as stream:
        text = looks_like_text(stream.read(4096))
    try:
        graph, wrapper = read_any_graph(path)
    except StepError as error:
        return [Finding("TF02", path.name, error.looks_like or error.what, "Failed to parse graph file")]
    if wrapper is not None:
        command = way_on("MODEL", graph, wrapper, "OUT")
        fix = command if command.startswith("modelprep") else ""
        return [Finding("TF02", path.name, wrapper.kind, "Failed to parse graph file", fix=fix)]
    if asked.text is not None and asked.text != text:
        kinds = ("binary", "text")
        detail = f"it is a {kinds[text]} file, the test reads a {kinds[asked.text]} one"
        said = f"Failed to parse graph file {path}" if asked.text else f"Failed to parse protobuf file {path}"
        return [Finding("TF36", path.name, detail, said, "reject")]
    found = list(_graph(graph, asked))
    if any(_LEGALISE in finding.mend for finding in found) and not _legalisable(path, asked):
        found = [replace(finding, fix="") if _LEGALISE in finding.mend else finding for finding in found]
    named_binary = {".pb": True, ".pbtxt": False, ".prototxt": False}.get(path.suffix)
    if asked.text is None and named_binary is not None and named_binary == text:
        detail = f"it is a {'text' if text else 'binary'} file, which the name does not say"
        found.append(Finding("TF36", path.name, detail))
    return found


def _legalisable(path: Path, asked: Asked) -> bool:
    """Return whether ``tf legalise`` accepts the graph; only then is it the hint."""
    from tempfile import TemporaryDirectory

    from modelprep.errors import ModelprepError
    from modelprep.steps import Call, find

    params: dict[str, object] = {"graph": path, "target": "armnn-19.02"}
    if asked.outputs:
        params["outputs"] = asked.outputs
    try:
        with TemporaryDirectory() as folder:
            find("tf.legalise").run(Call(params, Path(folder) / "legal.pb", warn=lambda _: None))
    except ModelprepError:
        return False
    return True


def _graph(graph: Graph, asked: Asked) -> Iterator[Finding]:
    from modelprep.formats.tensorflow.rewire import subgraph
    from modelprep.targets.armnn_tf import judge

    # Of nodes with the same name the parser uses the last.
    graph.nodes = list({node.name: node for node in graph.nodes}.values())
    nodes = graph.by_name()
    missing = [name for name in asked.outputs if name not in nodes]
    for name in missing:
        last = [node.name for node in graph.nodes[-3:]]
        yield Finding("TF03", f"output '{name}'", f"the last nodes are {', '.join(last)}",
                      f"Couldn't find requested output node '{name}' in graph")  # fmt: skip
    wanted = [name for name in asked.outputs if name in nodes]
    if wanted:
        try:
            graph.nodes = subgraph(graph, wanted, colocations=False)
        except StepError as error:
            yield Finding("TF34", error.where or "graph", error.what)
            return
        nodes = graph.by_name()
    for found in judge(graph):
        message = f"Unsupported operation {found.op} in tensorflow::GraphDef" if found.rule == "TF01" else ""
        yield Finding(found.rule, f"{found.node} ({found.op})", found.detail, message)
    if asked.input_name and not missing:
        node = nodes.get(asked.input_name)
        if node is None or node.op != "Placeholder":
            there = ", ".join(n.name for n in graph.nodes if n.op == "Placeholder") or "no placeholder"
            yield Finding("TF07", f"input '{asked.input_name}'", f"there is {there}")
    yield from _by_rank(graph, ranks(graph, asked.input_name, len(asked.input_shape)))


def _by_rank(graph: Graph, known: Ranks) -> Iterator[Finding]:
    """Check rules about the number of dimensions, if it is known without running the graph."""
    for node in graph.nodes:
        where = f"{node.name} ({node.op})"
        given = [known.get(reference.partition(":")[0]) for reference in node.inputs if not reference.startswith("^")]
        if (known.get(node.name) or 0) >= _TOO_MANY:
            rule = "TF28" if node.op == "Squeeze" else "C1"
            yield Finding(rule, where, f"{known[node.name]} dimensions")
        if node.op in _ADDING:
            if len(set(given)) > 1 and None not in given and set(given) != {1, 4}:
                yield Finding("TF19", where, f"operands of {given} dimensions")
        elif node.op == "ConcatV2" and any(rank not in (None, 4) for rank in given[:-1]):
            yield Finding("TF23", where, f"inputs of {given[:-1]} dimensions")
        elif node.op == "Split" and len(given) > 1 and given[1] not in (None, 4):
            yield Finding("TF24", where, f"an input of {given[1]} dimensions")
        elif node.op == "Mean" and "keep_dims" in node.attrs and not node.flag("keep_dims"):
            # No refusal: the graph runs if nothing later depends on the shape.
            yield Finding("TF30", where, "keep_dims is false, the result has one dimension", effect_here="wrong")
        elif node.op == "Softmax" and given and given[0] not in (None, 2):
            yield Finding("TF33", where, f"{given[0]} dimensions")


def ranks(graph: Graph, input_name: str, input_rank: int) -> dict[str, int | None]:
    """Return the parser's number of dimensions of each node's result; None if unknown.

    `input_name`, `input_rank`: the placeholder that the test feeds, and its number of dimensions (0 without a test).
    """
    from modelprep.formats.tensorflow.sizes import ordered

    nodes = graph.by_name()
    known: dict[str, int | None] = {}
    for node in ordered(graph):
        given = [known.get(reference.partition(":")[0]) for reference in node.inputs if not reference.startswith("^")]
        fed = node.name == input_name and input_rank
        known[node.name] = input_rank if fed else _rank(node, given, nodes)
    return known


#: Operations whose result has as many dimensions as the first input, as the widest one, or a fixed number.
_AS_FIRST = frozenset((
    "Identity", "Relu", "Relu6", "Sigmoid", "Tanh", "Softplus", "Softmax", "Rsqrt", "Pad", "BiasAdd", "ConcatV2",
))  # fmt: skip
_AS_WIDEST = frozenset(("Add", "AddN", "Sub", "Mul", "RealDiv", "Maximum", "Minimum"))
_FIXED = {
    "Conv2D": 4, "DepthwiseConv2dNative": 4, "MaxPool": 4, "AvgPool": 4, "FusedBatchNorm": 4, "ResizeBilinear": 4,
    "LRN": 4, "MatMul": 2, "Shape": 1,
}  # fmt: skip


def _rank(node: Node, given: list[int | None], nodes: Mapping[str, Node]) -> int | None:
    if node.op in _AS_FIRST:
        return given[0] if given else None
    if node.op in _AS_WIDEST:
        sizes = [rank for rank in given if rank is not None]
        return max(sizes) if sizes and len(sizes) == len(given) else None
    if node.op == "Const":
        head = node.tensor()
        return max(1, len(head.shape)) if head is not None else None
    if node.op == "Placeholder":
        return len(node.shape("shape") or ()) or None
    if node.op == "Reshape":
        source = nodes.get(node.inputs[1].partition(":")[0]) if len(node.inputs) > 1 else None
        head = source.tensor() if source is not None and source.op == "Const" else None
        return head.count if head is not None else None
    if node.op == "Mean":
        return given[0] if node.flag("keep_dims") and given else 1
    if node.op == "Split":
        return given[1] if len(given) > 1 else None
    if node.op == "Squeeze":
        axes = node.numbers("squeeze_dims")
        return given[0] - len(axes) if given and given[0] is not None and axes else None
    return _FIXED.get(node.op)
