"""Weights of a TensorFlow graph for its Caffe twin: other layouts, the same numbers.

TensorFlow holds a convolution's weights as (height, width, in, out) and a fully-connected layer's as (in, out), where a
picture was flattened as (height, width, channels); Caffe holds (out, in, height, width) and (out, in), and flattens as
(channels, height, width).
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelprep.errors import StepError, nearest
from modelprep.formats.caffe import bake, prepare, prototxt
from modelprep.formats.caffe.shapes.base import Shape, count, show
from modelprep.formats.caffe.shapes.infer import LayerShapes, infer

#: DT_FLOAT of TensorFlow's DataType.
_FLOAT = 1


def convert(
    graph_path: Path,
    prototxt_path: Path,
    constants: Mapping[str, Sequence[str]],
    fields: Mapping[str, object] | None = None,
) -> Any:
    """Fill a Caffe net with the constants of a TensorFlow graph.

    `constants`: layer name -> names of the Const nodes for its blobs, in the order of the blobs. `fields`: single
    fields of the net by path, if the twin differs from it, see :func:`modelprep.formats.caffe.edits.set_fields`.
    Returns it as Caffe would save it, with blobs. Raises StepError: a constant is not there, is not float32, or has
    another number of values than its blob; a layer with weights is left out, or has a type whose layout is not known
    here.
    """
    from modelprep.formats.tensorflow.read import read_graph

    nodes = {node.name: node for node in read_graph(graph_path).nodes}
    if fields:
        net = bake.structure(prototxt_path, bake.Options(set=fields)).net
    else:
        net = prepare.prepare(prototxt.read_file(prototxt_path))
    shapes = {layer.name: layer for layer in infer(net).layers}
    for name in constants:
        if name not in shapes:
            raise StepError(f"the net has no layer '{name}'", hint=nearest(name, list(shapes)) or None)
    for layer in net.layer:
        around = shapes[layer.name]
        wanted = around.weights or ()
        names = constants.get(layer.name, ())
        if len(names) != len(wanted):
            raise StepError(
                f"the layer '{layer.name}' takes {len(wanted)} blobs and {len(names)} constants are named for it",
                expected=", ".join(map(show, wanted)) or "none",
                got=", ".join(names) or "none",
            )
        for blob, (constant, shape) in enumerate(zip(names, wanted, strict=True)):
            if constant not in nodes:
                raise StepError(
                    f"the graph has no node '{constant}'",
                    where=str(graph_path),
                    hint=nearest(constant, list(nodes)) or None,
                )
            dims, values = _constant(nodes[constant], str(graph_path))
            ordered = _ordered(around, blob, shape, dims, values, constant)
            target = layer.blobs.add()
            target.data.extend(ordered)
            target.shape.dim.extend(shape or ())
    return net


def _constant(node: Any, where: str) -> tuple[tuple[int, ...], array[float]]:
    from modelprep.formats.tensorflow.attrs import payload_in
    from modelprep.formats.tensorflow.messages import message

    raw = payload_in(node.attr("value"), 8) if node.op == "Const" else None
    if raw is None:
        raise StepError(f"the node '{node.name}' is no constant", where=where, expected="Const", got=node.op)
    tensor = message("TensorProto")()
    tensor.ParseFromString(bytes(raw))
    dims = tuple(int(dim.size) for dim in tensor.tensor_shape.dim)
    if tensor.dtype != _FLOAT:
        raise StepError(f"the constant '{node.name}' is not float32", where=where, got=f"DataType {tensor.dtype}")
    values = array("f")
    if tensor.tensor_content:
        values.frombytes(tensor.tensor_content)
        if sys.byteorder == "big":
            values.byteswap()
    else:
        values.extend(tensor.float_val)
    total = count(dims) or 0
    if len(values) == 1:
        values = values * total  # one value for all
    if len(values) != total:
        what, got = f"the constant '{node.name}' is damaged", str(len(values))
        raise StepError(what, where=where, expected=f"{total} values", got=got)
    return dims, values


def _ordered(
    layer: LayerShapes, blob: int, shape: Shape, dims: tuple[int, ...], values: array[float], constant: str
) -> array[float]:
    """Bring the values into Caffe's order."""
    found: tuple[int, ...] | None = None
    result = values
    if blob == 1 and len(dims) == 1:
        found = dims
    elif layer.type == "Convolution" and len(dims) == 4:
        high, wide, inputs, outputs = dims
        found, result = (outputs, inputs, high, wide), array("f")
        for o in range(outputs):
            for i in range(inputs):
                result += values[i * outputs + o :: inputs * outputs]
    elif layer.type == "InnerProduct" and len(dims) == 2:
        inputs, outputs = dims
        found, result = (outputs, inputs), array("f")
        picture = layer.bottoms[0]
        channels = (picture[1] if picture is not None and len(picture) == 4 else None) or 1
        for o in range(outputs):
            column = values[o::outputs]
            for c in range(channels):
                result += column[c::channels]
    else:
        raise StepError(
            f"how TensorFlow lays out blob {blob} of a {layer.type} is not known here",
            where=f"layer '{layer.name}', constant '{constant}'",
            expected="a Convolution or an InnerProduct and its bias",
            got=show(dims),
        )
    if found != shape:
        raise StepError(
            f"the constant '{constant}' does not fit blob {blob} of the layer '{layer.name}'",
            expected=show(shape),
            got=f"{show(found)} (from {show(dims)})",
        )
    return result
