"""``tflite.vela``: compile a quantised TF Lite model for an Arm Ethos-U NPU with Vela, in a separate process.

The configuration of i.MX 93 is the Ethos-U65 with 256 multiply-accumulates a cycle. The file that Vela writes does not
depend on the name of its input, and the same version writes the same bytes (tests/steps/test_tflite_vela.py).
"""

from __future__ import annotations

from pathlib import Path

from modelprep.errors import RecipeError, StepError
from modelprep.steps import Call, Exempt, Facts, Param, Params, Step
from modelprep.steps._vela import ACCELERATORS, VELA, Compiled, compile_model
from modelprep.steps.tools import Tool


def _run(call: Call) -> Facts:
    model, soc = call.params["model"], str(call.params["soc"])
    if soc not in ACCELERATORS:
        raise RecipeError(f"{soc} has no Ethos-U NPU", expected=f"one of {', '.join(ACCELERATORS)}")
    accelerator, vela = str(call.params["accelerator"] or ACCELERATORS[soc]), _program(call.params)
    made = compile_model(model, accelerator, call.params, call.output.parent, vela=vela)
    if vela.wanted and made.version != f"vela {vela.wanted}":
        call.warn(
            f"the board's release has Vela {vela.wanted}, this model is compiled with {made.version}; "
            "`modelprep bsp show RELEASE` prints the command that installs it (MODELPREP_VELA comes before it)"
        )
    _judge(call, made, model)
    call.output.write_bytes(made.data)
    return {
        "tool": made.version, "accelerator": accelerator, "cpu_operators": made.cpu, "npu_operators": made.npu,
        "on_cpu": [str(each) for each in made.on_cpu],
        "told": f"{made.npu} operators on the NPU, {made.cpu or 'none'} on the CPU",
    }  # fmt: skip


def _program(params: Params) -> Tool:
    return VELA.of_version(str(params.get("expected_version") or ""))


def _judge(call: Call, made: Compiled, model: Path) -> None:
    if not made.cpu:
        return
    named = ", ".join(map(str, made.on_cpu[:5])) + (f" and {len(made.on_cpu) - 5} more" if len(made.on_cpu) > 5 else "")
    if call.params["all_npu"]:
        raise StepError(
            f"{made.cpu} of {made.cpu + made.npu} operators cannot run on the NPU",
            where=str(model), expected="every operator on the NPU (all_npu)", got=named or f"{made.cpu} on the CPU",
            hint="quantise the model fully to int8, or allow operators on the CPU: all_npu: false",
        )  # fmt: skip
    call.warn(f"{made.cpu} of {made.cpu + made.npu} operators stay on the CPU: {named}")


STEP = Step(
    name="tflite.vela",
    version=1,
    summary="compile a quantised TF Lite model for the Ethos-U NPU (i.MX 93) with Vela",
    example="model_int8.tflite -o model_vela.tflite --all-npu",
    params={
        "model": Param("file", "the quantised TF Lite file", required=True),
        "soc": Param(
            "str", "the SoC, which decides the accelerator", default="imx93", choices=tuple(ACCELERATORS), metavar="SOC"
        ),
        "accelerator": Param("str", "Vela's accelerator configuration, instead of the SoC's", metavar="NAME"),
        "config": Param("file", "a Vela configuration file (.ini), instead of Vela's own"),
        "system_config": Param("str", "name of a system configuration in that file", metavar="NAME"),
        "memory_mode": Param("str", "name of a memory mode in that file", metavar="NAME"),
        "all_npu": Param("bool", "refuse a model if operators stay on the CPU", default=False),
        "expected_version": Param(
            "str",
            "the Vela version of the board's release: used if it is installed, else another one is a warning",
            board="vela",
            metavar="VERSION",
        ),
    },
    run=_run,
    tool=lambda params: _program(params).version(),
    cpu_bound=True,
    proof=Exempt(
        "an Ethos-U command stream runs on the NPU alone; types and shapes of inputs and outputs are compared"
    ),
)
