"""The two sides of a comparison, by kind: the original and the converted model, each in its own runtime.

The original is read by the runtime itself (OpenCV reads prototxt and weights as they were downloaded), never by our
readers, so that a bug cannot be on both sides. The step declares its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelprep.check.proof import caffe as caffe_sides
from modelprep.check.proof import caffe_onnx, onnx, onnx_tflite
from modelprep.check.proof import checkpoint as checkpoints
from modelprep.check.proof import tensorflow as graphs
from modelprep.check.proof.tensorflow import SCALES, SMALL, values
from modelprep.check.proof.types import Conversion, Side, Sides
from modelprep.check.runtimes import host as runtimes
from modelprep.check.runtimes.base import refusing
from modelprep.errors import CheckFailed
from modelprep.formats.arrays import Array


@dataclass(frozen=True)
class Kind:
    """A kind of comparison.

    Parameters
    ----------
    runtimes
        Return name and version of what would run the original, and the result; raise MissingTool; load nothing.
    sides
        Prepares both sides.
    memory
        Memory that a file needs when it is run, as a multiple of its size.
    """

    runtimes: tuple[Callable[[Conversion], str], Callable[[Conversion], str]]
    sides: Callable[[Conversion], Sides]
    memory: Callable[[Path], float]


def spare(conversion: Conversion, kind: Kind) -> None:
    """Raise `CheckFailed` if running the models would need more memory than is available."""
    before: list[Path] = []
    for value in conversion.params.values():
        several = value.values() if isinstance(value, Mapping) else (value,)
        before += [one for one in several if isinstance(one, Path)]
    sides = (before, [conversion.output])
    needed = int(max(sum(kind.memory(path) * path.stat().st_size for path in paths) for paths in sides))
    if (free := _free_memory()) is not None and needed > free:
        got = f"{needed >> 20} MiB needed, {free >> 20} MiB free"
        raise CheckFailed("not enough memory to run the models", got=got)


def _free_memory() -> int | None:
    """Return the bytes that are available without swapping; None if the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except (OSError, ValueError, IndexError):
        pass
    return None


def _graph(conversion: Conversion) -> Sides:
    from modelprep.formats.tensorflow.read import read_any_graph, read_graph

    result = read_graph(conversion.output)
    original = Path(conversion.params["graph"])
    back = _backwards(conversion.params.get("inputs")) | _backwards(conversion.params.get("outputs"))
    shapes = graphs.placeholders(result, conversion.output, conversion.shape)
    known = {node.name for node in read_any_graph(original)[0].nodes}
    constants = conversion.params.get("constants") or {}
    names = [name for name in graphs.results(result, conversion.output) if back.get(name, name) in known]
    if not names:
        raise CheckFailed("the result has no output that the original has")
    before = {back.get(name, name): shape for name, shape in shapes.items()}
    asked = graphs.Request(before, [back.get(name, name) for name in names], constants=constants)
    return Sides(
        tuple(names),
        lambda: graphs.opened(original, asked),
        lambda: graphs.opened(conversion.output, graphs.Request(shapes, names)),
    )


def _backwards(renamed: object) -> dict[str, str]:
    if not isinstance(renamed, Mapping):
        return {}
    return {str(new): str(old).partition(":")[0] for old, new in renamed.items()}


def _to_onnx(conversion: Conversion) -> Sides:
    from modelprep.formats.onnx.inspect import shape
    from modelprep.formats.onnx.model import read_header

    model = read_header(conversion.output)
    original = Path(conversion.params["graph"])
    nchw_in, nchw_out = (
        {str(name).partition(":")[0] for name in conversion.params.get(key) or ()}
        for key in ("inputs_as_nchw", "outputs_as_nchw")
    )
    fed: dict[str, tuple[int, ...]] = {}
    for value in model.inputs():
        sizes = shape(value)
        given = conversion.shape if len(conversion.shape) == len(sizes) else (1,) * len(sizes)
        own = [size if isinstance(size, int) and size > 0 else other for size, other in zip(sizes, given, strict=True)]
        channels_last = own if value.name.partition(":")[0] not in nchw_in else [own[i] for i in (0, 2, 3, 1)]
        fed[value.name] = tuple(channels_last)
    names = [value.name for value in model.graph.output]
    nodes = [name.partition(":")[0] for name in names]
    if any(name.partition(":")[2] not in ("", "0") for name in (*fed, *names)):
        raise CheckFailed("an input or output is not the first value of its node", got=", ".join((*fed, *names)))

    @contextmanager
    def after() -> Iterator[Side]:
        session, _ = runtimes.onnx_session(conversion.output)
        wanted = onnx.fed(session)

        def run(number: int) -> list[Array]:
            given = {name: values(fed[name], number, SMALL).astype(kind) for name, kind in wanted.items()}
            for name in given:
                if name.partition(":")[0] in nchw_in:
                    given[name] = given[name].transpose(0, 3, 1, 2)
            found = onnx.answers(session, conversion.output, given, names)
            return [
                one.transpose(0, 2, 3, 1) if node in nchw_out and one.ndim == 4 else one
                for one, node in zip(found, nodes, strict=True)
            ]

        yield run

    asked = graphs.Request({name.partition(":")[0]: size for name, size in fed.items()}, nodes, scales=SMALL)
    return Sides(tuple(names), lambda: graphs.opened(original, asked), after)


def _litert(_: Conversion) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"LiteRT {version('ai-edge-litert')}"
    except PackageNotFoundError as error:
        raise runtimes.missing("LiteRT", "TensorFlow Lite") from error


def _tflite(conversion: Conversion) -> Sides:
    @contextmanager
    def opened(path: Path) -> Iterator[Side]:
        import numpy as np

        runtime, _ = runtimes.litert(path)

        def run(number: int) -> list[Array]:
            with refusing("LiteRT", path, ValueError, RuntimeError):  # text that is no UTF-8 is a ValueError too
                for detail in runtime.get_input_details():
                    whole = np.issubdtype(detail["dtype"], np.integer)
                    given = values(detail["shape"], number, (128.0, 128.0) if whole else SCALES)
                    if whole:  # bytes: from 0 or from -128
                        given = np.clip(given, -128, 127) + (128 if detail["dtype"] == np.uint8 else 0)
                    runtime.set_tensor(detail["index"], given.astype(detail["dtype"]))
                runtime.invoke()
                return [np.array(runtime.get_tensor(detail["index"])) for detail in runtime.get_output_details()]

        yield run

    from modelprep.formats.tflite.model import read

    main = read(conversion.output).main
    names = tuple(main.tensors[index].name for index in main.outputs)
    return Sides(names, lambda: opened(Path(conversion.params["model"])), lambda: opened(conversion.output))


def _of_opencv(_: Path) -> float:
    """VGG-19 (548 MiB) took 1106 MiB more than OpenCV itself, AlexNet (232 MiB) 446: 2.0 and 1.9 times."""
    return 2.5


def _of_tensorflow(path: Path) -> float:
    """Inception v3 (91 MiB) took 751 MiB more than TensorFlow itself, 8.3 times; as text (254 MiB) 14.7 times."""
    from modelprep.formats.tensorflow.text import looks_like_text

    with path.open("rb") as file:
        return 16 if looks_like_text(file.read(4096)) else 9


def _of_others(_: Path) -> float:
    """Inception v3 (91 MiB) took 259 MiB more than onnxruntime itself: 2.8 times."""
    return 4


#: Name of a comparison (:attr:`modelprep.steps.Proven.by`) -> how it is made.
KINDS: Mapping[str, Kind] = {
    "caffe": Kind((caffe_sides.runtime, caffe_sides.runtime), caffe_sides.bake, _of_opencv),
    "caffe-onnx": Kind((caffe_onnx.runtime, onnx.runtime), caffe_onnx.sides, _of_others),
    "caffe-twin": Kind((graphs.runtime, caffe_sides.runtime), caffe_sides.twin, _of_tensorflow),
    "checkpoint": Kind((checkpoints.runtime, checkpoints.runtime), checkpoints.sides, _of_tensorflow),
    "graph": Kind((graphs.runtime, graphs.runtime), _graph, _of_tensorflow),
    "graph-onnx": Kind((graphs.runtime, onnx.runtime), _to_onnx, _of_tensorflow),
    "onnx": Kind((onnx.runtime, onnx.runtime), onnx.sides, _of_others),
    "onnx-tflite": Kind((onnx.runtime, _litert), onnx_tflite.sides, _of_others),
    "tflite": Kind((_litert, _litert), _tflite, _of_others),
}
