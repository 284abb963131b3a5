"""Rules for TF Lite files on the Ethos-U NPU (EU01 to EU03): Vela says which operators it supports, and why not."""

from __future__ import annotations

from pathlib import Path

from modelprep.check.lint.findings import Finding
from modelprep.errors import StepError
from modelprep.steps.tflite_vela import ACCELERATORS, compile_model

#: Target -> accelerator configuration; the first is the SoC of the recipes.
TARGETS = {"ethos-u": ACCELERATORS["imx93"], **{name: name for name in ACCELERATORS.values()}}

_QUANTISE = "modelprep tflite quantise MODEL -o OUT --calibration PICTURES"


def examine(path: Path, target: str, *, all_npu: bool = False) -> list[Finding]:
    """Return the findings about the operators of a model that stay on the CPU.

    `all_npu`: whether each is a problem; else only a model without any operator on the NPU is. Raises MissingTool: Vela
    is not installed.
    """
    try:
        made = compile_model(path, TARGETS[target], {}, None)
    except StepError as error:
        return [Finding("EU03", path.name, error.got or error.looks_like or error.what)]
    left = [
        Finding("EU01", f"{one.operator} '{one.tensor}'", one.reason, effect_here="reject" if all_npu else None,
                fix=_QUANTISE if "Float" in one.reason else "")
        for one in made.on_cpu
    ]  # fmt: skip
    if not made.npu:
        fix = next((one.fix for one in left if one.fix), "")
        left.insert(0, Finding("EU02", path.name, f"{made.cpu} operators on the CPU", fix=fix))
    return left
