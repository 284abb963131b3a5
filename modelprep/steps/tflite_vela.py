"""``tflite.vela``: compile a quantised TF Lite model for an Arm Ethos-U NPU with Vela, in a process of its own.

The configuration of i.MX 93 is the Ethos-U65 with 256 multiply-accumulates a cycle. The file that Vela writes does not
depend on the name of its input, and the same version writes the same bytes (tests/steps/test_tflite_vela.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from modelprep.errors import RecipeError, StepError
from modelprep.steps import Call, Exempt, Param, Step
from modelprep.steps.tools import Tool

if TYPE_CHECKING:
    from modelprep.formats.tflite.model import Model

VELA = Tool("vela", "MODELPREP_VELA", module="ethosu.vela", extra="vela")
#: SoC -> accelerator configuration.
ACCELERATORS = {"imx93": "ethos-u65-256"}
_COUNT = re.compile(r"^(CPU|NPU) operators = (\d+)", re.MULTILINE)
_ON_CPU = re.compile(r"^\s*CPU: \S+ = (.*?)(?: \(.*)?$", re.MULTILINE)


def _run(call: Call) -> Mapping[str, object]:
    import tempfile

    from modelprep.formats.tflite.model import read

    model = cast("Path", call.params["model"])
    before = read(model)
    version = VELA.version()
    if (expected := str(call.params["expected_version"] or "")) and expected not in version:
        call.warn(f"the board's release has Vela {expected}; this model is compiled with {version}")
    soc = str(call.params["soc"])
    if soc not in ACCELERATORS:
        raise RecipeError(f"{soc} has no Ethos-U NPU", expected=f"one of {', '.join(ACCELERATORS)}")
    accelerator = str(call.params["accelerator"] or ACCELERATORS[soc])
    arguments: list[str | Path] = ["model.tflite", "--accelerator-config", accelerator, "--show-cpu-operations"]
    for name in ("config", "system_config", "memory_mode"):
        if given := call.params[name]:
            arguments += [f"--{name.replace('_', '-')}", given if isinstance(given, Path) else str(given)]
    with tempfile.TemporaryDirectory(prefix="vela-", dir=call.output.parent) as scratch:
        folder = Path(scratch)
        (folder / "model.tflite").symlink_to(model.resolve())
        said = VELA.run([*arguments, "--output-dir", "made"], folder=folder, source=model)
        made = folder / "made" / "model_vela.tflite"
        if not made.is_file():
            raise StepError("Vela wrote no model", where=str(model), got=" ".join(said.split())[-300:])
        _hold(before, read(made), model)
        counts = {name: int(count) for name, count in _COUNT.findall(said)}
        # Vela says "Passthrough" of what it does not take; the model itself has the operator's name.
        graph = before.main
        makers = {graph.tensors[i].name: each.custom or each.name for each in graph.operators for i in each.outputs}
        on_cpu = [f"{makers.get(name, 'operator')} '{name}'" for name in _ON_CPU.findall(said)]
        _judge(call, counts, on_cpu, model)
        made.replace(call.output)
    return {
        "tool": version,
        "accelerator": accelerator,
        "cpu_operators": counts.get("CPU", 0),
        "npu_operators": counts.get("NPU", 0),
        "on_cpu": on_cpu,
    }


def _hold(before: Model, after: Model, model: Path) -> None:
    """See that the compiled model takes and gives what the original does."""

    def ends(read: Model) -> list[tuple[str, tuple[int, ...]]]:
        graph = read.main
        return [(graph.tensors[i].dtype, tuple(graph.tensors[i].shape)) for i in (*graph.inputs, *graph.outputs)]

    if ends(before) != ends(after):
        raise StepError(
            "the compiled model has other inputs or outputs", where=str(model),
            expected=str(ends(before)), got=str(ends(after)),
        )  # fmt: skip


def _judge(call: Call, counts: Mapping[str, int], on_cpu: list[str], model: Path) -> None:
    if not counts:
        raise StepError("Vela does not say which operators are left on the CPU", where=str(model))
    left = counts.get("CPU", 0)
    if not left:
        return
    named = ", ".join(on_cpu[:5]) + (f" and {len(on_cpu) - 5} more" if len(on_cpu) > 5 else "")
    if call.params["all_npu"]:
        raise StepError(
            f"{left} of {left + counts.get('NPU', 0)} operators cannot run on the NPU",
            where=str(model), expected="every operator on the NPU (all_npu)", got=named or f"{left} on the CPU",
            hint="quantise the model to int8 in full, or allow operators on the CPU: all_npu: false",
        )  # fmt: skip
    call.warn(f"{left} of {left + counts.get('NPU', 0)} operators stay on the CPU: {named}")


STEP = Step(
    name="tflite.vela",
    version=1,
    summary="compile a quantised TF Lite model for the Ethos-U NPU (i.MX 93) with Vela",
    params={
        "model": Param("file", "the quantised TF Lite file", required=True),
        "soc": Param(
            "str", "the SoC, which decides the accelerator", default="imx93", choices=tuple(ACCELERATORS), metavar="SOC"
        ),
        "accelerator": Param("str", "Vela's accelerator configuration, where the SoC's is not wanted", metavar="NAME"),
        "config": Param("file", "a Vela configuration file (.ini), where Vela's own is not wanted"),
        "system_config": Param("str", "name of a system configuration in that file", metavar="NAME"),
        "memory_mode": Param("str", "name of a memory mode in that file", metavar="NAME"),
        "all_npu": Param("bool", "refuse a model of which operators stay on the CPU", default=False),
        "expected_version": Param(
            "str", "the Vela version of the release; another one is a warning", board="vela", option=None
        ),
    },
    run=_run,
    tool=lambda params: VELA.version(),  # noqa: ARG005 - the signature is the interface
    cpu_bound=True,
    proof=Exempt(
        "an Ethos-U command stream runs on the NPU alone; types and shapes of inputs and outputs are compared"
    ),
)
