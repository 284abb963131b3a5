"""Write what Arm NN 19.02's Caffe parser needs into a net, and refuse what that parser would get wrong.

Caffe's defaults are not that parser's: an unset pooling method or LRN size is refused, an unset pooling stride becomes
2^32 - 1, a dilation is silently ignored. The rules' ids (CF01 to CF44) are those of the project's facts about
the parser, read from its source (``src/armnnCaffeParser`` of the armnn repository, tag v19.02).

A rewrite never changes the values that the net computes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelprep.errors import StepError
from modelprep.formats.caffe import forks
from modelprep.formats.caffe.messages import chosen
from modelprep.formats.caffe.shapes.base import Site
from modelprep.formats.caffe.shapes.infer import LayerShapes, NetShapes
from modelprep.formats.caffe.shapes.windows import pooled, pooling_window
from modelprep.structs import dataclass, field

#: ``ms_CaffeLayerNameToParsingFunctions``: exact, case-sensitive.
SUPPORTED = frozenset({
    "Input", "Convolution", "Pooling", "ReLU", "LRN", "InnerProduct", "Softmax", "Eltwise", "Concat", "BatchNorm",
    "Scale", "Split", "Dropout",
})  # fmt: skip
#: Ends of a net from which no output is reached; the parser ignores them (CF04).
_HARMLESS_ENDS = ("Accuracy", "Silence")


@dataclass(frozen=True)
class Broken:
    """A rule that a layer breaks: which, where, why; `fixed` if the rewrite fixed it."""

    rule: str
    layer: str
    why: str
    fixed: bool


@dataclass
class Legalised:
    """What was done for the target: changes made, blobs of zeros to add (layer, blob number), and warnings.

    `found` lists every rule that the net breaks, fixed or not, in the order of the layers.
    """

    changes: list[str] = field(default_factory=list)
    zeros: set[tuple[str, int]] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    found: list[Broken] = field(default_factory=list)


@dataclass
class _Case:
    """One layer under a rule."""

    layer: Any
    shapes: LayerShapes
    result: Legalised

    def refuse(self, rule: str, why: str) -> None:
        self.result.found.append(Broken(rule, self.layer.name, why, fixed=False))

    def change(self, rule: str, what: str) -> None:
        self.result.changes.append(f"{self.layer.name}: {what} ({rule})")
        self.result.found.append(Broken(rule, self.layer.name, what, fixed=True))

    def write(self, rule: str, message: Any, name: str) -> None:
        """Write a default that is not written."""
        if not message.HasField(name):
            value = getattr(message, name)
            setattr(message, name, value)
            enum = message.DESCRIPTOR.fields_by_name[name].enum_type
            shown = f"{value:g}" if enum is None else chosen(message, name)
            self.change(rule, f"{name}: {shown} written out")

    def rank(self, bottom: int = 0) -> int | None:
        shape = self.shapes.bottoms[bottom] if bottom < len(self.shapes.bottoms) else None
        return None if shape is None else len(shape)

    def counts(self, bottoms: int, rule: str) -> None:
        got = (len(self.layer.bottom), len(self.layer.top))
        if got != (bottoms, 1):
            self.refuse(rule, f"the parser takes {bottoms} bottoms and 1 tops, here are {got[0]} and {got[1]}")

    def axis_is_channels(self, rule: str, message: Any, name: str = "axis") -> None:
        """Refuse any axis but 1: the parser always works along that one."""
        rank = self.rank()
        axis = int(getattr(message, name))
        if axis != 1 and (rank is None or axis + rank != 1):
            self.refuse(rule, f"{name} {axis} is ignored: the parser takes axis 1")


def legalise(net: Any, shapes: NetShapes) -> Legalised:
    """Rewrite the net in place for Arm NN 19.02.

    `net`: V2 layers of one phase. Raises StepError: the parser would refuse the net or compute something else; every
    reason with its rule's id.
    """
    result = examine(net, shapes)
    if problems := [broken for broken in result.found if not broken.fixed]:
        raise _refusal(problems)
    return result


def examine(net: Any, shapes: NetShapes) -> Legalised:
    """Rewrite as :func:`legalise` does, but list what cannot be fixed in ``found`` instead of raising."""
    result = Legalised()
    for layer, around in zip(net.layer, shapes.layers, strict=True):
        case = _Case(layer, around, result)
        if layer.type not in SUPPORTED:
            if layer.type in _HARMLESS_ENDS or layer.type.endswith("Loss"):
                what = f"layer '{layer.name}' ({layer.type}) is unknown to the parser; no output may depend on it"
                result.warnings.append(what)
            else:
                case.refuse("CF05", f"the layer type {layer.type} is not supported")
            continue
        if layer.type == "BatchNorm" and (fork := forks.described(layer)):
            case.refuse("CF41", f"it is a BatchNorm of {fork}, which holds other blobs than the parser takes")
            continue
        if layer.type in _COUNTS:
            case.counts(*_COUNTS[layer.type])
        if (rule := _RULES.get(layer.type)) is not None:
            rule(case)
    _chains(net, result)
    return result


def _refusal(problems: list[Broken]) -> StepError:
    hint = "bake without the target for another runtime, or cut the net with outputs: [...]"
    if len(problems) > 1:
        more = [f"{one.rule} layer '{one.layer}': {one.why}" for one in problems[1:9]]
        hint += "\nalso:\n" + "\n".join(more) + (f"\n... and {len(problems) - 9} more" if len(problems) > 9 else "")
    return StepError(
        "Arm NN 19.02's Caffe parser would refuse this net, or compute something else",
        where=f"layer '{problems[0].layer}'",
        expected=f"what the parser takes (rule {problems[0].rule})",
        got=problems[0].why,
        hint=hint,
    )


def _chains(net: Any, result: Legalised) -> None:
    """Layers that share a top must form a chain of one bottom and one top each (CF17)."""
    makers: dict[str, list[Any]] = {}
    for layer in net.layer:
        for top in layer.top:
            makers.setdefault(top, []).append(layer)
    for top, layers in makers.items():
        if len(layers) < 2:
            continue
        for place, layer in enumerate(layers):
            if len(layer.top) != 1 or (place and list(layer.bottom) != [top]):
                why = f"several layers make '{top}' and this one does not work in place with it alone"
                result.found.append(Broken("CF17", layer.name, why, fixed=False))


def _input(case: _Case) -> None:
    layer = case.layer
    if layer.bottom or len(layer.top) != 1:
        case.refuse("CF11", f"an Input layer must have one top, here are {len(layer.top)}")
    if not layer.input_param.shape or not layer.input_param.shape[0].dim:
        case.refuse("CF13", "the input has no shape")
    elif not 1 <= len(layer.input_param.shape[0].dim) <= 4:
        case.refuse("C1", "Arm NN's tensors have 1 to 4 dimensions")


def _convolution(case: _Case) -> None:
    p = case.layer.convolution_param
    if (rank := case.rank()) is not None and rank != 4:
        case.refuse("CF21", f"the input has {rank} axes, not 4")
    case.axis_is_channels("CF20", p)
    pair = p.HasField("kernel_h") or p.HasField("kernel_w")
    kernel = [p.kernel_h, p.kernel_w] if pair else list(p.kernel_size)
    if any(d != 1 for d in p.dilation) and any(k != 1 for k in kernel):
        case.refuse("CF20", f"dilation {list(p.dilation)} would be ignored")
    for name in ("kernel_size", "stride", "pad"):
        values = list(getattr(p, name))
        stem = "kernel" if name == "kernel_size" else name
        if len(values) == 2 and values[0] != values[1]:
            setattr(p, f"{stem}_h", values[0])
            setattr(p, f"{stem}_w", values[1])
            p.ClearField(name)
            case.change("CF22", f"{name} {values} written as {stem}_h and {stem}_w")
    bottom = case.shapes.bottoms[0] if case.shapes.bottoms else None
    channels = bottom[1] if bottom is not None and len(bottom) == 4 else None
    if channels is not None and p.group > 1 and p.group == channels and p.num_output != channels:
        why = f"group = channels = {channels} is taken as depthwise with multiplier 1, but num_output is {p.num_output}"
        case.refuse("CF24", why)


def _pooling(case: _Case) -> None:
    p = case.layer.pooling_param
    if chosen(p, "pool") == "STOCHASTIC":
        case.refuse("CF25", "stochastic pooling is not supported")
    case.write("CF25", p, "pool")
    if p.HasField("global_pooling") and not p.global_pooling:
        p.ClearField("global_pooling")
        case.change("CF29", "global_pooling: false removed, as its presence alone counts")
    if p.global_pooling:
        return
    if p.HasField("stride_h") or p.HasField("stride_w"):
        if p.stride_h != p.stride_w:
            case.refuse("CF27", f"stride_w {p.stride_w} would not be honoured, stride_h {p.stride_h} is used for both")
    else:
        case.write("CF26", p, "stride")
    _pooling_size(case, p)


def _pooling_size(case: _Case, p: Any) -> None:
    """Arm NN rounds up and does not clip a last window that starts in the padding (CF28)."""
    bottom, top = case.shapes.bottoms[0], case.shapes.tops[0]
    if bottom is None or top is None or len(bottom) != 4:
        return
    kernel, stride, pad = pooling_window(Site(case.layer, case.shapes.bottoms), bottom[2:4])
    for i, axis in enumerate(("height", "width")):
        dim, k = bottom[2 + i], kernel[i]
        if dim is None or k is None:
            continue
        theirs = pooled(dim, k, stride[i], pad[i], floor=False, clip=False)
        if theirs != top[2 + i]:
            case.refuse("CF28", f"the pooled {axis} would be {theirs}, in Caffe it is {top[2 + i]}")
    if p.HasField("round_mode"):
        p.ClearField("round_mode")
        case.change("CF28", "round_mode removed; rounding up results in the same size")


def _lrn(case: _Case) -> None:
    for name in ("local_size", "alpha", "beta"):
        case.write("CF31", case.layer.lrn_param, name)


def _inner_product(case: _Case) -> None:
    p = case.layer.inner_product_param
    rank = case.rank()
    axis = p.axis + rank if p.axis < 0 and rank is not None else p.axis
    if axis != 1:
        case.refuse("CF34", f"axis {p.axis} would be ignored: everything after axis 0 is flattened")
    if p.transpose:
        case.refuse("CF34", "transpose: true is taken in the opposite sense")
    elif p.HasField("transpose"):
        p.ClearField("transpose")
        case.change("CF34", "transpose: false removed, as it is read in the opposite sense")
    if not p.bias_term:
        p.ClearField("bias_term")
        case.result.zeros.add((case.layer.name, 1))
        case.change("CF32", "a bias of zeros added, as the parser always requires one")


def _eltwise(case: _Case) -> None:
    p = case.layer.eltwise_param
    operation = chosen(p, "operation")
    if operation == "MAX":
        case.refuse("CF36", "the operation MAX is not supported")
    if any(value != 1 for value in p.coeff) and operation == "SUM":
        case.refuse("CF37", f"the coefficients {[round(value, 6) for value in p.coeff]} would be ignored")


def _concat(case: _Case) -> None:
    p = case.layer.concat_param
    for i in range(len(case.layer.bottom)):
        if (rank := case.rank(i)) is not None and rank != 4:
            case.refuse("CF38", f"bottom '{case.layer.bottom[i]}' has {rank} axes, not 4")
    case.axis_is_channels("CF39", p, "concat_dim" if p.HasField("concat_dim") else "axis")


def _batch_norm(case: _Case) -> None:
    p = case.layer.batch_norm_param
    if p.HasField("use_global_stats") and not p.use_global_stats:
        case.refuse("CF40", "use_global_stats: false is not supported")


def _scale(case: _Case) -> None:
    p = case.layer.scale_param
    rank = case.rank()
    if p.axis != 1:
        if rank is not None and p.axis + rank == 1:
            p.ClearField("axis")
            case.change("CF42", "axis counted from the front")
        else:
            case.refuse("CF42", f"axis {p.axis}: the parser takes axis 1 only")
    if p.num_axes != 1:
        case.refuse("CF43", f"num_axes {p.num_axes}: the parser takes one factor a channel")
    if p.HasField("bias_term") and not p.bias_term:
        p.ClearField("bias_term")
        case.change("CF43", "bias_term: false removed, as its presence alone adds a bias")


_RULES: dict[str, Callable[[_Case], None]] = {
    "Input": _input,
    "Convolution": _convolution,
    "Pooling": _pooling,
    "LRN": _lrn,
    "InnerProduct": _inner_product,
    "Softmax": lambda case: case.axis_is_channels("CF35", case.layer.softmax_param),
    "Eltwise": _eltwise,
    "Concat": _concat,
    "BatchNorm": _batch_norm,
    "Scale": _scale,
}
#: Layer type -> the bottoms that it must have, beside one top, and the rule that says so.
_COUNTS = {
    **{kind: (1, rule) for kind, rule in (
        ("Convolution", "CF21"), ("Pooling", "CF25"), ("ReLU", "CF30"), ("LRN", "CF31"), ("InnerProduct", "CF32"),
        ("Softmax", "CF35"), ("BatchNorm", "CF41"), ("Scale", "CF42"), ("Dropout", "CF44"),
    )},
    "Eltwise": (2, "CF36"),
}  # fmt: skip
