"""Agreement of a quantized model with the float one: cosine similarity and top class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from modelprep.errors import RecipeError, StepError
from modelprep.formats.arrays import Array
from modelprep.steps import Param, Params

#: Default limits: mode -> minimum of the mean cosine similarity, minimum fraction of equal top classes. Those of float
#: and half precision follow from rounding; the others are where a classifier is still useful.
LEAST: Mapping[str, tuple[float, float]] = {
    "float": (0.99999, 0.99), "float16": (0.999, 0.98), "dynamic": (0.99, 0.95), "int8": (0.95, 0.9),
}  # fmt: skip

#: Parameters that every step with this comparison takes.
PARAMS: Mapping[str, Param] = {
    "min_cosine": Param(
        "float", "minimum of the mean cosine similarity with the original; its default depends on the mode"
    ),
    "min_top1": Param("float", "minimum fraction of calibration inputs with the original's top class; as min_cosine"),
}


def compare(
    before: Sequence[Array], after: Sequence[Array], params: Params, *, calibrated: bool, where: Path
) -> Mapping[str, object]:
    """Compare the outputs of original and result on the same inputs.

    Parameters
    ----------
    before, after
        One array per output, its first axis counts the inputs; real values: those of a quantized output are scaled.
    params
        With ``mode``, ``min_cosine`` and ``min_top1``.
    calibrated
        Whether the inputs are the user's; the top class of seeded noise means nothing.

    Returns
    -------
    Mapping
        ``cosine`` (mean over the inputs, of the worst output), ``lowest_cosine``, ``top1`` (None: no classifier, or
        seeded inputs), ``inputs``, ``min_cosine``, ``min_top1``, ``largest_difference`` (share of the largest value).

    Raises
    ------
    StepError
        The result differs more than allowed.
    """
    import numpy as np

    least = LEAST[str(params["mode"])]
    limits = [_share(name, params.get(name), own) for name, own in zip(("min_cosine", "min_top1"), least, strict=True)]
    if [each.shape for each in before] != [each.shape for each in after]:
        expected, got = (str([each.shape[1:] for each in side]) for side in (before, after))
        raise StepError("the result has other outputs than the original", where=str(where), expected=expected, got=got)
    means, lowest, far, same = [1.0], [1.0], [0.0], []
    for old, new in zip(before, after, strict=True):
        one, two = (each.reshape(len(each), -1).astype(np.float64) for each in (old, new))
        if not np.isfinite(two).all():
            raise StepError("the result computes NaN or infinity", where=str(where))
        cosines = _cosines(one, two)
        means.append(float(cosines.mean()))
        lowest.append(float(cosines.min()))
        largest = float(np.abs(one).max(initial=0.0))
        far.append(float(np.abs(one - two).max(initial=0.0)) / (largest or 1.0))
        if calibrated and one.shape[1] > 1 and one.shape[1] == old.shape[-1]:
            # Quantized scores tie: the original's class must be among the highest.
            top = one.argmax(axis=1)
            same.append(float((two[np.arange(len(two)), top] >= two.max(axis=1)).mean()))
    facts: dict[str, object] = {
        "cosine": round(min(means), 6), "lowest_cosine": round(min(lowest), 6),
        "top1": round(min(same), 4) if same else None, "largest_difference": float(f"{max(far):.3g}"),
        "inputs": len(before[0]) if before else 0, "calibration": calibrated,
        "min_cosine": limits[0], "min_top1": limits[1],
    }  # fmt: skip
    if min(means) < limits[0] or (same and min(same) < limits[1]):
        raise StepError(
            "the result differs too much from the original, so it was not kept", where=str(where),
            expected=f"cosine similarity of at least {limits[0]:g}, the same top class on {limits[1]:.0%}",
            got=words(facts),
            hint="calibrate with pictures like those of the board, check preprocess, or lower min_cosine and min_top1",
        )  # fmt: skip
    return facts


def words(facts: Mapping[str, object]) -> str:
    """Return the result of :func:`compare` in one line."""
    top1 = facts["top1"]
    text = f"cosine similarity {facts['cosine']:.4f} (at least {facts['min_cosine']:g})"
    if isinstance(top1, float):
        text += f", the same top class on {top1:.1%} (at least {facts['min_top1']:.0%})"
    return f"{text} of {facts['inputs']} {'calibration' if facts['calibration'] else 'seeded'} inputs"


def _share(name: str, given: object, default: float) -> float:
    if given is None:
        return default
    if not isinstance(given, (int, float)) or not 0 <= given <= 1:
        raise RecipeError(f"{name} is a number from 0 to 1", got=repr(given))
    return float(given)


def _cosines(one: Array, two: Array) -> Array:
    """Return the cosine similarity of each row; of two rows of zeros it is 1."""
    import numpy as np

    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    both_zero = ~one.any(axis=1) & ~two.any(axis=1)
    found = (one * two).sum(axis=1) / np.where(lengths == 0, 1.0, lengths)
    return np.asarray(np.where(both_zero, 1.0, found))


def read(path: Path) -> tuple[list[Array], list[Array]]:
    """Read a converter's arrays: ``b0``, ``b1``... of the original and ``a0``... of the result."""
    import numpy as np

    with np.load(path, allow_pickle=False) as found:
        before, after = (
            [found[f"{side}{n}"] for n in range(len(found.files)) if f"{side}{n}" in found] for side in "ba"
        )
    return before, after
