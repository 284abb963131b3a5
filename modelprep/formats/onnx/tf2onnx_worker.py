"""TensorFlow to ONNX in a separate process: TensorFlow, its threads and its gigabytes end with it.

Called by :mod:`modelprep.steps.tf_to_onnx`. Needs the extras ``tf`` and ``onnx``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from modelprep.errors import StepError
from modelprep.formats.onnx import lazy_tensorflow
from modelprep.formats.onnx.graphs import graphs_of

MAX_MODEL = 2**31 - 1


def load(path: Path) -> Any:
    """Read a frozen GraphDef, binary or text."""
    from google.protobuf import text_format
    from google.protobuf.message import DecodeError
    from tensorflow.core.framework import graph_pb2

    graph = graph_pb2.GraphDef()
    data = path.read_bytes()
    try:
        graph.ParseFromString(data)
    except DecodeError:
        try:
            text_format.Parse(data.decode("utf-8"), graph)
        except (text_format.ParseError, UnicodeDecodeError) as error:
            raise ValueError(f"the file is no GraphDef: {error}") from error
    if not graph.node:
        raise ValueError("the file is no GraphDef: it holds no nodes")
    return graph


def ends(graph: Any) -> tuple[list[str], list[str]]:
    """Return the placeholders of a graph and the nodes that nothing uses."""
    used = {name.lstrip("^").partition(":")[0] for node in graph.node for name in node.input}
    inputs = [node.name for node in graph.node if node.op in ("Placeholder", "PlaceholderWithDefault")]
    silent = ("Const", "NoOp", "Placeholder", "PlaceholderWithDefault")
    outputs = [node.name for node in graph.node if node.name not in used and node.op not in silent]
    return inputs, outputs


def set_shapes(graph: Any, shapes: dict[str, list[int]]) -> None:
    """Write given shapes into their placeholders, so that TensorFlow infers the others from them.

    Graphs of TensorFlow's first versions have an empty shape there, which meant any and means a scalar now.
    """
    for node in graph.node:
        if node.name in shapes and node.op in ("Placeholder", "PlaceholderWithDefault"):
            node.attr["shape"].Clear()
            for size in shapes[node.name]:
                node.attr["shape"].shape.dim.add(size=size)


def port(name: str) -> str:
    """Return the tensor a name means: ``input`` is ``input:0``."""
    return name if ":" in name else f"{name}:0"


def convert(orders: dict[str, Any]) -> dict[str, Any]:
    """Convert as ordered and return facts for the caller.

    tf2onnx copies every weight several times while it optimizes. In its format for large models they are kept apart,
    and are put back at the end: less than half the time, the same model.
    """
    import numpy

    if not hasattr(numpy, "product"):
        # numpy 2 dropped this alias; tf2onnx 1.17 uses it on the path for large models.
        numpy.product = numpy.prod  # type: ignore[attr-defined]
    graph = load(Path(orders["graph"]))
    inputs, outputs = ends(graph)
    inputs, outputs = orders["inputs"] or inputs, orders["outputs"] or outputs
    nodes = {node.name for node in graph.node}
    for kind, names in (("input", inputs), ("output", outputs)):
        absent = [name for name in names if name.partition(":")[0] not in nodes]
        if absent or not names:
            known = ", ".join(ends(graph)[kind == "output"]) or "none found"
            raise ValueError(f"the graph has no {kind} called {', '.join(absent) or '(none given)'}; {kind}s: {known}")
    set_shapes(graph, orders["shapes"])
    import tf2onnx
    from tf2onnx import convert as tool
    from tf2onnx import graph as tool_graph

    # The tool freezes the graph once more and drops the result, a copy of all weights.
    tool.tf_loader.freeze_session = lambda *_, **__: None
    order_nodes(tool_graph.Node)
    keep_constants(tool_graph.Node)
    ports = [port(name) for name in (*inputs, *outputs)]
    model, store = tool.from_graph_def(
        graph,
        name="graph",
        input_names=[*map(port, inputs)],
        output_names=[*map(port, outputs)],
        opset=orders["opset"],
        inputs_as_nchw=[*map(port, orders["nchw"])] or None,
        outputs_as_nchw=[*map(port, orders["nchw_outputs"])] or None,
        shape_override={port(name): shape for name, shape in orders["shapes"].items()} or None,
        large_model=True,
        tensors_to_rename={name: name[:-2] for name in ports if name.endswith(":0")},
    )
    del graph
    data = store.name_to_tensor_data
    total = sum(len(item) for item in data.values()) + model.ByteSize()
    if total > MAX_MODEL:
        raise StepError(
            "the graph as ONNX would be larger than an ONNX file can be", where=orders["graph"],
            expected=f"at most {MAX_MODEL} bytes (2 GiB)", got=f"{total} bytes",
        )  # fmt: skip
    put_back(model.graph, data)
    # No version of the tool in the bytes: the same graph gives the same file until the conversion itself changes.
    model.producer_version = model.doc_string = model.graph.doc_string = ""
    Path(orders["output"]).write_bytes(model.SerializeToString(deterministic=True))
    return {"inputs": inputs, "outputs": outputs, "tf2onnx": tf2onnx.__version__, "nodes": len(model.graph.node)}


def order_nodes(node: Any) -> None:
    """Make sets of the tool's nodes ordered the same way every time: hash by age, not by address.

    Otherwise it is left to chance which of several equal constants lends its name when they are merged.
    """
    from itertools import count

    ages = count()

    def age(self: Any) -> int:
        if "modelprep_age" not in self.__dict__:
            self.modelprep_age = next(ages)
        return int(self.modelprep_age)

    node.__hash__ = age


def keep_constants(node: Any) -> None:
    """Make a constant's message again only if the constant has changed, not after each of the tool's forty passes.

    Each copied all weights: half the time and half the memory of a conversion.
    """
    make = node.update_proto

    def update(self: Any, external_tensor_storage: Any = None) -> None:
        if external_tensor_storage is not None or not self.is_const():
            make(self, external_tensor_storage)
            return
        made_from = [*self.input, *self.output, *self.attr.values()]
        kept = self.__dict__.get("modelprep_made_from", [])
        # Attributes are replaced, never changed: the same objects say the same.
        if len(kept) != len(made_from) or any(a is not b for a, b in zip(kept, made_from, strict=True)):
            make(self)
            self.modelprep_made_from = made_from

    node.update_proto = update


def put_back(graph: Any, data: dict[str, bytes]) -> None:
    """Restore the data of tensors that point outside, in nested graphs too."""
    for each in graphs_of(graph):
        held = (a.t for node in each.node for a in node.attribute if a.HasField("t"))
        for tensor in (*each.initializer, *held):
            if tensor.data_location == 1:
                tensor.raw_data = data[tensor.external_data[0].value]
                del tensor.external_data[:]
                tensor.ClearField("data_location")


def work(orders: dict[str, Any]) -> dict[str, Any]:
    """Convert as :func:`convert` does.

    Raises StepError: tf2onnx or TensorFlow refuses the graph, for whatever reason.
    """
    import gc

    # TensorFlow's import makes a million objects, all of which stay, and brings Keras, which no frozen graph needs.
    gc.disable()
    sys.modules["keras"] = None  # type: ignore[assignment]  # how Python is told that there is no such module
    lazy_tensorflow.install()
    try:
        return convert(orders)
    except StepError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the tool raises is told in one line
        reason = " ".join(str(error).split())[:600] or type(error).__name__
        raise StepError("tf2onnx cannot convert this graph", where=orders["graph"], got=reason) from None
