"""``tf.rename_io``: rename a graph's inputs and outputs, everything else unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from modelprep.errors import RecipeError
from modelprep.steps import Call, Param, Proven, Step
from modelprep.steps._completing import NAMES, graph_file, something_to_rename


def _run(call: Call) -> Mapping[str, object]:
    from modelprep.formats.tensorflow.graphdef import encode_graph, write_pieces
    from modelprep.formats.tensorflow.read import read_graph
    from modelprep.formats.tensorflow.rewire import rename_nodes, require

    names: dict[str, str] = {}
    graph = read_graph(cast("Path", call.params["graph"]))
    for role in ("inputs", "outputs"):
        given = call.params.get(role) or {}
        if not isinstance(given, Mapping) or not all(isinstance(n, str) and n for pair in given.items() for n in pair):
            raise RecipeError(f"{role} must be a mapping of old names to new names", got=repr(given))
        require(graph, given, role.removesuffix("s"))
        names.update(given)
    if not names:
        raise RecipeError("tf.rename_io has nothing to rename", hint="set inputs: or outputs: {old: new}")
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
    proof=Proven("graph", 0.0, "exact: nothing but names is changed"),
)
