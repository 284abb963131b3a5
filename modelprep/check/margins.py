"""Detect scores that are too close to predict the board's best class."""

from __future__ import annotations

from typing import Any

#: Of 256: largest observed difference of LiteRT's scores from Arm NN's reference backend, on a real MobileNet v1.
BYTES = 20
#: As a fraction of the largest score: float32 sums in another order.
FLOATS = 1e-3
#: Warning for a case that is decided by less.
NOTE = "close: in {file} the scores differ by less than those of the board may ({why}; see docs/check.md)"


def is_close(scores: Any, wanted: int | None, got: int) -> bool:
    """Whether a case might have another result on the board.

    `scores`: one a class: float32, or bytes. `wanted`: the class asked for; None if none is compared. `got`: the
    class that came first.
    """
    import numpy as np

    if wanted is None or scores.size < 2 or not 0 <= wanted < scores.size:
        return False
    values = scores.astype(np.float64)
    # If the expected class is first, the next one might be; else the expected one might.
    rival = np.delete(values, got).max() if got == wanted else values[wanted]
    limit = BYTES if scores.dtype == np.uint8 else FLOATS * float(np.abs(values).max())
    return bool(values[got] - rival < limit)


def why(scores_are_bytes: bool) -> str:
    """Return the possible difference between scores of host and board."""
    return f"{BYTES} of 256" if scores_are_bytes else f"{FLOATS:.1%}"
