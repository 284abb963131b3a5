"""The two ways in which Arm NN's test programs bring a picture to the network's size, to the pixel.

``stb``: stb_image_resize 0.9x with its defaults (8 bits, edges clamped, Mitchell-Netravali when shrinking or at equal
size, Catmull-Rom when growing), used by the Caffe tests. ``tensorflow``: the old bilinear of TensorFlow (top-left
corners aligned), used by the TensorFlow, TensorFlow Lite and ONNX tests. An ordinary library's resize returns other
pixels, and with Arm's Dog.jpg another class (measured: 208 where the board says 209).

All arithmetic is float32 in the C code's own order, so the result equals a build without fused multiply-add; a compiler
that fuses (GCC on AArch64 does by default) may round single values differently in the last place.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SUPPORT = 2  # pixels to either side; both of stb's default filters are cubics


def _mitchell(x: Any) -> Any:
    import numpy as np

    f, x = np.float32, np.abs(x)
    inner = (f(16) + x * x * (f(21) * x - f(36))) / f(18)
    outer = (f(32) + x * (f(-60) + x * (f(36) - f(7) * x))) / f(18)
    return np.where(x < 1, inner, np.where(x < 2, outer, f(0))).astype(f)


def _catmull_rom(x: Any) -> Any:
    import numpy as np

    f, x = np.float32, np.abs(x)
    inner = f(1) - x * x * (f(2.5) - f(1.5) * x)
    outer = f(2) - x * (f(4) + x * (f(0.5) * x - f(2.5)))
    return np.where(x < 1, inner, np.where(x < 2, outer, f(0))).astype(f)


def _growing(length: int, scale: Any) -> list[list[tuple[int, Any]]]:
    """For each output pixel, its (input pixel, weight) pairs, input pixels possibly beyond the edge."""
    import numpy as np

    f = np.float32
    radius = f(_SUPPORT) * scale
    table = []
    for n in range(length):
        centre = f(n) + f(0.5)
        first = math.floor(float((centre - radius) / scale) + 0.5)
        last = math.floor(float((centre + radius) / scale) - 0.5)
        middle = centre / scale
        at = np.arange(first, last + 1)
        weights = _catmull_rom(middle - (at.astype(f) + f(0.5)))
        weights = weights * (f(1) / sum(weights, f(0)))
        table.append([(int(i), w) for i, w in zip(at, weights, strict=True) if w != 0])
    return table


def _shrinking(size: int, length: int, scale: Any) -> list[list[tuple[int, Any]]]:
    """As `_growing`; stb spreads each input pixel over the outputs and normalizes each output afterwards."""
    import numpy as np

    f = np.float32
    radius = f(_SUPPORT) / scale
    margin = math.ceil(float(f(_SUPPORT * 2) / scale)) // 2
    table: list[list[tuple[int, Any]]] = [[] for _ in range(length)]
    for n in range(-margin, size + margin):
        centre = f(n) + f(0.5)
        first = math.floor(float((centre - radius) * scale) + 0.5)
        last = math.floor(float((centre + radius) * scale) - 0.5)
        at = np.arange(first, last + 1)
        weights = _mitchell((at.astype(f) + f(0.5)) - centre * scale) * scale
        for place, weight in zip(at, weights, strict=True):
            if 0 <= place < length:
                table[place].append((n, weight))
    for out, pairs in enumerate(table):
        factor = f(1) / sum((weight for _, weight in pairs), f(0))
        table[out] = [(n, weight * factor) for n, weight in pairs]
    return table


def _resample(values: Any, length: int) -> Any:
    """Resample float32 (size, ...) along its first axis."""
    import numpy as np

    size = values.shape[0]
    scale = np.float32(length) / np.float32(size)
    table = _growing(length, scale) if scale > 1 else _shrinking(size, length, scale)
    longest = max(len(pairs) for pairs in table)
    index: Any = np.zeros((longest, length), np.intp)
    weight: Any = np.zeros((longest, length), np.float32)
    for out, pairs in enumerate(table):
        for k, (n, w) in enumerate(pairs):
            index[k, out] = min(max(n, 0), size - 1)
            weight[k, out] = w
    result = np.zeros((length, *values.shape[1:]), np.float32)
    shape = (length,) + (1,) * (values.ndim - 1)
    # One term after the other, as the C code adds them: the order decides the last bit. A weight of 0 fills short rows.
    for k in range(longest):
        result += values[index[k]] * weight[k].reshape(shape)
    return result


def stb(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize as ``stbir_resize_uint8`` does.

    `picture`: uint8, shape (rows, columns, channels). Returns uint8, shape (height, width, channels).
    """
    import numpy as np

    values = picture.astype(np.float32) / np.float32(255)
    across = _resample(np.ascontiguousarray(values.transpose(1, 0, 2)), width).transpose(1, 0, 2)
    both = _resample(np.ascontiguousarray(across), height)
    scaled = np.clip(both, np.float32(0), np.float32(1)) * np.float32(255)
    return np.asarray((scaled.astype(np.float64) + 0.5).astype(np.uint8))


def tensorflow(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float32]:
    """Resize with TensorFlow 1's bilinear: ``align_corners`` false, no half-pixel centres.

    Parameters are those of :func:`stb`; the result is float32, shape (height, width, channels), values 0..255, not
    rounded.
    """
    import numpy as np

    # The bytes as they are: numbers are made of the pixels that are looked at, not of twelve million.
    return np.asarray(bilinear(picture[None], height, width)[0])


def bilinear(x: Any, rows: int, columns: int) -> Any:
    """Interpolate between the four nearest, the first pixel of either picture lying on that of the other.

    `x`: float32 or uint8, shape (batch, height, width, channels). `rows`, `columns`: height and width of the result.
    Returns float32, shape (batch, rows, columns, channels).
    """
    import numpy as np

    one = np.float32(1)

    def places(size: int, count: int) -> tuple[Any, Any, Any]:
        at = np.arange(count, dtype=np.float32) * (np.float32(size) / np.float32(count))
        low = np.floor(at)
        return low.astype(int), np.minimum(low.astype(int) + 1, size - 1), at - low

    top, bottom, down = places(x.shape[1], rows)
    left, right, across = places(x.shape[2], columns)
    across = across[None, None, :, None]
    down = down[None, :, None, None]
    # Both products, not start + (end - start) * weight: the last bit decides roundings in the quantized tests.
    upper, lower = (
        across * x[:, edge][:, :, right] + (one - across) * x[:, edge][:, :, left] for edge in (top, bottom)
    )
    return down * lower + (one - down) * upper


def roughly(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize with Pillow's cubic filter: near :func:`stb`, in a thirtieth of the time; stb's without Pillow."""
    import numpy as np

    try:
        from PIL import Image
    except ImportError:
        return stb(picture, height, width)
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC), np.uint8)
