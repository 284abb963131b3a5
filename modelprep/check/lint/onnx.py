"""ONNX files before Arm NN's parser (rules ON01 to ON19, C1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelprep.check.lint.findings import Finding
from modelprep.check.lint.request import Asked
from modelprep.errors import StepError
from modelprep.targets import armnn_onnx

if TYPE_CHECKING:
    from modelprep.formats.onnx.model import Model

#: TensorProto.raw_data
_RAW_DATA = 9


def examine(path: Path, asked: Asked) -> list[Finding]:
    """Say what the parser will make of a file; see :func:`modelprep.check.lint.lint`."""
    from modelprep.formats.onnx import model as reader

    try:
        model = reader.read(path)
    except StepError as error:
        # protobuf takes the bytes of many a foreign file for unknown fields; what is left is a model of nothing.
        return [Finding("ON17", path.name, error.looks_like or error.what)]
    return list(_model(model, asked))


def _parser(version: str) -> armnn_onnx.Parser:
    """Give the newest parser known that is no newer than the version asked for."""
    fitting = [name for name in armnn_onnx.PARSERS if name <= version]
    return armnn_onnx.PARSERS[max(fitting, default="19.02")]


def _model(model: Model, asked: Asked) -> Iterator[Finding]:
    raw = frozenset(name for name, payload in model.payloads.items() if payload.number == _RAW_DATA)
    for problem in armnn_onnx.problems(model.proto, _parser(asked.version), raw):
        message = ""
        if problem.rule == "ON01" and "no such operator" in problem.text:
            op, _, name = problem.where.partition(" ")
            message = f"Unsupported operation {op} for node '{name}'"
        yield Finding(problem.rule, problem.where, problem.text, message, problem.effect)  # type: ignore[arg-type]
    yield from _bindings(model.proto.graph, asked)


def _bindings(graph: Any, asked: Asked) -> Iterator[Finding]:
    constants = {tensor.name for tensor in graph.initializer}
    inputs = {value.name: value for value in graph.input if value.name not in constants}
    outputs = {value.name for value in graph.output}
    if asked.input_name and asked.input_name not in inputs:
        yield _unbound("input", asked.input_name, inputs)
    for name in asked.outputs:
        if name not in outputs:
            yield _unbound("output", name, outputs)
    value = inputs.get(asked.input_name)
    if value is not None:
        shape = tuple(int(dim.dim_value) for dim in value.type.tensor_type.shape.dim)
        if shape != asked.input_shape:
            detail = f"{list(shape)} in the file, {list(asked.input_shape)} is fed"
            yield Finding("ON18", f"input '{asked.input_name}'", detail, "Input tensor has incorrect size", "reject")


def _unbound(what: str, name: str, there: Any) -> Finding:
    return Finding("ON17", what, f"'{name}' is asked for, there is {', '.join(sorted(there))}",
                   f"No {what} binding found for name: {name}")  # fmt: skip
