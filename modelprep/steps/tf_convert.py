"""``tf.convert``: a GraphDef from text to binary or back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelprep.steps import Call, Facts, Param, Proven, Step
from modelprep.steps._completing import graph_file

if TYPE_CHECKING:
    from modelprep.formats.protowire import Buffer


def _run(call: Call) -> Facts:
    from modelprep.formats.mapped import MappedFile
    from modelprep.formats.tensorflow.graphdef import write_pieces
    from modelprep.formats.tensorflow.read import read_any_graph
    from modelprep.formats.tensorflow.text import encoded_fields, graph_to_text, looks_like_text

    path = call.params["graph"]
    with MappedFile(path) as file:
        text = looks_like_text(bytes(file.view[:4096]))
        size = file.size
    form = "text" if text else "binary"
    if call.params["to"] == "text":
        pieces: Iterator[Buffer] = graph_to_text(read_any_graph(path)[0])
    elif text:
        pieces = encoded_fields(path)
    else:
        _, wrapper = read_any_graph(path)  # not any file passes for a graph
        if wrapper is not None:
            form, pieces = wrapper.kind, iter([wrapper.graph])
        else:
            call.warn("the graph is binary already: its bytes are copied")
            pieces = iter([path.read_bytes()])
    written = write_pieces(pieces, call.output)
    return {"from": form, "bytes": written, "bytes_before": size}


STEP = Step(
    name="tf.convert",
    version=1,
    summary="write a GraphDef in its binary or its text form",
    example="graph.pbtxt -o graph.pb",
    params={
        "graph": Param("file", "the GraphDef, binary or text", required=True),
        "to": Param("str", "the form to write", default="binary", choices=("binary", "text"), option="--text"),
    },
    run=_run,
    proof=Proven("graph", 0.0, "exact: the same graph in another form"),
    cpu_bound=True,
    complete=graph_file,
)
