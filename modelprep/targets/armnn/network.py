"""The network that a parser of Arm NN builds: layers, the slots that join them, and what stops it.

Source: ``src/armnn/{Tensor,Layer,Graph,Network}.cpp`` at tag v19.02.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from modelprep.targets.armnn.arithmetic import u32

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

#: Exit statuses of a program that a signal ended, as a shell tells them.
ABORTED, BUS_ERROR, DIVIDED, CRASHED = 134, 135, 136, 139
#: Who says it: Arm NN ("Armnn Error: ..."), the standard library by way of the test program, the loading of a
#: network, or no one if a signal ends the program.
Speaker = Literal["armnn", "std", "load", "signal"]
_MOST_DIMENSIONS = 4
#: Layers and outputs that a network may have: more than any model has, and than a board has memory for.
_MOST = 200_000
#: Kinds of layers that combine two tensors element by element.
ELEMENTWISE = ("Addition", "Division", "Equal", "Greater", "Maximum", "Minimum", "Multiplication", "Subtraction")
DType = Literal["float32", "int32", "uint8", "bool"]


class Stop(Exception):
    """Where Arm NN stops, and what it says.

    `message`: what it prints, without the place in its source; of a signal, the cause for people. `rule`: the rule in
    ``armnn_rules.tsv`` that the model breaks. `status`: the program's exit status. `running`: whether it happens only
    when the first test case is run.
    """

    def __init__(
        self, message: str, rule: str = "C3", where: str = "", *, speaker: Speaker = "armnn", status: int = 1,
        running: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.message, self.rule, self.where = message, rule, where
        self.speaker, self.status, self.running = speaker, status, running

    def said(self, program: str) -> tuple[str, ...]:
        """Return the lines that a test program prints."""
        if self.speaker == "signal":
            return ()
        if self.speaker == "std":
            lead = "An error has occurred when running the classifier inference tests"
            return (f"WARNING: {program}: {lead}: {self.message}",)
        if self.speaker == "load":
            return (f"An error occurred when preparing the network workloads:  {self.message}",
                    "Armnn Error: IRuntime::LoadNetwork failed")  # fmt: skip
        return (f"Armnn Error: {self.message}",)


def crash(why: str = "", rule: str = "C3", where: str = "", *, status: int = CRASHED, running: bool = False) -> Stop:
    """Return the stop of a program that a signal ends; `why` is for people, the board prints nothing."""
    return Stop(why, rule, where, speaker="signal", status=status, running=running)


class Shape(tuple[int, ...]):
    """One to four dimensions; anything else stops Arm NN when the shape is made."""

    def __new__(cls, sizes: Iterable[int]) -> Self:
        """Check the number of dimensions, and wrap each to 32 bits."""
        made = super().__new__(cls, map(u32, sizes))
        if not made:
            raise Stop("Tensor numDimensions must be greater than 0", "C1")
        if len(made) > _MOST_DIMENSIONS:
            raise Stop("Tensor numDimensions must be less than or equal to MaxNumOfTensorDimensions", "C1")
        return made

    def at(self, index: int) -> int:
        """Return one dimension; an index out of range stops Arm NN."""
        if not 0 <= index < len(self):
            raise Stop(f"Invalid dimension index: {u32(index)} (number of dimensions is {len(self)})", "C1")
        return self[index]

    @property
    def elements(self) -> int:
        """Number of elements, as 32 bits hold it."""
        return u32(math.prod(self))

    def __str__(self) -> str:
        return f"[{','.join(map(str, self))}]"


@dataclass(frozen=True)
class Info:
    """What a tensor is: shape, element type, and for uint8 its quantization."""

    shape: Shape
    dtype: DType = "float32"
    scale: float = 0.0
    offset: int = 0


@dataclass(frozen=True)
class Constant:
    """Weights of a layer.

    `values`: returns an array of that shape; called only to run the network. `missing`: there are no values at all, so
    that reading them crashes.
    """

    info: Info
    values: Callable[[], NDArray[Any]] = field(repr=False)
    missing: bool = False

    @property
    def shape(self) -> Shape:
        """The shape."""
        return self.info.shape


@dataclass(eq=False)
class Slot:
    """An output of a layer, and the inputs that take it: (layer, number of its input)."""

    layer: Layer
    index: int
    info: Info | None = None
    takers: dict[tuple[Layer, int], None] = field(default_factory=dict)  # in the order in which they came

    @property
    def noted(self) -> Info:
        """What the parser noted of it."""
        assert self.info is not None, "a parser notes a shape before it is asked for"
        return self.info

    @property
    def shape(self) -> Shape:
        """The shape that the parser noted."""
        return self.noted.shape

    @property
    def dtype(self) -> DType:
        """The element type that the parser noted."""
        return self.noted.dtype

    def connect(self, layer: Layer, index: int = 0) -> None:
        """Let an input of a layer take this output."""
        layer.inputs[index] = self
        self.takers[layer, index] = None

    def disconnect(self, layer: Layer, index: int) -> None:
        """Undo :meth:`connect`."""
        del self.takers[layer, index]
        layer.inputs[index] = None

    def move_all(self, other: Slot) -> None:
        """Let all who take this output take another one."""
        for layer, index in self.takers:
            other.connect(layer, index)
        self.takers = {}


@dataclass(eq=False)
class Layer:
    """A layer.

    `kind`: as Arm NN calls it (``FullyConnected``). `params`: its descriptor.
    """

    kind: str
    name: str
    params: dict[str, Any] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    inputs: list[Slot | None] = field(default_factory=list)
    outputs: list[Slot] = field(default_factory=list)

    @property
    def out(self) -> Slot:
        """Its first output."""
        return self.outputs[0]

    def source(self, index: int = 0) -> Slot:
        """Return the output that an input takes."""
        slot = self.inputs[index]
        assert slot is not None, "a parser connects what it adds"
        return slot

    @property
    def sources(self) -> list[Layer]:
        """The layers whose outputs it takes."""
        return [slot.layer for slot in self.inputs if slot is not None]

    @property
    def shapes(self) -> list[Shape]:
        """The shapes of what it takes."""
        return [self.source(index).shape for index in range(len(self.inputs))]

    @property
    def unused(self) -> bool:
        """Whether it has outputs of which none is taken."""
        return bool(self.outputs) and not any(slot.takers for slot in self.outputs)


class Network:
    """Layers in Arm NN's order: inputs, what lies between, outputs."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        #: Name -> (binding id, what the test is told of the tensor).
        self.inputs: dict[str, tuple[int, Info]] = {}
        self.outputs: dict[str, tuple[int, Info]] = {}
        self._count = {"Input": 0, "Output": 0}
        self._room = _MOST
        #: What :meth:`sort` has yet to put before a layer, and to take out.
        self._before: dict[Layer, list[Layer]] = {}
        self._erased: set[Layer] = set()

    def add(
        self, kind: str, name: str, *, inputs: int = 1, outputs: int = 1, constants: dict[str, Constant] | None = None,
        before: Layer | None = None, **params: Any,
    ) -> Layer:  # fmt: skip
        """Add a layer without connections.

        `before`: put it before this one, once the layers are sorted; by default behind all that is no output. Raises
        Stop: it is more than a board has memory for.
        """
        self._room -= 1 + outputs
        if self._room < 0:
            raise Stop("std::bad_alloc", "C3", name, speaker="std")
        layer = Layer(kind, name, params, constants or {}, [None] * inputs)
        layer.outputs = [Slot(layer, index) for index in range(outputs)]
        if before is not None:
            self._before.setdefault(before, []).append(layer)
            return layer
        behind = self._count["Input"] if kind == "Input" else len(self.layers)
        self.layers.insert(behind - (self._count["Output"] if kind not in self._count else 0), layer)
        if kind in self._count:
            self._count[kind] += 1
        return layer

    def erase(self, layer: Layer) -> None:
        """Take a layer out, with its connections; it leaves :attr:`layers` when these are sorted."""
        for index, slot in enumerate(layer.inputs):
            if slot is not None:
                slot.disconnect(layer, index)
        for slot in layer.outputs:
            for taker, index in list(slot.takers):
                slot.disconnect(taker, index)
        self._erased.add(layer)

    def sort(self) -> None:
        """Bring the layers into the order in which Arm NN walks them: by depth, then as they were added."""
        if self._before or self._erased:
            placed = (one for layer in self.layers for one in (*self._before.get(layer, ()), layer))
            self.layers = [layer for layer in placed if layer not in self._erased]
            self._before, self._erased = {}, set()
        depth: dict[Layer, int] = {}
        for layer in topological(self.layers, lambda layer: layer.sources) or ():
            depth[layer] = 0 if layer.kind == "Input" else 1 + max((depth[one] for one in layer.sources), default=0)
        deepest = len(self.layers) + 1
        self.layers.sort(key=lambda layer: deepest if layer.kind == "Output" else depth[layer])


def topological(targets: Sequence[Any], inputs_of: Callable[[Any], Sequence[Any]]) -> list[Any] | None:
    """Sort what the targets depend on, each after what it takes; None if that is a ring.

    Inputs are asked for in the order of Arm NN's own search, so that what they raise comes first there, too.
    """
    done: dict[int, bool] = {}  # id -> whether it is finished
    order: list[Any] = []
    for target in targets:
        stack = [] if id(target) in done else [(target, iter(inputs_of(target)))]
        while stack:
            node, inputs = stack[-1]
            done[id(node)] = False
            child = next((c for c in inputs if not done.get(id(c), False)), None)
            if child is None:
                stack.pop()
                done[id(node)] = True
                order.append(node)
            elif id(child) in done:
                return None
            else:
                stack.append((child, iter(inputs_of(child))))
    return order
