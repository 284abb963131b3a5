"""Step ``caffe.to_onnx``: a Caffe net and its weights as one ONNX model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from modelprep.steps import Call, Param, Proven, Step
from modelprep.steps.caffe_bake import MODEL, room_of


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


STEP = Step(
    name="caffe.to_onnx",
    version=1,
    summary="Convert a Caffe net and its weights to ONNX, layer by layer, without Caffe.",
    example="deploy.prototxt net.caffemodel -o net.onnx --batch 1",
    params={
        **MODEL,
        "opset": Param("int", "The ONNX opset to write, 11 to 21.", default=13),
        "batch": Param(
            "any", "First dimension of the inputs, or dynamic (default: unchanged).", metavar="N|dynamic", read=str
        ),
        "outputs": Param(
            "strs", "Make this top an output; layers that none of them needs are dropped.", option="--keep",
            metavar="TOP",
        ),
        "ssd": Param(
            "str", "Output of SSD's DetectionOutput: rows, or decoded boxes and scores (raw).", default="rows",
            choices=("rows", "raw"),
        ),
    },
    run=lambda call: run(call, call.output),
    # A layer takes less than its text. PriorBox and Im2col make constants out of a few words; none of them is large
    # beside the weights of such a net.
    room=room_of(4, 16 << 20),
    proof=Proven(
        "caffe-onnx", 2e-5, "measured at most 7.2e-6 on the networks of docs/how-to/caffe-to-onnx.md; two runtimes, "
        "which sum in other orders",
    ),
)  # fmt: skip
