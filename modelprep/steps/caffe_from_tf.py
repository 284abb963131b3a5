"""Step ``caffe.from_tf``: a Caffe net with the weights of the TensorFlow graph that is its twin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from modelprep.errors import StepError
from modelprep.steps import Call, Param, Proven, Step


def _run(call: Call) -> Mapping[str, object]:
    from modelprep.formats.caffe.forks import encode
    from modelprep.formats.caffe.from_tensorflow import convert
    from modelprep.formats.output import writing

    # The values were checked against STEP.params; their types are known.
    params = cast("Any", call.params)
    constants: dict[str, list[str]] = {}
    for layer, names in params["constants"].items():
        constants[str(layer)] = [names] if isinstance(names, str) else list(names)
        if not all(isinstance(name, str) for name in constants[str(layer)]):
            raise StepError("constants must be lists of names", where=str(layer), got=str(names))
    net = convert(Path(params["graph"]), Path(params["prototxt"]), constants, params.get("set"))
    with writing(call.output) as write:
        write(encode(net))
    return {
        "net": net.name,
        "layers": len(net.layer),
        "parameters": sum(len(blob.data) for layer in net.layer for blob in layer.blobs),
    }


STEP = Step(
    name="caffe.from_tf",
    version=1,
    summary="Copy the weights of an equal TensorFlow graph into a Caffe net.",
    params={
        "graph": Param("file", "A frozen GraphDef, binary or text.", required=True),
        "prototxt": Param("file", "The Caffe net.", required=True),
        "constants": Param("any", "Layer name -> names of the Const nodes of its blobs, in order.", required=True),
        "set": Param("map", "Single fields by path, where the twin differs from the net (as in caffe.bake)."),
    },
    run=_run,
    proof=Proven("caffe-twin", 1e-5, "measured 2.5e-7 on Arm's cifar10 twin; two runtimes, which sum in other orders"),
    cpu_bound=True,
)
