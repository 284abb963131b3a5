"""Rules of Arm NN's parser for ONNX files (rules ON01 to ON22, C1 to C12)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelprep.check.lint.findings import Finding, findings_of
from modelprep.check.lint.onnx_fixes import Tried
from modelprep.check.lint.request import Asked, binding
from modelprep.errors import StepError
from modelprep.formats.onnx.model import FLOAT, RAW
from modelprep.targets import armnn_onnx
from modelprep.targets.armnn import files, program
from modelprep.targets.armnn.network import Stop


def examine(path: Path, asked: Asked) -> list[Finding]:
    """Return the findings about a file; see :func:`modelprep.check.lint.lint`."""
    target = f"armnn-{asked.version}"
    tried = Tried(
        path,
        target if target in armnn_onnx.TARGETS else armnn_onnx.TARGETS[0],
        lambda result: {finding.rule for finding in _examine(result, asked)},
    )
    return [replace(finding, fix=tried.fix(finding)) for finding in _examine(path, asked)]


def _examine(path: Path, asked: Asked) -> list[Finding]:
    from modelprep.formats.onnx import model as reader

    foreign = ""
    model = None
    try:
        model = reader.read_header(path)
    except StepError as error:
        foreign = error.looks_like or error.what
    network, stops = files.onnx_network(path, asked.version)
    wrapped = [layer.name for layer in network.layers if max(layer.params.get("pad_top", 0),
                                                             layer.params.get("pad_left", 0)) >> 30]  # fmt: skip

    def unbound(what: str, name: str) -> Stop:
        return Stop(f"The {what} layer '{name}' does not exist", "ON17", what)

    if not stops and (stop := program.carry_on(network, binding(asked), unbound)) is not None:
        stops = [stop]
    if stops and stops[0].rule in _SHAPES and model is not None and _open(model):
        # Symbolic and missing sizes are read as 0, and later shapes no longer fit.
        stops[0].rule = "ON05"
    found = findings_of(stops, asked.program)
    if foreign:
        return [replace(finding, where=path.name, detail=foreign) for finding in found[:1]]
    if model is not None:
        told = {(finding.rule, finding.where) for finding in found}
        found += [
            Finding("ON13", f"layer {name}", "auto_pad: the padding is negative and wraps around", "", "wrong")
            for name in wrapped
        ]
        found += [one for one in _more(model, asked, bool(stops)) if (one.rule, one.where) not in told]
    return found


#: Rules about shapes, of any parser.
_SHAPES = ("C3", "C11")


def _open(model: Any) -> bool:
    """Whether an input or output has a dimension that is not a number."""
    graph = model.proto.graph
    values = (*graph.input, *graph.output)
    return any(dim.dim_value <= 0 for value in values for dim in value.type.tensor_type.shape.dim)


def _more(model: Any, asked: Asked, stopped: bool) -> Iterator[Finding]:
    """Yield what is computed differently and, if the parser stopped, where it would stop next."""
    parser = armnn_onnx.parser_of(asked.version)
    for problem in armnn_onnx.problems(model.proto, parser):
        if problem.effect == "wrong" and problem.rule in ("ON05", "ON13", "ON15"):
            yield Finding(problem.rule, problem.where, problem.text, "", "wrong")
    if not stopped:
        return
    graph = model.proto.graph
    shaped = {value.name for value in (*graph.input, *graph.output, *graph.value_info)}
    # Of a Reshape the second input is a shape.
    weights = {name for node in graph.node for name in node.input[: 1 if node.op_type == "Reshape" else None]}
    for tensor in graph.initializer:
        where = f"initialiser {tensor.name}"
        if tensor.name not in weights:
            continue
        payload = model.payloads.get(tensor.name)
        raw = payload.number == RAW if payload is not None else tensor.HasField("raw_data")
        if raw and tensor.data_type == FLOAT and not parser.raw_data:
            yield Finding("ON02", where, "its data are in raw_data, which is not read")
        if tensor.name not in shaped:
            yield Finding("ON03", where, "it is not among the graph's inputs, where its shape is looked for")
