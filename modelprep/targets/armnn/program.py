"""What a board's test program does with a parsed network: bind it, optimise it, load it, run the first test case.

Source: tests/InferenceModel.hpp, armnn/LoadedNetwork.cpp (EnqueueWorkload) at v19.02.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modelprep.targets.armnn import optimiser, workloads
from modelprep.targets.armnn.network import DType, Layer, Network, Stop, topological
from modelprep.targets.armnn.stops import crash


@dataclass(frozen=True)
class Binding:
    """What a test program asks of a network.

    Parameters
    ----------
    input_name, outputs
        The names that it binds; empty if nothing is asked.
    elements
        How many numbers it feeds; None if that is not asked.
    fed
        Their type.
    room
        Type of the test's buffers for the outputs.
    """

    input_name: str = ""
    outputs: tuple[str, ...] = ()
    elements: int | None = None
    fed: DType = "float32"
    room: DType = "float32"


def carry_on(network: Network, binding: Binding, unbound: Callable[[str, str], Stop]) -> Stop | None:
    """Say where the program stops once the parser is through; None if it runs the first test case to its end.

    `network`: as parsed; it is optimised in place. `unbound`: makes what the parser says of an ``input`` or ``output``
    that it does not find.
    """
    try:
        if binding.input_name and binding.input_name not in network.inputs:
            raise unbound("input", binding.input_name)
        for name in binding.outputs:
            if name not in network.outputs:
                raise unbound("output", name)
        _check_connections(network)
        optimiser.optimise(network)
        workloads.load(network)
        _first_run(network, binding)
    except Stop as stop:
        return stop
    return None


def _check_connections(network: Network) -> None:
    """Walk the layers as sorting them does, which follows no output layer's input."""
    for layer in network.layers:
        if None in layer.inputs and layer.kind != "Output":
            raise crash(f"nothing makes input {layer.inputs.index(None)} of {layer.kind} '{layer.name}'", "C10",
                        layer.name)  # fmt: skip

    def sources(layer: Layer) -> list[Layer]:
        return [slot.layer for slot in layer.inputs if slot is not None]

    if topological(network.layers, sources) is None:
        raise Stop("Graph has circular dependencies: cannot walk", "C10", "graph")


def _first_run(network: Network, binding: Binding) -> None:
    if binding.elements is None:
        return
    _, info = network.inputs[binding.input_name]
    if info.shape.elements != binding.elements:
        detail = f"input '{binding.input_name}'"
        raise Stop("Input tensor has incorrect size", "C11", detail, running=True)
    inputs = [layer for layer in network.layers if layer.kind == "Input"]
    if binding.fed == "uint8" and info.dtype == "float32" and len(inputs) == 1:
        raise crash("the input is float32, and the test feeds a quarter of its bytes", "C11", binding.input_name,
                    running=True)  # fmt: skip
    if len(inputs) != 1:
        raise Stop("Number of inputs provided does not match network.", "C11", "inputs", running=True)
    bound = {network.outputs[name][0] for name in binding.outputs}
    for layer in network.layers:
        if layer.kind == "Output" and layer.params["id"] not in bound:
            text = f"No tensor supplied for output {layer.params['id']}"
            raise Stop(text, "C12", f"output '{layer.name}'", running=True)
    made = [layer.params["id"] for layer in network.layers if layer.kind == "Output"]
    if len(set(made)) < len(made):
        raise crash("a tensor is listed twice among the outputs", "C12", "outputs", running=True)
    for layer in network.layers:
        workloads.run(layer)
    for name in binding.outputs:
        info = network.outputs[name][1]
        if binding.room == "uint8" and info.dtype != "uint8":
            raise crash(
                f"'{name}' is {info.dtype}, and the test has room for bytes", "C11", f"output '{name}'", status=134,
                running=True,
            )  # fmt: skip
