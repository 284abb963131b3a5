"""TensorFlow graphs before Arm NN's parser (rules TF01 to TF35)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.check.findings import Finding
from modelprep.check.lint import Asked
from modelprep.errors import StepError

if TYPE_CHECKING:
    from modelprep.formats.tensorflow.graphdef import Graph


def examine(path: Path, asked: Asked) -> list[Finding]:
    """Say what the parser will make of a file; see :func:`modelprep.check.lint.lint`."""
    from modelprep.formats.tensorflow.graphdef import read_graph
    from modelprep.formats.tensorflow.text import looks_like_text

    with path.open("rb") as stream:
        text = looks_like_text(stream.read(4096))
    try:
        graph = read_graph(path)
    except StepError as error:
        return [Finding("TF02", path.name, error.looks_like or error.what, "Failed to parse graph file")]
    if asked.text is not None and asked.text != text:
        kinds = ("binary", "text")
        detail = f"it is a {kinds[text]} file, the test reads a {kinds[asked.text]} one"
        return [Finding("TF02", path.name, detail, "Failed to parse graph file")]
    return list(_graph(graph, asked))


def _graph(graph: Graph, asked: Asked) -> Iterator[Finding]:
    from modelprep.formats.tensorflow.rewire import subgraph
    from modelprep.steps._legalise_armnn_19_02 import judge

    nodes = graph.by_name()
    missing = [name for name in asked.outputs if name not in nodes]
    for name in missing:
        last = [node.name for node in graph.nodes[-3:]]
        yield Finding("TF03", f"output '{name}'", f"the last nodes are {', '.join(last)}",
                      f"Couldn't find requested output node '{name}' in graph")  # fmt: skip
    wanted = [name for name in asked.outputs if name in nodes]
    if wanted:
        graph.nodes = subgraph(graph, wanted, colocations=False)
        nodes = graph.by_name()
    for found in judge(graph):
        message = ""
        if found.rule == "TF01":
            message = f"Unsupported operation {found.op} in tensorflow::GraphDef"
        yield Finding(found.rule, f"{found.node} ({found.op})", found.detail, message)
    if asked.input_name and not missing:
        node = nodes.get(asked.input_name)
        if node is None or node.op != "Placeholder":
            there = ", ".join(n.name for n in graph.nodes if n.op == "Placeholder") or "no placeholder"
            yield Finding("TF07", f"input '{asked.input_name}'", f"there is {there}")
