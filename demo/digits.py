"""Handwritten-looking digits, drawn: strokes with seeded jitter, as 28x28 grey values.

The same bytes come out on every machine: only additions, multiplications, divisions and square roots are used, one
operation at a time (IEEE 754 rounds each of them correctly), and Python's own generator, whose `random()` is documented
to return the same sequence in every version.
"""

from __future__ import annotations

from random import Random
from typing import Any

SIDE = 28
#: Labels of the first ten records of MNIST's test set, as Arm NN's tests expect them (its Validation.txt and the source
#: of CaffeMnist-Armnn; ids 0 to 9). The rest of the order is not ours to know: see `labels`.
FIRST_LABELS = (7, 2, 1, 0, 4, 1, 4, 9, 5, 9)

# Each stroke is a list: a start, then points (straight) or (control, end) pairs (a quadratic curve). The box is 0..1,
# y downwards.
_Point = tuple[float, float]
_Stroke = list[Any]
_GLYPHS: dict[int, list[_Stroke]] = {
    0: [[(0.5, 0.05), ((0.87, 0.05), (0.85, 0.5)), ((0.85, 0.95), (0.5, 0.95)), ((0.13, 0.95), (0.15, 0.5)),
         ((0.15, 0.05), (0.5, 0.05))]],
    1: [[(0.36, 0.2), (0.56, 0.05), (0.54, 0.95)]],
    2: [[(0.18, 0.27), ((0.2, 0.05), (0.5, 0.05)), ((0.86, 0.05), (0.82, 0.32)), ((0.78, 0.55), (0.16, 0.95)),
         (0.86, 0.93)]],
    3: [[(0.2, 0.12), ((0.82, -0.06), (0.78, 0.27)), ((0.74, 0.47), (0.42, 0.48)), ((0.88, 0.5), (0.82, 0.76)),
         ((0.74, 1.04), (0.17, 0.88))]],
    4: [[(0.28, 0.05), (0.15, 0.6), (0.86, 0.58)], [(0.68, 0.08), (0.64, 0.95)]],
    5: [[(0.8, 0.06), (0.3, 0.06), (0.25, 0.46), ((0.86, 0.32), (0.82, 0.7)), ((0.74, 1.04), (0.18, 0.9))]],
    6: [[(0.7, 0.05), ((0.18, 0.3), (0.2, 0.68)), ((0.22, 0.98), (0.52, 0.95)), ((0.84, 0.92), (0.8, 0.68)),
         ((0.72, 0.44), (0.22, 0.64))]],
    7: [[(0.15, 0.1), (0.84, 0.08), ((0.5, 0.5), (0.42, 0.95))]],
    8: [[(0.5, 0.48), ((0.14, 0.4), (0.2, 0.22)), ((0.28, 0.03), (0.52, 0.05)), ((0.84, 0.08), (0.78, 0.26)),
         ((0.72, 0.4), (0.5, 0.48)), ((0.08, 0.6), (0.17, 0.78)), ((0.26, 0.98), (0.52, 0.95)),
         ((0.9, 0.92), (0.82, 0.72)), ((0.76, 0.56), (0.5, 0.48))]],
    9: [[(0.78, 0.32), ((0.74, 0.58), (0.45, 0.55)), ((0.14, 0.5), (0.2, 0.26)), ((0.28, 0.03), (0.55, 0.05)),
         ((0.84, 0.08), (0.78, 0.32)), ((0.76, 0.7), (0.62, 0.95))]],
}  # fmt: skip
_CURVE_STEPS = 5


def labels(count: int, seed: str) -> list[int]:
    """Return `count` labels: the ten that are known, then a seeded sequence."""
    random = Random(f"labels {seed}")
    return [*FIRST_LABELS, *(int(random.random() * 10) for _ in range(count - len(FIRST_LABELS)))][:count]


def draw(digits: list[int], seed: str) -> Any:
    """Draw digits.

    `digits`: what to draw, 0 to 9 each. `seed`: another seed, another hand. Returns uint8, shape (len(digits), 28, 28):
    ink is 255, paper 0, as in MNIST.
    """
    import numpy as np

    pictures: Any = np.zeros((len(digits), SIDE, SIDE), np.uint8)
    centre = np.arange(SIDE) + 0.5
    x = np.tile(centre, SIDE)[:, None]
    y: Any = np.repeat(centre, SIDE)[:, None]
    for index, digit in enumerate(digits):
        random = Random(f"digit {seed} {index}")
        segments, radius = _written(digit, random)
        ax, ay, bx, by = (np.array([segment[i] for segment in segments])[None, :] for i in range(4))
        dx, dy = bx - ax, by - ay
        length = dx * dx + dy * dy
        along = np.clip(((x - ax) * dx + (y - ay) * dy) / np.where(length > 0, length, 1.0), 0.0, 1.0)
        ex, ey = x - (ax + along * dx), y - (ay + along * dy)
        distance = np.sqrt((ex * ex + ey * ey).min(axis=1))
        ink = np.clip((radius + 0.5 - distance) * 255.0, 0.0, 255.0)
        pictures[index] = np.floor(ink).astype(np.uint8).reshape(SIDE, SIDE)
    return pictures


def _written(digit: int, random: Random) -> tuple[list[tuple[float, float, float, float]], float]:
    """Return the segments (pixels) of one digit in one handwriting, and half the width of the pen."""

    def between(low: float, high: float) -> float:
        return low + (high - low) * random.random()

    width, height = between(13.0, 18.5), between(17.5, 21.0)
    slant, tilt = between(-0.18, 0.28), between(-0.1, 0.1)
    left, top = 14.0 + between(-1.2, 1.2), 14.0 + between(-1.2, 1.2)

    def place(point: _Point) -> _Point:
        u = point[0] - 0.5 + between(-0.035, 0.035)
        v = point[1] - 0.5 + between(-0.035, 0.035)
        return left + width * (u - slant * v), top + height * (v + tilt * u)

    segments: list[tuple[float, float, float, float]] = []
    for stroke in _GLYPHS[digit]:
        here = place(stroke[0])
        for part in stroke[1:]:
            if isinstance(part[0], tuple):
                control, end = place(part[0]), place(part[1])
                start = here
                for step in range(1, _CURVE_STEPS + 1):
                    t = step / _CURVE_STEPS
                    s = 1.0 - t
                    there = (
                        s * s * start[0] + 2.0 * s * t * control[0] + t * t * end[0],
                        s * s * start[1] + 2.0 * s * t * control[1] + t * t * end[1],
                    )
                    segments.append((*here, *there))
                    here = there
            else:
                there = place(part)
                segments.append((*here, *there))
                here = there
    return segments, between(0.8, 1.6)
