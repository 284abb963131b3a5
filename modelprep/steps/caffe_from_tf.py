"""Step ``caffe.from_tf``: a Caffe net with the weights of the TensorFlow graph that is its twin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from modelprep.errors import StepError
from modelprep.steps import Call, Param, Step


def _run(call: Call) -> Mapping[str, object]:
    from modelprep.formats.caffe.from_tensorflow import convert
    from modelprep.formats.output import writing

    # The values were checked against STEP.params; their types are known.
    params = cast("Any", call.params)
    constants: dict[str, list[str]] = {}
    for layer, names in params["constants"].items():
        listed = [names] if isinstance(names, str) else list(names)
        if not all(isinstance(name, str) for name in listed):
            raise StepError("a layer's constants are given by their names", where=str(layer), got=str(names))
        constants[str(layer)] = listed
    net = convert(Path(params["graph"]), Path(params["prototxt"]), constants)
    with writing(call.output) as write:
        write(net.SerializeToString(deterministic=True))
    return {
        "net": net.name,
        "layers": len(net.layer),
        "parameters": sum(len(blob.data) for layer in net.layer for blob in layer.blobs),
    }


STEP = Step(
    name="caffe.from_tf",
    version=1,
    summary="Give a Caffe net the weights of the TensorFlow graph that is its twin.",
    params={
        "graph": Param("file", "A frozen GraphDef, binary or text.", required=True),
        "prototxt": Param("file", "The Caffe net.", required=True),
        "constants": Param("any", "Layer name -> names of the Const nodes of its blobs, in order.", required=True),
    },
    run=_run,
    cpu_bound=True,
)
