"""Make the dimensions of an ONNX model numbers: the batch of its inputs, and symbols by name.

A board's parser requires static shapes. What follows from an input's first dimension is changed with it: the same
symbol everywhere, and what spells the old batch out (:mod:`~modelprep.formats.onnx.batch`). Shapes of values in between
(value_info) are outdated then and are dropped; every runtime infers them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelprep.errors import StepError, nearest
from modelprep.formats.onnx.graphs import drop, graphs_of
from modelprep.formats.onnx.model import Model
from modelprep.formats.onnx.order import reachable


def set_dimensions(model: Model, batch: int | None, dims: Mapping[str, int]) -> list[str]:
    """Make dimensions numbers, in place.

    `batch`: first dimension of every input that is fed, or None to leave it. `dims`: symbol -> number. Returns what was
    changed, one line each; empty when the model was so already. Raises StepError: a symbol is not there, a number is
    not positive, an input has no shape.
    """
    for name, number in (*dims.items(), *((("batch", batch),) if batch is not None else ())):
        if number < 1:
            raise StepError(f"the dimension '{name}' must be at least 1", got=str(number))
    values = (*model.graph.input, *model.graph.output)
    known = {dim.dim_param for value in values for dim in value.type.tensor_type.shape.dim} - {""}
    for name in dims:
        if name not in known:
            raise StepError(
                f"the model has no dimension called '{name}'", where=model.where,
                expected=", ".join(sorted(known)) or "no symbolic dimension at all",
                hint=nearest(name, sorted(known)) or None,
            )  # fmt: skip
    symbols = dict(dims)
    changed: list[str] = []
    if batch is not None:
        _set_batch(model, batch, symbols, changed)
    changed += _set_symbols(model.graph, symbols)
    if changed or symbols:
        _, *nested = graphs_of(model.graph)
        for graph in nested:
            del graph.value_info[:]
            _set_symbols(graph, symbols)
    if changed:
        # Shapes of what is made of constants alone hold still, and Arm NN 19.02 cannot do without them (rule ON10).
        drop(model.graph.value_info, reachable(model))
    return changed


def _set_symbols(graph: Any, symbols: Mapping[str, int]) -> list[str]:
    changed = []
    for kind, values in (("input", graph.input), ("output", graph.output)):
        for value in values:
            for dim in value.type.tensor_type.shape.dim:
                if dim.dim_param and dim.dim_param in symbols:
                    changed.append(f"{kind} {value.name}: {dim.dim_param} is {symbols[dim.dim_param]}")
                    dim.dim_value = symbols[dim.dim_param]
    return changed


def unsettled(model: Model) -> set[str]:
    """Return the values in between whose shape is not all numbers."""
    values = model.graph.value_info
    return {v.name for v in values if any(_number(dim) is None for dim in v.type.tensor_type.shape.dim)}


def _number(dim: Any) -> int | None:
    """Return a dimension's number, or None if it has none (old exporters write 0 or -1 for that)."""
    return int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value > 0 else None


def _set_batch(model: Model, batch: int, symbols: dict[str, int], changed: list[str]) -> None:
    """Set the first dimension of the inputs that are samples, and what follows from it.

    Those of the first input that has dimensions are samples; those of another one are where it has the same symbol or
    number. A threshold or the size of a picture beside it is left alone.
    """
    fed = model.inputs()
    if not fed:
        raise StepError("the model has no input whose batch could be set", where=model.where)
    first = next((dims[0] for value in fed if (dims := value.type.tensor_type.shape.dim)), None)
    if first is None:
        raise StepError(
            f"the input '{fed[0].name}' has no dimensions in the file, so its batch cannot be set", where=model.where
        )
    symbol, number = str(first.dim_param), _number(first)
    if symbol:
        if symbols.setdefault(symbol, batch) != batch:
            got = f"batch {batch}, dims {symbols[symbol]}"
            raise StepError(f"'{symbol}' is the batch and is to be two numbers", where=model.where, got=got)
        return
    if number == batch:
        return
    dims = [(value, value.type.tensor_type.shape.dim) for value in fed]
    samples = [value for value, sizes in dims if sizes and _is_batch(sizes, number)]
    if number is not None:
        samples = _follow(model, samples, number, batch, changed)
    for value in samples:
        dim = value.type.tensor_type.shape.dim[0]
        changed.append(f"input {value.name}: first dimension {dim.dim_param or _number(dim) or 'unknown'} is {batch}")
        dim.dim_value = batch
    if number is None:
        for value in model.graph.output:
            sizes = value.type.tensor_type.shape.dim
            if sizes and not sizes[0].dim_param and _number(sizes[0]) is None:
                changed.append(f"output {value.name}: first dimension unknown is {batch}")
                sizes[0].dim_value = batch


def _follow(model: Model, samples: list[Any], old: int, new: int, changed: list[str]) -> list[Any]:
    """Follow the batch from the inputs, from the first alone where the others only happen to be as long.

    Returns the inputs whose batch it is.
    """
    from modelprep.formats.onnx.batch import follow

    names = [value.name for value in samples]
    before = type(model.proto)()
    before.CopyFrom(model.proto)
    try:
        changed += follow(model, names, old, new)
    except StepError as error:
        if len(names) == 1:
            raise
        model.proto.CopyFrom(before)
        names = names[:1]
        try:
            changed += follow(model, names, old, new)
        except StepError:
            raise error from None
    return [value for value in model.inputs() if value.name in names]


def _is_batch(sizes: Any, number: int | None) -> bool:
    """Whether the first of an input's dimensions is the batch; one number alone is a length, unless it says more."""
    return not sizes[0].dim_param and _number(sizes[0]) == number and (len(sizes) > 1 or number != 1)
