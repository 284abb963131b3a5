"""``modelprep tf``: the steps on TensorFlow graphs, and ``inspect``."""

from __future__ import annotations

from modelprep.cli.common import Argument
from modelprep.cli.conversions import steps_of
from modelprep.cli.inspect import alias

app = steps_of("tf", "TensorFlow graphs: freeze, legalise, to-onnx, rename-io, convert, inspect.")
_GRAPH = Argument("GRAPH", "The graph: .pb, .pbtxt, .meta, or a SavedModel's file or folder; or a checkpoint.")
_TEXT = "Show inputs, outputs, operations and the sizes of constants."
alias(app, "tf", _GRAPH, "modelprep tf inspect graph.pb --nodes", _TEXT, "node")
