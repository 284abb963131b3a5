"""Verify a conversion's result before it gets its name: a valid file, with the numbers of the original.

The runtimes run in a separate process, so that a crash is a result too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelprep.check.proof import structure
from modelprep.check.proof.prove import by_step, not_compared, prove, stored
from modelprep.check.proof.types import Conversion, Proof
from modelprep.check.runtimes import isolated
from modelprep.errors import CheckFailed, MissingTool, StepError
from modelprep.steps import Compared, Exempt, find
from modelprep.store import Store


@dataclass(frozen=True)
class Verified:
    """What was verified of a conversion.

    `structure`: name of the checker of the file; `unchecked`: why there was none. `proof`: the comparison of the
    numbers; None if it was not asked for, or the step makes no model.
    """

    structure: str = ""
    unchecked: str = ""
    proof: Proof | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """One line for each answer: ``verified: ...`` or ``not verified: ...``."""
        lines = []
        if self.structure:
            lines.append(f"verified: valid by {self.structure}")
        elif self.unchecked:
            lines.append(f"not verified: {self.unchecked}")
        if self.proof is not None and self.proof.outcome == "same" and self.proof.reason:
            lines.append(f"verified: {self.proof.reason}")
        elif self.proof is not None and self.proof.outcome == "same":
            by = " and ".join(dict.fromkeys(self.proof.runtimes))
            far = f"largest difference {self.proof.difference:.2g}" if self.proof.difference else "equal"
            lines.append(f"verified: the numbers of the original ({by}, {far})")
        elif self.proof is not None:
            lines.append(f"not verified: {self.proof.reason}")
        return tuple(dict.fromkeys(lines))

    def to_json(self) -> Mapping[str, object]:
        """Return it as JSON-ready values."""
        return {
            "structure": self.structure or None,
            "unchecked": self.unchecked or None,
            "numbers": None if self.proof is None else self.proof.to_json(),
        }


def verify(conversion: Conversion, *, numbers: bool = True) -> Verified:
    """Check the result's structure, and compare its numbers with the original's.

    `numbers`: whether to compare numbers; the structure is always checked. Raises StepError: the format's checker or
    the runtime refuses the result, or it computes other numbers.
    """
    declared = find(conversion.step).proof
    if isinstance(declared, Exempt):
        return Verified(proof=by_step(conversion) if isinstance(declared, Compared) else None)
    by, why_not = checked(conversion)
    proof = _numbers(conversion) if numbers else None
    demand_same(proof)
    return Verified(by, why_not, proof)


def checked(conversion: Conversion) -> tuple[str, str]:
    """Check only the result's structure and return the checker's name, or why there was none.

    Raises StepError: the format's checker refuses the result.
    """
    try:
        if structure.runs_a_library(conversion):  # which may crash
            return isolated.call(structure.check, conversion), ""
        return structure.check(conversion), ""
    except MissingTool as error:
        return "", f"{error.what} ({error.hint})" if error.hint else error.what
    except CheckFailed as error:  # the library failed otherwise
        return "", f"{error.what}: {error.got}"


def demand_same(proof: Proof | None) -> None:
    """Raise StepError if a proof says that the numbers differ."""
    if proof is not None and proof.outcome == "differs":
        raise StepError(
            f"the result of {proof.step} computes different numbers than its input, so it was not kept",
            where=f"output '{proof.tensor}'" if proof.tensor else None,
            expected=f"a difference of at most {proof.tolerance:.2g} ({proof.origin})",
            got=proof.reason or f"{proof.difference:.2g} of the largest value, by {proof.runtimes[-1]}",
            hint="report this with the model; without --verify, or with --no-verify, the result is written",
        )


def proof_of(conversion: Conversion, root: Path, *, run: bool) -> Proof | None:
    """Return the proof of a conversion whose result is in the store at `root`; None if it is not to be run nor stored.

    `run`: whether to run original and result if the store has no proof by the same runtimes.
    """
    if not run:
        return stored(conversion, Store(root))
    try:
        return isolated.call(_prove_at, conversion, root)
    except (isolated.Crashed, CheckFailed) as error:
        return not_compared(conversion.step, error)


def _prove_at(conversion: Conversion, root: Path) -> Proof:
    return prove(conversion, Store(root))


def _numbers(conversion: Conversion) -> Proof:
    try:
        return isolated.call(prove, conversion)
    except CheckFailed as error:
        return not_compared(conversion.step, error)
    except isolated.Crashed as crash:
        try:
            isolated.call(run_original, conversion)
        except (MissingTool, CheckFailed, StepError):
            return Proof(conversion.step, "unknown", crash.what)
        return Proof(
            conversion.step, "differs", f"{crash.what}; on the original it does not", tolerance=0.0, runtimes=("",)
        )


def run_original(conversion: Conversion) -> None:
    """Run only the original: if this does not crash and the comparison did, the result is the cause.

    Raises MissingTool, CheckFailed, StepError: the original cannot be run.
    """
    from modelprep.check.proof.kinds import KINDS

    declared = find(conversion.step).proof
    assert not isinstance(declared, Exempt)
    with KINDS[declared.by].sides(conversion).before() as side:
        side(0)
