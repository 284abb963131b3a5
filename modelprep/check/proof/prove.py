"""Verify conversions: original and result, run on the same seeded inputs, have to compute the same numbers.

The difference is stored under the key of the step's result, with the runtimes and their versions: it is measured once,
and again if a runtime or the method has changed. The tolerance is the recipe's, or the step's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelprep.check.proof.record import Measured, Record
from modelprep.check.proof.types import HINT, INPUTS, Conversion, Proof, Side, Sides
from modelprep.errors import CheckFailed, MissingTool, StepError
from modelprep.formats.arrays import Array
from modelprep.steps import Compared, Exempt, find
from modelprep.store import Store


def prove(conversion: Conversion, store: Store | None = None) -> Proof:
    """Run original and result on the same inputs, or read a stored measurement.

    `store`: where measurements are kept; None keeps none. Returns ``unknown``, which is not kept, if no runtime here
    can run both.
    """
    from modelprep.check.proof import kinds

    declared = find(conversion.step).proof
    if isinstance(declared, Compared):
        return by_step(conversion)
    if isinstance(declared, Exempt):
        told = conversion.facts.get("told")
        said = f"{told}; {declared.reason}" if told else f"not compared: {declared.reason}"
        return Proof(conversion.step, "unknown", said)
    record = Record.read(None if store is None else store.root / "proofs", conversion.key())
    kind = kinds.KINDS.get(declared.by)
    if kind is None:  # a plug-in's word
        return Proof(conversion.step, "unknown", f"unknown comparison '{declared.by}'")
    of = (conversion.output_sha256, conversion.shape)
    try:
        runtimes = tuple(one(conversion) for one in kind.runtimes)
    except (MissingTool, StepError) as error:
        # A measurement of another machine, or of this one with more installed, still holds.
        older = record.find(*of)
        return not_compared(conversion.step, error) if older is None else _judged(conversion, older)
    measured = record.find(*of, runtimes)
    if measured is None and conversion.missing:
        older = record.find(*of)
        return Proof(conversion.step, "unknown", conversion.missing) if older is None else _judged(conversion, older)
    if measured is None:
        try:
            kinds.spare(conversion, kind)
            measured = measure(kind.sides(conversion), runtimes)
        except (MissingTool, CheckFailed, StepError) as error:
            return not_compared(conversion.step, error)
        if measured.moved:
            record.keep(*of, measured)
    return _judged(conversion, measured)


def stored(conversion: Conversion, store: Store) -> Proof | None:
    """Return the proof by the newest measurement in the store, None if there is none; nothing is run."""
    declared = find(conversion.step).proof
    if isinstance(declared, Compared):
        return by_step(conversion)
    if isinstance(declared, Exempt):
        return None
    record = Record.read(store.root / "proofs", conversion.key())
    measured = record.find(conversion.output_sha256, conversion.shape)
    return None if measured is None else _judged(conversion, measured)


def by_step(conversion: Conversion) -> Proof:
    """Return the proof of a step that compares its result itself, from the facts of the result."""
    from modelprep.steps._agreement import words

    agreement = conversion.facts.get("agreement")
    if not isinstance(agreement, Mapping):
        return Proof(conversion.step, "unknown", "the step did not report a comparison")
    return Proof(conversion.step, "same", words(agreement), runtimes=(str(conversion.facts.get("tool", "")),))


def held_to(
    step: str, sides: tuple[Side, Side], runtimes: tuple[str, ...], tolerance: float, *, outputs: Sequence[str] = (),
    origin: str = "", hint: str = "",
) -> Proof:  # fmt: skip
    """Compare two sides and check the difference against a tolerance; nothing is kept."""
    olds, news = ([side(number) for number in range(INPUTS)] for side in sides)
    return _held(step, _compared(outputs, olds, news, runtimes), tolerance, origin, hint)


def not_compared(step: str, error: MissingTool | CheckFailed | StepError) -> Proof:
    """Return why nothing was compared: what to install, or what a runtime printed about the model."""
    if isinstance(error, MissingTool):
        return Proof(step, "unknown", f"{error.what} ({error.hint})" if error.hint else error.what)
    return Proof(step, "unknown", f"{error.what}: {error.got}" if error.got else error.what)


def measure(sides: Sides, runtimes: tuple[str, ...]) -> Measured:
    """Run both sides on the same inputs, one after the other, and return their largest difference.

    Raises CheckFailed: a runtime refuses its model.
    """
    failed: CheckFailed | None = None
    with sides.before() as side:
        try:
            olds = [side(number) for number in range(INPUTS)]
        except CheckFailed as error:
            failed = error
    del side  # free the model before the other one is loaded
    try:
        with sides.after() as side:
            if failed is not None:  # the original loads and does not run on these inputs: the result has to load too
                raise failed
            news = [side(number) for number in range(INPUTS)]
    except CheckFailed as error:
        # OpenCV reads part of TensorFlow, and "not implemented" is said of valid models: the result may be right.
        if error is failed or runtimes[-1].startswith("OpenCV") or "NOT_IMPLEMENTED" in (error.got or ""):
            raise
        said = f"{runtimes[-1]} accepts the original but refuses the result" + (f" ({error.got})" if error.got else "")
        return Measured(None, ", ".join(sides.outputs), 1, said, runtimes)
    return _compared(sides.outputs, olds, news, runtimes, corner=sides.corner)


def _judged(conversion: Conversion, measured: Measured) -> Proof:
    declared = find(conversion.step).proof
    assert not isinstance(declared, Exempt)
    own = conversion.tolerance is None
    tolerance = declared.tolerance if conversion.tolerance is None else conversion.tolerance
    hint = f"{HINT}; {declared.otherwise}" if declared.otherwise else HINT
    return _held(conversion.step, measured, tolerance, declared.origin if own else conversion.origin, hint)


def _held(step: str, measured: Measured, tolerance: float, origin: str, hint: str) -> Proof:
    if not measured.moved:
        reason = measured.said or "the outputs do not depend on the input"
        return Proof(step, "unknown", reason, runtimes=measured.runtimes)
    same = not measured.said and measured.difference is not None and measured.difference <= tolerance
    return Proof(
        step, "same" if same else "differs", measured.said, measured.difference, tolerance, origin, measured.runtimes,
        measured.tensor, measured.input, "" if same else hint,
    )  # fmt: skip


def _compared(
    names: Sequence[str], olds: Sequence[list[Array]], news: Sequence[list[Array]], runtimes: tuple[str, ...], *,
    corner: bool = False,
) -> Measured:  # fmt: skip
    """Find the largest relative difference, or say why there is none."""
    import numpy as np

    worst = Measured(0.0, "", 0, "", runtimes)
    for number, (old, new) in enumerate(zip(olds, news, strict=True), 1):
        if len(old) != len(new):
            said = f"{len(old)} outputs before, {len(new)} after"
            return Measured(None, ", ".join(names), number, said, runtimes)
        for index, (mine, theirs) in enumerate(zip(old, new, strict=True)):
            name = names[index] if index < len(names) else f"output {index + 1}"
            if corner and mine.ndim == theirs.ndim:
                both = tuple(slice(min(sizes)) for sizes in zip(mine.shape, theirs.shape, strict=True))
                mine, theirs = mine[both], theirs[both]
            if mine.size != theirs.size:
                said = f"{mine.size} values before, {theirs.size} after"
                return Measured(None, name, number, said, runtimes)
            # Uneven bytes wrap around: the difference is taken in floats.
            one, two = (side.reshape(-1).astype(np.float64) for side in (mine, theirs))
            finite = np.isfinite(one)
            if not finite.all() and not finite.any():
                said = "the original itself computes NaN or infinity for the seeded inputs"
                return Measured(None, name, number, said, runtimes, moved=False)
            # If the original computes NaN (the root of a negative number), there is nothing to compare with.
            one, two = one[finite], two[finite]
            if not np.isfinite(two).all():
                said = "the result has NaN or infinity where the original has numbers"
                return Measured(None, name, number, said, runtimes)
            scale = float(np.abs(one).max(initial=0.0))
            gap = float(np.abs(one - two).max(initial=0.0))
            # Half precision has three digits; the last one depends on the order of sums.
            slack = 4 * float(np.finfo(np.float16).eps) if np.float16 in (mine.dtype, theirs.dtype) else 0.0
            share = max(0.0, (gap / scale if scale else gap) - slack)
            if share > (worst.difference or 0.0) or not worst.tensor:
                worst = Measured(share, name, number, "", runtimes)
    # A difference counts, whether or not the outputs depend on the input.
    if worst.difference or any(not np.array_equal(a, b) for a, b in zip(olds[0], olds[-1], strict=True)):
        return worst
    return Measured(None, "", 0, "", runtimes, moved=False)
