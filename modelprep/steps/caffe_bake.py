"""Step ``caffe.bake``: a prototxt and a caffemodel become one caffemodel with structure and weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from modelprep.steps import Call, Param, Proven, Step


def _run(call: Call) -> Mapping[str, object]:
    from modelprep.formats.caffe import bake

    # The values were checked against STEP.params; their types are known.
    params = cast("Any", call.params)
    given = {name: params[name] for name in ("batch", "input", "target")}
    options = bake.Options(outputs=tuple(params["outputs"] or ()), set=params["set"] or {}, **given)
    decided = bake.plan(Path(params["prototxt"]), Path(params["weights"]), options)
    for text in decided.structure.warnings:
        call.warn(text)
    size = bake.write_plan(decided, call.output, progress=call.progress, engine=params["engine"])
    return {
        "size": size,
        "net": decided.structure.net.name,
        "layers": len(decided.structure.net.layer),
        "parameters": sum(blob.count for layer in decided.weights.layers for blob in layer),
        "prototxt": decided.structure.generation,
        "weights": decided.model.form,
        "changes": list(decided.structure.changes),
        "notes": list(decided.weights.notes),
        "engine": params["engine"],
    }


def room_of(times: int, more: int) -> Callable[[Mapping[str, object], Mapping[str, int | None]], int | None]:
    """Return the room of a step that writes the weights, and at most `times` the prototxt's size and `more` bytes."""

    def room(params: Mapping[str, object], sizes: Mapping[str, int | None]) -> int | None:
        del params
        weights, prototxt = sizes["weights"], sizes["prototxt"]
        return None if weights is None or prototxt is None else weights + times * prototxt + more

    return room


#: The parameters of each step that reads a net and its weights.
MODEL: Mapping[str, Param] = {
    "prototxt": Param("file", "The structure, in any syntax that Caffe reads (V0, V1, V2).", required=True),
    "weights": Param("file", "The trained .caffemodel (V0, V1 or V2).", required=True),
}

STEP = Step(
    name="caffe.bake",
    version=1,
    summary="Bake a prototxt and its weights into one binary caffemodel, as Caffe's net.save() would.",
    example="deploy.prototxt net.caffemodel -o baked.caffemodel --batch 1",
    params={
        **MODEL,
        "batch": Param("int", "First dimension of the inputs (default: unchanged).", least=1),
        "input": Param("str", "Name of the Input layer (its top keeps its name)."),
        "outputs": Param(
            "strs", "Keep only what this top needs (default: all layers).", option="--keep", metavar="TOP"
        ),
        "target": Param(
            "str",
            "Write fields that this parser needs, refuse what it gets wrong.",
            choices=("armnn-19.02",),
            option="--for",
            metavar="TARGET",
        ),
        "set": Param(
            "map",
            "A single field by its path: 'layer[type=LRN].lrn_param.norm_region=ACROSS_CHANNELS'.",
            metavar="PATH=VALUE",
        ),
        "engine": Param("str", "native, or pycaffe for a real Caffe.", default="native", choices=("native", "pycaffe")),
    },
    run=_run,
    # Binary structure is shorter than text; old syntax grows by its new names (a V1 type is one byte, a V2 one a word)
    # and every blob by its shape.
    room=room_of(2, 64 << 10),
    proof=Proven(
        "caffe",
        1e-6,
        "measured 0 on VGG-19, AlexNet, GoogLeNet, ResNet-50, Inception-BN and SqueezeNet with random weights; "
        "the rest allows for runtimes that sum in another order",
        otherwise="engine: pycaffe makes it with a real Caffe",
    ),
)
