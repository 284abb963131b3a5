"""What the shape rules share: dimensions, shapes, and the layer that a rule looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from modelprep.errors import StepError

#: One dimension; None if it cannot be known.
Dim = int | None


#: A blob's shape; None if not even the number of axes is known.
Shape = tuple[Dim, ...] | None


@dataclass(frozen=True)
class Inferred:
    """What a rule finds: shapes of the tops and weights (None: anything goes), multiply-accumulates (None: unknown)."""

    tops: tuple[Shape, ...]
    weights: tuple[Shape, ...] | None = ()
    macs: int | None = 0


@dataclass
class Site:
    """What a rule is given: the layer, its bottoms, and a way to say what is wrong with them."""

    layer: Any
    bottoms: tuple[Shape, ...]
    warnings: list[str] = field(default_factory=list)

    def fail(
        self, what: str, *, expected: str | None = None, got: str | None = None, hint: str | None = None
    ) -> StepError:
        """Make the error for this layer; the caller raises it."""
        return StepError(
            what, where=f"layer '{self.layer.name}' ({self.layer.type})", expected=expected, got=got, hint=hint
        )

    def param(self, name: str) -> Any:
        """Return a parameter message of the layer, or None if the schema does not know it."""
        return getattr(self.layer, name, None)

    def need(self, least: int, most: int | None = None) -> None:
        """Hold the number of bottoms.

        Raises StepError: there are fewer than `least` or more than `most` (None: any number).
        """
        count = len(self.bottoms)
        if count < least or (most is not None and count > most):
            wanted = str(least) if most == least else f"at least {least}" if most is None else f"{least} to {most}"
            raise self.fail("the layer has a wrong number of bottoms", expected=wanted, got=str(count))

    def axis(self, value: int, rank: int, *, extra: int = 0) -> int:
        """Turn an axis that may count from the end into one that does not.

        Raises StepError: there is no such axis.
        """
        if not -rank <= value < rank + extra:
            raise self.fail("there is no such axis", expected=f"-{rank} to {rank + extra - 1}", got=str(value))
        return value + rank if value < 0 else value


Rule = Callable[[Site], Inferred]


def count(shape: Shape, start: int = 0, stop: int | None = None) -> int | None:
    """Multiply the dimensions from `start` to `stop`; None if one is not known."""
    if shape is None:
        return None
    total = 1
    for dim in shape[start:stop]:
        if dim is None:
            return None
        total *= dim
    return total


def show(shape: Shape) -> str:
    """Write a shape as people do: ``10x3x227x227``, ``?`` for what is not known, ``scalar`` for no axes."""
    if shape is None:
        return "unknown"
    return "x".join("?" if dim is None else str(dim) for dim in shape) or "scalar"


def fits(wanted: Shape, got: tuple[int, ...]) -> bool:
    """Say whether `got` is a shape that `wanted` allows."""
    if wanted is None:
        return True
    return len(wanted) == len(got) and all(w is None or w == g for w, g in zip(wanted, got, strict=True))
