"""Least squares with the same weights on every machine.

What makes a fit differ from machine to machine is the order in which a BLAS adds. Here sums are either of integers
small enough to be exact in float64 whatever the order, or done one elementwise operation at a time.
"""

from __future__ import annotations

from random import Random
from typing import Any

_EXACT = 2**53


def integers(shape: tuple[int, ...], span: int, seed: str) -> Any:
    """Return float64 integers between -`span` and `span`, seeded."""
    import numpy as np

    *key, position = Random(f"weights {seed}").getstate()[1]
    random = np.random.RandomState()
    random.set_state(("MT19937", key, position))  # the same generator as Python's: the same numbers, thousands a call
    return np.floor(random.random_sample(shape) * (2 * span + 1)) - span


def ridge(features: Any, digits: list[int], *, classes: int = 10, ridge: float = 1e-3, levels: int = 4095) -> Any:
    """Fit one linear score a class: 1 for its own samples, 0 for the others.

    `features`: float64, shape (samples, features), not negative. They are fitted as `levels` steps of their largest
    value. `digits`: the class of each sample. `ridge`: weight of the penalty, as a share of the mean diagonal. Returns
    weights, float64 (features, classes), and biases, float64 (classes,): for the features as given.
    """
    import numpy as np

    samples, count = features.shape
    scale = float(features.max()) / levels
    steps = np.floor(features / scale + 0.5)
    steps = np.concatenate([steps, np.full((samples, 1), float(levels))], axis=1)  # the last one carries the bias
    targets = np.zeros((samples, classes))
    targets[np.arange(samples), digits] = 1.0
    if samples * levels * levels >= _EXACT:
        raise ValueError("too many samples to sum exactly")
    gram = exact_matmul(steps.T, steps)
    right = exact_matmul(steps.T, targets)
    penalty = float(np.floor(sum(float(v) for v in np.diagonal(gram)) / (count + 1) * ridge)) + 1.0
    gram = gram + penalty * np.eye(count + 1)
    solution = solve(gram, right)
    return solution[:-1] / scale, solution[-1] * levels


def exact_matmul(left: Any, right: Any) -> Any:
    """Multiply matrices of integers held in float64; raise unless every partial sum is exact in any order."""
    import numpy as np

    bound = float(np.abs(left).max()) * float(np.abs(right).max()) * left.shape[-1]
    if bound >= _EXACT:
        raise ValueError(f"sums up to {bound:.3g} are not exact")
    return left @ right


def solve(matrix: Any, right: Any) -> Any:
    """Solve a symmetric positive definite system by elimination, elementwise: no sum whose order is open."""
    a, b = matrix.copy(), right.copy()
    size = a.shape[0]
    for k in range(size - 1):
        factor = a[k + 1 :, k] / a[k, k]
        a[k + 1 :, k + 1 :] -= factor[:, None] * a[k, k + 1 :][None, :]
        b[k + 1 :] -= factor[:, None] * b[k][None, :]
    for k in range(size - 1, -1, -1):
        b[k] /= a[k, k]
        b[:k] -= a[:k, k][:, None] * b[k][None, :]
    return b


def conv(images: Any, kernels: Any, pad: int = 0) -> Any:
    """Correlate (batch, in, h, w) with (out, in, k, k), exactly, for integer data.

    Returns float64 (batch, out, h', w').
    """
    import numpy as np

    if pad:
        images = np.pad(images, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out, channels, k, _ = kernels.shape
    windows = np.lib.stride_tricks.sliding_window_view(images, (k, k), axis=(2, 3))
    batch, _, height, width = windows.shape[:4]
    columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(batch * height * width, channels * k * k)
    result = exact_matmul(columns, kernels.reshape(out, -1).T)
    return result.reshape(batch, height, width, out).transpose(0, 3, 1, 2)


def max_pool(images: Any, size: int) -> Any:
    """Take the largest of each `size` x `size` square, squares side by side, what is left over at the edge dropped."""
    batch, channels, height, width = images.shape
    h, w = height // size, width // size
    return images[:, :, : h * size, : w * size].reshape(batch, channels, h, size, w, size).max(axis=(3, 5))
