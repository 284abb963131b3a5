"""Conversions prove themselves: original and converted model, run on the same seeded inputs, have to answer alike.

Which runtime says so is written down with the proof. A proof belongs to the bytes of the inputs and the output and to
the step's parameters; it is kept in the store, so that it is made once and any later ``check`` only reads it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modelprep.errors import CheckFailed, MissingTool, StepError
from modelprep.store import Store
from modelprep.store.disk import write_atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Part of a proof's key: raise it when another way of proving would say something else.
VERSION = 1
#: Largest difference allowed, as a share of the largest value of the output, where a recipe says nothing
#: (``expect: {tolerance: {relative: ...}}``). Runtimes fuse and reorder float32 sums; 1e-5 is some 80 units in the last
#: place.
TOLERANCE = 1e-5
#: How many inputs are tried.
INPUTS = 2

Outcome = Literal["same", "differs", "unknown"]
#: One side: takes input number, gives the outputs.
Side = Callable[[int], "list[NDArray[Any]]"]


@dataclass(frozen=True)
class Conversion:
    """A step that turned one model into another.

    Parameters
    ----------
    step, version
        Which step.
    params
        Its parameters, files as Paths.
    inputs
        sha256 of each file parameter, by name.
    output
        What it made, and its sha256.
    tolerance
        Largest relative difference allowed.
    shape
        Of the input that the recipe's test feeds; empty where it does not say.
    """

    step: str
    version: int
    params: Mapping[str, Any]
    inputs: Mapping[str, str]
    output: Path
    output_sha256: str
    tolerance: float = TOLERANCE
    shape: tuple[int, ...] = ()

    def key(self) -> str:
        """Give what the proof is kept under; a tolerance is no part of it, the difference measured is kept."""
        files = {slot.partition("/")[0] for slot in self.inputs}
        plain = {name: value for name, value in self.params.items() if name not in files}
        facts = [VERSION, self.step, self.version, plain, dict(self.inputs), self.output_sha256, list(self.shape)]
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class Proof:
    """What came of it.

    Parameters
    ----------
    step
        Which step.
    outcome
        ``same``, ``differs``, or ``unknown`` with the `reason`.
    difference
        Largest difference over all outputs and inputs, as a share of the output's largest value.
    tolerance
        What it was held to.
    runtimes
        Who ran the original, who the result.
    """

    step: str
    outcome: Outcome
    reason: str = ""
    difference: float | None = None
    tolerance: float = TOLERANCE
    runtimes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, object]:
        """Give it as JSON-ready values."""
        return asdict(self) | {"runtimes": list(self.runtimes)}

    def __str__(self) -> str:
        if self.outcome == "unknown":
            return f"{self.step}: not compared, {self.reason}"
        word = "the same numbers" if self.outcome == "same" else "other numbers"
        by = " and ".join(dict.fromkeys(self.runtimes))
        return (
            f"{self.step}: {word} before and after, largest difference {self.difference:.2g} of the largest value, "
            f"allowed {self.tolerance:.2g} ({by}, {INPUTS} inputs)"
        )


def prove(conversion: Conversion, store: Store | None = None) -> Proof:
    """Run original and result on the same inputs, or read what came of that before.

    Parameters
    ----------
    conversion
        What was converted.
    store
        Where proofs are kept; None keeps none.

    Returns
    -------
    Proof
        ``unknown`` where no runtime on this machine, or no runtime at all, can run both; that is not kept.
    """
    from modelprep.check import sides

    path = store.root / "proofs" / f"{conversion.key()}.json" if store is not None else None
    if path is not None and (kept := _read(path)) is not None:
        return _judged(conversion.step, *kept, conversion.tolerance)
    maker = sides.MAKERS.get(conversion.step)
    if maker is None:
        return Proof(conversion.step, "unknown", "this step has no comparison")
    try:
        before, after, runtimes = maker(conversion)
        difference = _difference(before, after)
    except (MissingTool, CheckFailed, StepError) as error:
        return not_compared(conversion.step, error)
    if path is not None and difference is not None:
        write_atomic(path, json.dumps({"difference": difference, "runtimes": list(runtimes)}).encode())
    return _judged(conversion.step, difference, runtimes, conversion.tolerance)


def held_to(step: str, before: Side, after: Side, runtimes: tuple[str, ...], tolerance: float) -> Proof:
    """Compare two sides and hold the difference to a tolerance; nothing is kept."""
    return _judged(step, _difference(before, after), runtimes, tolerance)


def not_compared(step: str, error: MissingTool | CheckFailed | StepError) -> Proof:
    """Say why there is nothing to compare: what to install, or what a runtime said of the model."""
    if isinstance(error, MissingTool):
        return Proof(step, "unknown", f"{error.what} ({error.hint})" if error.hint else error.what)
    return Proof(step, "unknown", f"{error.what}: {error.got}" if error.got else error.what)


def _judged(step: str, difference: float | None, runtimes: tuple[str, ...], tolerance: float) -> Proof:
    if difference is None:
        return Proof(step, "unknown", "the outputs do not depend on the input", runtimes=runtimes)
    outcome: Outcome = "same" if difference <= tolerance else "differs"
    return Proof(step, outcome, "", difference, tolerance, runtimes)


def _read(path: Path) -> tuple[float, tuple[str, ...]] | None:
    try:
        kept = json.loads(path.read_bytes())
        return float(kept["difference"]), tuple(str(name) for name in kept["runtimes"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _difference(before: Side, after: Side) -> float | None:
    """Give the largest relative difference; None where the inputs change nothing, so that nothing is proven."""
    import numpy as np

    largest, firsts = 0.0, []
    for number in range(INPUTS):
        old, new = before(number), after(number)
        if len(old) != len(new):
            return float("inf")
        firsts.append(old)
        for mine, theirs in zip(old, new, strict=True):
            if mine.size != theirs.size:
                return float("inf")
            # Uneven bytes wrap around: the difference is taken in floats.
            one, two = (side.reshape(-1).astype(np.float64) for side in (mine, theirs))
            if not (np.isfinite(one).all() and np.isfinite(two).all()):
                return float("inf")
            scale = float(np.abs(one).max(initial=0.0))
            gap = float(np.abs(one - two).max(initial=0.0))
            largest = max(largest, gap / scale if scale else gap)
    moved = any(not np.array_equal(a, b) for a, b in zip(firsts[0], firsts[-1], strict=True))
    return largest if moved else None
