"""Run Vela in a separate process: the compiled model, and the operators that it leaves on the CPU with the reason."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.errors import StepError
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
