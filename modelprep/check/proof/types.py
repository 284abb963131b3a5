"""The parts of a proof: a conversion, its two sides, the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from modelprep.formats.arrays import Array
from modelprep.steps import find
from modelprep.store import result_key

#: How many inputs are tried.
INPUTS = 2
#: Hint for a conversion with different numbers: first rule out the disk.
HINT = "modelprep cache verify (has a stored file changed?)"
Outcome = Literal["same", "differs", "unknown"]
#: One side: from the number of an input to the outputs.
Side = Callable[[int], list[Array]]


@dataclass(frozen=True)
class Sides:
    """Both sides of a comparison; each is loaded when it is opened, and freed before the other one is opened.

    Parameters
    ----------
    outputs
        Names of the compared outputs, as in the result.
    before, after
        Open the original and the result.
    corner
        Whether only the part that both have of an output is compared: the result takes another number of samples.
    """

    outputs: tuple[str, ...]
    before: Callable[[], AbstractContextManager[Side]]
    after: Callable[[], AbstractContextManager[Side]]
    corner: bool = False


@dataclass(frozen=True)
class Conversion:
    """A step that turned one model into another.

    Parameters
    ----------
    inputs
        sha256 of each file parameter, by slot.
    output, output_sha256
        The result.
    tolerance, origin
        Largest relative difference allowed and where that number comes from; None if the recipe does not set it.
    shape
        Of the input of the recipe's test; empty if unknown.
    missing
        Why there is nothing to run: what the store no longer has. An earlier proof still holds.
    facts
        The step's facts of its result.
    """

    step: str
    version: int
    params: Mapping[str, Any]
    inputs: Mapping[str, str]
    output: Path
    output_sha256: str
    tolerance: float | None = None
    origin: str = ""
    shape: tuple[int, ...] = ()
    missing: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)

    def key(self) -> str:
        """Return the key of the step's result and of its proof in the store."""
        known = find(self.step).params
        plain = {name: self.params.get(name) for name, kind in known.items() if kind.kind not in ("file", "files")}
        return result_key(self.step, self.version, plain, self.inputs)


@dataclass(frozen=True)
class Proof:
    """The result of a comparison.

    Parameters
    ----------
    step
        Name of the step.
    outcome
        ``same``, ``differs``, or ``unknown`` with the `reason`.
    reason
        Why there is no number; for a step that compares its result itself, its finding.
    difference
        Largest difference over all outputs and inputs, as a fraction of the output's largest value.
    tolerance, origin
        Tolerance that was applied, and where that number comes from.
    runtimes
        What ran the original and the result.
    tensor, input
        The output with the largest difference, and the input (from 1).
    hint
        What to do about numbers that differ.
    """

    step: str
    outcome: Outcome
    reason: str = ""
    difference: float | None = None
    tolerance: float | None = None
    origin: str = ""
    runtimes: tuple[str, ...] = ()
    tensor: str = ""
    input: int = 0
    hint: str = ""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON-ready values."""
        return asdict(self) | {"runtimes": list(self.runtimes)}

    def __str__(self) -> str:
        if self.outcome == "unknown":
            return f"{self.step}: not compared, {self.reason}"
        by = " and ".join(dict.fromkeys(self.runtimes))
        allowed = f"allowed {self.tolerance:.2g}" + (f" ({self.origin})" if self.origin else "")
        if self.outcome == "same" and self.reason:
            return f"{self.step}: {self.reason}"
        if self.outcome == "same":
            return (
                f"{self.step}: the same numbers before and after, largest difference {self.difference:.2g} of the "
                f"largest value, {allowed}; {by}, {INPUTS} inputs"
            )
        far = self.reason or f"the largest difference is {self.difference:.2g} of its largest value"
        return (
            f"{self.step}: different numbers before and after: '{self.tensor}', input {self.input} of {INPUTS}: {far}, "
            f"{allowed}; {by}" + (f"; next: {self.hint}" if self.hint else "")
        )
