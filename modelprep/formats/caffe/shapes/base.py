"""What the shape rules share: dimensions, shapes, and the layer that a rule is applied to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from modelprep.errors import StepError
from modelprep.structs import dataclass

#: One dimension; None if it cannot be known.
Dim = int | None
#: A blob's shape; None if not even the number of axes is known.
Shape = tuple[Dim, ...] | None


@dataclass(frozen=True)
class Inferred:
    """What a rule finds; tops that it leaves out are of unknown shape.

    `weights`: their shapes (None: any weights are accepted). `macs`: multiply-accumulates (None: unknown).
    """

    tops: tuple[Shape, ...]
    weights: tuple[Shape, ...] | None = ()
    macs: int | None = 0


@dataclass
class Site:
    """What a rule gets: the layer, the shapes of its bottoms, and a way to say what is wrong with them."""

    layer: Any
    bottoms: tuple[Shape, ...]

    def fail(
        self, what: str, *, expected: str | None = None, got: str | None = None, hint: str | None = None
    ) -> StepError:
        """Make the error for this layer; the caller raises it."""
        return StepError(
            what, where=f"layer '{self.layer.name}' ({self.layer.type})", expected=expected, got=got, hint=hint
        )

    @property
    def known(self) -> list[tuple[Dim, ...]]:
        """The shapes of the bottoms, those that are known."""
        return [shape for shape in self.bottoms if shape is not None]

    def need(self, least: int, most: int | None = None) -> None:
        """Check the number of bottoms.

        Raises StepError: there are fewer than `least` or more than `most` (None: any number).
        """
        count = len(self.bottoms)
        if count < least or (most is not None and count > most):
            wanted = str(least) if most == least else f"at least {least}" if most is None else f"{least} to {most}"
            raise self.fail("the layer has a wrong number of bottoms", expected=wanted, got=str(count))

    def need_four_axes(self) -> None:
        """Check that the first bottom, if its shape is known, has four axes.

        Raises StepError: it has not.
        """
        if (shape := self.bottoms[0]) is not None and len(shape) != 4:
            expected = "(num, channels, height, width)"
            raise self.fail(f"{self.layer.type} needs four axes", expected=expected, got=show(shape))

    def axis(self, value: int, rank: int, *, extra: int = 0) -> int:
        """Turn an axis that may count from the end into one that does not.

        Raises StepError: there is no such axis.
        """
        if not -rank <= value < rank + extra:
            raise self.fail("there is no such axis", expected=f"-{rank} to {rank + extra - 1}", got=str(value))
        return value + rank if value < 0 else value


class Rule(NamedTuple):
    """How the shapes of a layer type follow from `least` to `most` bottoms (None: any number).

    `known`: all shapes of the bottoms must be known; else nothing is known of the tops.
    """

    find: Callable[[Site], Inferred]
    least: int = 0
    most: int | None = None
    known: bool = False

    def __call__(self, site: Site) -> Inferred:
        """Apply the rule.

        Raises StepError: a wrong number of bottoms; parameters that do not fit each other or the bottoms.
        """
        site.need(self.least, self.most)
        return Inferred(()) if self.known and None in site.bottoms else self.find(site)


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


def show(shape: Sequence[Dim] | None) -> str:
    """Format a shape: ``10x3x227x227``, ``?`` for what is not known, ``scalar`` for no axes."""
    if shape is None:
        return "unknown"
    return "x".join("?" if dim is None else str(dim) for dim in shape) or "scalar"


def fits(wanted: Shape, got: Shape) -> bool:
    """Return whether two shapes can be the same: equal in all dimensions that both know."""
    if wanted is None or got is None:
        return True
    return len(wanted) == len(got) and all(None in (w, g) or w == g for w, g in zip(wanted, got, strict=True))
