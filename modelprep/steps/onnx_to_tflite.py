"""``onnx.to_tflite``: an ONNX model becomes a float TF Lite model, by onnx2tf in a separate process."""

from __future__ import annotations

import tempfile
from pathlib import Path

from modelprep.errors import MissingTool, StepError
from modelprep.installed import install_command
from modelprep.steps import Call, Facts, Param, Proven, Step
from modelprep.steps.tools import Tool

ONNX2TF = Tool(
    "onnx2tf", "MODELPREP_ONNX2TF", module="onnx2tf", distribution="onnx2tf",
    hint="python3 -m venv ~/onnx2tf && ~/onnx2tf/bin/pip install onnx2tf && "
    "export MODELPREP_ONNX2TF=~/onnx2tf/bin/onnx2tf",
)  # fmt: skip
#: onnx2tf tries a model with three input channels on pictures, which it downloads unless this file is there.
_PICTURES, _SHAPE = "calibration_image_sample_data_20x128x128x3_float32.npy", (20, 128, 128, 3)
#: A port on which nothing listens: the program opens no connection to elsewhere.
_NOWHERE = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")


def _run(call: Call) -> Facts:
    try:
        import numpy as np
    except ImportError as error:
        raise MissingTool("onnx.to_tflite needs numpy", hint=install_command("check")) from error
    model = call.params["model"]
    with tempfile.TemporaryDirectory(prefix="onnx2tf-", dir=call.output.parent) as scratch:
        folder = Path(scratch)
        # By a fixed name: names and folders get into the result of some converters.
        (folder / "model.onnx").symlink_to(model.resolve())
        np.save(folder / _PICTURES, np.random.default_rng(0).uniform(0, 1, _SHAPE).astype(np.float32))
        arguments = ["-i", "model.onnx", "-o", "made", "-n", "-nuo"]
        for name in call.params["keep_nchw"] or ():
            arguments += ["-k", str(name)]
        ONNX2TF.run(arguments, folder=folder, source=model, environment=_NOWHERE)
        made = folder / "made" / "model_float32.tflite"
        if not made.is_file():
            raise StepError("onnx2tf wrote no model", where=str(model))
        made.replace(call.output)
    return {"tool": ONNX2TF.version(), "bytes": call.output.stat().st_size}


STEP = Step(
    name="onnx.to_tflite",
    version=1,
    summary="convert an ONNX model to float TF Lite, channels last, with onnx2tf",
    example="model.onnx -o model.tflite",
    params={
        "model": Param("file", "the ONNX file, with fixed shapes (onnx.fix: batch, dims)", required=True),
        "keep_nchw": Param("strs", "inputs that keep their channels first"),
    },
    run=_run,
    cpu_bound=True,
    tool=lambda _: ONNX2TF.version(),
    proof=Proven("onnx-tflite", 1e-4, "measured 3e-7 on small nets; both runtimes add up in another order"),
)
