"""A conversion's result is verified before it gets its name: a valid file, and the numbers of what it was made from.

The runtimes run in a process of their own: one that crashes is an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelprep.check.proof import structure
from modelprep.check.proof.prove import prove
from modelprep.check.proof.types import Conversion, Proof
from modelprep.check.runtimes import isolated
from modelprep.errors import CheckFailed, MissingTool, StepError
from modelprep.steps import Exempt, find


@dataclass(frozen=True)
class Verified:
    """What was verified of a conversion.

    Parameters
    ----------
    structure
        What checked the file; empty where nothing did.
    unchecked
        Why nothing did.
    proof
        How the numbers compare; None where they were not asked for, or the step makes no model.
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
        if self.proof is not None and self.proof.outcome == "same":
            by = " and ".join(dict.fromkeys(self.proof.runtimes))
            far = f"largest difference {self.proof.difference:.2g}" if self.proof.difference else "equal"
            lines.append(f"verified: the numbers of the original ({by}, {far})")
        elif self.proof is not None:
            lines.append(f"not verified: {self.proof.reason}")
        return tuple(dict.fromkeys(lines))

    def to_json(self) -> Mapping[str, object]:
        """Give it as JSON-ready values."""
        return {
            "structure": self.structure or None,
            "unchecked": self.unchecked or None,
            "numbers": None if self.proof is None else self.proof.to_json(),
        }


def verify(conversion: Conversion, *, numbers: bool = True) -> Verified:
    """Check the result's structure, and compare its numbers with the original's.

    Parameters
    ----------
    conversion
        What was converted.
    numbers
        Whether to compare numbers; the structure is always checked.

    Raises
    ------
    StepError
        The format's checker or the runtime refuses the result, or it computes other numbers.
    """
    if isinstance(find(conversion.step).proof, Exempt):
        return Verified()
    checked, unchecked = "", ""
    try:
        checked = isolated.call(structure.check, conversion)
    except MissingTool as error:
        unchecked = f"{error.what} ({error.hint})" if error.hint else error.what
    proof = _numbers(conversion) if numbers else None
    if proof is not None and proof.outcome == "differs":
        raise StepError(
            f"the result of {conversion.step} computes other numbers than its input, so it was not kept",
            where=f"output '{proof.tensor}'" if proof.tensor else None,
            expected=f"a difference of at most {proof.tolerance:.2g} ({proof.origin})",
            got=proof.reason or f"{proof.difference:.2g} of the largest value, by {proof.runtimes[-1]}",
            hint="please report it with the model; --no-verify writes it all the same",
        )
    return Verified(checked, unchecked, proof)


def _numbers(conversion: Conversion) -> Proof:
    try:
        return isolated.call(prove, conversion)
    except isolated.Crashed as crash:
        try:
            isolated.call(run_original, conversion)
        except (MissingTool, CheckFailed, StepError):
            return Proof(conversion.step, "unknown", crash.what)
        return Proof(
            conversion.step, "differs", f"{crash.what}; on the original it does not", tolerance=0.0, runtimes=("",)
        )


def run_original(conversion: Conversion) -> None:
    """Run the original alone: whoever survives this and not the comparison was ended by the result.

    Raises
    ------
    MissingTool, CheckFailed, StepError
        The original cannot be run.
    """
    from modelprep.check.proof.kinds import KINDS

    declared = find(conversion.step).proof
    assert not isinstance(declared, Exempt)
    with KINDS[declared.by].sides(conversion).before() as side:
        side(0)
