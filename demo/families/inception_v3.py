"""The checkpoint of Inception v3: every variable of the graph that the recipe ships, at its true shape, zero."""

from __future__ import annotations

import gzip
from pathlib import Path

from demo import checkpoint, containers
from demo.families import Made

_GRAPH = Path(__file__).resolve().parents[2] / "recipes" / "armnn-tf" / "inception_v3.pb.gz"


def make() -> list[Made]:
    """Make the archive."""
    return [Made("inception-v3-checkpoint", containers.tar_gz({"inception_v3.ckpt": checkpoint.zeros(variables())}))]


def variables() -> dict[str, tuple[int, ...]]:
    """Return the shapes of the graph's variables by name."""
    from modelprep.formats.tensorflow.graphdef import parse_graph

    found = {}
    for node in parse_graph(gzip.decompress(_GRAPH.read_bytes()), "inception_v3").nodes:
        if node.op in ("Variable", "VariableV2", "VarHandleOp"):
            shape = node.shape("shape")
            if shape:
                found[node.name] = shape
    return found
