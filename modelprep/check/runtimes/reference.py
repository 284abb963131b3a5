"""Arm NN's own network, run in numpy, for models that the host's runtime refuses or computes differently.

It takes seconds instead of milliseconds, so it is used only then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from modelprep.check.board.preprocess import Quantisation
from modelprep.check.runtimes.base import Ready
from modelprep.errors import MissingTool, StepError
from modelprep.formats.arrays import Array
from modelprep.targets.armnn import files, optimizer
from modelprep.targets.armnn.network import Network, Stop

NAME = "Arm NN's reference backend, in numpy"
#: Parser -> from a file and a version to the network and what stops it.
READERS: dict[str, Callable[[Path, str], tuple[Network, list[Stop]]]] = {
    "onnx": files.onnx_network,
    "tflite": files.tflite_network,
}


def unordered(path: Path) -> bool:
    """Return whether LiteRT, which runs operators in file order, would run one before its inputs are made."""
    from modelprep.formats.tflite import model as reader

    try:
        graph = reader.read(path).main
    except StepError:
        return False
    made: set[int] = set()
    later = {index for operator in graph.operators for index in operator.outputs}
    for operator in graph.operators:
        if any(index in later and index not in made for index in operator.inputs):
            return True
        made.update(operator.outputs)
    return False


def ready(
    path: Path, parser: str, input_name: str, outputs: Sequence[str], version: str, network: Network | None = None
) -> Ready:
    """Load a model as Arm NN's parser reads it.

    `path`, `parser`, `input_name`, `outputs`: as for :func:`modelprep.check.runtimes.host.ready`; without a network,
    only parsers of :data:`READERS`. Raises MissingTool: Arm NN does not load it, or a layer of it is not modelled.
    """
    from modelprep.targets.armnn import compute

    try:
        if network is None:
            network, stops = READERS[parser](path, version)
            if stops:
                raise stops[0]
            optimizer.optimize(network)
        number, fed = network.inputs[input_name]
        bound = [network.outputs[name] for name in outputs]
    except (Stop, KeyError) as error:
        raise MissingTool("Arm NN does not load the model", where=str(path), got=str(error)) from error

    loaded = network

    def run(values: Array) -> list[Array]:
        found = compute.run(loaded, {number: values})
        return [found[place] for place, _ in bound]

    quantisation = Quantisation(fed.scale, fed.offset) if fed.dtype == "uint8" else None
    return Ready(NAME, run, quantisation, tuple(info.shape.elements for _, info in bound))
