"""Step ``caffe.to_npy``: a caffemodel's weights as NumPy files, one per blob (``conv1_w.npy``, ``conv1_b.npy``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from modelprep.steps import Call, Exempt, Param, Step


def _run(call: Call) -> Mapping[str, object]:
    from modelprep.formats.caffe import npy
    from modelprep.formats.caffe.wire.index import index

    # The values were checked against STEP.params; their types are known.
    params = cast("Any", call.params)
    prototxt = params["prototxt"]
    model = index(Path(params["weights"]))
    files = npy.plan(model, None if prototxt is None else Path(prototxt), tuple(params["layers"] or ()))
    size = npy.write(files, model.path, call.output, call.progress)
    return {"files": {file.name: list(file.blob.shape) for file in files}, "size": size}


STEP = Step(
    name="caffe.to_npy",
    version=1,
    summary="Write a caffemodel's weights as NumPy files, one per blob.",
    example="net.caffemodel -o weights/ --prototxt deploy.prototxt",
    params={
        "weights": Param("file", "The .caffemodel.", required=True),
        "prototxt": Param(
            "file", "The net, for the true shapes of an old file's blobs; else the caffemodel's own net."
        ),
        "layers": Param("strs", "Only this layer (default: all that have weights).", option="--layer"),
    },
    run=_run,
    proof=Exempt("its arrays are the caffemodel's own values with a header, not a model that can be run"),
    produces="folder",
)
