"""Values for the inputs of a model: a calibration set fitted to them, else seeded values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelprep.errors import StepError
from modelprep.formats.arrays import Array
from modelprep.structs import dataclass

#: Number of samples without a calibration set.
SEEDED = 4


@dataclass(frozen=True)
class Input:
    """An input of a model: its name, its shape (the batch included) and its NumPy dtype (``float32``)."""

    name: str
    shape: tuple[int, ...]
    dtype: str


def fitted(given: Mapping[str, Array] | None, inputs: Sequence[Input], where: str) -> list[Array]:
    """Return an array for each of the `inputs`, whose first axis counts the samples.

    `given`: the arrays of :class:`modelprep.steps._calibration.Samples`; None for :data:`SEEDED` seeded samples (floats
    on both sides of zero). `where`: the model, for messages. Raises StepError: the set has other inputs, other sizes,
    or values outside an input's type.
    """
    import numpy as np

    for each in inputs:
        if np.dtype(each.dtype).kind not in "fiub":
            raise StepError(f"the input '{each.name}' is {each.dtype}", where=where, expected="numbers")
    if given is None:
        rows = [_seeded(number, inputs) for number in range(SEEDED)]
        return [np.stack([row[place] for row in rows]) for place in range(len(inputs))]
    if len(inputs) == len(given) and (len(given) == 1 or list(given) == [f"arr_{n}" for n in range(len(given))]):
        given = {each.name: array for each, array in zip(inputs, given.values(), strict=True)}
    given = {_plain(name): array for name, array in given.items()}
    if set(given) != {_plain(each.name) for each in inputs}:
        raise StepError(
            "the calibration set has other inputs than the model", where=where,
            expected=listed({_plain(each.name): each.shape for each in inputs}),
            got=listed({name: array.shape[1:] for name, array in given.items()}),
            hint="supply an .npz file with an array for each input, by its name" if len(inputs) > 1 else None,
        )  # fmt: skip
    return [_as_input(given[_plain(each.name)], each, where) for each in inputs]


def _plain(name: str) -> str:
    """Return an input's name without the additions of TensorFlow's converters: ``serving_default_x:0`` is ``x``."""
    return name.removeprefix("serving_default_").removesuffix(":0")


def listed(shapes: Mapping[str, Sequence[int]]) -> str:
    """Return the shapes of arrays by name, for messages."""
    return ", ".join(f"{name} {list(shape)}".strip() for name, shape in shapes.items())


def _seeded(number: int, inputs: Sequence[Input]) -> list[Array]:
    import numpy as np

    rng, made = np.random.default_rng([20190228, number]), []
    for each in inputs:
        dtype = np.dtype(each.dtype)
        if dtype.kind == "f":
            made.append(rng.uniform(-1, 1, each.shape).astype(dtype))
        elif dtype.kind in "iu" and dtype.itemsize == 1:
            made.append(rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, each.shape, endpoint=True).astype(dtype))
        else:  # numbers of words or sizes: 0 and 1 are in every range
            made.append(rng.integers(0, 2, each.shape).astype(dtype))
    return made


def _as_input(rows: Array, each: Input, where: str) -> Array:
    import numpy as np

    if rows[0].size != np.prod(each.shape, dtype=int):
        raise StepError(
            "the calibration inputs do not fit the model", where=where, expected=f"shape {list(each.shape)}",
            got=str([1, *rows.shape[1:]]),
            hint="declare preprocess: {size: [HEIGHT, WIDTH], channels: ..., layout: ...}",
        )  # fmt: skip
    dtype = np.dtype(each.dtype)
    if dtype.kind in "iu":
        limits, least, most = np.iinfo(dtype), rows.min(), rows.max()
        if not (limits.min <= least and most <= limits.max):
            raise StepError(
                f"the input '{each.name}' takes {each.dtype}", where=where,
                expected=f"values from {limits.min} to {limits.max}", got=f"values from {least} to {most}",
                hint="check mean and scale of preprocess: their result is rounded for an input of integers",
            )  # fmt: skip
        rows = np.rint(rows) if rows.dtype.kind == "f" else rows
    return rows.reshape(len(rows), *each.shape).astype(dtype)
