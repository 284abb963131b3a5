"""The step ``neutron``: convert a quantised TF Lite model for the Neutron NPU of i.MX 95, with NXP's converter.

Untried on a real converter: it was written and tested with a stand-in that takes the same words. NXP's converter is the
program ``neutron-converter`` of its eIQ Neutron SDK; its version has to fit the release on the board.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from modelprep.errors import StepError
from modelprep.formats.tflite.model import Model, read
from modelprep.steps import Call, Exempt, Param, Step
from modelprep.steps.tools import Tool

NEUTRON = Tool(
    "neutron-converter",
    "MODELPREP_NEUTRON",
    hint="install NXP's eIQ Neutron SDK, or name its converter: MODELPREP_NEUTRON=/path/to/neutron-converter",
)


def _run(call: Call) -> Mapping[str, object]:
    model, target = cast("Path", call.params["model"]), str(call.params["target"])
    version = NEUTRON.version()
    before = read(model)
    # Beside the output, so that the last move is a rename; by a fixed name, so that no path gets into the result.
    with tempfile.TemporaryDirectory(prefix="neutron-", dir=call.output.parent) as scratch:
        folder = Path(scratch)
        (folder / "model.tflite").symlink_to(model.resolve())
        NEUTRON.run(
            ["--input", "model.tflite", "--output", "made.tflite", "--target", target], folder=folder, source=model
        )
        made = folder / "made.tflite"
        if not made.is_file():
            raise StepError("neutron-converter wrote no model", where=str(model))
        after = read(made)
        if _ends(before) != _ends(after):
            raise StepError("the converted model has other inputs or outputs", where=str(model),
                            expected=str(_ends(before)), got=str(_ends(after)))  # fmt: skip
        made.replace(call.output)
    on_npu = sum("neutron" in operator.custom.lower() for operator in after.main.operators)
    if not on_npu:
        call.warn("the converter left every operator on the CPU")
    return {"tool": version, "target": target, "neutron_operators": on_npu,
            "cpu_operators": len(after.main.operators) - on_npu}  # fmt: skip


def _ends(model: Model) -> list[tuple[str, tuple[int, ...]]]:
    graph = model.main
    return [(graph.tensors[i].dtype, tuple(graph.tensors[i].shape)) for i in (*graph.inputs, *graph.outputs)]


STEP = Step(
    name="neutron",
    version=1,
    summary="convert a quantised TF Lite model for the Neutron NPU of i.MX 95 (untried on a real converter)",
    params={
        "model": Param("file", "the quantised TF Lite file", required=True),
        "target": Param("str", "the converter's name of the SoC", default="imx95", choices=("imx95", "imx952")),
    },
    run=_run,
    tool=lambda _: NEUTRON.version(),
    cpu_bound=True,
    proof=Exempt("a Neutron graph runs on the NPU alone; types and shapes of inputs and outputs are compared"),
)
