"""Both sides of a proof between ONNX models: onnxruntime runs the original and the result on the same seeded inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from modelprep.check.proof.tensorflow import SMALL, values
from modelprep.check.proof.types import Conversion, Side, Sides
from modelprep.check.runtimes import host as runtimes
from modelprep.check.runtimes.base import refusing
from modelprep.errors import CheckFailed
from modelprep.formats.arrays import Array

#: Sizes to try for an open dimension, until the original runs.
_OPEN = (1, 8, 32, 224)
_RANDOM = frozenset({
    "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
})  # fmt: skip
#: onnxruntime's type of an input -> numpy's.
_TYPES: Mapping[str, str] = {
    "float": "f4", "double": "f8", "float16": "f2", "bool": "?", "int8": "i1", "int16": "i2", "int32": "i4",
    "int64": "i8", "uint8": "u1", "uint16": "u2", "uint32": "u4", "uint64": "u8",
}  # fmt: skip


def runtime(_: Conversion) -> str:
    """Return onnxruntime's name and version. Raises MissingTool: it is not installed."""
    try:
        import onnxruntime
    except ImportError as error:
        raise runtimes.missing("onnxruntime", "ONNX") from error
    return f"onnxruntime {onnxruntime.__version__}"


def fed(session: Any) -> dict[str, str]:
    """Return the inputs of a session that are no initializers, with numpy's name of their type.

    Raises CheckFailed: an input is not a tensor of numbers.
    """
    found = {}
    for value in session.get_inputs():
        kind = _TYPES.get(value.type.removeprefix("tensor(").removesuffix(")"))
        if kind is None:
            raise CheckFailed(f"the input '{value.name}' is not a tensor of numbers", got=value.type)
        found[value.name] = kind
    return found


def seeded(shape: Sequence[int], kind: str, number: int) -> Array:
    """Return input `number` of a type: floats on both sides of zero, bytes over their range, other integers 0 or 1.

    Integers of more than eight bits are indices, lengths and axes far more often than measurements.
    """
    import numpy as np

    dtype = np.dtype(kind)
    if dtype.kind == "f":
        return values(shape, number, SMALL).astype(dtype)
    low, high = (0, 2) if dtype.kind == "b" or dtype.itemsize > 1 else (np.iinfo(dtype).min, np.iinfo(dtype).max + 1)
    return np.random.default_rng([20190228, number]).integers(low, high, tuple(shape)).astype(dtype)


def answers(session: Any, path: Path, given: Mapping[str, Array], asked: list[str]) -> list[Array]:
    """Run a session.

    Raises CheckFailed: onnxruntime does not run the model on these inputs, or an output is not a tensor of numbers.
    """
    import numpy as np

    with refusing("onnxruntime", path, Exception):
        found = session.run(asked, dict(given))
    for name, value in zip(asked, found, strict=True):
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
            raise CheckFailed(f"the output '{name}' is not a tensor of numbers", where=str(path))
    return list(found)


def sides(conversion: Conversion) -> Sides:
    """Compare an ONNX model with its result; open dimensions get the first of a few sizes at which the original runs.

    Raises CheckFailed: the original has external weights.
    """
    original = Path(conversion.params["model"])
    if conversion.params.get("external"):
        raise CheckFailed("the original has external weights")
    from modelprep.formats.onnx.inspect import shape
    from modelprep.formats.onnx.model import read_header

    model = read_header(conversion.output)
    if random := [node.op_type for node in model.graph.node if node.op_type in _RANDOM]:
        raise CheckFailed("the model draws random numbers", got=random[0])
    names = [value.name for value in model.graph.output]
    results = [shape(value) for value in model.inputs()]
    originals = [shape(value) for value in read_header(original).inputs()]
    if [len(sizes) for sizes in results] != [len(sizes) for sizes in originals]:
        raise CheckFailed("original and result do not have the same inputs")
    # What one leaves open the other may have settled; where both have a number, the number of samples was changed.
    after_sizes = [_settled(*both) for both in zip(results, originals, strict=True)]
    before_sizes = [_settled(*both) for both in zip(originals, results, strict=True)]
    some_open = any(size is None for sizes in after_sizes for size in sizes)
    chosen: list[int] = []

    def run_on(
        session: Any, path: Path, asked: list[str], number: int, sizes: Sequence[Sequence[int | None]], left_open: int
    ) -> list[Array]:
        given = {}
        for index, (name, kind) in enumerate(fed(session).items()):
            own, one, two = (
                [size or left_open for size in found[index]] for found in (sizes, before_sizes, after_sizes)
            )
            given[name] = _repeated(seeded([min(both) for both in zip(one, two, strict=True)], kind, number), own)
        return answers(session, path, given, asked)

    @contextmanager
    def before() -> Iterator[Side]:
        session, _ = runtimes.onnx_session(original, optimise=False)
        asked = [value.name for value in session.get_outputs()]

        def run(number: int) -> list[Array]:
            for size in _OPEN if some_open and not chosen else ():
                with suppress(CheckFailed):
                    found = run_on(session, original, asked, number, before_sizes, size)
                    chosen.append(size)
                    return found
            return run_on(session, original, asked, number, before_sizes, (chosen or _OPEN)[0])

        yield run

    @contextmanager
    def after() -> Iterator[Side]:
        session, _ = runtimes.onnx_session(conversion.output, optimise=False)
        yield lambda number: run_on(session, conversion.output, names, number, after_sizes, (chosen or _OPEN)[0])

    return Sides(tuple(names), before, after, corner=before_sizes != after_sizes)


def _settled(own: Sequence[object], other: Sequence[object]) -> list[int | None]:
    """Return dimensions, open ones as in the other model; None if they are open there too."""
    numbers = ([size if isinstance(size, int) and size > 0 else None for size in sizes] for sizes in (own, other))
    return [one or two for one, two in zip(*numbers, strict=True)]


def _repeated(samples: Array, sizes: Sequence[int]) -> Array:
    """Return values of other sizes: along a longer axis they repeat."""
    for axis, size in enumerate(sizes):
        if size != samples.shape[axis]:
            samples = samples.take([index % samples.shape[axis] for index in range(size)], axis)
    return samples
