"""Run TensorFlow graphs for a comparison, unchanged: no rewriting before the run, one thread per sum.

The graph is read by TensorFlow (or OpenCV) itself, text or binary, never by our readers: a mistake of ours must not be
on both sides. From our reader come only the names of what is fed and asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelprep.check.proof.types import Conversion, Side
from modelprep.check.runtimes import host as runtimes
from modelprep.check.runtimes.base import refusing
from modelprep.errors import CheckFailed, MissingTool
from modelprep.formats.arrays import Array
from modelprep.formats.native import hushed
from modelprep.installed import install_command

if TYPE_CHECKING:
    from modelprep.formats.tensorflow.graphdef import Graph

#: A text graph larger than this is left alone (bytes). Inception v3 as text (254 MiB) took TensorFlow 3.6 GiB.
MAX_TEXT = 1 << 28
#: Distributions that bring the module ``tensorflow``: asking one for its version is quicker than importing it.
_DISTRIBUTIONS = ("tensorflow", "tensorflow-cpu", "tensorflow-intel", "tensorflow-macos")
#: Largest value of each input: for networks that scale their pictures, and for those that only subtract the mean.
#: Values on both sides of zero activate more of a network, and small values hardly show a normalization.
SCALES = (1.0, 128.0)
#: For two runtimes whose only output is a softmax, which amplifies the last digits of large values.
SMALL = (1.0, 1.0)
_QUIET = ("Placeholder", "PlaceholderWithDefault", "Const", "NoOp", "Assert")


def tensorflow() -> str | None:
    """Return TensorFlow's name and version; None if it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    if find_spec("tensorflow") is None:
        return None
    for name in _DISTRIBUTIONS:
        try:
            return f"TensorFlow {version(name)}"
        except PackageNotFoundError:  # noqa: PERF203 - four names
            continue
    import tensorflow as tf

    return f"TensorFlow {tf.__version__}"


def runtime(_: Conversion) -> str:
    """Return name and version of what runs frozen graphs here: TensorFlow, else OpenCV.

    Raises MissingTool: neither is installed.
    """
    if found := tensorflow():
        return found
    if (cv2 := runtimes.opencv()) is not None:
        return f"OpenCV {cv2.__version__}"
    raise MissingTool(
        "running a TensorFlow graph needs TensorFlow, or OpenCV before version 5", hint=install_command("tf")
    )


def values(shape: Sequence[int], number: int, scales: Sequence[float] = SCALES) -> Array:
    """Return input `number`: seeded float32 values, evenly spread on both sides of zero up to its scale."""
    import numpy as np

    scale = scales[number]
    return np.random.default_rng([20190228, number]).uniform(-scale, scale, tuple(shape)).astype(np.float32)


def placeholders(graph: Graph, path: Path, shape: tuple[int, ...] = ()) -> dict[str, tuple[int, ...]]:
    """Return the inputs of a graph with the shapes to feed.

    `shape`: of the recipe's test, for a graph that leaves its shape or sizes open. Raises CheckFailed: there is no
    placeholder, or no shape for one.
    """
    found: dict[str, tuple[int, ...]] = {}
    for node in graph.nodes:
        if node.op != "Placeholder":
            continue
        own = node.shape("shape")
        # Graphs of TensorFlow's first versions have an empty shape there, which meant any and means a scalar now.
        if not own and not shape:
            raise CheckFailed(f"the graph has no shape for '{node.name}'", where=str(path))
        if own and len(own) == len(shape):
            found[node.name] = tuple(size if size > 0 else given for size, given in zip(own, shape, strict=True))
        else:
            found[node.name] = tuple(max(size, 1) for size in own) if own else shape
    if not found:
        raise CheckFailed("the graph has no placeholder", where=str(path))
    return found


def results(graph: Graph, path: Path) -> list[str]:
    """Return the outputs of a graph, and the input of a last softmax, whose values near 0 and 1 hide differences.

    Raises CheckFailed: it has no output.
    """
    from modelprep.formats.tensorflow.graphdef import input_name

    used = {input_name(reference) for node in graph.nodes for reference in node.inputs}
    ends = [node for node in graph.nodes if node.name not in used and node.op not in _QUIET]
    if not ends:
        raise CheckFailed("the graph has no output", where=str(path))
    if tensorflow() is None:  # OpenCV knows only what is left when it has put operators together
        return [node.name for node in ends]
    before = [input_name(node.inputs[0]) for node in ends if node.op == "Softmax" and node.inputs]
    return [*(node.name for node in ends), *dict.fromkeys(before)]


@dataclass(frozen=True)
class Request:
    """What a graph is fed and which outputs are read.

    Parameters
    ----------
    shapes, outputs
        Shape of each placeholder; names of nodes.
    image
        Return values of four dimensions as OpenCV has them, channels second.
    scales
        Largest value of each input.
    constants
        Placeholders that are fed one value each, by name (a keep probability).
    """

    shapes: Mapping[str, tuple[int, ...]]
    outputs: Sequence[str]
    image: bool = False
    scales: Sequence[float] = SCALES
    constants: Mapping[str, object] = field(default_factory=dict)


@contextmanager
def opened(path: Path, asked: Request) -> Iterator[Side]:
    """Open a frozen graph in TensorFlow, or in OpenCV if TensorFlow is missing.

    Raises MissingTool: neither is installed, or only OpenCV, which reads no text; CheckFailed: the runtime refuses the
    graph.
    """
    if tensorflow() is None:
        yield _by_opencv(path, asked)
        return
    with session(path, definition_of(path)) as (graph, running):
        yield side_of(path, graph, running, asked)


def definition_of(path: Path) -> Any:
    """Read a GraphDef with TensorFlow's own message, binary or text.

    Raises CheckFailed: it is neither, or the text is too large.
    """
    tf = runtimes.tensorflow()
    from google.protobuf import message, text_format

    from modelprep.formats.tensorflow.wrapped import unwrap

    definition = tf.compat.v1.GraphDef()
    data = path.read_bytes()
    if (wrapper := unwrap(data)) is not None:  # a MetaGraphDef or SavedModel
        data = bytes(wrapper.graph)
    try:
        definition.ParseFromString(data)
    except message.DecodeError:
        definition.Clear()
        if len(data) > MAX_TEXT:
            raise CheckFailed("the text graph is too large to be read by TensorFlow", where=str(path),
                              expected=f"at most {MAX_TEXT} bytes", got=f"{len(data)} bytes") from None  # fmt: skip
        with refusing("TensorFlow", path, UnicodeDecodeError, text_format.ParseError):
            text_format.Parse(data.decode(), definition)
    for node in definition.node:
        node.device = ""
    return definition


@contextmanager
def session(path: Path, definition: Any) -> Iterator[tuple[Any, Any]]:
    """Load a GraphDef into a session that runs it unchanged; yield TensorFlow's graph and the session.

    The definition is emptied: TensorFlow has a copy, and the constants are most of the memory. Raises CheckFailed:
    TensorFlow refuses the graph.
    """
    tf = runtimes.tensorflow()
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=1, inter_op_parallelism_threads=1, allow_soft_placement=True,
        device_count={"GPU": 0},
    )  # fmt: skip
    # What is folded and fused depends on which values are constants, and that is what a freeze changes.
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.optimizer_options.opt_level = tf.compat.v1.OptimizerOptions.L0
    graph = tf.Graph()
    with refusing("TensorFlow", path, ValueError, KeyError, tf.errors.OpError), graph.as_default():
        tf.import_graph_def(definition, name="")
    definition.Clear()
    with hushed():
        running = tf.compat.v1.Session(graph=graph, config=config)
    with running:
        yield graph, running


def side_of(path: Path, graph: Any, running: Any, asked: Request) -> Side:
    """Return one side of a comparison from a running session. Raises CheckFailed: the graph has no such nodes."""
    import numpy as np

    tf = runtimes.tensorflow()
    with refusing("TensorFlow", path, ValueError, KeyError):
        fed = {name: graph.get_tensor_by_name(f"{name}:0") for name in asked.shapes}
        fixed = {graph.get_tensor_by_name(f"{name}:0"): value for name, value in asked.constants.items()}
        fetched = [graph.get_tensor_by_name(f"{name}:0") for name in asked.outputs]

    def run(number: int) -> list[Array]:
        given = {
            tensor: values(asked.shapes[name], number, asked.scales).astype(tensor.dtype.as_numpy_dtype)
            for name, tensor in fed.items()
        }
        given |= {tensor: np.asarray(value, tensor.dtype.as_numpy_dtype) for tensor, value in fixed.items()}
        with refusing("TensorFlow", path, ValueError, TypeError, tf.errors.OpError):
            found = [np.asarray(value) for value in running.run(fetched, given)]
        return [value.transpose(0, 3, 1, 2) if asked.image and value.ndim == 4 else value for value in found]

    return run


def _by_opencv(path: Path, asked: Request) -> Side:
    import numpy as np

    from modelprep.formats.tensorflow.text import looks_like_text

    if (cv2 := runtimes.opencv()) is None:
        raise MissingTool("running a TensorFlow graph needs TensorFlow", hint=install_command("tf"))
    with path.open("rb") as file:
        if looks_like_text(file.read(4096)):
            raise MissingTool("running a graph in its text form needs TensorFlow", hint=install_command("tf"))
    with refusing("OpenCV", path, cv2.error):
        net = cv2.dnn.readNetFromTensorflow(str(path))
        runtimes.plain(cv2, net)

    def run(number: int) -> list[Array]:
        with refusing("OpenCV", path, cv2.error):
            for name, shape in asked.shapes.items():
                given = values(shape, number, asked.scales)
                # OpenCV takes and returns pictures with their channels second.
                net.setInput(np.ascontiguousarray(given.transpose(0, 3, 1, 2)) if given.ndim == 4 else given, name)
            found = [np.array(value) for value in net.forward(list(asked.outputs))]
        return [value if asked.image or value.ndim != 4 else value.transpose(0, 2, 3, 1) for value in found]

    return run
