"""Compare two models of one test, from different sources, on the same seeded inputs."""

from __future__ import annotations

from pathlib import Path

from modelprep import quoting
from modelprep.check.proof.prove import held_to, not_compared
from modelprep.check.proof.types import Proof, Side
from modelprep.check.runtimes.base import Ready
from modelprep.check.runtimes.isolated import ready
from modelprep.errors import CheckFailed, MissingTool
from modelprep.targets.armnn_tests import BoardTest

#: Largest difference allowed, as a share of the largest value: the same weights through graphs that were written by
#: different tools, so that sums may be taken in another order.
TOLERANCE = 1e-4


def compare(test: BoardTest, mine: Path, other: Path, name: str, tolerance: float = TOLERANCE) -> Proof:
    """Run two models on the input of a test and compare the outputs that it reads.

    Returns ``unknown`` if this machine lacks a runtime, or a runtime refuses its model.
    """
    label = f"compared with @{name}"
    try:
        sides = [ready(path, test.parser, test.input_name, test.input_shape, test.outputs) for path in (mine, other)]
        return held_to(
            label, (_side(test, sides[0]), _side(test, sides[1])), tuple(side.runtime for side in sides), tolerance,
            outputs=test.outputs, origin="the same weights in graphs of different tools",
            hint=f"modelprep show {quoting.sh(test.name)} and {test.name}@{name}: are both made from the same weights?",
        )  # fmt: skip
    except (MissingTool, CheckFailed) as error:
        return not_compared(label, error)


def _side(test: BoardTest, one: Ready) -> Side:
    import numpy as np

    def run(number: int) -> list[np.ndarray]:
        source = np.random.default_rng([20190228, number])
        if test.input_dtype == "uint8":
            return one.run(source.integers(0, 256, test.input_shape, dtype=np.uint8))
        return one.run(source.uniform(0, 1, test.input_shape).astype(np.float32))

    return run
