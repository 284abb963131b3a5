"""Which shape every blob of a net has, and which shape every layer's weights must have.

The rules, one a layer type, are in :mod:`modelprep.formats.caffe.shapes.rules`; here is the walk over the net. A
dimension that cannot be known (the channels of a database, the tops of an unknown layer type) is None, and everything
else is still checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelprep.errors import StepError, nearest
from modelprep.formats.caffe import forks
from modelprep.formats.caffe.shapes.base import Inferred, Shape, Site, count, show
from modelprep.structs import dataclass


@dataclass(frozen=True)
class LayerShapes:
    """One layer of a net with the shapes around it; `weights` is None for an unknown type."""

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


def infer(net: Any) -> NetShapes:
    """Walk a NetParameter (V2 layers, one phase) and find every shape.

    Raises StepError: a bottom that no earlier layer makes, parameters that do not fit each other or the input.
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
        site = Site(layer, tuple(blobs[bottom] for bottom in layer.bottom))
        rule = RULES.get(layer.type)
        fork = forks.described(layer)
        if rule is None:
            of = f", a type of {fork}" if fork else ", which is not known here"
            warnings.append(
                f"layer '{layer.name}' has the type '{layer.type}'{of}: it is passed on as it is, "
                "and neither its weights nor the shapes behind it can be checked"
            )
            found = Inferred((), None, None)
        else:
            found = rule(site)
            if layer.type == "BatchNorm" and fork:  # such a fork keeps a Scale's factors in it
                found = Inferred(found.tops, None)
            if fork and (found.weights is None or any(forks.fields_in(layer))):
                unchecked = ", and its weights cannot be checked" if found.weights is None else ""
                warnings.append(
                    f"layer '{layer.name}' ({layer.type}) is written for a fork of Caffe ({fork}): "
                    f"it is passed on as it is{unchecked}"
                )
        if found.weights is not None and len(layer.param) > len(found.weights):
            most = f"at most {len(found.weights)}"
            raise site.fail("the layer has more param entries than weights", expected=most, got=str(len(layer.param)))
        tops = (*found.tops, *(None,) * len(layer.top))[: len(layer.top)]
        for shape in tops:
            if shape is not None and any(dim is not None and dim < 0 for dim in shape):
                raise site.fail("the output would have a negative size", got=show(shape))
            if (volume := count(shape)) is not None and volume > 2**31 - 1:
                raise site.fail("the output would have more than 2^31 - 1 values", got=show(shape))
        blobs.update(zip(layer.top, tops, strict=True))
        layers.append(LayerShapes(layer.name, layer.type, site.bottoms, tops, found.weights, found.macs))
    return NetShapes(tuple(layers), blobs, tuple(warnings))
