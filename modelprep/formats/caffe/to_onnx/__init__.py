"""Caffe to ONNX: a prototxt and a caffemodel become one ONNX model that computes the same.

:mod:`plan` decides (reads the net, matches the weights, builds the graph), :mod:`write` moves the weights,
:mod:`verify` checks the graph with the onnx package. One module a family of layers converts them; which layer type is
converted by which rule, and why others are refused, is in :mod:`registry`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from modelprep.errors import UsageError
from modelprep.formats.caffe.to_onnx.plan import OPSETS, Options, Plan, decide
from modelprep.formats.caffe.to_onnx.verify import check
from modelprep.formats.caffe.to_onnx.write import write
from modelprep.formats.caffe.write import Progress
from modelprep.formats.output import sha256_of

__all__ = ["OPSETS", "Options", "Plan", "batch", "convert", "decide"]


def convert(
    prototxt: Path, weights: Path, output: Path, options: Options, progress: Progress, *, external: Path | None = None
) -> tuple[Plan, Mapping[str, object]]:
    """Convert a Caffe model, check the structure of the result, and write it.

    `external`: file for the weights, in the folder of `output`; None leaves them in the model. Returns what was
    decided, and facts about the result for the user, JSON-ready.

    Raises UsageError: an opset or a batch that cannot be. StepError: a file is damaged, weights and net do not fit, a
    layer cannot be converted exactly, the result would be too large for one file. StorageError: a file cannot be read
    or written.
    """
    plan = decide(prototxt, weights, options)
    checked = check(plan)
    sources = {"prototxt": sha256_of(prototxt), "weights": sha256_of(weights)}
    size = write(plan, sources, output, progress, external=external)
    facts: dict[str, object] = {
        "size": size,
        "net": plan.net.name,
        "opset": plan.graph.opset,
        "inputs": {name: ["?" if size is None else size for size in shape] for name, shape in plan.inputs},
        "outputs": {name: ["?" if size is None else size for size in shape] for name, shape in plan.outputs},
        "layers": len(plan.net.layer),
        "operators": dict(sorted(Counter(node.op_type for node in plan.graph.nodes).items())),
        "prototxt": plan.generation,
        "weights": plan.model.form,
        "changes": list(plan.changes),
        "notes": list(plan.notes),
    }
    return plan, facts if checked is None else {**facts, "structure": checked}


def batch(value: object) -> int | Literal["dynamic"] | None:
    """Read a batch option: a number, ``dynamic``, or nothing.

    Raises UsageError: it is something else.
    """
    if value in (None, ""):
        return None
    if value == "dynamic":
        return "dynamic"
    if not isinstance(value, bool) and str(value).isdecimal() and int(str(value)) > 0:
        return int(str(value))
    raise UsageError("there is no such batch", expected="a number from 1 up, or dynamic", got=str(value))
