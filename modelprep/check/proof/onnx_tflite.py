"""Both sides of a proof of ``onnx.to_tflite``: onnxruntime runs the original, LiteRT the result with channels last."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelprep.check.proof import onnx
from modelprep.check.proof.types import Conversion, Side, Sides
from modelprep.check.runtimes import host as runtimes
from modelprep.check.runtimes.base import refusing
from modelprep.formats.arrays import Array


def sides(conversion: Conversion) -> Sides:
    """Compare an ONNX model with the TF Lite model made of it, on the same seeded inputs."""
    original = Path(conversion.params["model"])
    session, _ = runtimes.onnx_session(original)
    kinds = onnx.fed(session)
    shapes = {
        value.name: [size if isinstance(size, int) else 1 for size in value.shape] for value in session.get_inputs()
    }
    names = [value.name for value in session.get_outputs()]
    del session

    def inputs(number: int) -> dict[str, Array]:
        return {name: onnx.seeded(shapes[name], kind, number) for name, kind in kinds.items()}

    @contextmanager
    def before() -> Iterator[Side]:
        session, _ = runtimes.onnx_session(original)
        yield lambda number: onnx.answers(session, original, inputs(number), names)

    @contextmanager
    def after() -> Iterator[Side]:
        import numpy as np

        runtime, _ = runtimes.litert(conversion.output)
        takes, gives = runtime.get_input_details(), _in_order(runtime.get_output_details())

        def run(number: int) -> list[Array]:
            given = inputs(number)
            with refusing("LiteRT", conversion.output, ValueError, RuntimeError):
                for detail in takes:
                    name = detail["name"].removeprefix("serving_default_").rpartition(":")[0] or detail["name"]
                    value = given[name] if name in given else next(iter(given.values()))
                    runtime.set_tensor(detail["index"], last(value, detail["shape"]).astype(detail["dtype"]))
                runtime.invoke()
            return [np.array(runtime.get_tensor(detail["index"])) for detail in gives]

        yield run

    def laid_out() -> Any:
        runtime, _ = runtimes.litert(conversion.output)
        return [detail["shape"] for detail in _in_order(runtime.get_output_details())]

    @contextmanager
    def as_the_result() -> Iterator[Side]:
        wanted = laid_out()
        with before() as side:
            yield lambda number: [last(one, shape) for one, shape in zip(side(number), wanted, strict=True)]

    return Sides(tuple(names), as_the_result, after)


def last(value: Array, shape: Sequence[int]) -> Array:
    """Return a tensor with its channels behind where that is the shape asked for, else as it is."""
    if value.ndim > 2:
        turned = value.transpose(0, *range(2, value.ndim), 1)
        if turned.shape == tuple(int(size) for size in shape):
            return turned
    return value


def _in_order(details: list[Any]) -> list[Any]:
    """Bring the outputs into the original's order: TensorFlow calls them PartitionedCall:0, PartitionedCall:1."""
    places = [int(found[1]) if (found := re.search(r":(\d+)$", detail["name"])) else 0 for detail in details]
    return [details[n] for n in sorted(range(len(details)), key=places.__getitem__)]
