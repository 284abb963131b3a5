"""``tf.to_tflite``: a frozen graph, a SavedModel or a Keras file becomes a TF Lite model, optionally quantized."""

from __future__ import annotations

import tempfile
from pathlib import Path

from modelprep.errors import RecipeError
from modelprep.steps import Call, Compared, Facts, Param, Params, Step, _agreement, _calibration, _subprocess, needs
from modelprep.steps._completing import shapes_of
from modelprep.steps._extras import require

_TYPES = ("float32", "int8", "uint8")


def _run(call: Call) -> Facts:
    params = call.params
    mode = str(params["mode"])
    types = {name: str(params[name]) for name in ("input_type", "output_type")}
    if mode != "int8" and set(types.values()) != {"float32"}:
        raise RecipeError("only an int8 model has quantized inputs and outputs", got=f"mode: {mode}",
                          expected="mode: int8, or input_type and output_type: float32")  # fmt: skip
    _calibration.require(params)
    model = params["model"]
    variables = params["variables"] or {}
    with tempfile.TemporaryDirectory(prefix="to-tflite-", dir=call.output.parent) as scratch:
        folder = Path(scratch)
        inputs = _calibration.samples(params, folder, call.warn)
        if inputs is not None:
            import numpy as np

            np.savez(folder / "samples.npz", **{f"x{n}": array for n, array in enumerate(inputs.arrays.values())})
        request = {
            "model": str(model.resolve()), "mode": mode, **types,
            "variables": {name: str(path) for name, path in variables.items()},
            "inputs": list(params["inputs"] or ()),
            "outputs": list(params["outputs"] or ()),
            "shapes": shapes_of(params),
            "samples": None if inputs is None else str(folder / "samples.npz"),
            "sample_names": [] if inputs is None else list(inputs.arrays),
            "output": str(call.output), "answers": str(folder / "answers.npz"),
        }  # fmt: skip
        facts = _subprocess.call(
            "modelprep.steps._tflite_convert", request, failure="converting with TensorFlow failed"
        )
        answers = _agreement.read(folder / "answers.npz")
        agreement = _agreement.compare(*answers, params, calibrated=inputs is not None, where=model)
    return {**facts, "mode": mode, "agreement": agreement}


def _complete(params: Params) -> Params:
    """Find the variables of a SavedModel, whose folder may stand for it."""
    from modelprep.formats.tensorflow.wrapped import SAVED_MODEL_FILE, VARIABLES

    model = params.get("model")
    if "variables" in params or not isinstance(model, Path):
        return params
    folder = model if model.is_dir() else model.parent
    if not model.is_dir() and model.name != SAVED_MODEL_FILE:
        return params
    found = {path.name: path for path in sorted((folder / VARIABLES).parent.glob(f"{VARIABLES.name}.*"))}
    return {**params, "model": folder / SAVED_MODEL_FILE, **({"variables": found} if found else {})}


def _tool(_: Params) -> str:
    """Return TensorFlow's name and version, which every converted file depends on."""
    from importlib.metadata import distributions

    require(("tf",), "the step tf.to_tflite")
    names = ("tensorflow-cpu", "tensorflow", "tensorflow-intel", "tensorflow-macos")
    return next((f"tensorflow {found.version}" for name in names for found in distributions(name=name)), "tensorflow")


STEP = Step(
    name="tf.to_tflite",
    version=1,
    summary="convert a frozen graph, a SavedModel or a Keras file to TF Lite, in floats or quantized",
    example="frozen.pb -o model.tflite --shape 'input=[1,224,224,3]'",
    params={
        "model": Param(
            "file", "a frozen graph, a SavedModel (saved_model.pb; a command also takes its folder) or a Keras file",
            required=True,
        ),
        "variables": Param(
            "files", "a SavedModel's files variables.index and variables.data-..., by name", option=None
        ),
        "inputs": Param(
            "strs", "an input node of a graph (default: its placeholders)", option="--input", metavar="NODE"
        ),
        "outputs": Param(
            "strs", "a node or output to keep (default: unused ones)", option="--output-node -n",
            metavar="NODE",
        ),
        "shapes": Param(
            "map", "the shape of an input, if the model has open sizes (an open batch becomes 1)",
            option="--shape", metavar="NAME=[1,224,224,3]",
        ),
        "mode": Param(
            "str", "float; float16 and dynamic (int8 weights) make the file smaller; int8 is for integer hardware",
            default="float", choices=tuple(_agreement.LEAST),
        ),
        "input_type": Param("str", "type of the inputs of an int8 model", default="float32", choices=_TYPES),
        "output_type": Param("str", "type of the outputs of an int8 model", default="float32", choices=_TYPES),
        **_calibration.PARAMS,
        **_agreement.PARAMS,
    },
    run=_run,
    complete=_complete,
    cpu_bound=True,
    tool=_tool,
    extras=needs("tf"),
    proof=Compared("TensorFlow runs the original and TF Lite the result on the calibration set, or on seeded inputs"),
)  # fmt: skip
