"""Calibration inputs: files chosen by seed, prepared as a recipe declares, the same values on every machine."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from modelprep.errors import RecipeError, StepError, nearest
from modelprep.steps import Param
from modelprep.structs import dataclass

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Members of an archive that are taken for inputs.
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tga", ".npy")
_CHANNELS = ("rgb", "bgr", "grey")
_RESIZE = ("bilinear", "stb", "none")
_LAYOUTS = ("nhwc", "nchw")
#: How many values the inputs may hold together: a gigabyte of float32.
_MOST_VALUES = 1 << 28

#: Parameters that every step with a calibration takes.
PARAMS: Mapping[str, Param] = {
    "calibration": Param("files", "pictures, idx or .npy files, or archives of them, that calibrate and compare"),
    "preprocess": Param(
        "map", "how a picture becomes an input: size [height, width], mean, scale ((value - mean) * scale), channels "
        f"({', '.join(_CHANNELS)}), resize ({', '.join(_RESIZE)}), layout ({', '.join(_LAYOUTS)})", metavar="KEY=VALUE",
    ),
    "samples": Param("int", "largest number of calibration inputs", default=100, least=1),
    "seed": Param("int", "decides which inputs are taken, and their order", default=0),
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
        """Read the parameter ``preprocess``.

        Raises RecipeError: an unknown key, or a value of the wrong kind.
        """
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

    def apply(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Make an input of pixels: uint8 (height, width, 3), red first, or (height, width, 1) -> float32, batch 1."""
        import numpy as np

        from modelprep.formats.picture import resize

        if self.channels == "grey" and pixels.shape[2] == 3:
            pixels = np.rint(pixels @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)[:, :, None]
        elif self.channels == "bgr":
            pixels = pixels[:, :, ::-1]
        values: NDArray[Any] = pixels
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

    Parameters
    ----------
    names
        Of the files (an idx file's records are ``name#7``), in the order in which they are used.
    values
        float32, one row an input; the first axis counts them.
    """

    names: tuple[str, ...]
    values: NDArray[Any]


def samples(params: Mapping[str, object], scratch: Path, warn: Callable[[str], None]) -> Samples | None:
    """Prepare the inputs that a step's parameters name; None where they name none.

    Which files are taken, and their order, follow from the seed and the names alone.

    Raises StepError: a file is no picture or no array, or the inputs are not all of one shape; RecipeError: a parameter
    is wrong.
    """
    files = cast("Mapping[str, Path] | None", params.get("calibration"))
    if not files:
        return None
    import numpy as np

    most, seed = cast("int", params["samples"]), cast("int", params["seed"])
    if most < 1:
        raise RecipeError("samples is a number from 1 on", got=str(most))
    how = Preprocess.of(params.get("preprocess"))
    with tempfile.TemporaryDirectory(prefix="calibration-", dir=scratch) as folder:
        found = dict(_inputs(files, Path(folder)))
        if not found:
            raise StepError("the calibration set holds no inputs", got=", ".join(files))
        chosen = sorted(found, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())[:most]
        if not params.get("preprocess") and not all(_is_array(found[name][0]) for name in chosen):
            warn("the recipe declares no preprocess: pictures are fed as they are, values 0 to 255, red first")
        values = []
        for name in chosen:
            values.append(_read(name, *found[name], how))
            if values[-1].shape != values[0].shape:
                raise StepError(
                    "the calibration inputs have different shapes", where=name, expected=str(values[0].shape[1:]),
                    got=str(values[-1].shape[1:]), hint="declare preprocess: {size: [HEIGHT, WIDTH]}",
                )  # fmt: skip
            if values[0].size * len(chosen) > _MOST_VALUES:
                raise StepError("the calibration set is too large", expected="samples: a smaller number")
    return Samples(tuple(chosen), np.concatenate(values))


def _inputs(files: Mapping[str, Path], folder: Path) -> Iterator[tuple[str, tuple[Path, int | None]]]:
    """List inputs by name: the file each lies in, and for an idx file the number of the record."""
    from modelprep.formats import idx
    from modelprep.formats.archive import members

    for number, (name, path) in enumerate(sorted(files.items())):
        with path.open("rb") as file:
            head = file.read(4)
        if head == bytes.fromhex("00000803"):
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


def _is_array(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6) == b"\x93NUMPY"


def _read(name: str, path: Path, record: int | None, how: Preprocess) -> NDArray[Any]:
    import numpy as np

    from modelprep.formats import idx
    from modelprep.formats.picture import decode

    if record is not None:
        header = idx.read_header(path)
        _, height, width = header.shape
        with path.open("rb") as file:
            file.seek(header.size + record * height * width)
            data = file.read(height * width)
        if len(data) != height * width:
            raise StepError("the idx file is truncated", where=name)
        return how.apply(np.frombuffer(data, np.uint8).reshape(height, width, 1))
    if _is_array(path):
        try:
            array = np.load(path, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise StepError("the array cannot be read", where=name, got=str(error)) from None
        if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
            raise StepError("the array holds no real numbers", where=name, got=str(array.dtype))
        return np.asarray(array, np.float32)[None]
    pixels = decode.read(path, exact=False).pixels
    return how.apply(pixels[:, :, :3] if pixels.shape[2] > 2 else np.repeat(pixels[:, :, :1], 3, axis=2))
