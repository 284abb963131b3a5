"""What most operators of Arm NN's TensorFlow Lite parser are asked (armnnTfLiteParser/TfLiteParser.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from modelprep.formats.tflite.model import Operator, Tensor
from modelprep.targets.armnn.network import Layer, crash
from modelprep.targets.armnn.optimizer import same_padding
from modelprep.targets.armnn.tflite_parser import Parser, Refused

_FUSED = {"RELU": ("ReLu", 0.0, 0.0), "RELU6": ("BoundedReLu", 6.0, 0.0), "TANH": ("TanH", 1.0, 1.0)}
#: A word of each table of options that the parser reads: without the table it reads through a null pointer.
OPTIONS = {
    "CONV_2D": "stride_w", "DEPTHWISE_CONV_2D": "depth_multiplier", "AVERAGE_POOL_2D": "filter_width",
    "MAX_POOL_2D": "filter_width", "SOFTMAX": "beta", "CONCATENATION": "axis", "FULLY_CONNECTED": "weights_format",
    "SQUEEZE": "squeeze_dims", "STRIDED_SLICE": "begin_mask", "RESHAPE": "new_shape",
    **dict.fromkeys(("ADD", "SUB", "MUL"), "fused_activation_function"),
}  # fmt: skip


class Reading:
    """One operator, and what most of them ask of it."""

    def __init__(self, parser: Parser, operator: Operator) -> None:
        self.parser, self.operator, self.options = parser, operator, operator.options

    def need_options(self) -> None:
        """Crash where the file has no options."""
        if OPTIONS[self.operator.name] not in self.options:
            raise crash("the file has no options for it", "TL25")

    def check_fused(self) -> str:
        """Return the fused activation, which must be known."""
        word = str(self.options["fused_activation_function"])
        if word != "NONE" and word not in _FUSED:
            raise Refused(f"TfLite parser doesn't suppport fused activation: {word}", "TL08")
        return word

    def inputs(self, *counts: int) -> list[Tensor]:
        """Return the input tensors, of one of these numbers."""
        found = [self.parser.existing(index) for index in self.operator.inputs]
        check_count(len(found), counts, "inputs.size()")
        return found

    def outputs(self, count: int = 1, rule: str = "TL26") -> list[Tensor]:
        """Return the output tensors."""
        found = []
        for index in self.operator.outputs:
            if index < 0:
                raise Refused(f"'operatorPtr->outputs[i]' must be non-negative, received: {index}", "TL07")
            if index >= len(self.parser.tensors):
                raise Refused(f"GetOutputs was called with an invalid tensor index. subgraph:0 tensor:{index}", "TL23")
            found.append(self.parser.tensors[index])
        check_count(len(found), (count,), "outputs.size()", rule)
        return found

    def unsigned(self, name: str) -> int:
        """Return an option that must not be negative."""
        value = cast("int", self.options[name])
        if value < 0:
            raise Refused(f"'options->{name}' must be non-negative, received: {value}", "TL27")
        return value

    def whole(self, name: str) -> int:
        """Return an option as a whole number."""
        return int(cast("int", self.options[name]))

    def numbers(self, tensor: Tensor, rule: str = "TL24", *, signed: bool = False) -> list[int]:
        """Return the numbers in a constant tensor."""
        return self.parser.numbers(tensor, rule, signed=signed)

    def pairs(self, tensor: Tensor, rule: str = "TL24") -> list[tuple[int, int]]:
        """Return them two by two."""
        values = self.numbers(tensor, rule)
        return list(zip(values[::2], values[1::2], strict=False))

    def layer(self, kind: str, name: str, **params: Any) -> Layer:
        """Add a layer, named as the parser does."""
        return self.parser.network.add(kind, f"{name}:0:{self.operator.index}", **params)

    def add(self, kind: str, name: str, made: Tensor, sources: Sequence[int], **params: Any) -> None:
        """Add a layer that makes one tensor, connected."""
        layer = self.layer(kind, name, **params)
        layer.out.info = self.parser.info(made)
        self.finish(layer, sources)

    def finish(self, layer: Layer, sources: Sequence[int]) -> None:
        """Connect a layer whose output is set, with the fused activation behind it."""
        self.parser.takes(layer, *sources)
        if "fused_activation_function" in self.options and self.operator.name not in ("MAXIMUM", "MINIMUM"):
            word = self.check_fused()
            if word != "NONE":
                function, a, b = _FUSED[word]
                behind = self.parser.network.add("Activation", f"{layer.name}:{word}", function=function, a=a, b=b)
                layer.out.connect(behind)
                behind.out.info = layer.out.info
                layer = behind
        self.parser.makes(layer, self.operator.outputs[:1])

    def pads(self, down: tuple[int, int, int], across: tuple[int, int, int]) -> dict[str, Any]:
        """Return the padding of (size, window, stride) downwards and across."""
        padding = str(self.options["padding"])
        top, bottom = same_padding(*down, padding, "TL27")
        left, right = same_padding(*across, padding, "TL27")
        return {"pad_top": top, "pad_bottom": bottom, "pad_left": left, "pad_right": right}


def check_count(found: int, allowed: Sequence[int], what: str, rule: str = "TL26") -> None:
    """Refuse a number that is not among those allowed."""
    if allowed and found not in allowed:
        raise Refused(f"{what} = {found} is not valid, not in {{{', '.join(map(str, allowed))}}}.", rule)


def input_at(tensors: Sequence[Tensor], place: int) -> Tensor:
    """Return an input that the parser does not count first."""
    if place >= len(tensors):
        raise crash(f"it has {len(tensors)} inputs", "TL26")
    return tensors[place]
