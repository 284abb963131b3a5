"""Write a converted model: a few hundred bytes for each node, the weights moved from file to file.

The file is one ModelProto: its own fields, then the graph (nodes first, then initializers one by one), in which the
elements of a weight are a run of bytes that is copied from the caffemodel, or that is in a file of external data.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelprep.errors import StepError
from modelprep.formats.caffe.to_onnx.graph import Constant
from modelprep.formats.caffe.to_onnx.layer import Tensor
from modelprep.formats.caffe.to_onnx.plan import Plan
from modelprep.formats.caffe.write import Piece, Progress, size_of
from modelprep.formats.caffe.write import write as write_pieces
from modelprep.formats.onnx.model import EXTERNAL, FLOAT, RAW, messages
from modelprep.formats.protowire import MAX_MESSAGE, bytes_header

#: The first IR version that knows an opset.
_IR = {11: 6, 12: 7, 13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10}
#: Name of the size that the batch decides.
BATCH = "N"
_GRAPH, _INITIALIZER = 7, 5
#: Constants of fewer bytes stay in the model when weights are external.
_SMALL = 1024
#: Weights in external data begin at a page, so that they can be mapped.
_PAGE = 4096


def shell(plan: Plan, sources: Mapping[str, str]) -> Any:
    """Make the ModelProto without initializers.

    `sources`: checksums of what it was made of, by name (``prototxt``, ``weights``).
    """
    from modelprep import __version__

    model = messages("ModelProto")()
    model.ir_version = _IR[plan.graph.opset]
    model.opset_import.add(version=plan.graph.opset)
    model.producer_name, model.producer_version = "modelprep", __version__
    listed = ", ".join(f"{name} sha256 {digest}" for name, digest in sources.items())
    model.doc_string = f"Converted from Caffe by modelprep {__version__}; {listed}"
    said = {"source_format": "caffe", "caffe.net": plan.net.name, "converter": f"modelprep {__version__}"}
    for key, value in {**said, **{f"caffe.{name}.sha256": digest for name, digest in sources.items()}}.items():
        model.metadata_props.add(key=key, value=value)
    graph = model.graph
    graph.name = plan.net.name or "net"
    graph.node.extend(plan.graph.nodes)
    ends = {value.name for value in (*plan.inputs, *plan.outputs)}
    for values, into in (
        (plan.inputs, graph.input), (plan.outputs, graph.output),
        ([value for value in plan.blobs if value.name not in ends], graph.value_info),
    ):  # fmt: skip
        for value in values:
            _typed(into.add(name=value.name), value)
    return model


def _typed(info: Any, value: Tensor) -> None:
    tensor = info.type.tensor_type
    tensor.elem_type = FLOAT
    tensor.shape.SetInParent()
    for axis, size in enumerate(value.shape):
        dim = tensor.shape.dim.add()
        if size is not None:
            dim.dim_value = size
        elif axis == 0:
            dim.dim_param = BATCH


def head_of(constant: Constant) -> Any:
    """Make a constant's TensorProto without its elements."""
    tensor = messages("TensorProto")(name=constant.name, data_type=constant.dtype)
    tensor.dims.extend(constant.dims)
    return tensor


def write(
    plan: Plan, sources: Mapping[str, str], output: Path, progress: Progress, *, external: Path | None = None
) -> int:
    """Write the model; return the size of what was written in bytes.

    `external`: where the weights go; None leaves them in the model. The model finds them beside itself by this name.
    Raises StepError: the model would be larger than a protobuf message can be; StorageError: disk full, no permission.
    """
    tensors: list[Piece] = []
    outside: list[Piece] = []
    place = 0
    for constant in plan.graph.constants:
        head = head_of(constant)
        if external is not None and constant.size >= _SMALL:
            gap = -place % _PAGE
            outside += [bytes(gap), constant.source]
            place += gap
            head.data_location = EXTERNAL
            for key, value in (("location", external.name), ("offset", place), ("length", constant.size)):
                head.external_data.add(key=key, value=str(value))
            place += constant.size
            body: list[Piece] = []
        else:
            body = [bytes_header(RAW, constant.size), constant.source]
        body.insert(0, head.SerializeToString(deterministic=True))
        tensors += [bytes_header(_INITIALIZER, size_of(body)), *body]
    model = shell(plan, sources)
    graph: list[Piece] = [model.graph.SerializeToString(deterministic=True), *tensors]
    model.ClearField("graph")
    pieces: list[Piece] = [model.SerializeToString(deterministic=True), bytes_header(_GRAPH, size_of(graph)), *graph]
    total = size_of(pieces)
    if total > MAX_MESSAGE:
        raise StepError(
            "the model would be larger than an ONNX file can be", expected=f"at most {MAX_MESSAGE} bytes (2 GiB)",
            got=f"{total} bytes", hint="keep the weights in a file of their own: --external-data",
        )  # fmt: skip
    if external is not None:
        write_pieces(outside, place, plan.model.path, external, progress)
    write_pieces(pieces, total, plan.model.path, output, progress)
    return total + place
