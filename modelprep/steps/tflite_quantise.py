"""``tflite.quantise``: a float TF Lite model becomes a smaller one, by ai-edge-quantizer in a separate process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from modelprep import quoting
from modelprep.errors import MissingTool, StepError
from modelprep.steps import Call, Compared, Facts, Param, Step, _agreement, _calibration, _subprocess
from modelprep.steps.tools import Tool, beside, installed_version

#: Its command ``aeq`` is beside the Python that has it; the variable names either.
QUANTIZER = Tool(
    "aeq", "MODELPREP_QUANTIZER", module="ai_edge_quantizer", extra="quantise", distribution="ai-edge-quantizer"
)
#: Mode -> the quantizer's own recipe.
_RECIPES: Mapping[str, str] = {"dynamic": "dynamic_wi8_afp32", "int8": "static_wi8_ai8"}


def interpreter() -> str:
    """Return the Python that has ai-edge-quantizer: of MODELPREP_QUANTIZER, of its command on PATH, of the extra.

    Raises MissingTool: there is none.
    """
    return beside(QUANTIZER.command()[0])


def _version(python: str) -> str:
    if found := installed_version(python, QUANTIZER.distribution):
        return f"{QUANTIZER.distribution} {found}"
    hint = f"{quoting.sh(python)} -m pip install {QUANTIZER.distribution}"
    raise MissingTool(f"this Python has no {QUANTIZER.distribution}", where=python, hint=hint)


def _run(call: Call) -> Facts:
    import numpy as np

    from modelprep.formats.tflite.model import read

    params, mode = call.params, str(call.params["mode"])
    model = params["model"]
    graph = read(model).main
    takes = [graph.tensors[index] for index in graph.inputs]
    for each in takes:
        if each.quantisation is not None and each.quantisation.scale:
            raise StepError("only a float model can be quantized", where=str(model), expected="inputs without a scale",
                            got=f"'{each.name}' is {each.dtype.lower()}, quantized")  # fmt: skip
    _calibration.require(params)
    python = interpreter()
    tool = _version(python)
    with tempfile.TemporaryDirectory(prefix="quantise-", dir=call.output.parent) as scratch:
        folder = Path(scratch)
        inputs = _calibration.samples(params, folder, call.warn)
        slots = [_calibration.Input(each.name, each.shape, each.dtype.lower()) for each in takes]
        np.savez(folder / "samples.npz", *_calibration.fitted(inputs.arrays if inputs else None, slots, str(model)))
        shutil.copyfile(model, folder / "model.tflite")
        request = {
            "model": "model.tflite", "recipe": _RECIPES[mode], "output": "made.tflite", "answers": "answers.npz",
            "samples": "samples.npz",
        }  # fmt: skip
        (folder / "request.json").write_text(json.dumps(request), "utf-8")
        source = (Path(__file__).parent / "_quantise_script.py").read_text("utf-8")
        done = subprocess.run(
            [python, "-c", source, "request.json"], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, errors="replace", check=False, env={**os.environ, **_subprocess.ENVIRONMENT},
        )  # fmt: skip
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit status {done.returncode}"]
            raise StepError("ai-edge-quantizer cannot quantize this model", where=str(model),
                            got=" ".join(said[-1].split())[:400])  # fmt: skip
        answers = _agreement.read(folder / "answers.npz")
        agreement = _agreement.compare(*answers, params, calibrated=inputs is not None, where=model)
        shutil.copyfile(folder / "made.tflite", call.output)  # the quantizer makes it executable
    size = call.output.stat().st_size
    return {"tool": tool, "mode": mode, "bytes_before": model.stat().st_size, "bytes": size, "agreement": agreement}


STEP = Step(
    name="tflite.quantise",
    version=1,
    summary="quantize a float TF Lite model, with ai-edge-quantizer",
    example="float.tflite -o int8.tflite --calibration pictures/",
    params={
        "model": Param("file", "the TF Lite file, whose inputs are not quantized", required=True),
        "mode": Param(
            "str", "dynamic: int8 weights; int8: weights and activations, which integer hardware needs",
            default="int8", choices=tuple(_RECIPES),
        ),
        **_calibration.PARAMS,
        **_agreement.PARAMS,
    },
    run=_run,
    cpu_bound=True,
    tool=lambda _: _version(interpreter()),
    proof=Compared("LiteRT runs both models on the calibration set, or on seeded inputs"),
)  # fmt: skip
