"""Inputs of a model that is quantized: a calibration set, chosen by seed and prepared as declared, or seeded values."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from modelprep.errors import RecipeError, StepError, nearest
from modelprep.formats.arrays import Array
from modelprep.steps import Param, Params
from modelprep.structs import dataclass

#: Members of an archive that are used as inputs.
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tga", ".npy")
_CHANNELS = ("rgb", "bgr", "grey")
_RESIZE = ("bilinear", "stb", "none")
_LAYOUTS = ("nhwc", "nchw")
#: Number of samples without a calibration set.
SEEDED = 4
#: Maximum total number of values: a gigabyte of float32.
_MOST_VALUES = 1 << 28

#: Parameters that every step with a calibration takes.
PARAMS: Mapping[str, Param] = {
    "calibration": Param(
        "files", "pictures, idx or .npy files, archives of them, or .npz files (an array for each input of the model, "
        "by its name; the first axis counts the samples), that calibrate and compare",
    ),
    "preprocess": Param(
        "map", "how a picture becomes an input: size [height, width], mean, scale ((value - mean) * scale), channels "
        f"({', '.join(_CHANNELS)}), resize ({', '.join(_RESIZE)}), layout ({', '.join(_LAYOUTS)})", metavar="KEY=VALUE",
    ),
    "samples": Param("int", "largest number of calibration inputs", default=100, least=1),
    "seed": Param("int", "decides which inputs are used, and their order", default=0),
}  # fmt: skip


@dataclass(frozen=True)
class Preprocess:
    """How a picture becomes an input.

    Parameters
    ----------
    size
        Height and width in pixels; None keeps the picture's own.
    mean, scale
        Per channel, in the order of `channels`: ``(value - mean) * scale`` of values 0 to 255.
    channels
        ``rgb``, ``bgr`` or ``grey`` (one channel, ITU-R BT.601 luma).
    resize
        ``bilinear`` (TensorFlow 1's and label_image's), ``stb`` (Arm NN's Caffe tests) or ``none``.
    layout
        ``nhwc`` or ``nchw``.
    """

    size: tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (1.0,)
    channels: str = "rgb"
    resize: str = "bilinear"
    layout: str = "nhwc"

    @classmethod
    def of(cls, given: object) -> Preprocess:
        """Read the parameter ``preprocess``. Raises RecipeError: an unknown key, or a value of the wrong kind."""
        values = dict(given) if isinstance(given, Mapping) else {}
        known = list(cls.__dataclass_fields__)
        for key in values:
            if key not in known:
                raise RecipeError(f"unknown key '{key}' of preprocess", expected=f"one of {', '.join(known)}",
                                  hint=nearest(str(key), known, 1) or None)  # fmt: skip
        for key, choices in (("channels", _CHANNELS), ("resize", _RESIZE), ("layout", _LAYOUTS)):
            if values.get(key, choices[0]) not in choices:
                raise RecipeError(f"unknown value of preprocess.{key}", expected=f"one of {', '.join(choices)}",
                                  got=repr(values[key]))  # fmt: skip
        size = values.get("size")
        if size is not None:
            sides = size if isinstance(size, (list, tuple)) else (size, size)
            if len(sides) != 2 or not all(type(side) is int and 0 < side <= 8192 for side in sides):
                raise RecipeError("preprocess.size is [height, width] in pixels", got=repr(size))
            values["size"] = (sides[0], sides[1])
        for key in ("mean", "scale"):
            if key in values:
                values[key] = _numbers(key, values[key], 1 if values.get("channels") == "grey" else 3)
        return cls(**values)

    def apply(self, pixels: Array) -> Array:
        """Make an input of pixels: uint8 (height, width, 3), red first, or (height, width, 1) -> float32, batch 1."""
        import numpy as np

        from modelprep.formats.picture import resize

        if self.channels == "grey" and pixels.shape[2] == 3:
            pixels = np.rint(pixels @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)[:, :, None]
        elif self.channels == "bgr":
            pixels = pixels[:, :, ::-1]
        values: Array = pixels
        if self.size is not None and pixels.shape[:2] != self.size and self.resize != "none":
            values = (resize.stb if self.resize == "stb" else resize.tensorflow)(pixels, *self.size)
        mean, scale = (np.array(each, np.float32) for each in (self.mean, self.scale))
        made = (values.astype(np.float32) - mean) * scale
        return made.transpose(2, 0, 1)[None] if self.layout == "nchw" else made[None]


def _numbers(key: str, value: Any, most: int) -> tuple[float, ...]:
    found = value if isinstance(value, (list, tuple)) else [value]
    if len(found) not in (1, most) or not all(type(one) in (int, float) for one in found):
        raise RecipeError(f"preprocess.{key} is a number, or one for each channel", got=repr(value))
    return tuple(float(one) for one in found)


@dataclass(frozen=True)
class Samples:
    """Calibration inputs.

    `names`: of the files (records of an idx or npz file are ``name#7``), in the order of use. `arrays`: input of the
    model -> its values, the first axis counts the samples; pictures and arrays without a name are for a model's only
    input, ``""`` (float32).
    """

    names: tuple[str, ...]
    arrays: Mapping[str, Array]


def require(params: Params) -> None:
    """Raise RecipeError if the parameters ask for int8 without a calibration set."""
    if params["mode"] == "int8" and not params.get("calibration"):
        raise RecipeError("full int8 quantization needs a calibration set", expected="calibration: pictures",
                          hint="mode: dynamic quantizes the weights alone and needs none")  # fmt: skip


def samples(params: Params, scratch: Path, warn: Callable[[str], None]) -> Samples | None:
    """Prepare the inputs that a step's parameters name; None if they name none.

    The files and their order depend only on the seed and the names. Raises StepError: a file is not a picture or array,
    or the inputs have different shapes; RecipeError: a parameter is invalid.
    """
    files = params.get("calibration")
    if not files:
        return None
    import numpy as np

    most, seed = params["samples"], params["seed"]
    if most < 1:
        raise RecipeError("samples must be at least 1", got=str(most))
    how = Preprocess.of(params.get("preprocess"))
    with tempfile.TemporaryDirectory(prefix="calibration-", dir=scratch) as folder:
        found = dict(_inputs(files, Path(folder)))
        if not found:
            raise StepError("the calibration set has no inputs", got=", ".join(files))
        chosen = sorted(found, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())[:most]
        if not params.get("preprocess") and not all(_holds_arrays(found[name][0]) for name in chosen):
            warn("the recipe declares no preprocess: pictures are used unchanged, values 0 to 255, red first")
        rows: list[Mapping[str, Array]] = []
        for name in chosen:
            rows.append(_read(name, *found[name], how))
            first, last = ({key: array.shape[1:] for key, array in row.items()} for row in (rows[0], rows[-1]))
            if first != last:
                raise StepError(
                    "the calibration inputs have different shapes", where=name, expected=listed(first),
                    got=listed(last), hint="declare preprocess: {size: [HEIGHT, WIDTH]}",
                )  # fmt: skip
            if sum(array.size for array in rows[0].values()) * len(chosen) > _MOST_VALUES:
                raise StepError("the calibration set is too large", expected="samples: a smaller number")
    return Samples(tuple(chosen), {key: np.concatenate([row[key] for row in rows]) for key in rows[0]})


def _inputs(files: Mapping[str, Path], folder: Path) -> Iterator[tuple[str, tuple[Path, int | None]]]:
    """Yield each input's name and file, and for an idx or npz file the number of the record."""
    from modelprep.formats import idx
    from modelprep.formats.archive import members

    for number, (name, path) in enumerate(sorted(files.items())):
        with path.open("rb") as file:
            head = file.read(4)
        if name.lower().endswith(".npz"):
            yield from ((f"{name}#{record}", (path, record)) for record in range(len(next(iter(_npz(path).values())))))
        elif head == bytes.fromhex("00000803"):
            for record in range(idx.read_header(path).shape[0]):
                yield f"{name}#{record}", (path, record)
        elif members.kind_of(path) is not None:
            inside = [one for one, _ in members.members(path) if PurePosixPath(one).suffix.lower() in _SUFFIXES]
            targets = {one: folder / f"{number}-{place}" for place, one in enumerate(sorted(inside))}
            if targets:
                members.extract_members(path, targets)
            yield from ((f"{name}/{one}", (target, None)) for one, target in targets.items())
        else:
            yield name, (path, None)


def _holds_arrays(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6).startswith((b"\x93NUMPY", b"PK\x03\x04"))


@lru_cache(maxsize=2)
def _npz(path: Path) -> Mapping[str, Array]:
    """Read an .npz file: arrays of numbers, all with the same number of samples."""
    import zipfile

    import numpy as np

    try:
        with path.open("rb") as file:  # NumPy would leave it open if it is not a zip
            found = np.load(file, allow_pickle=False)
            arrays = {name: np.asarray(found[name]) for name in getattr(found, "files", ())}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise StepError("the .npz file cannot be read", where=path.name, got=str(error)) from None
    counts = {name: array.shape[0] if array.ndim else 0 for name, array in arrays.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise StepError("the arrays of the .npz file hold no samples, or not the same number", where=path.name,
                        expected="a first axis that counts the samples", got=str(counts))  # fmt: skip
    for name, array in arrays.items():
        _check_numbers(name, array)
    return arrays


def _check_numbers(name: str, array: Array) -> None:
    if array.dtype.kind not in "fiub":
        raise StepError("the array does not contain real numbers", where=name, got=str(array.dtype))


def _read(name: str, path: Path, record: int | None, how: Preprocess) -> Mapping[str, Array]:
    import numpy as np

    from modelprep.formats import idx
    from modelprep.formats.picture import decode

    if record is not None and _holds_arrays(path):
        return {key: array[record : record + 1] for key, array in _npz(path).items()}
    if record is not None:
        header = idx.read_header(path)
        _, height, width = header.shape
        with path.open("rb") as file:
            file.seek(header.size + record * height * width)
            data = file.read(height * width)
        if len(data) != height * width:
            raise StepError("the idx file is truncated", where=name)
        return {"": how.apply(np.frombuffer(data, np.uint8).reshape(height, width, 1))}
    if _holds_arrays(path):
        try:
            array = np.load(path, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise StepError("the array cannot be read", where=name, got=str(error)) from None
        _check_numbers(name, array)
        return {"": np.asarray(array, np.float32)[None]}
    pixels = decode.read(path, exact=False).pixels
    return {"": how.apply(pixels[:, :, :3] if pixels.shape[2] > 2 else np.repeat(pixels[:, :, :1], 3, axis=2))}


# -- values for the inputs of a model ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Input:
    """An input of a model: its name, its shape (the batch included) and its NumPy dtype (``float32``)."""

    name: str
    shape: tuple[int, ...]
    dtype: str


def fitted(given: Mapping[str, Array] | None, inputs: Sequence[Input], where: str) -> list[Array]:
    """Return an array for each of the `inputs`, whose first axis counts the samples.

    `given`: the arrays of :class:`Samples`; None for :data:`SEEDED` seeded samples (floats
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
