"""What a test program does with a model: parse it, bind it, optimize it, load it, run the first test case.

Source: tests/InferenceModel.hpp, armnn/LoadedNetwork.cpp (EnqueueWorkload) at v19.02.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelprep.targets.armnn import optimizer, workloads
from modelprep.targets.armnn.network import DType, Network, Stop, crash, topological


@dataclass(frozen=True)
class Binding:
    """What a test program asks of a model.

    `input_name`, `outputs`: names that it binds; empty if nothing is asked. `elements`: how many numbers it feeds; None
    if that is not known. `fed`, `room`: their type, and that of its buffers for the outputs. `shapes`: input shapes
    that it passes to the parser. `text`: whether it reads a TensorFlow graph as text.
    """

    input_name: str = ""
    outputs: Sequence[str] = ()
    elements: int | None = None
    fed: DType = "float32"
    room: DType = "float32"
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    text: bool = False


def carry_on(
    network: Network, binding: Binding, unbound: Callable[[str, str], Stop], size: tuple[str, str] = ("C11", "")
) -> Stop | None:
    """Return where the program stops after parsing; None if it runs the first test case to its end.

    `network`: as parsed; it is optimized in place. `unbound`: makes what the parser says of an ``input`` or ``output``
    that it does not find. `size`: the rule and the place of a wrong input size, if these are not the usual ones.
    """
    try:
        if binding.input_name and binding.input_name not in network.inputs:
            raise unbound("input", binding.input_name)
        for name in binding.outputs:
            if name not in network.outputs:
                raise unbound("output", name)
        _check_connections(network)
        optimizer.optimize(network)
        workloads.load(network)
        if binding.elements is not None:
            _first_run(network, binding, *size)
    except Stop as stop:
        return stop
    return None


def _check_connections(network: Network) -> None:
    """Walk the layers as sorting them does, which follows no output layer's input."""
    for layer in network.layers:
        if None in layer.inputs and layer.kind != "Output":
            raise crash(f"nothing makes input {layer.inputs.index(None)} of {layer.kind} '{layer.name}'", "C10",
                        layer.name)  # fmt: skip
    if topological(network.layers, lambda layer: layer.sources) is None:
        raise Stop("Graph has circular dependencies: cannot walk", "C10", "graph")


def _first_run(network: Network, binding: Binding, rule: str, where: str) -> None:
    info = network.inputs[binding.input_name][1]
    if info.shape.elements != binding.elements:
        raise Stop("Input tensor has incorrect size", rule, where or f"input '{binding.input_name}'", running=True)
    inputs = [layer for layer in network.layers if layer.kind == "Input"]
    if binding.fed == "uint8" and info.dtype == "float32" and len(inputs) == 1:
        raise crash("the input is float32, and the test feeds a quarter of its bytes", "C11", binding.input_name,
                    running=True)  # fmt: skip
    if len(inputs) != 1:
        place = f"input '{inputs[-1].name}'" if inputs else "inputs"
        raise Stop("Number of inputs provided does not match network.", "C11", place, running=True)
    bound = {network.outputs[name][0] for name in binding.outputs}
    outputs = [layer for layer in network.layers if layer.kind == "Output"]
    for layer in outputs:
        if layer.params["id"] not in bound:
            text = f"No tensor supplied for output {layer.params['id']}"
            raise Stop(text, "C12", f"output '{layer.name}'", running=True)
    if len({layer.params["id"] for layer in outputs}) < len(outputs):
        raise crash("a tensor is listed twice among the outputs", "C12", "outputs", running=True)
    workloads.run(network)
    for name in binding.outputs:
        dtype = network.outputs[name][1].dtype
        if binding.room == "uint8" and dtype != "uint8":
            raise crash(f"'{name}' is {dtype}, and the test has room for bytes", "C11", f"output '{name}'", status=134,
                        running=True)  # fmt: skip


def _caffe(path: Path, binding: Binding) -> Network:
    from modelprep.targets.armnn import caffe_operators, caffe_parser

    return caffe_parser.CaffeParser(binding.shapes, binding.outputs, caffe_operators.OPERATORS).parse_file(path)


def _tensorflow(path: Path, binding: Binding) -> Network:
    from modelprep.targets.armnn import tf_graph, tf_operators, tf_parser

    parser = tf_parser.TfParser(binding.shapes, binding.outputs, tf_operators.OPERATORS)
    return parser.parse(tf_graph.read(path, text=binding.text))


#: Parser -> what builds its network, what it says of an unknown binding, with ``{what}`` and ``{name}``, and its rules.
PARSERS: Mapping[str, tuple[Callable[[Path, Binding], Network], str, Mapping[str, str]]] = {
    "caffe": (_caffe, "Unknown binding {what} for layer '{name}'.", {"input": "CF06", "output": "CF06"}),
    "tf": (_tensorflow, "Unknown {what} '{name}'", {"input": "TF07", "output": "TF03"}),
}


def walk(path: Path, parser: str, binding: Binding) -> tuple[Network | None, Stop | None]:
    """Simulate a test program on a Caffe or TensorFlow model.

    `parser`: one of :data:`PARSERS`. Returns the network, ready to be run (None if the program stops before), and where
    it stops.
    """
    read, sentence, rules = PARSERS[parser]

    def unbound(what: str, name: str) -> Stop:
        return Stop(sentence.format(what=what, name=name), rules[what], f"{what} '{name}'")

    try:
        network = read(path, binding)
    except Stop as stop:
        return None, stop
    stopped = carry_on(network, binding, unbound, ("CF15", "input"))
    return network if stopped is None or stopped.running else None, stopped


def tensorflow_shapes(graph: Any, outputs: Sequence[str]) -> Mapping[str, Sequence[int]]:
    """Walk a GraphDef as the TensorFlow parser and all that follows does, for any test.

    `graph`: a GraphDef message. Its placeholders have the shapes that they are written with, one for a batch left open.
    Raises Stop: the board stops; LookupError: the shape of a placeholder is not written; its name.
    """
    from modelprep.targets.armnn import tf_operators, tf_parser

    shapes = {node.name: _written_shape(node) for node in graph.node if node.op == "Placeholder"}
    network = tf_parser.TfParser(shapes, outputs, tf_operators.OPERATORS).parse(graph)
    optimizer.optimize(network)
    workloads.load(network)
    workloads.run(network)
    return {name: info.shape for name, (_, info) in network.outputs.items()}


def _written_shape(node: Any) -> list[int]:
    sizes = [dim.size for dim in node.attr["shape"].shape.dim] if "shape" in node.attr else []
    if sizes and sizes[0] == -1:
        sizes[0] = 1
    if not sizes or -1 in sizes:
        raise LookupError(node.name)
    return sizes
