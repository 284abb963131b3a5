"""Pictures for the report: a network's input, turned back into a picture."""

from __future__ import annotations

from modelprep.check.board.preprocess import CAFFE_MEAN_BGR, MNIST_SIDE, Preprocessing
from modelprep.formats.arrays import Array


def as_picture(values: Array, how: Preprocessing) -> Array:
    """Undo the arithmetic of the preprocessing, not the resize: the result is the network's picture.

    `values`: the input tensor of :mod:`modelprep.check.board.preprocess`. Bytes of a quantized network are shown
    unchanged, so that you see that 19.02 uses only half of their range. Returns uint8, shape (height, width) or
    (height, width, 3), RGB.
    """
    import numpy as np

    if how.kind == "mnist":
        return _bytes(values.reshape(MNIST_SIDE, MNIST_SIDE) * (255 if how.scale else 1))
    if how.kind == "cifar10":
        return _bytes(_channels_last(values, how.layout))
    if how.kind == "caffe":
        return _bytes((_channels_last(values, "NCHW") + np.array(CAFFE_MEAN_BGR, np.float32))[:, :, ::-1])
    pixels = _channels_last(values, "NCHW" if how.kind == "yolo" else "NHWC" if how.kind == "ssd" else how.layout)
    if values.dtype == np.uint8:
        return np.asarray(pixels)
    if how.kind in ("yolo", "ssd"):
        return _bytes(pixels * 255)
    if how.centred:
        return _bytes((pixels + 0.5) * 127.5)
    return _bytes((pixels * np.array(how.stddev) + np.array(how.mean)) * 255)


def thumbnail(pixels: Array, longest: int) -> Array:
    """Reduce a picture to at most `longest` pixels a side by averaging whole blocks; return a small one unchanged."""
    import numpy as np

    step = -(-max(pixels.shape[:2]) // longest)
    if step <= 1:
        return pixels
    # Rows and columns that fill no block are left out, unless there is no whole block.
    height, width = (max(size // step, 1) for size in pixels.shape[:2])
    down, along = (min(step, size) for size in pixels.shape[:2])
    cut = pixels[: height * down, : width * along].reshape(height, down, width, along, -1)
    small = np.asarray(cut.mean(axis=(1, 3)).round().astype(np.uint8))
    return small[:, :, 0] if pixels.ndim == 2 else small


def _channels_last(values: Array, layout: str) -> Array:
    return values[0].transpose(1, 2, 0) if layout == "NCHW" else values[0]


def _bytes(values: Array) -> Array:
    import numpy as np

    return np.asarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
