"""From a model file to what Arm NN makes of it: parsed, bound, optimised, loaded, ready for the first case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelprep.targets.armnn.network import Network, Stop
from modelprep.targets.armnn.optimiser import optimise
from modelprep.targets.armnn.workloads import first_run, load, run_layers


@dataclass(frozen=True)
class Wanted:
    """What a test program asks of a model.

    Parameters
    ----------
    inputs, outputs
        Names that it binds.
    shapes
        Input shapes that it passes to the parser; empty if it passes none.
    size
        Elements of the data that it feeds; 0 if that is not known.
    """

    inputs: Sequence[str]
    outputs: Sequence[str]
    shapes: Mapping[str, Sequence[int]]
    size: int = 0
    text: bool = False


def bindings(network: Network, wanted: Wanted, sentence: str, input_rule: str, output_rule: str) -> None:
    """Ask for the names that a test binds.

    `sentence`: what the parser says of an unknown one, with ``{what}`` (input or output) and ``{name}``. Raises Stop:
    one is not there.
    """
    for what, names, known, rule in (
        ("input", wanted.inputs, network.inputs, input_rule),
        ("output", wanted.outputs, network.outputs, output_rule),
    ):
        for name in names:
            if name not in known:
                raise Stop(sentence.format(what=what, name=name), rule, f"{what} '{name}'")


def _caffe(path: Path, wanted: Wanted) -> Network:
    from modelprep.targets.armnn import caffe_operators, caffe_parser

    parser = caffe_parser.CaffeParser(wanted.shapes, wanted.outputs, caffe_operators.OPERATORS)
    network = parser.parse_file(path)
    bindings(network, wanted, "Unknown binding {what} for layer '{name}'.", "CF06", "CF06")
    return network


def _tensorflow(path: Path, wanted: Wanted) -> Network:
    from modelprep.targets.armnn import tf_graph, tf_operators, tf_parser

    parser = tf_parser.TfParser(wanted.shapes, wanted.outputs, tf_operators.OPERATORS)
    network = parser.parse(tf_graph.read(path, text=wanted.text))
    bindings(network, wanted, "Unknown {what} '{name}'", "TF07", "TF03")
    return network


#: Parser -> what builds its network. A parser that is not here is judged by the lint's tables alone.
PARSERS: Mapping[str, Callable[[Path, Wanted], Network]] = {"caffe": _caffe, "tf": _tensorflow}


def walk(path: Path, parser: str, wanted: Wanted) -> tuple[Network | None, Stop | None]:
    """Act out what a test program does with its model before and while it runs the first case.

    Returns the network, ready to be run (None if it stops before), and where it stops; with a network, that is when
    the first case is run.
    """
    try:
        network = PARSERS[parser](path, wanted)
        optimise(network)
        load(network)
    except Stop as stop:
        return None, stop
    try:
        bound = [network.inputs[name][1] for name in wanted.inputs]
        for info in bound:
            first_run(network, info, wanted.size or info.shape.elements)
    except Stop as stop:
        return network, stop
    return network, None


def tensorflow_shapes(graph: Any, outputs: Sequence[str]) -> Mapping[str, Sequence[int]]:
    """Walk a GraphDef as the TensorFlow parser and all that follows does, for any test.

    `graph`: a GraphDef message. Its placeholders have the shapes that they are written with, one for a batch left open.
    Raises Stop: the board stops; LookupError: the shape of a placeholder is not written; its name.
    """
    from modelprep.targets.armnn import tf_operators, tf_parser

    shapes = {node.name: _written_shape(node) for node in graph.node if node.op == "Placeholder"}
    network = tf_parser.TfParser(shapes, outputs, tf_operators.OPERATORS).parse(graph)
    optimise(network)
    load(network)
    run_layers(network)
    return {name: info.shape for name, (_, info) in network.outputs.items()}


def _written_shape(node: Any) -> list[int]:
    sizes = [dim.size for dim in node.attr["shape"].shape.dim] if "shape" in node.attr else []
    if sizes and sizes[0] == -1:
        sizes[0] = 1
    if not sizes or -1 in sizes:
        raise LookupError(node.name)
    return sizes
