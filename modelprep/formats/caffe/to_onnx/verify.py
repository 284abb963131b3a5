"""Check a converted model's structure with the onnx package: its checker, and its own inference of every shape."""

from __future__ import annotations

import importlib.util
from typing import Any

from modelprep.errors import StepError
from modelprep.formats.caffe.shapes.base import fits, show
from modelprep.formats.caffe.to_onnx.plan import Plan
from modelprep.formats.caffe.to_onnx.write import head_of, shell

#: Constants of more bytes go into the check as inputs of their type and shape: their elements decide no shape.
_SMALL = 4096


def check(plan: Plan) -> str | None:
    """Check the graph, and say by what and with which result; None if the onnx package is not installed.

    Raises StepError: the checker refuses the model, or a blob has another shape than in Caffe. This is a bug of the
    conversion.
    """
    if importlib.util.find_spec("onnx") is None:
        return None
    import onnx
    import onnx.checker
    import onnx.shape_inference

    model = shell(plan, {})
    _fill(model, plan)
    del model.graph.value_info[:]
    data = model.SerializeToString(deterministic=True)
    try:
        onnx.checker.check_model(data, full_check=True)
        inferred = onnx.shape_inference.infer_shapes(onnx.load_from_string(data), strict_mode=True, data_prop=True)
    except Exception as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise StepError("the converted model does not pass onnx's checker", got=reason.strip()[:300],
                        hint="this is a bug in modelprep: report it with the prototxt") from error  # fmt: skip
    found: dict[str, tuple[int | None, ...]] = {}
    for value in (*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input):
        if value.type.tensor_type.HasField("shape"):
            found[value.name] = tuple(
                dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim
            )
    equal = left_open = 0
    for blob in plan.blobs:
        shape = found.get(blob.name)
        if shape is None:
            left_open += 1
            continue
        if not fits(shape, blob.shape):
            raise StepError(
                f"the blob '{blob.name}' has another shape in the converted model", expected=show(blob.shape),
                got=show(shape), hint="this is a bug in modelprep: report it with the prototxt",
            )  # fmt: skip
        is_open = any(a is None and b is not None for a, b in zip(shape, blob.shape, strict=True))
        left_open, equal = left_open + is_open, equal + (not is_open)
    left = f", {left_open} left open" if left_open else ""
    return f"onnx {onnx.__version__}: full check passed, {equal} blobs have Caffe's shapes{left}"


def _fill(model: Any, plan: Plan) -> None:
    """Add the shell's constants: small ones whole, large ones as inputs."""
    for constant in plan.graph.constants:
        if isinstance(constant.source, bytes) and constant.size <= _SMALL:
            tensor = head_of(constant)
            tensor.raw_data = constant.source
            model.graph.initializer.append(tensor)
            continue
        info = model.graph.input.add(name=constant.name)
        info.type.tensor_type.elem_type = constant.dtype
        info.type.tensor_type.shape.SetInParent()
        for size in constant.dims:
            info.type.tensor_type.shape.dim.add(dim_value=size)
