"""When the host's scores lie too near each other to say which class the board will put first."""

from __future__ import annotations

from typing import Any

#: Of 256: so far have LiteRT's scores been seen from those of Arm NN's reference backend, on a real MobileNet v1.
BYTES = 20
#: As a share of the largest score: sums of float32 taken in another order.
FLOATS = 1e-3
#: What a verdict says of a case that is decided by less.
NOTE = "close: in {file} the scores differ by less than those of the board may ({why}; see docs/check.md)"


def is_close(scores: Any, wanted: int | None, got: int) -> bool:
    """Whether a case might go the other way on the board.

    `scores`: one a class: float32, or bytes. `wanted`: the class asked for; None where none is compared. `got`: the
    class that came first.
    """
    import numpy as np

    if wanted is None or scores.size < 2 or not 0 <= wanted < scores.size:
        return False
    values = scores.astype(np.float64)
    # Where the class asked for came first, the next one might; else the one asked for might.
    rival = np.delete(values, got).max() if got == wanted else values[wanted]
    limit = BYTES if scores.dtype == np.uint8 else FLOATS * float(np.abs(values).max())
    return bool(values[got] - rival < limit)


def why(scores_are_bytes: bool) -> str:
    """Say how far the scores of host and board may be apart."""
    return f"{BYTES} of 256" if scores_are_bytes else f"{FLOATS:.1%}"
