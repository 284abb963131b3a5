"""The input of each Arm NN test, computed from the same files in the same way.

Sources, read at tag v19.02 (and v19.05 where it differs): tests/CaffePreprocessor.cpp, tests/ImagePreprocessor.cpp,
tests/InferenceTestImage.cpp, tests/MnistDatabase.cpp, tests/Cifar10Database.cpp, tests/YoloDatabase.cpp,
tests/MobileNetSsdDatabase.hpp. This module does not depend on recipes; :class:`Preprocessing` describes the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modelprep.errors import StepError
from modelprep.formats.arrays import Array
from modelprep.formats.picture import decode as pictures
from modelprep.formats.picture import resize
from modelprep.targets.armnn.arithmetic import u32
from modelprep.targets.armnn.network import ABORTED, CRASHED, crash

Kind = Literal["caffe", "image", "mnist", "cifar10", "yolo", "ssd"]

#: tests/CaffePreprocessor.cpp: mean of the ILSVRC pictures, blue, green, red.
CAFFE_MEAN_BGR = (104.007965, 116.669472, 122.675102)
MNIST_SIDE = 28
CIFAR_RECORD = 1 + 3 * 32 * 32
#: Numbers that fit after an MNIST picture before the heap is damaged, and in the heap's first pages.
_SLACK, _FIRST_PAGES = 2, 1 << 15


@dataclass(frozen=True)
class Quantisation:
    """A tensor's own uint8 quantization: real = scale * (byte - zero_point)."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class Preprocessing:
    """How a test makes its input.

    Parameters
    ----------
    kind
        ``caffe`` (stb resize, BGR, mean taken off, CHW), ``image`` (bilinear, RGB), ``mnist``, ``cifar10``, ``yolo``
        (stb, RGB planes, 0..1), ``ssd`` (stb, RGB, 0..1, quantized).
    height, width, layout
        Size of the network's input in pixels; ``caffe`` and ``yolo`` are always NCHW, ``ssd`` NHWC.
    mean, stddev
        For ``image``: per channel R, G, B, applied after the division by 255.
    scale
        For ``mnist``: whether values are divided by 255.
    raw_bytes
        For quantized ``image``: 19.05 and later feed the resized bytes themselves; 19.02 quantizes pixel/255 with the
        model's own scale and zero point, which leaves only half of the range.
    centred
        For float ``image``: 19.05 and later feed pixel/127.5 - 0.5 to MnasNet and ResNet v2.
    """

    kind: Kind
    height: int = 0
    width: int = 0
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    stddev: tuple[float, float, float] = (1.0, 1.0, 1.0)
    scale: bool = False
    raw_bytes: bool = False
    centred: bool = False


def prepare_picture(
    path: Path, how: Preprocessing, quantisation: Quantisation | None = None, *, exact: bool = True
) -> Array:
    """Make the input tensor from a picture file.

    `quantisation`: of a uint8 input tensor, for a uint8 result; else the result is float32. `exact`: False decodes and
    resizes with Pillow instead of as the board does. Returns shape (1, height, width, 3) or (1, 3, height, width).
    Raises StepError: the board could not read the picture.
    """
    import numpy as np

    rgb = pictures.read(path, exact=exact).three_channels()
    f = np.float32
    if how.kind == "caffe":
        small = (resize.stb if exact else resize.roughly)(rgb, how.height, how.width).astype(f)
        return _layout(small[:, :, ::-1] - np.array(CAFFE_MEAN_BGR, f), "NCHW")
    if how.kind in ("yolo", "ssd"):
        small = rgb if rgb.shape[:2] == (how.height, how.width) else resize.stb(rgb, how.height, how.width)
        values = _layout(small.astype(f) / f(255), "NCHW" if how.kind == "yolo" else "NHWC")
        return values if quantisation is None else quantise(values, quantisation)
    if how.kind != "image":
        raise StepError(f"a test of kind '{how.kind}' does not take a picture", where=str(path))
    resized = resize.tensorflow(rgb, how.height, how.width)
    if quantisation is not None and how.raw_bytes:
        return _layout(resized.astype(np.uint8), how.layout)
    values = (
        resized / f(127.5) - f(0.5)
        if how.centred
        else (resized / f(255) - np.array(how.mean, f)) / np.array(how.stddev, f)
    )
    values = _layout(values, how.layout)
    return values if quantisation is None else quantise(values, quantisation)


def quantise(values: Array, how: Quantisation) -> Array:
    """Quantize as armnn::Quantize does: round(v / scale), halves away from zero, + zero point, clamped to 0..255."""
    import numpy as np

    ratio = values / np.float32(how.scale)
    rounded = np.trunc(ratio + np.copysign(np.float32(0.5), ratio)) + how.zero_point
    return np.asarray(np.clip(rounded, 0, 255).astype(np.uint8))


def mnist_record(images: bytes, labels: bytes, index: int, how: Preprocessing) -> tuple[Array, int]:
    """Return record `index` of the unpacked MNIST files as the tests read it.

    Returns float32 of shape (784,), values 0..255 or 0..1, and the label. Raises StepError: wrong magic or too few
    records (``Failed to read`` on the board), `where` is the file, ``images`` or ``labels``; Stop: the header states
    larger pictures, and the program writes beyond its memory.
    """
    import numpy as np

    pixels = MNIST_SIDE * MNIST_SIDE
    files = ((images, 0x803, "images", 16 + (index + 1) * pixels), (labels, 0x801, "labels", 8 + index + 1))
    for data, magic, where, _ in files:
        found = int.from_bytes(data[:4], "big")
        if found != magic:
            raise StepError(f"not an MNIST {where[:-1]} file", where=where, expected=f"magic {magic:#x}",
                            got=f"{found:#x}",
                            looks_like="a file that is still gzipped" if data[:2] == b"\x1f\x8b" else None)  # fmt: skip
    for data, _, where, need in files:
        if len(data) < need:
            raise StepError(f"the MNIST {where[:-1]} file has no record {index}", where=where, expected=f"{need} bytes",
                            got=f"{len(data)} bytes")  # fmt: skip
    rows, columns = (int.from_bytes(images[at : at + 4], "big") for at in (8, 12))
    claimed = u32(rows * columns)
    if claimed > pixels + _SLACK:
        # Measured with the real program: beyond the heap's first pages it crashes immediately, else in free().
        raise crash("", "C4", f"{rows} x {columns} pixels", status=CRASHED if claimed > _FIRST_PAGES else ABORTED)
    values: Array = np.zeros(pixels, np.float32)
    shown = min(claimed, pixels)
    values[:shown] = np.frombuffer(images, np.uint8, shown, 16 + index * pixels)
    return (values / np.float32(255) if how.scale else values), labels[8 + index]


def cifar10_record(data: bytes, index: int, how: Preprocessing) -> tuple[Array, int]:
    """Return record `index` of ``test_batch.bin``: float32 0..255, (1, 3, 32, 32) or (1, 32, 32, 3), and the label."""
    import numpy as np

    start = index * CIFAR_RECORD
    if len(data) < start + CIFAR_RECORD:
        expected, got = f"{start + CIFAR_RECORD} bytes", f"{len(data)} bytes"
        raise StepError(f"test_batch.bin has no record {index}", expected=expected, got=got)
    planes = np.frombuffer(data, np.uint8, CIFAR_RECORD - 1, start + 1).reshape(3, 32, 32).astype(np.float32)
    return (planes if how.layout == "NCHW" else planes.transpose(1, 2, 0))[None], data[start]


def _layout(values: Any, layout: str) -> Any:
    import numpy as np

    return np.ascontiguousarray((values.transpose(2, 0, 1) if layout == "NCHW" else values)[None])
