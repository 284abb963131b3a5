"""``tflite.vela``: compile a quantized TF Lite model for an Arm Ethos-U NPU with Vela, in a separate process.

The configuration of i.MX 93 is the Ethos-U65 with 256 multiply-accumulates a cycle. The file that Vela writes does not
depend on the name of its input, and the same version writes the same bytes (tests/steps/test_tflite_vela.py).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.errors import RecipeError, StepError
from modelprep.steps import Call, Exempt, Facts, Param, Params, Step
from modelprep.steps.tools import Tool
from modelprep.structs import dataclass

if TYPE_CHECKING:
    from modelprep.formats.tflite.model import Model

#: Tried: with NumPy 2 the versions 3.8.0 to 3.12.0 end in an OverflowError, with NumPy 1.24 3.6.0 lacks np.int.
#: Those before 3.8 build with Python 3.9 and not with 3.11; 3.7.0 with neither: setuptools lack pkg_resources now.
VELA = Tool(
    "vela", "MODELPREP_VELA", module="ethosu.vela", extra="vela", distribution="ethos-u-vela",
    beside_old=(("3.8", "numpy<1.24"), ("4", "numpy<2")), old_python=("3.8", "python3.9"),
)  # fmt: skip
#: SoC -> accelerator configuration.
ACCELERATORS: Mapping[str, str] = {"imx93": "ethos-u65-256"}
_COUNT = re.compile(r"^(CPU|NPU) operators = (\d+)", re.MULTILINE)
_ON_CPU = re.compile(r"^\s*CPU: \S+ = (.*?)(?: \(.*)?$", re.MULTILINE)
#: Why an operator is refused: as Vela 4.3 and later say it, and as those before did.
_REASONS = (
    re.compile(r"^Warning \([^)]*\) operator: \S+, ofm: '(.*)'\nReason: (.*(?:\n.+)*)", re.MULTILINE),
    re.compile(r"^Warning: \S+ '(.*)' is not supported on the NPU.*((?:\n .*)+)", re.MULTILINE),
)


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
            hint="quantize the model fully to int8, or allow operators on the CPU: all_npu: false",
        )  # fmt: skip
    call.warn(f"{made.cpu} of {made.cpu + made.npu} operators stay on the CPU: {named}")


@dataclass(frozen=True)
class OnCpu:
    """An operator that Vela leaves on the CPU.

    `operator`: its name in TF Lite (``SOFTMAX``). `tensor`: its output. `reason`: the constraint that it breaks, in
    Vela's words; empty if Vela states none.
    """

    operator: str
    tensor: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.operator} '{self.tensor}'" + (f" ({self.reason})" if self.reason else "")


@dataclass(frozen=True)
class Compiled:
    """A compiled model.

    `version`: ``vela 5.2.0``. `cpu`, `npu`: number of operators on each; those on the NPU are Vela's own, smaller ones.
    """

    version: str
    data: bytes
    cpu: int
    npu: int
    on_cpu: tuple[OnCpu, ...]


def compile_model(
    model: Path, accelerator: str, options: Mapping[str, object], beside: Path | None, *, vela: Tool = VELA
) -> Compiled:
    """Compile a TF Lite model.

    `options`: ``config`` (a file), ``system_config``, ``memory_mode``; None leaves Vela's own. `beside`: folder for
    temporary files; None for the system's. `vela`: the program, in the version asked for. Raises MissingTool: there is
    no Vela; StepError: the file is no TF Lite model, Vela refuses it, or what it wrote has other inputs or outputs.
    """
    from modelprep.formats.tflite.model import read

    before = read(model)
    version = vela.version()
    arguments: list[str | Path] = ["model.tflite", "--accelerator-config", accelerator, "--show-cpu-operations"]
    for name in ("config", "system_config", "memory_mode"):
        if given := options.get(name):
            arguments += [f"--{name.replace('_', '-')}", given if isinstance(given, Path) else str(given)]
    with tempfile.TemporaryDirectory(prefix="vela-", dir=beside) as scratch:
        folder = Path(scratch)
        (folder / "model.tflite").symlink_to(model.resolve())
        said = vela.run([*arguments, "--output-dir", "made"], folder=folder, source=model)
        made = folder / "made" / "model_vela.tflite"
        if not made.is_file():
            raise StepError("Vela wrote no model", where=str(model), got=" ".join(said.split())[-300:])
        _hold(before, read(made), model)
        data = made.read_bytes()
    counts = {name: int(count) for name, count in _COUNT.findall(said)}
    if not counts:
        raise StepError("Vela did not report which operators are left on the CPU", where=str(model))
    return Compiled(version, data, counts.get("CPU", 0), counts.get("NPU", 0), _on_cpu(said, before))


def _on_cpu(said: str, before: Model) -> tuple[OnCpu, ...]:
    reasons = {name: " ".join(text.replace("\n -", "; ").split()).strip("; -")
               for pattern in _REASONS for name, text in pattern.findall(said)}  # fmt: skip
    # Vela calls what it leaves "Passthrough"; the model itself has the operator's name.
    graph = before.main
    makers = {graph.tensors[i].name: each.custom or each.name for each in graph.operators for i in each.outputs}
    return tuple(OnCpu(makers.get(name, "operator"), name, reasons.get(name, "")) for name in _ON_CPU.findall(said))


def _hold(before: Model, after: Model, model: Path) -> None:
    """Raise StepError if the compiled model has other inputs or outputs than the original."""

    def ends(read: Model) -> list[tuple[str, tuple[int, ...]]]:
        graph = read.main
        return [(graph.tensors[i].dtype, tuple(graph.tensors[i].shape)) for i in (*graph.inputs, *graph.outputs)]

    if ends(before) != ends(after):
        raise StepError(
            "the compiled model has other inputs or outputs", where=str(model),
            expected=str(ends(before)), got=str(ends(after)),
        )  # fmt: skip


STEP = Step(
    name="tflite.vela",
    version=1,
    summary="compile a quantized TF Lite model for the Ethos-U NPU (i.MX 93) with Vela",
    example="model_int8.tflite -o model_vela.tflite --all-npu",
    params={
        "model": Param("file", "the quantized TF Lite file", required=True),
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
