"""``tf.rename_io``: rename a graph's inputs and outputs, everything else unchanged."""

from __future__ import annotations

from modelprep.errors import RecipeError
from modelprep.steps import Call, Facts, Param, Proven, Step
from modelprep.steps._completing import NAMES, graph_file, renames, something_to_rename


def _run(call: Call) -> Facts:
    from modelprep.formats.tensorflow.graphdef import encode_graph, write_pieces
    from modelprep.formats.tensorflow.read import read_graph
    from modelprep.formats.tensorflow.rewire import rename_nodes, require

    inputs, outputs = renames(call.params, "tf.rename_io")
    graph = read_graph(call.params["graph"])
    require(graph, inputs, "input")
    require(graph, outputs, "output")
    names = {**inputs, **outputs}
    if not all(names.values()):
        raise RecipeError("a new name is empty", got=repr(names))
    references = rename_nodes(graph, names)
    size = write_pieces(encode_graph(graph, in_order=False), call.output)
    return {"renamed": names, "references": references, "bytes": size}


STEP = Step(
    name="tf.rename_io",
    version=1,
    summary="rename a GraphDef's inputs and outputs, with all references to them",
    example="frozen.pb -o renamed.pb --rename-input data=input",
    params={
        "graph": Param("file", "the GraphDef, binary or text", required=True),
        **NAMES,
    },
    run=_run,
    complete=lambda params: graph_file(something_to_rename(params)),
    proof=Proven("graph", 0.0, "exact: only names are changed"),
)
