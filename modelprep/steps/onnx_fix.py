"""``onnx.fix``: static shapes, constants for old parsers, another opset; with unchanged values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelprep.errors import RecipeError, StepError
from modelprep.steps import Call, Facts, Param, Params, Proven, Step
from modelprep.targets.armnn_onnx import PARSERS, TARGETS

if TYPE_CHECKING:
    from modelprep.formats.onnx.fix import Wishes
    from modelprep.formats.onnx.model import Model

_SHOWN = 12


def _wishes(params: Params) -> Wishes:
    from modelprep.formats.onnx.fix import Wishes

    parser = PARSERS.get(str(params["target"] or "").removeprefix("armnn-"))
    dims = params["dims"] or {}
    if not isinstance(dims, Mapping) or not all(type(v) is int for v in dims.values()):
        raise RecipeError("dims must be a mapping of symbols to whole numbers", got=repr(dims))
    value_info: Any = params["value_info"] or ("static" if parser else "keep")
    return Wishes(
        batch=params["batch"],
        dims={str(name): number for name, number in dims.items()},
        initializers=params["initialisers"] or ("inputs" if parser else "keep"),
        data=params["data"] or ("typed" if parser and not parser.raw_data else "keep"),
        value_info="keep" if value_info == "infer" else value_info,
        simplify=params["simplify"] if params["simplify"] is not None else parser is not None,
        ir_version=params["ir_version"],
    )


def _run(call: Call) -> Facts:
    from modelprep.formats.onnx import fix as work
    from modelprep.formats.onnx import fold, opset
    from modelprep.formats.onnx.model import guarded, read
    from modelprep.formats.onnx.pieces import write
    from modelprep.formats.output import copy

    params = call.params
    wishes, path = _wishes(params), params["model"]
    model = read(path, params["external"])
    done = ["external data embedded"] if params["external"] else []
    with guarded(str(path)):
        if (wanted := params["opset"]) is not None:
            if model.opset() < opset.OLDEST <= wanted:
                done.append(f"opset {model.opset()} made {opset.OLDEST} by onnx")
                model = opset.from_before(model)
            done += opset.convert(model, wanted)
        done += work.settle(model, wishes)
        if params["value_info"] == "infer":
            done.append(f"shapes of {work.infer_shapes(model)} values inferred")
        elif wishes.simplify and (settled := fold.settle_outputs(model)):
            done.append(f"dimensions of outputs inferred: {', '.join(settled)}")
        done += work.rearrange(model, wishes)
        if params["target"]:
            refuse(model, str(params["target"]))
        if done:
            size = write(model.pieces(), call.output, call.progress)
        else:
            call.warn("nothing to do: the model already meets the request; the result is a copy of it")
            size = copy(path, call.output, call.progress)
    return {"changes": done, "opset": model.opset(), "ir_version": int(model.proto.ir_version), "size": size}


def refuse(model: Model, target: str) -> None:
    """Raise StepError, with every broken rule and its place, if a target's parser does not accept a model."""
    from modelprep.formats.onnx.model import RAW
    from modelprep.targets.armnn_onnx import problems

    parser = PARSERS[target.removeprefix("armnn-")]
    raw = frozenset(name for name, payload in model.payloads.items() if payload.number == RAW)
    found = problems(model.proto, parser, raw)
    if found:
        shown = [f"{problem} [{problem.effect}]" for problem in found[:_SHOWN]]
        if len(found) > _SHOWN:
            shown.append(f"and {len(found) - _SHOWN} more")
        raise StepError(
            f"Arm NN {parser.version} does not accept this model", where=model.where,
            expected=f"operators: {', '.join(sorted(parser.ops))}", got="\n              ".join(shown),
            hint="fix the shapes: --batch N, --dim NAME=N (in a recipe batch:, dims:)"
            if all(problem.rule == "ON05" for problem in found)
            else None,
        )  # fmt: skip


def _number(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(text)
    return int(text)


def _complete(params: Params) -> Params:
    """Find the files of external data beside a model; refuse a location outside its folder."""
    from modelprep.formats.given import require_input
    from modelprep.formats.onnx.model import files_beside

    model = params.get("model")
    if "external" in params or not isinstance(model, Path):
        return params
    require_input(model)
    return {**params, "external": files_beside(model)}


STEP = Step(
    name="onnx.fix",
    version=2,
    summary="adapt an ONNX model to its runtime: static shapes, constants for old parsers, another opset",
    example="model.onnx -o fixed.onnx --for armnn-19.02 --batch 1",
    params={
        "model": Param("file", "the ONNX file", required=True),
        "external": Param(
            "files", "files of external data by their location in the model; they are embedded", option=None
        ),
        "batch": Param("int", "number of samples: first dimension of the inputs, and dependent shapes", least=1),
        "dims": Param("map", "a symbolic dimension -> number", option="--dim", metavar="NAME=N", read=_number),
        "opset": Param("int", "convert to this opset, 7 to 25 (extra onnx)", least=1),
        "ir_version": Param("int", "set the IR version", least=3),
        "initialisers": Param("str", "list initializers among the inputs (IR version 3)", choices=("keep", "inputs")),
        "data": Param("str", "move raw_data into the field of its type", choices=("keep", "typed")),
        "value_info": Param(
            "str", "shapes of intermediate values: keep, drop those not all numbers (static), drop, infer (extra onnx)",
            choices=("keep", "static", "drop", "infer"),
        ),
        "simplify": Param("bool", "fold sizes; drop Identity, Dropout; Flatten to Reshape, Gemm to MatMul, ..."),
        "target": Param("str", "target parser; sets the other options accordingly, and refuses what it does not accept",
                        choices=TARGETS, option="--for", metavar="TARGET"),
    },
    run=_run,
    proof=Proven(
        "onnx", 1e-5, "measured 0 on small models; onnxruntime may fuse other operators in another opset"
    ),
    cpu_bound=True,
    extras=lambda params: ("onnx",) * (params.get("opset") is not None or params.get("value_info") == "infer"),
    complete=_complete,
)  # fmt: skip
