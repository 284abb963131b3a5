"""Both sides of a comparison with a Caffe model as result: OpenCV runs it and its original."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelprep.check.proof import tensorflow as graphs
from modelprep.check.proof.tensorflow import values
from modelprep.check.proof.types import Conversion, Side, Sides
from modelprep.check.runtimes import host as runtimes
from modelprep.check.runtimes.base import refusing
from modelprep.errors import CheckFailed
from modelprep.formats.arrays import Array


def runtime(_: Conversion) -> str:
    """Return name and version of what runs a Caffe model: OpenCV.

    Raises MissingTool: it is not installed, or is version 5, which has no Caffe reader.
    """
    return f"OpenCV {runtimes.opencv_for_caffe().__version__}"


def bake(conversion: Conversion) -> Sides:
    """Compare prototxt and weights as they were downloaded with the baked model.

    If the recipe changes fields of the net (`set`), the original gets the same fields: the comparison shows then that
    nothing else has changed. Raises CheckFailed: the baked net has no input of a known shape.
    """
    net = _structure(conversion.output)
    shape = conversion.shape or _input_shape(net, conversion.output)
    names = _ends(net)
    weights = Path(conversion.params["weights"])

    return Sides(
        tuple(names),
        lambda: _opened(_original(conversion), weights, names, shape),
        lambda: _opened(_text(net), conversion.output, names, shape),
    )


def _original(conversion: Conversion) -> bytes:
    prototxt_path = Path(conversion.params["prototxt"])
    changed = conversion.params.get("set")
    if not changed:
        return prototxt_path.read_bytes()
    from modelprep.formats.caffe.bake import Options, structure

    return _text(structure(prototxt_path, Options(set=changed)).net)


def twin(conversion: Conversion) -> Sides:
    """Compare a TensorFlow graph with the Caffe net that has its weights; each gets pictures in its own layout.

    Raises CheckFailed: there is more than one input, or no output that both have.
    """
    from modelprep.formats.tensorflow.read import read_graph

    net = _structure(conversion.output)
    path = Path(conversion.params["graph"])
    graph = read_graph(path)
    own = _input_shape(net, conversion.output)
    shape = conversion.shape if len(conversion.shape) == len(own) else (1, *own[1:])
    turned = tuple(shape[index] for index in (0, 2, 3, 1)) if len(shape) == 4 else shape
    fed = graphs.placeholders(graph, path, turned)
    if len(fed) != 1:
        raise CheckFailed("the graph has several inputs", got=", ".join(fed))
    fed = dict.fromkeys(fed, turned)
    known = {node.name for node in graph.nodes}
    names, ends = _ends(net), graphs.results(graph, path)
    pairs = {name: name for name in names if name in known}
    if len(names) == len(ends) <= 2:  # one output, and perhaps what goes into its softmax
        pairs = dict(zip(names, ends, strict=True))
    if not pairs:
        raise CheckFailed("net and graph have no output in common", got=f"{', '.join(names)}; {', '.join(ends)}")
    return Sides(
        tuple(pairs),
        lambda: graphs.opened(path, graphs.Request(fed, list(pairs.values()), image=True)),
        lambda: _opened(_text(net), conversion.output, list(pairs), shape, turned=turned),
    )


def _structure(path: Path) -> Any:
    from modelprep.formats.caffe.wire.index import index

    return index(path).net()


def _text(net: Any) -> bytes:
    from modelprep.formats.caffe import prototxt

    return prototxt.write(net).encode()


def _input_shape(net: Any, path: Path) -> tuple[int, ...]:
    found = [layer for layer in net.layer if layer.type == "Input" and layer.input_param.shape]
    if len(found) != 1:
        raise CheckFailed("the net does not have exactly one input of known shape", where=str(path))
    return tuple(int(dim) for dim in found[0].input_param.shape[0].dim)


def _ends(net: Any) -> list[str]:
    """Return the layers whose values are not used, and the input of a last softmax, which hides differences."""
    used = {bottom for layer in net.layer for bottom in layer.bottom if bottom not in layer.top}
    # A layer that works in place writes a top of its bottom's name: the last one is meant.
    makers = {top: layer for layer in net.layer for top in layer.top}
    ends = {layer.name: layer for top, layer in makers.items() if top not in used}
    before = [makers[layer.bottom[0]].name for layer in ends.values() if layer.type == "Softmax"]
    return list(dict.fromkeys((*ends, *before)))


@contextmanager
def _opened(
    text: bytes, weights: Path, names: Sequence[str], shape: tuple[int, ...], *, turned: tuple[int, ...] = ()
) -> Iterator[Side]:
    """Open a Caffe model in OpenCV; `turned` is the shape of the seeded values if their channels are last."""
    import numpy as np

    cv2, net = runtimes.caffe_net(text, weights)

    def run(number: int) -> list[Array]:
        given = values(turned or shape, number)
        if turned and len(turned) == 4:
            given = np.ascontiguousarray(given.transpose(0, 3, 1, 2))
        with refusing("OpenCV", weights, cv2.error):
            net.setInput(given)
            return [np.array(value) for value in net.forward(list(names))]

    yield run
