"""Both sides of a comparison of a Caffe net with its ONNX model: a real Caffe, else OpenCV's reader; and onnxruntime.

The original is read from the files as they were downloaded. A real Caffe is asked where ``MODELPREP_PYCAFFE`` names one
and it knows the net's layers, else OpenCV before version 5. OpenCV computes a few layers otherwise than Caffe; a net
with one of them is not compared with it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelprep.check.proof import caffe as caffe_sides
from modelprep.check.proof.tensorflow import SMALL, values
from modelprep.check.proof.types import INPUTS, Conversion, Side, Sides
from modelprep.check.runtimes import host as runtimes
from modelprep.check.runtimes.base import refusing
from modelprep.errors import CheckFailed, StepError
from modelprep.formats.arrays import Array

#: Layer type -> how OpenCV's reader computes something else than Caffe (measured layer by layer against pycaffe).
OPENCV_DIFFERS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "Deconvolution": (lambda layer: any(d > 1 for d in layer.convolution_param.dilation), "ignores its dilation"),
    "InnerProduct": (lambda layer: bool(layer.inner_product_param.transpose), "ignores transpose"),
    "LRN": (lambda layer: layer.lrn_param.k != 1 and layer.lrn_param.norm_region == 0, "ignores k"),
    "Log": (lambda layer: True, "computes another logarithm"),  # noqa: ARG005 - asked for each layer alike
    "MVN": (lambda layer: layer.mvn_param.eps > 1e-8, "adds eps to the variance"),
    "Swish": (lambda layer: layer.swish_param.beta != 1, "ignores beta"),
}
#: Layer types of Caffe's master branch that builds of 1.0 do not have.
_NEW_TYPES = ("Clip", "Swish")


def runtime(conversion: Conversion) -> str:
    """Return what runs the original: a real Caffe, else OpenCV. Raises MissingTool: neither is installed."""
    return "pycaffe" if _caffe_knows(conversion) else caffe_sides.runtime(conversion)


def _caffe_knows(conversion: Conversion) -> bool:
    from modelprep.formats.caffe import pycaffe
    from modelprep.formats.caffe.messages import known_layer_types

    if pycaffe.VARIABLE not in os.environ:
        return False
    known = set(known_layer_types()) - set(_NEW_TYPES)
    return all(layer.type in known for layer in _net(conversion)[0].layer)


def _net(conversion: Conversion) -> tuple[Any, bytes]:
    """Read the net, and the text that the runtime is given: as downloaded, or with the batch that was asked for."""
    from modelprep.formats.caffe import edits, phase, prototxt, upgrades

    path = Path(conversion.params["prototxt"])
    net = prototxt.read_file(path)
    upgrades.upgrade(net)
    net = phase.filter_net(net)
    batch = conversion.params.get("batch")
    if batch in (None, "", "dynamic"):
        return net, path.read_bytes()
    edits.set_batch(net, int(str(batch)))
    return net, prototxt.write(net).encode()


def sides(conversion: Conversion) -> Sides:
    """Compare a Caffe net with the ONNX model that was made of it.

    Raises CheckFailed: OpenCV does not compute what Caffe computes, or the prototxt leaves a size open.
    """
    from modelprep.formats.caffe.shapes.infer import infer
    from modelprep.formats.onnx.model import read_header

    net, text = _net(conversion)
    model = next(iter(sorted(conversion.output.glob("*.onnx"))), conversion.output)  # or a folder with external data
    outputs = [value.name for value in read_header(model).graph.output]
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in (layer for layer in net.layer if layer.type == "Input"):
        sizes = [tuple(int(size) for size in shape.dim) for shape in layer.input_param.shape]
        shapes |= zip(layer.top, sizes * len(layer.top) if len(sizes) == 1 else sizes, strict=True)
    named = _compared(net, outputs)
    if not named:
        raise CheckFailed("no output of the result is a blob of the net", got=", ".join(outputs))
    infer(net)
    given = [{name: values(shape, number, SMALL) for name, shape in shapes.items()} for number in range(INPUTS)]
    weights = Path(conversion.params["weights"])
    opened = _caffe if _caffe_knows(conversion) else _opencv

    @contextmanager
    def after() -> Iterator[Side]:
        with _giving(model, named, outputs) as path:
            session, _ = runtimes.onnx_session(path)
        wanted = [value.name for value in session.get_inputs()]

        def run(number: int) -> list[Array]:
            with refusing("onnxruntime", model, Exception):
                return list(session.run(named, {name: given[number][name] for name in wanted}))

        yield run

    return Sides(tuple(named), lambda: opened(net, text, weights, named, given), after)


def _compared(net: Any, outputs: list[str]) -> list[str]:
    """Return the blobs to compare: the outputs, but for detections the locations and scores that they are made of.

    A last digit decides which of two boxes is suppressed, and every runtime has its own order of rows. Prior boxes are
    compared where OpenCV makes them as SSD's Caffe does: it does not cut their sizes, and clips unless told not to.
    """
    alike = all(
        layer.prior_box_param.HasField("clip")
        and all(v == int(v) for v in (*layer.prior_box_param.min_size, *layer.prior_box_param.max_size))
        for layer in net.layer if layer.type == "PriorBox"
    )  # fmt: skip
    ends = {layer.top[0]: layer for layer in net.layer if layer.type == "DetectionOutput"}
    made = {top for layer in net.layer for top in layer.top}
    found: dict[str, None] = {}
    for name in outputs:
        end = ends.get(name) or ends.get(name.rpartition("/")[0])
        if end is not None:
            found.update(dict.fromkeys(end.bottom[: 2 + alike]))
        elif name in made:
            found[name] = None
    return list(found)


@contextmanager
def _giving(model: Path, names: list[str], outputs: list[str]) -> Iterator[Path]:
    """Yield the model, or for as long as it is loaded one beside it that has these values among its outputs."""
    more = [name for name in names if name not in outputs]
    if not more:
        yield model
        return
    from modelprep.formats.onnx import pieces
    from modelprep.formats.onnx.model import read_header
    from modelprep.formats.output import copy

    read = read_header(model)
    known = {value.name: value for value in read.graph.value_info}
    if any(name not in known for name in more):
        raise CheckFailed("the result does not have the values that detections are made of", got=", ".join(more))
    read.graph.output.extend(known[name] for name in more)
    with tempfile.TemporaryDirectory(prefix=".compared-", dir=model.parent) as folder:
        beside = Path(folder) / model.name
        for data in model.parent.glob(f"{model.name}.data"):
            copy(data, Path(folder) / data.name)  # onnxruntime follows no link out of the folder
        pieces.write(read.pieces(), beside)
        yield beside


@contextmanager
def _caffe(net: Any, text: bytes, weights: Path, blobs: list[str], given: list[dict[str, Array]]) -> Iterator[Side]:
    import numpy as np

    from modelprep.formats.caffe import pycaffe

    del net
    with tempfile.TemporaryDirectory(prefix="modelprep-proof-") as folder:
        files = [Path(folder) / f"{number}.npz" for number in range(len(given))]
        for file, arrays in zip(files, given, strict=True):
            np.savez(file, **arrays)
        answers = Path(folder) / "answers.npz"
        try:
            pycaffe.run(text, weights, files, blobs, answers)
        except StepError as error:
            raise CheckFailed("Caffe does not run the original", got=error.got or error.what) from error
        with np.load(answers) as found:
            arrays = {name: found[name] for name in found.files}
    yield lambda number: [arrays[f"{number}:{place}"] for place in range(len(blobs))]


@contextmanager
def _opencv(net: Any, text: bytes, weights: Path, blobs: list[str], given: list[dict[str, Array]]) -> Iterator[Side]:
    import numpy as np

    for layer in net.layer:
        differs, how = OPENCV_DIFFERS.get(layer.type, (None, ""))
        if differs is not None and differs(layer):
            raise CheckFailed(f"OpenCV is not a reference for the layer '{layer.name}' ({layer.type}): it {how}")
    # A layer that works in place makes a top of its bottom's name: the last one is meant.
    makers = {top: (layer.name, place) for layer in net.layer for place, top in enumerate(layer.top)}
    cv2, loaded = runtimes.caffe_net(text, weights)

    def run(number: int) -> list[Array]:
        with refusing("OpenCV", weights, cv2.error, IndexError):
            for name, value in given[number].items():
                loaded.setInput(value, name)
            found = loaded.forwardAndRetrieve([makers[blob][0] for blob in blobs])
            return [np.array(tops[makers[blob][1]]) for blob, tops in zip(blobs, found, strict=True)]

    yield run
