"""``onnx.check``: copy a model after onnx's checker and shape inference have accepted it."""

from __future__ import annotations

from pathlib import Path

from modelprep.errors import StepError
from modelprep.steps import Call, Exempt, Facts, Param, Step, needs
from modelprep.targets.armnn_onnx import TARGETS


def _run(call: Call) -> Facts:
    from modelprep.formats.output import copy

    model = call.params["model"]
    facts = check(model, shapes=bool(call.params["shapes"]))
    if call.params["target"]:
        from modelprep.formats.onnx.model import read
        from modelprep.steps.onnx_fix import refuse

        refuse(read(model), str(call.params["target"]))
    copy(model, call.output, call.progress)
    return facts


def check(path: Path, *, shapes: bool = True) -> dict[str, object]:
    """Check a model with onnx's own checker (extra ``onnx``).

    `path`: the ONNX file; external data are looked for beside it. Returns opset, IR version, inputs and outputs with
    their shapes, operators with their count. Raises StepError: it is no ONNX file, or the checker or the inference say
    what is wrong.
    """
    from modelprep.formats.onnx.inspect import summary
    from modelprep.formats.onnx.model import read_header

    facts = summary(read_header(path))
    import onnx

    try:
        # By path: the checker then sees files of external data and may be larger than 2 GiB.
        onnx.checker.check_model(str(path), full_check=shapes)
    except Exception as error:
        raise StepError(
            "onnx's checker refuses the model", where=str(path), got=" ".join(str(error).split())[:600],
        ) from error  # fmt: skip
    return {key: facts[key] for key in ("opset", "ir_version", "inputs", "outputs", "operators")}


STEP = Step(
    name="onnx.check",
    version=1,
    summary="check that a model is valid ONNX (checker and shape inference); it is copied unchanged",
    params={
        "model": Param("file", "the ONNX file", required=True),
        "shapes": Param("bool", "run strict shape inference too", default=True),
        "target": Param("str", "also refuse what this parser does not accept", choices=TARGETS),
    },
    run=_run,
    proof=Exempt("it checks a model and copies its bytes"),
    cpu_bound=True,
    command=False,
    extras=needs("onnx"),
)  # fmt: skip
