"""Step ``caffe.to_onnx_external``: as ``caffe.to_onnx``, with the weights in a file beside the model."""

from __future__ import annotations

from collections.abc import Mapping

from modelprep.errors import RecipeError
from modelprep.steps import Call, Param
from modelprep.steps.caffe_to_onnx import STEP as IN_ONE_FILE
from modelprep.steps.caffe_to_onnx import run
from modelprep.structs import replace


def _run(call: Call) -> Mapping[str, object]:
    name = str(call.params["name"])
    if not name or name.startswith(".") or any(character in name for character in "/\\\0"):
        raise RecipeError("the model's name is not a file name", got=repr(name), expected="a name such as model.onnx")
    model, data = call.output / name, call.output / f"{name}.data"
    return {**run(call, model, data), "files": [model.name, data.name]}


STEP = replace(
    IN_ONE_FILE,
    name="caffe.to_onnx_external",
    summary="Convert a Caffe net to ONNX with its weights in external data: NAME and NAME.data in a folder.",
    params={**IN_ONE_FILE.params, "name": Param("str", "The model's file name in the folder.", default="model.onnx")},
    run=_run,
    produces="folder",
    example="",
    command=False,
)
