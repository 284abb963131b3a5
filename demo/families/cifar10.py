"""CIFAR-10: ten kinds of coloured shapes instead of ten kinds of things, and a linear classifier fitted to them."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

from demo import containers, fit, graphdef
from demo.families import Made

SERVED = 200
_TRAINED = 1500
#: Labels that Arm NN's test expects of the records it runs (TfCifar10-Armnn: ids 0, 1, 2, 4, 7).
_EXPECTED = {0: 3, 1: 8, 2: 8, 4: 6, 7: 6}
_SIDE = 32
_SHARPNESS = 16.0
# (background, shape) of each class, and whether the shape is a disc.
_LOOKS = (
    ((150, 190, 240), (200, 200, 210), False),
    ((120, 120, 120), (200, 40, 40), False),
    ((150, 200, 240), (60, 60, 80), True),
    ((190, 160, 120), (90, 70, 50), True),
    ((70, 120, 60), (150, 110, 60), False),
    ((200, 180, 150), (230, 210, 170), True),
    ((40, 90, 40), (110, 180, 60), True),
    ((100, 150, 70), (80, 50, 30), False),
    ((40, 80, 150), (230, 230, 235), False),
    ((160, 160, 150), (60, 90, 180), True),
)


def make() -> list[Made]:
    """Make the model and the data of TfCifar10-Armnn."""
    labels = served_labels()
    records = draw(labels, "served")
    batch = b"".join(bytes([label]) + record.tobytes() for label, record in zip(labels, records, strict=True))
    archive = containers.tar_gz({"cifar-10-batches-bin/test_batch.bin": batch})
    return [Made("cifar10-tf", model().encode("ascii")), Made("cifar10-binary", archive)]


def served_labels() -> list[int]:
    """Return the labels of the served records: those that the test expects, a seeded sequence elsewhere."""
    random = Random("cifar labels")
    drawn = [int(random.random() * 10) for _ in range(SERVED)]
    return [_EXPECTED.get(index, label) for index, label in enumerate(drawn)]


@cache
def _training() -> tuple[Any, list[int]]:
    random = Random("cifar training labels")
    labels = [int(random.random() * 10) for _ in range(_TRAINED)]
    return draw(labels, "training"), labels


def draw(labels: list[int], seed: str) -> Any:
    """Draw one shape on a background for each label: uint8 (count, 3, 32, 32), planes red, green, blue."""
    import numpy as np

    pictures: Any = np.zeros((len(labels), 3, _SIDE, _SIDE), np.uint8)
    x = np.arange(_SIDE)[None, :] + 0.5
    y = np.arange(_SIDE)[:, None] + 0.5
    for index, label in enumerate(labels):
        random = Random(f"cifar {seed} {index}")
        ground, ink, disc = _LOOKS[label]
        cx, cy, radius = 13 + 6 * random.random(), 13 + 6 * random.random(), 7 + 4 * random.random()
        dx, dy = np.abs(x - cx), np.abs(y - cy)
        inside = dx * dx + dy * dy < radius * radius if disc else np.maximum(dx, dy * 1.5) < radius
        for plane in range(3):
            shift = int(random.random() * 31) - 15
            noise = fit.integers((_SIDE, _SIDE), 12, f"cifar {seed} {index} {plane}")
            colour = np.where(inside, ink[plane], ground[plane]) + shift + noise
            pictures[index, plane] = np.clip(colour, 0, 255)
    return pictures


def model() -> str:
    """Make a classifier as a text GraphDef: input `data` 1x32x32x3 of 0..255, output `prob`."""
    import numpy as np

    pictures, labels = _training()
    # 4x4 pixels are summed to fit 8x8x3 features; the weight of a sum is the weight of each of its pixels.
    sums = pictures.astype(np.float64).reshape(_TRAINED, 3, 8, 4, 8, 4).sum(axis=(3, 5))
    coarse, biases = fit.ridge(sums.reshape(_TRAINED, -1), labels, levels=4080)
    fine = coarse.reshape(3, 8, 8, 10).repeat(4, axis=1).repeat(4, axis=2).transpose(1, 2, 0, 3).reshape(-1, 10)
    # The Caffe twin takes its convolutions from the same graph: here they pass a picture on as it is.
    identity = np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3)
    convolutions = "".join(
        graphdef.constant(f"conv{number}/weights", identity)
        + graphdef.constant(f"conv{number}/biases", np.zeros(3, np.float32))
        for number in (1, 2, 3)
    )
    return (
        convolutions
        + graphdef.placeholder("data", (1, _SIDE, _SIDE, 3))
        + graphdef.reshape("flat", "data", (1, 3 * _SIDE * _SIDE))
        + graphdef.constant("ip1/weights", (fine * _SHARPNESS).astype(np.float32))
        + graphdef.constant("ip1/biases", (biases * _SHARPNESS).astype(np.float32))
        + graphdef.node("ip1/MatMul", "MatMul", ["flat", "ip1/weights"], transpose_a=False, transpose_b=False)
        + graphdef.node("ip1/Add", "Add", ["ip1/MatMul", "ip1/biases"])
        + graphdef.node("prob", "Softmax", ["ip1/Add"])
    )
