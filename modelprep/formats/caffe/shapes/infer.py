"""Which shape every blob of a net has, and which shape every layer's weights must have.

A rule a layer type, in :mod:`modelprep.formats.caffe.shapes.rules`; here is the walk over the net. A dimension that
cannot be known (the channels of a database, what lies behind a layer type nobody knows) is None and stays None, so
that all that can be checked still is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelprep.errors import StepError, nearest

#: One dimension; None where it cannot be known.
Dim = int | None
#: A blob's shape; None where not even the number of axes is known.
Shape = tuple[Dim, ...] | None


@dataclass(frozen=True)
class Inferred:
    """What a rule finds: shapes of the tops and weights (None: anything goes), multiply-accumulates (None: unknown)."""

    tops: tuple[Shape, ...]
    weights: tuple[Shape, ...] | None = ()
    macs: int | None = 0


@dataclass(frozen=True)
class LayerShapes:
    """One layer of a net with the shapes around it; `weights` is None for a type that nobody knows."""

    name: str
    type: str
    bottoms: tuple[Shape, ...]
    tops: tuple[Shape, ...]
    weights: tuple[Shape, ...] | None
    macs: int | None


@dataclass(frozen=True)
class NetShapes:
    """All layers in order, the blobs as they are at the end, and what could not be known."""

    layers: tuple[LayerShapes, ...]
    blobs: Mapping[str, Shape]
    warnings: tuple[str, ...] = ()


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
        """Give a parameter message of the layer, or None where the schema does not know it."""
        return getattr(self.layer, name, None)

    def need(self, least: int, most: int | None = None) -> None:
        """Hold the number of bottoms.

        Raises
        ------
        StepError
            There are fewer than `least` or more than `most` (None: any number).
        """
        count = len(self.bottoms)
        if count < least or (most is not None and count > most):
            wanted = str(least) if most == least else f"at least {least}" if most is None else f"{least} to {most}"
            raise self.fail("the layer has a wrong number of bottoms", expected=wanted, got=str(count))

    def axis(self, value: int, rank: int, *, extra: int = 0) -> int:
        """Turn an axis that may count from the end into one that does not.

        Raises
        ------
        StepError
            There is no such axis.
        """
        if not -rank <= value < rank + extra:
            raise self.fail("there is no such axis", expected=f"-{rank} to {rank + extra - 1}", got=str(value))
        return value + rank if value < 0 else value


Rule = Callable[[Site], Inferred]


def infer(net: Any) -> NetShapes:
    """Walk a NetParameter (V2 layers, one phase) and find every shape.

    Parameters
    ----------
    net
        As :func:`modelprep.formats.caffe.prepare.prepare` gives it; Split layers may be there or not.

    Raises
    ------
    StepError
        A bottom that no earlier layer makes, parameters that do not fit each other or the input.
    """
    from modelprep.formats.caffe.shapes.rules import RULES

    blobs: dict[str, Shape] = {}
    warnings: list[str] = []
    layers: list[LayerShapes] = []
    for layer in net.layer:
        for bottom in layer.bottom:
            if bottom not in blobs:
                raise StepError(
                    f"no earlier layer makes the blob '{bottom}'",
                    where=f"layer '{layer.name}' ({layer.type})",
                    expected="a top of a layer before it",
                    hint=nearest(bottom, list(blobs)) or None,
                )
        site = Site(layer, tuple(blobs[bottom] for bottom in layer.bottom), warnings)
        rule = RULES.get(layer.type)
        if rule is None:
            warnings.append(
                f"layer '{layer.name}' has the type '{layer.type}', which is not known here: it is passed on as it is, "
                "and neither its weights nor the shapes behind it can be checked"
            )
            found = Inferred((None,) * len(layer.top), None, None)
        else:
            found = rule(site)
        tops = (*found.tops, *(None,) * len(layer.top))[: len(layer.top)]
        _hold(site, tops)
        blobs.update(zip(layer.top, tops, strict=True))
        layers.append(LayerShapes(layer.name, layer.type, site.bottoms, tops, found.weights, found.macs))
    return NetShapes(tuple(layers), blobs, tuple(warnings))


def _hold(site: Site, tops: tuple[Shape, ...]) -> None:
    for shape in tops:
        if shape is not None and any(dim is not None and dim < 0 for dim in shape):
            raise site.fail("the output would have a negative size", got=show(shape))
        if (volume := count(shape)) is not None and volume > 2**31 - 1:
            raise site.fail("the output would have more than 2^31 - 1 values", got=show(shape))


def count(shape: Shape, start: int = 0, stop: int | None = None) -> int | None:
    """Multiply the dimensions from `start` to `stop`; None where one is not known."""
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
