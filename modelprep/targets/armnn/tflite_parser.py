"""Arm NN's TensorFlow Lite parser: the network that it builds of a model, in its own order, and where it stops.

Source: armnnTfLiteParser/TfLiteParser.cpp at v19.02. An operator that the parser refuses does not end the reading: the
messages of all of them are printed, the first one first. The binding number of a tensor is its index times 256.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from modelprep.formats.tflite.model import Model, Operator, Subgraph, Tensor
from modelprep.targets.armnn.network import Constant, DType, Info, Layer, Network, Shape, Slot, Stop, crash
from modelprep.targets.armnn.optimizer import same_padding

_TYPES: dict[str, DType] = {"UINT8": "uint8", "FLOAT32": "float32", "INT32": "int32"}
#: Bytes of an element.
WIDTH: dict[DType, int] = {"uint8": 1, "float32": 4, "int32": 4}
#: The highest operator code of the schema that the parser is built with (TensorFlow 1.13). It prints codes as letters.
LAST_CODE = 102
_FUSED = {"RELU": ("ReLu", 0.0, 0.0), "RELU6": ("BoundedReLu", 6.0, 0.0), "TANH": ("TanH", 1.0, 1.0)}
#: A word of each table of options that the parser reads: without the table it reads through a null pointer.
OPTIONS = {
    "CONV_2D": "stride_w", "DEPTHWISE_CONV_2D": "depth_multiplier", "AVERAGE_POOL_2D": "filter_width",
    "MAX_POOL_2D": "filter_width", "SOFTMAX": "beta", "CONCATENATION": "axis", "FULLY_CONNECTED": "weights_format",
    "SQUEEZE": "squeeze_dims", "STRIDED_SLICE": "begin_mask", "RESHAPE": "new_shape",
    **dict.fromkeys(("ADD", "SUB", "MUL"), "fused_activation_function"),
}  # fmt: skip
#: Reads the data of a buffer, by its number.
Data = Callable[[int], "bytes | memoryview"]
#: Makes the layers of one operator.
Operation = Callable[["Reading"], None]


class Refused(Stop):
    """A ParseException: the parser reads the other operators too, then fails."""


def parse(model: Model, operators: Mapping[str, Operation], data: Data) -> tuple[Network, list[Stop]]:
    """Read a model as the parser does.

    `model`: the model, read leniently: what it names need not be there. Returns the network, and where the parser
    stops: the first is the board's answer, the others come to light once that is fixed.
    """
    count = len(model.subgraphs)
    if count != 1:
        text = f"Current TfLite parser only supports 1 subgraph. Current one has: {count}"
        return Network(), [Stop(text, "TL02", "file")]
    parser = Parser(model.subgraphs[0], operators, data)
    try:
        parser.run()
    except Stop as stop:
        parser.stops.append(stop)
    return parser.network, parser.stops


def size_of(info: Info) -> int:
    """Return how many bytes a tensor's values take."""
    return info.shape.elements * WIDTH[info.dtype]


class Parser:
    """The parser's state while it reads a graph."""

    def __init__(self, graph: Subgraph, operators: Mapping[str, Operation], data: Data) -> None:
        self.graph, self.operators, self.data = graph, operators, data
        self.tensors: Sequence[Tensor] = graph.tensors
        self.network = Network()
        self.stops: list[Stop] = []
        #: Shapes of the graph's outputs that a detection post-process sets.
        self.overridden: list[Shape] = []
        self._makers: dict[int, Slot] = {}
        self._takers: dict[int, list[tuple[Layer, int]]] = {}

    def run(self) -> None:
        """Read the graph; raises Stop for an error that ends the parser immediately."""
        for operator in self.graph.operators:
            try:
                self._operator(operator)
            except Stop as stop:  # noqa: PERF203 - one operator's refusal must not end the reading
                stop.where = stop.where or f"operator {operator.index} {operator.custom or operator.name}"
                if not isinstance(stop, Refused):
                    self._end(stop)
                    return
                stop.message = f"Failed to parse operator #{operator.index} within subgraph #0 error: {stop.message}"
                self.stops.append(stop)
        try:
            self._set_up()
        except Stop as stop:
            self._end(stop)
        if self.stops:
            return
        for index, takers in self._takers.items():
            for layer, number in takers:
                self._makers[index].connect(layer, number)

    def _end(self, stop: Stop) -> None:
        """Note an error that ends the parser; the messages of operators refused before it are already printed."""
        if self.stops:
            self.stops[0].status = stop.status
        self.stops.append(stop)

    def _operator(self, operator: Operator) -> None:
        if operator.code is None:
            raise crash("its operator code is not in the file's list", "TL23")
        if operator.code > LAST_CODE:
            raise Refused(
                f"Operator code {chr(operator.code)} is out of range 0-{chr(LAST_CODE)}. subgraph:0 operator "
                f"idx:{operator.index}.", "TL03",
            )  # fmt: skip
        read = self.operators.get(operator.name)
        if read is None:
            raise Refused(f"Operator not supported. subgraph:0 operator:{operator.index}", "TL03")
        read(Reading(self, operator))

    def _set_up(self) -> None:
        """Make the layers of inputs, outputs and constants."""
        for index in self.graph.inputs:
            if index >= len(self.tensors):
                raise Stop(f"GetSubgraphInputs was called with an invalid tensor index. subgraph:0 tensor:{index}",
                           "TL23", "inputs")  # fmt: skip
            tensor = self.existing(index)
            info = self.info(tensor)
            layer = self.network.add("Input", tensor.name, inputs=0, id=index << 8)
            layer.out.info = info
            self.makes(layer, [index])
            self.network.inputs.setdefault(tensor.name, (index << 8, info))
        for number, index in enumerate(self.graph.outputs):
            tensor = self.existing(index)
            if index >= len(self.tensors):
                raise crash(f"output {number} of the graph is tensor {index} of {len(self.tensors)}", "TL23", "outputs")
            self.takes(self.network.add("Output", tensor.name, outputs=0, id=index << 8), index)
            shape = self.overridden[number] if number < len(self.overridden) else None
            self.network.outputs.setdefault(tensor.name, (index << 8, self.info(tensor, shape)))
        for index in sorted(self._takers):
            if index not in self._makers:
                tensor = self.tensors[index]
                constant = self.constant(tensor)
                layer = self.network.add(
                    "Constant", f"Constant:{tensor.name}", inputs=0, constants={"output": constant}
                )
                layer.out.info = constant.info
                self.makes(layer, [index])

    # -- tensors and slots, for the operators -------------------------------------------------------------------------

    def existing(self, index: int) -> Tensor:
        """Return a tensor by its number; of one that is not there no more than that may be asked."""
        if index < 0:
            raise Refused(f"'operatorPtr->inputs[i]' must be non-negative, received: {index}", "TL07")
        return self.tensors[index] if index < len(self.tensors) else Tensor(index, "", (), "", 0, 0)

    def info(self, tensor: Tensor, shape: Shape | None = None) -> Info:
        """Return what the parser makes of a tensor (ToTensorInfo), of another shape where one is given."""
        where = f"tensor {tensor.index} '{tensor.name}'"
        if tensor.index >= len(self.tensors):
            raise crash(f"tensor {tensor.index} of {len(self.tensors)} is asked for", "TL23")
        dims = tensor.shape if shape is None else shape
        negative = next((size for size in dims if size < 0), None)
        if negative is not None:
            raise Refused(f"'i' must be non-negative, received: {negative}", "TL06", where)
        dtype = _TYPES.get(tensor.dtype)
        if dtype is None:
            raise Refused(f"Unsupported data type {tensor.dtype} for tensor: {tensor.name}.", "TL04", where)
        scale, offset = 0.0, 0
        if tensor.quantisation is not None:
            given = tensor.quantisation
            for name, values in (("scale", given.scale), ("zero_point", given.zero_point)):
                if len(values) > 1:
                    raise Refused(
                        f"tensorPtr->quantization->{name}.size() = {len(values)} is not valid, not in {{0, 1}}.",
                        "TL05", where,
                    )  # fmt: skip
            scale = given.scale[0] if given.scale else 0.0
            offset = given.zero_point[0] if given.zero_point else 0
        try:
            return Info(Shape(dims), dtype, scale, offset)
        except Stop as stop:
            stop.where = where
            raise

    def constant(self, tensor: Tensor, info: Info | None = None, order: Sequence[int] = ()) -> Constant:
        """Make a constant of a tensor's buffer, its axes in another order where one is given."""
        info = info or self.info(tensor)
        where = f"tensor {tensor.index} '{tensor.name}'"
        self.check_buffer(tensor)
        count, size = info.shape.elements, size_of(info)
        if count > tensor.bytes or size > tensor.bytes:
            raise Refused(
                f"Buffer #{tensor.buffer} has {tensor.bytes} bytes. For tensor: {info.shape} expecting: {size} bytes "
                f"and {count} elements.", "TL09", where,
            )  # fmt: skip

        def read() -> Any:
            import numpy as np

            kind = {"float32": "<f4", "uint8": "u1", "int32": "<i4"}[info.dtype]
            values = np.frombuffer(self.data(tensor.buffer), kind, count).reshape(info.shape)
            return np.ascontiguousarray(values.transpose(order)) if order else values

        shape = Shape(info.shape[axis] for axis in order) if order else info.shape
        return Constant(Info(shape, info.dtype, info.scale, info.offset), read)

    def check_buffer(self, tensor: Tensor) -> None:
        """Refuse a tensor whose buffer is not there."""
        if tensor.bytes < 0:
            raise Refused(
                f"GetBuffer was called with an invalid buffer index. buffer index:{tensor.buffer}", "TL23",
                f"tensor {tensor.index} '{tensor.name}'",
            )  # fmt: skip

    def takes(self, layer: Layer, *indices: int, first: int = 0) -> None:
        """Note which tensors a layer's inputs take, from input `first` on."""
        for number, index in enumerate(indices, first):
            if index >= len(self.tensors):
                raise Refused(
                    f"RegisterConsumerOfTensor was called with an invalid tensor index. subgraph:0 tensor:{index}",
                    "TL23",
                )
            self._takers.setdefault(index, []).append((layer, number))

    def makes(self, layer: Layer, indices: Sequence[int]) -> None:
        """Note which tensors a layer's outputs make."""
        for slot, index in zip(layer.outputs, indices, strict=False):
            if index in self._makers:
                raise Refused(
                    f"Another layer has already registered itself as the producer of subgraph:0 tensor:{index}",
                    "TL23", f"tensor {index}",
                )  # fmt: skip
            self._makers[index] = slot


class Reading:
    """One operator, and what most of them ask of the parser."""

    def __init__(self, parser: Parser, operator: Operator) -> None:
        self.parser, self.operator, self.options = parser, operator, operator.options
        self.info, self.constant, self.takes, self.makes = parser.info, parser.constant, parser.takes, parser.makes

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
        """Return what the parser copies out of a tensor's buffer into a list of 32-bit numbers."""
        info = self.info(tensor)
        self.parser.check_buffer(tensor)
        size, count = size_of(info), info.shape.elements
        if size and not tensor.bytes:
            raise crash(f"'{tensor.name}' is not constant", rule)
        data = bytes(self.parser.data(tensor.buffer)[:size]).ljust(4 * count, b"\0") if size else b""
        return [int.from_bytes(data[4 * i : 4 * i + 4], "little", signed=signed) for i in range(count)]

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
