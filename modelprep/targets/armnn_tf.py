"""TensorFlow graphs before Arm NN 19.02's parser: every rule that a graph breaks, node by node.

The operations are those of :mod:`modelprep.targets.armnn_19_02`; the graph is read with our own reader. Used by the
step ``tf.legalise``, which refuses what is left after its rewriting, and by the lint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from modelprep.formats.protowire import WireError
from modelprep.formats.tensorflow.attrs import payload_in, read_numbers, small_numbers
from modelprep.formats.tensorflow.graphdef import Graph, Node, input_name
from modelprep.formats.tensorflow.tensor import dtype_name
from modelprep.targets.armnn_19_02 import TF_IGNORED_OPS, TF_NEUTRAL_ATTRS, TF_OPS, TF_RENAMED_OPS
from modelprep.targets.armnn_rules import rules

FLOAT, INT32 = 1, 3
_VARIABLES = frozenset({"Variable", "VariableV2", "VarHandleOp", "ReadVariableOp"})


@dataclass(frozen=True)
class Finding:
    """A rule that a node breaks."""

    rule: str
    node: str
    op: str
    detail: str = ""

    def __str__(self) -> str:
        extra = f" ({self.detail})" if self.detail else ""
        return f"{self.node} ({self.op}): {rules()[self.rule].sentence}{extra} [{self.rule}]"


def judge(graph: Graph) -> list[Finding]:
    """List every rule of the parser that a graph breaks, node by node (all of them, not the first)."""
    nodes = graph.by_name()
    placeholders = [node for node in graph.nodes if node.op == "Placeholder"]
    found = [Finding("TF07", node.name, node.op, f"the input is {placeholders[0].name}") for node in placeholders[1:]]
    for node in graph.nodes:
        if node.op in TF_IGNORED_OPS:
            continue
        if node.op in _VARIABLES:
            found.append(Finding("TF02", node.name, node.op))
        elif node.op not in TF_OPS:
            norm = node.op.startswith("FusedBatchNorm")
            trains = norm and ("is_training" not in node.attrs or node.flag("is_training"))
            older = TF_RENAMED_OPS.get(node.op)
            detail = "in training mode" if trains else f"the newer name of {older}" if older else ""
            found.append(Finding("TF01", node.name, node.op, detail))
        else:
            found += [Finding(rule, node.name, node.op, detail) for rule, detail in _judge(node, nodes)]
    return found


def neutral(node: Node, name: str) -> bool:
    """Say whether an attribute that came after TensorFlow 1.12 has a value at which leaving it out changes nothing."""
    harmless = TF_NEUTRAL_ATTRS.get(name)
    if harmless == "DT_FLOAT":
        return node.dtype(name) in (0, FLOAT)
    if harmless == []:
        return not node.numbers(name)
    return harmless is ... or (harmless is False and not node.flag(name))


_Broken = Iterator[tuple[str, str]]
_Check = Callable[[Node, dict[str, Node]], _Broken]


def _judge(node: Node, nodes: dict[str, Node]) -> _Broken:
    known = TF_OPS[node.op]
    count = known.inputs if known.inputs is not None else node.number("N") + (node.op == "ConcatV2")
    if len(node.inputs) != count:
        yield "TF31" if node.op == "ExpandDims" else "TF34", f"{len(node.inputs)} instead of {count}"
        return
    for reference in node.inputs:
        port = reference.partition(":")[2]
        source = nodes.get(input_name(reference))
        if port and not (port.isdecimal() and int(port) <= 100):
            yield "TF09", reference
        elif port.isdecimal() and int(port) and source is not None and source.op != "Split":
            yield "TF10", reference
    dtype = node.dtype("T") or node.dtype("dtype")
    if node.op == "Const":
        yield from _judge_const(node)
    elif dtype and dtype not in (FLOAT, INT32):
        yield "TF04", dtype_name(dtype)
    for name in node.attrs:
        # The parser asks for attributes by name and never looks at others; what matters is a meaning that gets lost.
        if name in TF_NEUTRAL_ATTRS and name not in known.attrs and not neutral(node, name):
            yield ("TF27" if name == "half_pixel_centers" else "TF12" if name == "explicit_paddings" else "TF04"), name
    rule, names = _REQUIRED.get(node.op, ("", ()))
    yield from ((rule, f"{name} is missing") for name in names if name not in node.attrs)
    if node.op in _CHECKS:
        yield from _CHECKS[node.op](node, nodes)


def _judge_const(node: Node) -> _Broken:
    dtype = node.dtype("dtype")
    head = node.tensor()
    if head is None or dtype not in (FLOAT, INT32):
        yield "TF05", dtype_name(dtype) if head is not None else "no value"
        return
    try:
        listed = len(payload_in(head.proto, 5) or b"") // 4 if dtype == FLOAT else len(read_numbers(head.proto, 7))
    except WireError as error:
        yield "TF05", f"its values are damaged: {error}"
        return
    if listed > max(head.count, 1) and head.shape:
        yield "TF05", f"{listed} values for the shape {list(head.shape)}"


def constant(nodes: dict[str, Node], reference: str) -> Node | None:
    """Return the constant that a reference leads to, through Identity at most."""
    seen = 0
    node = nodes.get(input_name(reference))
    while node is not None and node.op == "Identity" and node.inputs and seen <= len(nodes):
        node = nodes.get(input_name(node.inputs[0]))
        seen += 1
    return node if node is not None and node.op == "Const" else None


def ints(node: Node | None) -> list[int] | None:
    """Return the values of a small int32 constant (a thousand at most); None if it is something else."""
    return small_numbers(node.tensor(), INT32) if node is not None and node.op == "Const" else None


def _judge_window(node: Node, nodes: dict[str, Node]) -> _Broken:
    yield from _judge_format(node, nodes)
    if node.string("padding") not in (b"SAME", b"VALID"):
        yield "TF12", f"padding {node.string('padding').decode('utf-8', 'replace') or 'missing'}"
    for name in ("strides", "ksize"):
        if name in TF_OPS[node.op].attrs and len(node.numbers(name)) != 4:
            yield "TF12", f"{name} {node.numbers(name) or 'missing'}"


def _judge_format(node: Node, _: dict[str, Node]) -> _Broken:
    if node.string("data_format") not in (b"NHWC", b"NCHW"):
        yield "TF11", node.string("data_format").decode("utf-8", "replace")


def _judge_bias(node: Node, nodes: dict[str, Node]) -> _Broken:
    yield from _judge_format(node, nodes)
    bias = constant(nodes, node.inputs[1])
    head = bias.tensor() if bias is not None else None
    if head is not None and len(head.shape) > 1:
        yield "TF21", f"shape {list(head.shape)}"


def _judge_convolution(node: Node, nodes: dict[str, Node]) -> _Broken:
    yield from _judge_window(node, nodes)
    if constant(nodes, node.inputs[1]) is None:
        yield "TF13", node.inputs[1]
    dilations = node.numbers("dilations")
    if any(step != 1 for step in dilations):
        yield "TF14" if node.op == "Conv2D" else "TF15", str(dilations)


def _judge_norm(node: Node, nodes: dict[str, Node]) -> _Broken:
    yield from _judge_format(node, nodes)
    # TensorFlow's default is training, and a node that trains takes empty means and variances
    if "is_training" not in node.attrs or node.flag("is_training"):
        yield "TF16", "is_training"
    for reference in node.inputs[1:]:
        if constant(nodes, reference) is None:
            yield "TF16", f"{reference} is not constant"
    if node.real("epsilon") is None:
        yield "TF16", "epsilon is missing"


def _judge_matmul(node: Node, nodes: dict[str, Node]) -> _Broken:
    if all(constant(nodes, reference) is None for reference in node.inputs):
        yield "TF17", ""
    if node.flag("transpose_a") or node.flag("transpose_b"):
        yield "TF18", ""


def _judge_axis(rule: str, place: int) -> _Check:
    def check(node: Node, nodes: dict[str, Node]) -> _Broken:
        axis = ints(constant(nodes, node.inputs[place]))
        if axis not in ([1], [3]):
            yield rule, f"axis {axis[0] if axis else 'not constant'}"

    return check


def _judge_reshape(node: Node, nodes: dict[str, Node]) -> _Broken:
    source = nodes.get(input_name(node.inputs[1]))
    values = ints(constant(nodes, node.inputs[1]))
    if (values is None and (source is None or source.op != "Shape")) or (values or []).count(-1) > 1:
        yield "TF25", "" if values is None else str(values)


def _judge_shape(node: Node, _: dict[str, Node]) -> _Broken:
    if node.dtype("out_type") != INT32:
        yield "TF26", dtype_name(node.dtype("out_type"))


def _judge_resize(node: Node, nodes: dict[str, Node]) -> _Broken:
    if ints(constant(nodes, node.inputs[1])) is None or node.flag("align_corners"):
        yield "TF27", "align_corners" if node.flag("align_corners") else "the size is not constant"


def _judge_pad(node: Node, nodes: dict[str, Node]) -> _Broken:
    values = ints(constant(nodes, node.inputs[1]))
    if values is None or min(values, default=0) < 0:
        yield "TF29", str(values) if values else "not constant"


def _judge_mean(node: Node, nodes: dict[str, Node]) -> _Broken:
    if ints(constant(nodes, node.inputs[1])) is None:
        yield "TF30", "the axis is not constant"


#: Attributes that must be written out, for the operations whose own check does not ask for them.
_REQUIRED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "LRN": ("TF32", ("alpha", "beta", "bias", "depth_radius")),
    "Mean": ("TF30", ("keep_dims",)),
    "Split": ("TF24", ("num_split",)),
}
_CHECKS: Mapping[str, _Check] = {
    **dict.fromkeys(("AvgPool", "MaxPool"), _judge_window), "BiasAdd": _judge_bias,
    "ConcatV2": _judge_axis("TF23", -1), **dict.fromkeys(("Conv2D", "DepthwiseConv2dNative"), _judge_convolution),
    "FusedBatchNorm": _judge_norm, "MatMul": _judge_matmul, "Mean": _judge_mean, "Pad": _judge_pad,
    "Reshape": _judge_reshape, "ResizeBilinear": _judge_resize, "Shape": _judge_shape,
    "Split": _judge_axis("TF24", 0),
}  # fmt: skip
