"""Step ``caffe.to_onnx``: a Caffe net and its weights as one ONNX model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from modelprep.steps import Call, Param, Proven, Step


def run(call: Call, output: Path, external: Path | None = None) -> Mapping[str, object]:
    """Convert, with the weights in the model or in a file beside it."""
    from modelprep.formats.caffe import to_onnx

    # The values were checked against STEP.params; their types are known.
    params = cast("Any", call.params)
    plan, facts = to_onnx.convert(
        Path(params["prototxt"]),
        Path(params["weights"]),
        output,
        to_onnx.Options(
            opset=params["opset"],
            batch=to_onnx.batch(params["batch"]),
            keep=tuple(params["outputs"] or ()),
            raw_detections=params["ssd"] == "raw",
        ),
        call.progress,
        external=external,
    )
    for text in plan.warnings:
        call.warn(text)
    return facts


def _run(call: Call) -> Mapping[str, object]:
    return run(call, call.output)


def room(params: Mapping[str, object], sizes: Mapping[str, int | None]) -> int | None:
    """Return an upper bound of the written bytes: the values unchanged, and less for a layer than its text."""
    del params
    weights, prototxt = sizes["weights"], sizes["prototxt"]
    # PriorBox and Im2col make constants out of a few words; none of them is large beside the weights of such a net.
    return None if weights is None or prototxt is None else weights + 4 * prototxt + (16 << 20)


PARAMS: Mapping[str, Param] = {
    "prototxt": Param("file", "The structure, in any syntax that Caffe reads (V0, V1, V2).", required=True),
    "weights": Param("file", "The trained .caffemodel (V0, V1 or V2).", required=True),
    "opset": Param("int", "The ONNX opset to write, 11 to 21.", default=13),
    "batch": Param(
        "any", "First dimension of the inputs, or dynamic (default: unchanged).", metavar="N|dynamic", read=str
    ),
    "outputs": Param(
        "strs", "Make this top an output; layers that none of them needs are dropped.", option="--keep", metavar="TOP"
    ),
    "ssd": Param(
        "str", "Output of SSD's DetectionOutput: rows, or decoded boxes and scores (raw).", default="rows",
        choices=("rows", "raw"),
    ),
}  # fmt: skip

PROOF = Proven(
    "caffe-onnx",
    2e-5,
    "measured at most 7.2e-6 on the networks of docs/how-to/caffe-to-onnx.md; two runtimes, which sum in other orders",
)

STEP = Step(
    name="caffe.to_onnx",
    version=1,
    summary="Convert a Caffe net and its weights to ONNX, layer by layer, without Caffe.",
    example="deploy.prototxt net.caffemodel -o net.onnx --batch 1",
    params=PARAMS,
    run=_run,
    room=room,
    proof=PROOF,
)
